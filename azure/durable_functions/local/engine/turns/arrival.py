"""The order in which messages have arrived, which is not always that of their commits."""

from __future__ import annotations

import math
from collections import deque

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.store.messages import Message

_RESULTS = (HistoryEventType.TASK_COMPLETED.value, HistoryEventType.TASK_FAILED.value)


def in_order_of_arrival(waiting: list[Message]) -> list[Message]:
    """Messages in the order of their commits, except those that arrive later than they are stored.

    A timer arrives when it falls due, not when it was set. The result of an activity, which may
    have waited for a turn, arrives when the activity has ended.
    """
    moved = deque(sorted(filter(_has_moment, waiting), key=_arrival))
    if not moved:
        return waiting
    arrived: list[Message] = []
    for message in waiting:
        if not _has_moment(message):
            while moved and _arrival(moved[0]) < _arrival(message):
                arrived.append(moved.popleft())
            arrived.append(message)
    return [*arrived, *moved]


def _has_moment(message: Message) -> bool:
    return message.due_at is not None or message.event_type in _RESULTS


def _arrival(message: Message) -> tuple[str, float]:
    """The moment, and the position among messages of the same moment: timers come last."""
    if message.due_at is not None:
        return message.due_at, math.inf
    return message.created_at, message.message_id
