"""Reading the orchestration trigger. Source: protocol.md 1."""

from __future__ import annotations

import json
from collections import deque
from operator import itemgetter
from typing import Any

from azure.durable_functions._wire import shapes

_EVENT_TYPE = itemgetter("EventType")
_REQUIRED = ("history", "instanceId", "isReplaying", "parentInstanceId")


def read(text: str | bytes) -> dict[str, Any]:
    """Fields of the trigger, by the host's names.

    Raises:
        ValueError: Not JSON (then `json.JSONDecodeError`), not an object, or a field is missing.
    """
    try:
        trigger: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(
            f"The orchestration trigger is not JSON: {error.msg}", error.doc, error.pos
        ) from None
    if not shapes.is_object(trigger):
        raise ValueError(
            f"The orchestration trigger must be a JSON object, got {type(trigger).__name__}"
        )
    missing = [name for name in _REQUIRED if name not in trigger]
    if missing:
        raise ValueError(f"The orchestration trigger lacks {', '.join(missing)} (protocol.md 1)")
    history: Any = trigger["history"]
    if not shapes.is_array(history):
        raise ValueError(
            f"history in the orchestration trigger must be an array, got {type(history).__name__}"
        )
    try:
        deque(map(_EVENT_TYPE, history), maxlen=0)  # 0.02 us an event; a loop takes five times that
    except (TypeError, KeyError, IndexError):
        for index, event in enumerate(history):
            if not shapes.is_object(event) or "EventType" not in event:
                raise ValueError(
                    f"history[{index}] in the orchestration trigger must be an object with "
                    "EventType"
                ) from None
        raise
    return trigger
