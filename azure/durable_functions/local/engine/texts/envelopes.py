"""What an orchestrator that has raised has asked for: the JSON text behind a label in its failure.

Source: extension-engine.md Y30-Y32. Where there is no such text, or not of the right form, the
extension takes it that the function has asked for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, HistoryEventType


class _NamedTwice(ValueError):
    """An object has a member twice."""


def answer_in(message: str) -> str | None:
    """The answer that a failure's message holds; None if there is none."""
    _, label, text = message.rpartition(FAILURE_LABEL)
    return text if label and _is_envelope(text) else None


def _is_envelope(text: str) -> bool:
    try:
        fields: Any = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return False
    if not shapes.is_object(fields):
        return False
    error: Any = fields.get("error")
    return (
        fields.get("isDone") is False
        and isinstance(error, str)
        and error != ""
        and _are_actions(fields.get("actions"))
    )


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in members}) < len(members):
        raise _NamedTwice
    return dict(members)


def _are_actions(groups: Any) -> bool:
    return shapes.is_array(groups) and all(
        shapes.is_array(group) and all(shapes.is_object(action) for action in group)
        for group in groups
    )


_SCHEDULED = {
    HistoryEventType.TASK_SCHEDULED.value: "an activity task",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED.value: "a sub-orchestration",
    HistoryEventType.TIMER_CREATED.value: "a timer",
    HistoryEventType.EVENT_SENT.value: "an event",
}
_MARKS = tuple(f'"EventType":{number},' for number in _SCHEDULED)


def contradicted(history: Iterable[str]) -> str | None:
    """What the extension says of a function that asks for nothing that its history records.

    None if the history records nothing.
    """
    for text in history:
        if any(mark in text for mark in _MARKS):
            event: dict[str, Any] = json.loads(text)
            kind = _SCHEDULED.get(event["EventType"])
            if kind is not None:
                return _contradiction(kind, event)
    return None


def _contradiction(kind: str, event: dict[str, Any]) -> str:
    named = f" and name '{event['Name']}'" if "Name" in event else ""
    versioned = f" (version '{event['Version'] or ''}')" if "Version" in event else ""
    return (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
        f"{kind} with sequence ID {event['EventId']}{named}{versioned}, but the current replay "
        "execution hasn't (yet?) scheduled this task. Was a change made to the orchestrator code "
        "after this instance had already started running?"
    )
