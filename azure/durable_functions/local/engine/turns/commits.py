"""Stores what a turn has changed, in one transaction."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import NamedTuple

from azure.durable_functions.local.engine import descendants
from azure.durable_functions.local.engine.follow_up import FollowUp
from azure.durable_functions.local.engine.log_fields import about
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.engine.texts.new_instance import instance_started_by
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.instances import Instance

from . import generations
from .changes import Changes
from .children import answer_to_parent
from .memory import Remembered

logger = logging.getLogger("azure.durable_functions.local")


class Committed(NamedTuple):
    """What a transaction has stored, and what it makes possible."""

    follow_up: FollowUp
    row: Instance | None = None
    """The instance as it is now, if it goes on in the same generation."""
    appended: tuple[str, ...] | list[str] = ()
    """Events that were added to its history."""
    dropped_events: tuple[str, ...] | list[str] = ()
    """Names of raised events that no wait has taken before continue-as-new."""


def commit(connection: sqlite3.Connection, changes: Changes) -> Committed:
    """Store all that a turn has changed; nothing if the instance was replaced meanwhile."""
    if not instances.is_unchanged(connection, changes.material.instance):
        messages.delete(connection, changes.batch.consumed)
        return Committed(FollowUp())
    return put(connection, changes)


def put(connection: sqlite3.Connection, changes: Changes) -> Committed:
    """Store all that a turn has changed, of an instance that is as the turn has found it."""
    material, batch = changes.material, changes.batch
    before = material.instance
    messages.delete(connection, batch.consumed)
    messages.send(connection, changes.to_entities)
    woken = [message.instance_id for message in changes.to_entities]
    for order in batch.orders:
        woken += descendants.pass_on(connection, before, order, material.history, material.moment)
    if changes.next_generation is not None:
        dropped = generations.begin_next(connection, changes, changes.next_generation)
        return Committed(FollowUp(woken=[*woken, before.instance_id]), dropped_events=dropped)
    appended = new_history(changes)
    after = _store_turn(connection, changes, appended)
    if after.is_terminal:
        woken += _finish(connection, changes, after)
        return Committed(FollowUp(woken=woken, has_ended=True))
    if batch.leaves_messages:
        woken.append(before.instance_id)
    messages.delete_timers(connection, before.instance_id, changes.cancelled)
    messages.schedule(connection, changes.activities)
    woken += _start_children(connection, changes)
    to_self, due = _send_to_self(connection, changes)
    follow_up = FollowUp(changes.activities, [*woken, *to_self], due)
    return Committed(follow_up, after, appended)


def new_history(changes: Changes) -> list[str]:
    """Events to append, in the order of protocol.md 2.4, as later turns see them."""
    material = changes.material
    if material.is_first and changes.status in ("Suspended", "Pending"):
        return []  # it has not begun
    appended = [material.started]
    appended += [events.played(event) for event in changes.batch.events]
    appended += [event for _, event in sorted(changes.scheduled, key=lambda item: item[0])]
    if changes.status in events.STATUS_NUMBERS and changes.status not in ("Running", "Suspended"):
        reported = changes.reported
        appended.append(
            events.execution_completed(
                material.now,
                changes.next_task_id,
                changes.status,
                changes.output,
                None if reported is None else reported.structured,
                None if reported is None else reported.details,
            )
        )
    # The first turn of a later generation has such an event already (extension-engine.md Y40).
    if changes.scheduled or not (material.is_first and material.instance.continued):
        appended.append(events.orchestrator_completed(material.now))
    return appended


def remember(remembered: Remembered, changes: Changes, committed: Committed, kept: Commit) -> bool:
    """Bring what is remembered to the state that is committed; False if there is nothing to keep.

    The lists are extended in place: a history may have 20,000 events.
    """
    if committed.row is None:
        return False
    remembered.instance = committed.row
    remembered.commit = kept
    remembered.history.extend(committed.appended)
    remembered.leaves.extend(changes.new_leaves)
    for task_id in changes.closed:
        remembered.open_tasks.pop(task_id, None)
    remembered.open_tasks.update(changes.opened)
    return True


def _store_turn(connection: sqlite3.Connection, changes: Changes, appended: list[str]) -> Instance:
    before = changes.material.instance
    history.append(
        connection,
        before.instance_id,
        before.event_count,
        appended,
        changes.new_leaves,
        changes.opened.values(),
        changes.closed,
    )
    after = before._replace(
        status=changes.status,
        output=changes.output,
        custom_status=changes.custom_status,
        updated_at=changes.material.moment,
        event_count=before.event_count + len(appended),
        action_count=changes.action_count,
        next_task_id=changes.next_task_id,
    )
    instances.update(connection, before, after)
    return after


def _send_to_self(
    connection: sqlite3.Connection, changes: Changes
) -> tuple[list[str], list[tuple[str, str]]]:
    """Send messages to the instance itself.

    Returns:
        Its id for each message that is due, and the timers that are not.
    """
    instance_id = changes.material.instance.instance_id
    kept = [message for message in changes.to_self if message.task_id not in changes.cancelled]
    messages.send(connection, kept)
    woken: list[str] = []
    due: list[tuple[str, str]] = []
    for message in kept:
        if message.due_at is None or message.due_at <= changes.material.moment:
            woken.append(instance_id)
        else:
            due.append((message.due_at, instance_id))
    return woken, due


def _start_children(connection: sqlite3.Connection, changes: Changes) -> list[str]:
    """Start what the turn has asked for, and return the ids of those started.

    An instance that has the id of one makes room for it (extension-engine.md Y72). Of several
    children with one id, one runs after the other, and each answers its call (Y71).
    """
    started: dict[str, None] = {}
    for child in changes.children:
        child_id = child.instance.instance_id
        if child_id in started:
            messages.keep_start(connection, child_id, child.start.event)
            continue
        started[child_id] = None
        existing = instances.find(connection, child_id)
        if existing is not None:
            if not existing.is_terminal:
                logger.warning(
                    "Instance %s was %s and is replaced: instance %s has started a "
                    "sub-orchestration with its id",
                    child_id,
                    existing.status,
                    changes.material.instance.instance_id,
                    extra=about(child_id, existing.name),
                )
            instances.delete(connection, child_id)
        instances.put(connection, child.instance)
        messages.send(connection, [child.start])
    return list(started)


def _finish(connection: sqlite3.Connection, changes: Changes, ended: Instance) -> list[str]:
    """Clear away what an ended instance leaves, and answer its parent; ids of those woken."""
    woken: list[str] = []
    now = changes.material.now
    messages.delete_of_instance(connection, ended.instance_id)
    instances.forget_work(connection, ended.instance_id)
    if ended.parent is not None:
        reported = changes.reported
        answer = answer_to_parent(
            ended,
            json.loads(ended.parent),
            now,
            None if reported is None else reported.to_parent,
            None if reported is None else reported.reason,
        )
        messages.send(connection, [answer])
        woken.append(answer.instance_id)
    waiting = messages.take_start(connection, ended.instance_id)
    if waiting is not None:
        instances.forget_execution(connection, ended.instance_id)
        fresh = instance_started_by(waiting, now)
        instances.put(connection, fresh.row)
        messages.send(connection, [fresh.start])
        woken.append(ended.instance_id)
    return woken
