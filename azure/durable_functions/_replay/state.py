"""What one call of an orchestrator answers: the state JSON. Source: protocol.md 3, sdk.md 2.11."""

from __future__ import annotations

import json
from typing import Any

from azure.durable_functions._wire.df_serialization import df_dumps
from azure.durable_functions._wire.payloads import encode
from azure.durable_functions._wire.vocabulary import ReplaySchema

from .actions import Action

# Official tests give a bare number or None, which count as V1.
_NUMBERED = (ReplaySchema.V2, ReplaySchema.V3)


class OrchestratorState:
    """Actions, output, error and custom status of one call."""

    def __init__(
        self,
        is_done: bool,
        actions: list[list[Action]],
        output: Any,
        replay_schema: ReplaySchema,
        error: str | None = None,
        custom_status: Any = None,
    ) -> None:
        self._is_done = is_done
        self._actions = actions
        self._output = output
        self._replay_schema = replay_schema
        self._error = error
        self._custom_status = custom_status
        self._failure_details: dict[str, Any] | None = None
        """What is told of the exception besides, in the structured form."""

    @property
    def actions(self) -> list[list[Action]]:
        """The live list."""
        return self._actions

    @property
    def is_done(self) -> bool:
        """Whether the function has returned or continued as new."""
        return self._is_done

    @property
    def output(self) -> Any:
        """The function's return value."""
        return self._output

    @property
    def error(self) -> str | None:
        """Text of the exception that ended it."""
        return self._error

    @property
    def custom_status(self) -> Any:
        """Last value given to `set_custom_status`."""
        return self._custom_status

    @property
    def schema_version(self) -> int:
        """Number of the schema that the actions are listed in."""
        return self._replay_schema.value

    def to_json(self) -> dict[str, Any]:
        """The wire's object. ``schemaVersion`` is absent under V1, and unset fields are."""
        fields: dict[str, Any] = {"isDone": self._is_done}
        if self._replay_schema in _NUMBERED:
            fields["schemaVersion"] = self._replay_schema.value
        fields["actions"] = [[action.to_json() for action in group] for group in self._actions]
        fields.update(self._outcome())
        return fields

    def _outcome(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self._output is not None:
            fields["output"] = self._output
        if self._error:
            fields["error"] = self._error
            if self._failure_details is not None:
                fields["failureDetails"] = self._failure_details
        if self._custom_status is not None:  # 1.7.0 drops falsy ones (sdk.md Q31)
            fields["customStatus"] = self._custom_status
        return fields

    def to_json_string(self) -> str:
        """The wire's text.

        Raises:
            TypeError: Output or custom status cannot be encoded.
        """
        outcome = self._outcome()
        tail = f", {encode(outcome)[1:-1]}" if outcome else ""
        return state_text(self._is_done, self._actions, self._replay_schema, tail)


_V3 = ReplaySchema.V3


def _beginning(is_done: Any, schema: Any) -> str:
    """The text up to the actions; whatever `OrchestratorState` takes is told as `to_json` does."""
    version = f', "schemaVersion": {schema.value}' if schema in _NUMBERED else ""
    return f'{{"isDone": {df_dumps(is_done)}{version}'


_USUAL = {is_done: _beginning(is_done, _V3) for is_done in (False, True)}


def state_text(
    is_done: bool, actions: list[list[Action]], schema: ReplaySchema | int | None, tail: str = ""
) -> str:
    """The wire's text of a state.

    Joined from the actions' texts; an object of objects and its encoding take twice as long.

    Args:
        is_done: Whether the function has returned or continued as new.
        actions: Groups of them.
        schema: That they are listed in.
        tail: What is said besides: output, error, status; JSON text, each behind a comma.
    """
    is_usual = schema is _V3 and (is_done is True or is_done is False)
    beginning = _USUAL[is_done] if is_usual else _beginning(is_done, schema)
    if len(actions) == 1:  # always under V2 and V3
        only = ", ".join([action.to_text() for action in actions[0]])
        return f'{beginning}, "actions": [[{only}]]{tail}}}'
    groups = [", ".join([action.to_text() for action in group]) for group in actions]
    listed = ", ".join([f"[{group}]" for group in groups])
    return f'{beginning}, "actions": [{listed}]{tail}}}'


_NEVER_REFUSED = frozenset((str, int, bool, type(None)))


def refused_by_every_codec(value: object) -> Exception | None:
    """Why a value cannot be sent: the plain encoder's reason, unless our codec takes it (Q30).

    An output or a status that holds a set is refused, as is recorded of the official package; what
    that refuses besides, models and moments among it, is taken.
    """
    if type(value) in _NEVER_REFUSED:
        return None
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as plain:
        for takes in (_taken_by_the_codec, _taken_by_ours):
            if takes(value):
                return None
        return plain
    return None


_STATUS_KILOBYTES = 16


def refused_status(status: object) -> Exception | None:
    """Why a value cannot be a custom status: it cannot be sent, or the host takes none so large.

    The extension would refuse a large one by itself, but in all turns except the first it then
    tells of non-determinism and not of the size (extension-engine.md, Y32).
    """
    refusal = refused_by_every_codec(status)
    if refusal is not None or (type(status) is str and len(status) < 1000):
        return refusal
    sent = json.loads(encode(status))
    text = json.dumps(sent, separators=(",", ":"), ensure_ascii=False)
    kilobytes = len(text.encode("utf-16-le", "surrogatepass")) // 1024
    if kilobytes <= _STATUS_KILOBYTES:
        return None
    return ValueError(
        f"The UTF-16 size of the JSON-serialized payload must not exceed {_STATUS_KILOBYTES} KB. "
        f"The current payload size is {kilobytes} KB."
    )


def _taken_by_the_codec(value: object) -> bool:
    try:
        df_dumps({"output": value})
    except Exception:  # a user's to_json may raise anything; the plain reason is reported
        return False
    return True


def _taken_by_ours(value: object) -> bool:
    from azure.durable_functions._wire import typed

    def default(found: object) -> object:
        if isinstance(found, (set, frozenset)):
            raise TypeError("a set")
        return typed.to_plain(found)

    try:
        json.dumps(value, default=default)
    except Exception:  # as above
        return False
    return True
