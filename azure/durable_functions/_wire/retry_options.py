"""Retry policies: what travels in an action, and what the SDK decides by itself.

Source: sdk.md 2.4, protocol.md 4 and 8.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from azure.durable_functions._errors import FailureDetails, TaskFailedError

from .json_utils import add_attrib


@dataclass(frozen=True)
class RetryContext:
    """What a ``handle`` predicate is told of a failed attempt."""

    attempt: int
    """1 for the first."""
    failure: FailureDetails
    elapsed: timedelta
    """Since the first attempt was scheduled."""
    error: TaskFailedError
    """What the orchestrator would catch."""


Handle = Callable[[RetryContext], bool]


def _check_number(name: str, value: object) -> None:
    if isinstance(value, (str, bytes, timedelta)):
        raise TypeError(
            f"{name} must be a number, got {value!r}; RetryPolicy takes time spans, RetryOptions "
            "milliseconds"
        )


class RetryOptions:
    """How often an activity or sub-orchestration is tried, and how long to wait between."""

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float | None = None,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
        jitter: float = 0.0,
        handle: Handle | None = None,
        non_retryable: Sequence[type[BaseException] | str] = (),
    ) -> None:
        """Make a policy. With the first five parameters the host runs it, else the SDK does.

        Args:
            first_retry_interval_in_milliseconds: Wait after the first failure.
            max_number_of_attempts: In total, the first one included.
            backoff_coefficient: Each wait is so many times the one before; None means 1.
            max_retry_interval_in_milliseconds: No wait is longer.
            retry_timeout_in_milliseconds: No attempt begins later after the first one.
            jitter: Each wait is shortened by up to this share of it, the same in every replay.
            handle: Whether to try again after a failure; must be deterministic.
            non_retryable: Failures of these types, or with one as their cause, are final.

        Raises:
            TypeError: Something is no number.
            ValueError: A number is out of its range. (Attempts are checked only beside the newer
                parameters, because the official package does not check them.)
        """
        _check_number("first_retry_interval_in_milliseconds", first_retry_interval_in_milliseconds)
        _check_number("max_number_of_attempts", max_number_of_attempts)
        if first_retry_interval_in_milliseconds <= 0:
            raise ValueError("first_retry_interval_in_milliseconds value must be greater than 0")
        self._first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self._max_number_of_attempts = max_number_of_attempts
        self.backoff_coefficient = backoff_coefficient
        self.max_retry_interval_in_milliseconds = max_retry_interval_in_milliseconds
        self.retry_timeout_in_milliseconds = retry_timeout_in_milliseconds
        self.jitter = jitter
        self.handle = handle
        self.non_retryable = tuple(non_retryable)
        self._check()

    def _check(self) -> None:
        for name in ("max_retry_interval_in_milliseconds", "retry_timeout_in_milliseconds"):
            value: Any = getattr(self, name)
            if value is not None:
                _check_number(name, value)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be greater than 0, got {value!r}")
        if self.backoff_coefficient is not None and self.backoff_coefficient < 1:
            raise ValueError(
                f"backoff_coefficient must be at least 1, got {self.backoff_coefficient!r}"
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be a share from 0 to 1, got {self.jitter!r}")
        if self.runs_in_sdk and self._max_number_of_attempts < 1:
            raise ValueError(
                f"max_number_of_attempts must be at least 1, got {self._max_number_of_attempts!r}"
            )

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Wait after the first failure."""
        return self._first_retry_interval_in_milliseconds

    @property
    def max_number_of_attempts(self) -> int:
        """Attempts in total, the first one included."""
        return self._max_number_of_attempts

    @property
    def runs_in_sdk(self) -> bool:
        """Whether it needs what no host knows, so that the SDK makes the attempts and waits."""
        return bool(self.jitter or self.handle is not None or self.non_retryable)

    def to_json(self) -> dict[str, Any]:
        """The wire's object; what is not set is left out."""
        json_dict: dict[str, Any] = {}
        add_attrib(
            json_dict,
            self,
            "first_retry_interval_in_milliseconds",
            "firstRetryIntervalInMilliseconds",
        )
        add_attrib(json_dict, self, "max_number_of_attempts", "maxNumberOfAttempts")
        for name, key in (
            ("backoff_coefficient", "backoffCoefficient"),
            ("max_retry_interval_in_milliseconds", "maxRetryIntervalInMilliseconds"),
            ("retry_timeout_in_milliseconds", "retryTimeoutInMilliseconds"),
        ):
            value = getattr(self, name)
            if value is not None:
                json_dict[key] = value
        return json_dict


class RetryPolicy(RetryOptions):
    """As `RetryOptions`, with time spans; the SDK runs it, so activities have a say.

    An activity that raises `NonRetryableError` is not tried again, one that raises `RetryAfter` not
    before that time.
    """

    def __init__(
        self,
        first_retry_interval: timedelta,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float | None = None,
        max_retry_interval: timedelta | None = None,
        retry_timeout: timedelta | None = None,
        jitter: float = 0.0,
        handle: Handle | None = None,
        non_retryable: Sequence[type[BaseException] | str] = (),
    ) -> None:
        """Make a policy; parameters as of `RetryOptions`."""
        super().__init__(
            _milliseconds("first_retry_interval", first_retry_interval) or 0,
            max_number_of_attempts,
            backoff_coefficient=backoff_coefficient,
            max_retry_interval_in_milliseconds=_milliseconds(
                "max_retry_interval", max_retry_interval
            ),
            retry_timeout_in_milliseconds=_milliseconds("retry_timeout", retry_timeout),
            jitter=jitter,
            handle=handle,
            non_retryable=non_retryable,
        )

    @property
    def runs_in_sdk(self) -> bool:
        """True."""
        return True


def _milliseconds(name: str, span: timedelta | None) -> int | None:
    if span is None:
        return None
    if not isinstance(span, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]  # users
        raise TypeError(f"{name} must be a timedelta, got {span!r}")
    return round(span.total_seconds() * 1000)
