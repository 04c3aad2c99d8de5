"""The retry policy that travels in an action; the host applies it. Source: sdk.md 2.4."""

from __future__ import annotations

from typing import Any

from .json_utils import add_attrib


class RetryOptions:
    """How often the host tries an activity or sub-orchestration, and how long it waits between."""

    def __init__(
        self, first_retry_interval_in_milliseconds: int, max_number_of_attempts: int
    ) -> None:
        """Raises ValueError for an interval that is not positive; attempts are not checked."""
        if first_retry_interval_in_milliseconds <= 0:
            raise ValueError("first_retry_interval_in_milliseconds value must be greater than 0")
        self._first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self._max_number_of_attempts = max_number_of_attempts

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Wait after the first failure."""
        return self._first_retry_interval_in_milliseconds

    @property
    def max_number_of_attempts(self) -> int:
        """Attempts in total, the first one included."""
        return self._max_number_of_attempts

    def to_json(self) -> dict[str, Any]:
        """The wire's object."""
        json_dict: dict[str, Any] = {}
        add_attrib(
            json_dict,
            self,
            "first_retry_interval_in_milliseconds",
            "firstRetryIntervalInMilliseconds",
        )
        add_attrib(json_dict, self, "max_number_of_attempts", "maxNumberOfAttempts")
        return json_dict
