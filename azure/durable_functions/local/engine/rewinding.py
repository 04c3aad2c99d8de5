"""Rewinding: what failed is done once more. Source: host.md 8.14, protocol.md 13.6.

The history is changed in place: failures, what scheduled them and the end become tombstones. The
next episode lists the same actions, and those that have lost their event are started again under
their old number (`redo`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.instances import Instance, OpenTask
from azure.durable_functions.local.store.messages import NewMessage

from . import clock, events

REWOUND = "rewound"
"""Kind of an open task that the next episode starts again."""

_REPEATABLE = (ActionType.CALL_ACTIVITY, ActionType.CALL_HTTP, ActionType.CREATE_TIMER)
_SCHEDULING = (HistoryEventType.TASK_SCHEDULED, HistoryEventType.TIMER_CREATED)
_FINISHING = (HistoryEventType.TASK_COMPLETED, HistoryEventType.TIMER_FIRED)


def rewind(
    connection: sqlite3.Connection, instance: Instance, now: datetime, reason: str | None
) -> list[str]:
    """Rewind a failed instance and, first, its failed children; gives the ids of those to wake."""
    instance_id = instance.instance_id
    recorded = [json.loads(text) for text in history.events(connection, instance_id)]
    repeatable = {
        leaf.task_id
        for leaf in instances.leaves(connection, instance_id)
        if leaf.action_type in _REPEATABLE and leaf.task_id is not None
    }
    finished = {
        event.get("TaskScheduledId", event.get("TimerId"))
        for event in recorded
        if event["EventType"] in _FINISHING
    }
    woken: list[str] = []
    for position, event in enumerate(recorded):
        kind = event["EventType"]
        if kind == HistoryEventType.TASK_FAILED:
            is_erased = event["TaskScheduledId"] in repeatable
        elif kind in _SCHEDULING:
            task_id: int = event["EventId"]
            is_erased = task_id in repeatable and task_id not in finished
            if is_erased:
                instances.open_task(connection, instance_id, OpenTask(task_id, REWOUND, None))
        elif kind == HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED:
            child = _failed_child(connection, recorded, event["TaskScheduledId"])
            is_erased = child is not None
            if child is not None:
                woken += rewind(connection, child, now, reason)
                waits = OpenTask(event["TaskScheduledId"], "orchestration", None)
                instances.open_task(connection, instance_id, waits)
        else:
            is_erased = kind == HistoryEventType.EXECUTION_COMPLETED
        if is_erased:
            text = events.erased(events.dump(event))
            history.overwrite(connection, instance_id, position, text)
    instances.put(connection, replace(instance, status="Pending", output=None))
    if woken:
        return woken
    message = NewMessage(
        instance_id=instance_id,
        execution_id=instance.execution_id,
        event_type=HistoryEventType.GENERIC_EVENT.value,
        created_at=clock.stored(now),
        event=events.generic(now, reason),
    )
    messages.send(connection, [message])
    return [instance_id]


def _failed_child(
    connection: sqlite3.Connection, recorded: Sequence[dict[str, Any]], task_id: int
) -> Instance | None:
    """The child that a task has started, if it has failed and is still there."""
    for event in recorded:
        created = event["EventType"] == HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED
        if created and event["EventId"] == task_id:
            child = instances.find(connection, event["InstanceId"])
            return child if child is not None and child.status == "Failed" else None
    return None
