"""Continue-as-new: the next generation of an instance. Source: protocol.md 13.5."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.engine.texts.new_instance import new_instance, tags_of
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.messages import NewMessage

from .changes import Changes, NextGeneration


def begin_next(
    connection: sqlite3.Connection, changes: Changes, following: NextGeneration
) -> list[str]:
    """Replace the execution by a new one under the same id.

    Returns:
        Names of the raised events that are lost, because nobody has waited for them.
    """
    material = changes.material
    old = material.instance
    carried, dropped = _carried_events(connection, changes)
    started = changes.batch.events[0] if material.is_first else material.history[1]
    waiting = messages.due(connection, old.instance_id, "9999")
    messages.delete_of_instance(connection, old.instance_id)
    instances.forget_execution(connection, old.instance_id)
    fresh = new_instance(
        now=material.now,
        name=old.name,
        instance_id=old.instance_id,
        input_text=None if following.input is None else events.dump(following.input),
        version=old.version,
        parent=None if old.parent is None else json.loads(old.parent),
        status="Running",
        custom_status=changes.custom_status,
        continued=True,
        tags=tags_of(started),
    )
    instances.put(connection, fresh.row)
    still_queued = [
        NewMessage(
            instance_id=message.instance_id,
            execution_id=None,
            event_type=message.event_type,
            created_at=message.created_at,
            event=message.event,
        )
        for message in waiting
        if message.execution_id is None
    ]
    messages.send(connection, [fresh.start, *carried, *still_queued])
    return dropped


def _carried_events(
    connection: sqlite3.Connection, changes: Changes
) -> tuple[list[NewMessage], list[str]]:
    """Raised events that the next generation gets (extension-engine.md Y41); names of the others.

    They are all that have come since the turn in which the function has continued as new; of that
    turn those that came after the wait that has let it (protocol.md 13.5).
    """
    material = changes.material
    work = [event for _, event in changes.scheduled]
    sent = (event for event in [*material.history, *work] if '"EventType":14,' in event)
    # An entity's answer belongs to the generation that called.
    asked = {json.loads(json.loads(event)["Input"])["id"].upper() for event in sent}
    recorded = [event for event in material.history if _is_raised(event)]
    raised = [event for event in changes.batch.events if _is_raised(event)]
    asked_before = any(leaf.action_type == ActionType.CONTINUE_AS_NEW for leaf in material.leaves)
    if asked_before:
        turns = history.turns(connection, material.instance.instance_id)
        place = next(place for place, turn in enumerate(turns) if _continues(turn))
        until, since = turns[: place + 1], turns[place + 1 :]
        recorded = [event for turn in until for event in turn.events if _is_raised(event)]
        raised[:0] = [event for turn in since for event in turn.events if _is_raised(event)]
    recorded, raised = (
        [event for event in texts if _name_of(event).upper() not in asked]
        for texts in (recorded, raised)
    )
    free = Counter(
        str(leaf.name).upper()
        for leaf in (*material.leaves, *changes.new_leaves)
        if leaf.action_type == ActionType.WAIT_FOR_EXTERNAL_EVENT
    )
    dropped = [_name_of(event) for event in _unconsumed(recorded, free)]
    if not asked_before:
        raised = _unconsumed(raised, free)
    carried = [
        NewMessage(
            instance_id=material.instance.instance_id,
            execution_id=None,
            event_type=HistoryEventType.EVENT_RAISED.value,
            created_at=material.moment,
            event=events.played(event),
        )
        for event in raised
    ]
    return carried, dropped


def _is_raised(event: str) -> bool:
    mark = HistoryEventType.EVENT_RAISED.value
    return f'"EventType":{mark},' in event and json.loads(event)["EventType"] == mark


def _continues(turn: history.Turn) -> bool:
    return any(leaf.action_type == ActionType.CONTINUE_AS_NEW for leaf in turn.leaves)


def _name_of(raised: str) -> str:
    return str(json.loads(raised)["Name"])


def _unconsumed(raised: Sequence[str], free: Counter[str]) -> list[str]:
    """Events for which no wait is `free`; those that have one take it."""
    left: list[str] = []
    for event in raised:
        name = _name_of(event).upper()
        free[name] -= 1
        if free[name] < 0:
            left.append(event)
    return left
