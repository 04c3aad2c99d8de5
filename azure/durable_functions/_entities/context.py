"""What an entity function is given. Source: sdk.md 3.14."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azure.durable_functions._wire import payloads, shapes

if TYPE_CHECKING:
    from azure.durable_functions._wire.converters import DataConverter


def from_json_util(json_str: str, expected_type: type | None = None) -> Any:
    """Decode a payload with the codec."""
    return payloads.decode(json_str, expected_type)


class DurableEntityContext:
    """The entity as its function sees it, during one operation."""

    _converter: DataConverter | None = None
    """How the app writes and reads payloads, if not as usual."""

    def __init__(self, name: str, key: str, exists: bool, state: Any) -> None:
        self._entity_name: str = name
        self._entity_key: str = key
        self._exists: bool = exists
        self._is_newly_constructed: bool = False
        self._state: Any = state
        self._state_is_raw: bool = False
        self._input: Any = None
        self._operation: str | None = None
        self._result: Any = None

    @classmethod
    def from_json(cls, json_str: str) -> tuple[DurableEntityContext, list[dict[str, Any]]]:
        """Read a trigger: the context, and the operations to run on it.

        Raises:
            ValueError: It is not a JSON object with the fields of protocol.md 5.2.
        """
        trigger: Any = json.loads(json_str)
        address = trigger.get("self") if shapes.is_object(trigger) else None
        if not shapes.is_object(address):
            raise ValueError("The entity trigger must be a JSON object with the object self")
        batch = trigger.get("batch")
        missing = [key for key in ("name", "key") if key not in address]
        if missing or not shapes.is_array(batch):
            lacks = f"self.{missing[0]}" if missing else "an array in batch"
            raise ValueError(f"The entity trigger lacks {lacks}")
        context = cls(
            name=address["name"],
            key=address["key"],
            exists=bool(trigger.get("exists")),
            state=trigger.get("state"),
        )
        # The state stays text until an operation looks at it, so that a batch which never does
        # gives it back byte for byte.
        context._state_is_raw = context._state is not None
        return context, batch

    @property
    def entity_name(self) -> str:
        """Name of the entity, in lower case."""
        return self._entity_name

    @property
    def entity_key(self) -> str:
        """Key of the entity."""
        return self._entity_key

    @property
    def operation_name(self) -> str:
        """Name of the operation.

        Raises:
            Exception: No operation is running.
        """
        if self._operation is None:
            raise Exception("Entity operation is unassigned")
        return self._operation

    @property
    def is_newly_constructed(self) -> bool:
        """Always False (sdk.md Q100)."""
        return self._is_newly_constructed

    def get_state(
        self, initializer: Callable[[], Any] | None = None, expected_type: type | None = None
    ) -> Any:
        """The entity's state.

        Args:
            initializer: Gives the value to work with where there is no state; it is not stored.
            expected_type: Class of the state; only the first look decodes it.

        Raises:
            Exception: The initializer cannot be called.
        """
        if self._state_is_raw:
            self._state = self._read(self._state, expected_type)
            self._state_is_raw = False
        if self._state is not None:  # the text "null" is no state either
            return self._state
        if initializer is None:
            return None
        if not callable(initializer):
            raise Exception("initializer argument needs to be a callable function")
        return initializer()

    def set_state(self, state: Any) -> None:
        """Store a new state; encoded at the end of the batch."""
        self._exists = True
        self._state = state
        self._state_is_raw = False

    def get_input(self, expected_type: type | None = None) -> Any:
        """The operation's input; None if there is none.

        Callers encode twice, plain HTTP once; both are understood (protocol.md 15, D9).
        """
        text = self._input
        if text is None:
            return None
        value = payloads.parse(text)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                return self._read(value, expected_type)
            except json.JSONDecodeError:
                return value if self._converter is None else self._read(text, expected_type)
        return self._read(text, expected_type)

    def set_result(self, result: Any) -> None:
        """Answer the caller."""
        self._exists = True
        self._result = result

    def _read(self, text: str, expected_type: type | None) -> Any:
        if self._converter is None:
            return from_json_util(text, expected_type)
        return self._converter.deserialize(text, expected_type)

    def destruct_on_exit(self) -> None:
        """Delete the entity, at once; setting state or result again brings it back."""
        self._exists = False
        self._state = None
        self._state_is_raw = False
