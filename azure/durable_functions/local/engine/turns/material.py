"""What a turn has read: the instance, its history and its open tasks. Frozen."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.history import Leaf, OpenTask
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Message

from .arrival import in_order_of_arrival
from .memory import Remembered


class Material(NamedTuple):
    """All that a turn knows before it looks at its messages."""

    instance: Instance
    """The row as it is committed; the turn counts only while it stays so."""
    history: Sequence[str]
    """Events of the generation so far. The memory's own list, never copied: it may be long."""
    leaves: Sequence[Leaf]
    """Actions started so far, without the compounds around them."""
    open_tasks: Mapping[int, OpenTask]
    """What had been scheduled and not finished, by number."""
    now: datetime
    """Time of the turn, aware UTC; later than that of the turn before."""
    moment: str
    """The same time as the store writes it."""
    started: str
    """The event ``OrchestratorStarted`` of the turn."""
    registry: Registry
    """Names of the app's functions, as they were when the turn began."""
    limits: Limits

    @property
    def is_first(self) -> bool:
        """Whether the generation begins with this turn."""
        return not self.history


class Loaded(NamedTuple):
    """What was found in the store."""

    instance: Instance | None
    messages: list[Message]
    """In the order in which they have arrived."""
    remembered: Remembered | None
    """The rest of the instance, unless it has ended."""


def load(
    connection: sqlite3.Connection, instance_id: str, moment: str, remembered: Remembered | None
) -> Loaded:
    """Read what waits for an instance, and the instance if it is not remembered.

    Args:
        connection: To the store.
        instance_id: Of the instance.
        moment: The time, as the store writes it; timers up to it are due.
        remembered: What is remembered of the instance; it counts if the row is still the same.
    """
    waiting = in_order_of_arrival(messages.due(connection, instance_id, moment))
    if not waiting:
        return Loaded(None, [], None)
    if remembered is not None and instances.is_unchanged(connection, remembered.instance):
        return Loaded(remembered.instance, waiting, remembered)
    instance = instances.find(connection, instance_id)
    if instance is None or instance.is_terminal:
        return Loaded(instance, waiting, None)
    found = history.find(connection, instance_id)
    read = Remembered(instance, found.events, found.leaves, found.open_tasks)
    return Loaded(instance, waiting, read)


def material_of(
    remembered: Remembered, now: datetime, registry: Registry, limits: Limits
) -> Material:
    """The material of a turn that begins now; two turns never have the same time (host.md 8.3)."""
    instance = remembered.instance
    now = max(now, clock.from_stored(instance.updated_at) + timedelta(microseconds=1))
    return Material(
        instance,
        remembered.history,
        remembered.leaves,
        remembered.open_tasks,
        now,
        clock.stored(now),
        events.orchestrator_started(now),
        registry,
        limits,
    )
