"""Reading the orchestration trigger. Source: protocol.md 1."""

from __future__ import annotations

import functools
import importlib
import json
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from azure.durable_functions._wire import payloads, shapes

_EVENT_TYPE = itemgetter("EventType")
_FEW_EVENTS = 16
_MOST_LOOKED_AT = 1000
_REQUIRED = ("history", "instanceId", "isReplaying", "parentInstanceId")
_REQUIRED_FIELDS = itemgetter(*_REQUIRED)


def _parse(text: str | bytes) -> Any:
    """The JSON value of a trigger.

    A history is nearly all texts and small numbers, which msgspec and orjson, where installed, read
    in half the time and as the standard library does. What they refuse it may still take (NaN,
    halves of surrogate pairs); and as they make floats of big integers, it has the last word where
    the user's input holds a float.
    """
    decode = _accelerator()
    if decode is not None:
        try:
            trigger: Any = decode(text)
        except Exception:  # each has errors of its own; the standard library words them
            return json.loads(text)
        if shapes.is_object(trigger) and _is_exact(trigger.get("input")):
            return trigger
    return json.loads(text)


def _is_exact(value: object) -> bool:
    """Whether a value certainly holds no float; large ones are not searched to the end."""
    waiting = [value]
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            return True
        found = waiting.pop()
        if type(found) is float:
            return False
        if shapes.is_object(found):
            waiting.extend(found.values())
        elif shapes.is_array(found):
            waiting.extend(found)
    return not waiting


@functools.cache
def _accelerator() -> Callable[[str | bytes], Any] | None:
    for name, function in (("msgspec.json", "decode"), ("orjson", "loads")):
        try:
            found: Callable[[str | bytes], Any] = getattr(importlib.import_module(name), function)
        except ImportError:
            continue
        return found
    return None


def read(text: str | bytes) -> dict[str, Any]:
    """Fields of the trigger, by the host's names.

    Raises:
        ValueError: Not JSON (then `json.JSONDecodeError`), not an object, or a field is missing.
    """
    try:
        is_plain = isinstance(text, str) and _accelerator() is None
        trigger: dict[str, Any] = payloads.parse(text) if is_plain else _parse(text)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(
            f"The orchestration trigger is not JSON: {error.msg}", error.doc, error.pos
        ) from None
    kind: type[object] = type(trigger)
    if kind is not dict:  # `isinstance` by functions took 0.1 us for the two
        raise ValueError(f"The orchestration trigger must be a JSON object, got {kind.__name__}")
    try:
        history: list[Any] = _REQUIRED_FIELDS(trigger)[0]
    except KeyError:
        missing = [name for name in _REQUIRED if name not in trigger]
        raise ValueError(f"The orchestration trigger lacks {', '.join(missing)}") from None
    kind = type(history)
    if kind is not list:
        raise ValueError(
            f"history in the orchestration trigger must be an array, got {kind.__name__}"
        )
    try:
        # 0.02 us an event; a loop takes five times that. Few fit into a list, which is made faster.
        if len(history) <= _FEW_EVENTS:
            list(map(_EVENT_TYPE, history))
        else:
            deque(map(_EVENT_TYPE, history), maxlen=0)
    except (TypeError, KeyError, IndexError):
        for index, event in enumerate(history):
            if not shapes.is_object(event) or "EventType" not in event:
                raise ValueError(
                    f"history[{index}] in the orchestration trigger must be an object with "
                    "EventType"
                ) from None
        raise
    return trigger
