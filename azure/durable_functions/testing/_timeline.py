"""An instance's history as lines that a person reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local import failure_texts

_HIDDEN = ("ORCHESTRATOR_STARTED", "ORCHESTRATOR_COMPLETED")


def lines(history: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each event that says something, with its time."""
    names: dict[Any, str] = {}
    found: list[str] = []
    for event in history:
        kind = HistoryEventType(event["EventType"])
        if "Name" in event and event["EventId"] >= 0:
            names[event["EventId"]] = str(event["Name"])
        if kind.name in _HIDDEN:
            continue
        task = event.get("TaskScheduledId", event.get("TimerId"))
        name = event.get("Name") or names.get(task) or ""
        number = event["EventId"] if event["EventId"] >= 0 else task
        told = kind.name.replace("_", " ").capitalize()
        shown = f" {name!r}" if name else ""
        numbered = "" if number is None else f" ({number})"
        found.append(f"{event['Timestamp']}  {told}{shown}{numbered}{_detail(event)}")
    return found


def _detail(event: dict[str, Any]) -> str:
    if "FireAt" in event:
        return f", due {event['FireAt']}"
    for value in (failure_texts.reason(event), event.get("Result"), event.get("Input")):
        if value is not None:
            text = without_envelopes(value) if isinstance(value, str) else json.dumps(value)
            return f": {text[:200]}"
    return ""
