"""What an entity function answers for a batch. Source: protocol.md 5.3, sdk.md 2.13."""

from __future__ import annotations

import json
from typing import Any

from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.payloads import encode


class Signal:
    """A one-way operation for another entity; Python 1.x never sends one."""

    def __init__(self, target: EntityId, name: str, input_: str) -> None:
        self._target = target
        self._name = name
        self._input = input_

    @property
    def target(self) -> EntityId:
        """Which entity."""
        return self._target

    @property
    def name(self) -> str:
        """Operation."""
        return self._name

    @property
    def input(self) -> str:
        """Encoded twice, as in a request."""
        return self._input

    def to_json(self) -> dict[str, Any]:
        """The wire's object."""
        target = {"name": self._target.name, "key": self._target.key}
        return {"target": target, "name": self._name, "input": self._input}


class OperationResult:
    """Result of one operation."""

    def __init__(
        self, is_error: bool, duration: int, execution_start_time_ms: int, result: Any = None
    ) -> None:
        """Keep a result.

        Args:
            is_error: The operation raised; the result is the exception's text.
            duration: Milliseconds.
            execution_start_time_ms: Milliseconds since 1970-01-01 UTC.
            result: Encoded when it is sent.
        """
        self._is_error = is_error
        self._duration = duration
        self._execution_start_time_ms = execution_start_time_ms
        self._result = result
        self._encoded: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the operation raised."""
        return self._is_error

    @property
    def duration(self) -> int:
        """Milliseconds that the operation took."""
        return self._duration

    @property
    def execution_start_time_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self._execution_start_time_ms

    @property
    def result(self) -> Any:
        """The value."""
        return self._result

    def encode(self) -> None:
        """Fix the result's text now: what happens to the object later does not count (Q91).

        Raises:
            TypeError: The codec does not take it.
        """
        self._encoded = encode(self._result)

    def to_json(self) -> dict[str, Any]:
        """The wire's object."""
        return {
            "isError": self._is_error,
            "duration": self._duration,
            "startTime": self._execution_start_time_ms,
            "result": encode(self._result) if self._encoded is None else self._encoded,
        }


class EntityState:
    """State and results after a batch."""

    def __init__(
        self,
        results: list[OperationResult],
        signals: list[Signal],
        entity_exists: bool = False,
        state: Any = None,
        state_is_raw: bool = False,
    ) -> None:
        self.entity_exists = entity_exists
        self.state = state
        self.state_is_raw = state_is_raw
        self._results = results
        self._signals = signals

    @property
    def results(self) -> list[OperationResult]:
        """One per operation, in order."""
        return self._results

    @property
    def signals(self) -> list[Signal]:
        """Signals to send."""
        return self._signals

    def to_json(self) -> dict[str, Any]:
        """The wire's object; text that nobody has read goes back as it came.

        An entity that does not exist has no state, not the state ``"null"``: the extension reads
        by the state alone, and would show a deleted entity for ever (extension.md X52).

        Raises:
            TypeError: The codec does not take the state.
        """
        state = None
        if self.entity_exists:
            state = self.state if self.state_is_raw else encode(self.state)
        return {
            "entityExists": self.entity_exists,
            "entityState": state,
            "results": [result.to_json() for result in self._results],
            "signals": [signal.to_json() for signal in self._signals],
        }

    def to_json_string(self) -> str:
        """The wire's text."""
        return json.dumps(self.to_json())
