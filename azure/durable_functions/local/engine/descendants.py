"""Orders that go down a tree of instances: terminate, suspend, resume and purge with ``recursive``.

An instance that takes such an order passes it on to its children in the turn that takes it, so a
child that was just being started is told too. The extension knows no such orders (extension.md
X45); DurableTask's own field of the event has the same name.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Message, NewMessage

_CREATED = f'"EventType":{HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED.value},'
_ORDERS = (
    HistoryEventType.EXECUTION_TERMINATED.value,
    HistoryEventType.EXECUTION_SUSPENDED.value,
    HistoryEventType.EXECUTION_RESUMED.value,
)


class Order(NamedTuple):
    """What the instances of a tree are to do."""

    event_type: int
    event: str
    """The message's text, which says ``Recurse``."""


def orders_in(waiting: Iterable[Message]) -> list[Order]:
    """The orders among messages that are to be passed on."""
    return [
        Order(message.event_type, message.event)
        for message in waiting
        if message.event_type in _ORDERS and json.loads(message.event).get("Recurse")
    ]


def pass_on(
    connection: sqlite3.Connection, parent: Instance, order: Order, recorded: Iterable[str], at: str
) -> list[str]:
    """Send an order to the nearest descendants that have not ended; gives their ids.

    Args:
        connection: To the store, within a change.
        parent: Whose children are told; those of ended ones in their place.
        order: What to do.
        recorded: Texts of the parent's history events.
        at: The time, as the store keeps it.
    """
    told: list[str] = []
    is_suspend = order.event_type == HistoryEventType.EXECUTION_SUSPENDED
    waiting = list(_children(connection, parent, recorded))
    while waiting:
        child = waiting.pop()
        # What is suspended already takes the order no more, so what is below it is told here.
        if child.is_terminal or (is_suspend and child.status == "Suspended"):
            waiting += _recorded_children(connection, child)
        if not child.is_terminal:
            message = NewMessage(child.instance_id, None, order.event_type, at, order.event)
            messages.send(connection, [message])
            told.append(child.instance_id)
    return told


def ended(connection: sqlite3.Connection, root: Instance) -> list[str]:
    """Ids of the descendants that have ended; those below others that run on included."""
    found: list[str] = []
    waiting = _recorded_children(connection, root)
    while waiting:
        child = waiting.pop()
        waiting += _recorded_children(connection, child)
        if child.is_terminal:
            found.append(child.instance_id)
    return found


def _recorded_children(connection: sqlite3.Connection, parent: Instance) -> list[Instance]:
    return list(_children(connection, parent, history.events(connection, parent.instance_id)))


def _children(
    connection: sqlite3.Connection, parent: Instance, recorded: Iterable[str]
) -> Iterator[Instance]:
    """The instances that an execution has started, but for those that were replaced or purged."""
    ours = {"InstanceId": parent.instance_id, "ExecutionId": parent.execution_id}
    for text in recorded:
        if _CREATED not in text:
            continue
        event = json.loads(text)
        if event["EventType"] != HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED:
            continue
        child = instances.find(connection, event["InstanceId"])
        link = None if child is None or child.parent is None else json.loads(child.parent)
        if (
            child is not None
            and link is not None
            and link["OrchestrationInstance"] == ours
            and link["TaskScheduleId"] == event["EventId"]
        ):
            yield child
