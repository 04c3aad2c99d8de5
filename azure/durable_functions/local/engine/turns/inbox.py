"""Turns messages into a batch: which of them still count, in which order, what they ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import descendants
from azure.durable_functions.local.engine.texts import events, failures
from azure.durable_functions.local.store.history import OpenTask
from azure.durable_functions.local.store.messages import Message

from . import retry_records
from .batch import Batch, Pauses, RetryStep, Termination
from .material import Material

_COMPLETIONS: Mapping[int, str] = {
    HistoryEventType.TASK_COMPLETED.value: "activity",
    HistoryEventType.TASK_FAILED.value: "activity",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED.value: "orchestration",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED.value: "orchestration",
    HistoryEventType.TIMER_FIRED.value: "timer",
}
"""Event types that finish a task, and the kind of task that each finishes."""
_PAUSES = (
    HistoryEventType.EXECUTION_SUSPENDED.value,
    HistoryEventType.EXECUTION_RESUMED.value,
)
_STARTED = HistoryEventType.EXECUTION_STARTED.value
_TERMINATED = HistoryEventType.EXECUTION_TERMINATED.value


def pauses_in(status: str, waiting: Sequence[Message]) -> Pauses:
    """What messages say about suspending and resuming an instance of a status."""
    is_paused = status == "Suspended"
    has_changed = is_terminated = False
    reason = None
    for message in waiting:
        if message.event_type in _PAUSES:
            wanted = message.event_type == HistoryEventType.EXECUTION_SUSPENDED
            has_changed = has_changed or wanted is not is_paused
            is_paused = wanted
            reason = json.loads(message.event)["Reason"]
        is_terminated = is_terminated or message.event_type == _TERMINATED
    return Pauses(is_paused, has_changed, reason, is_terminated)


def read(material: Material, waiting: Sequence[Message], pauses: Pauses) -> Batch:
    """The batch of a turn that may run its function.

    Args:
        material: Of the turn.
        waiting: All messages, in the order in which they have arrived.
        pauses: What they say about suspending.
    """
    orders = descendants.orders_in(waiting)
    taken = waiting
    if not (pauses.has_changed or pauses.is_terminated):
        taken = _of_one_dispatch(material, waiting)
    batch = Batch([], [], [], set(), [], pauses, None, orders, len(taken) < len(waiting))
    return _take(material, batch, taken)


def read_pauses(material: Material, waiting: Sequence[Message], pauses: Pauses) -> Batch:
    """The batch of a turn that only suspends or resumes its instance (protocol.md 13.3).

    An instance that has not begun keeps these messages too, behind its start.
    """
    taken = [] if material.is_first else [m for m in waiting if m.event_type in _PAUSES]
    return Batch(
        [message.event for message in taken],
        [message.event_type for message in taken],
        [message.message_id for message in taken],
        set(),
        [],
        pauses,
        None,
        descendants.orders_in(waiting),
        leaves_messages=False,
    )


def read_result(material: Material, message: Message) -> Batch:
    """The batch of one result that is not stored yet, so that no message is to be deleted."""
    batch = Batch([], [], [], set(), [], Pauses(), None, [], leaves_messages=False)
    return _take(material, batch, [message])._replace(consumed=[])


def _of_one_dispatch(material: Material, waiting: Sequence[Message]) -> Sequence[Message]:
    """What a turn takes; the first turn of a later generation takes only what has begun it.

    The rest comes in the next turn, as with the extension (extension-engine.md Y40, Y41).
    """
    if not (material.is_first and material.instance.continued):
        return waiting
    return [message for message in waiting if _begins(message)]


def _begins(message: Message) -> bool:
    return message.event_type == _STARTED or events.is_played(message.event)


def _take(material: Material, batch: Batch, waiting: Sequence[Message]) -> Batch:
    """Add messages to an empty batch.

    Those that take a number by themselves stand first (protocol.md 8.6, step 1).
    """
    wanted: list[Message] = []
    for message in waiting:
        if _is_wanted(material, message):
            wanted.append(message)
        else:
            batch.consumed.append(message.message_id)
    if len(wanted) > 1:
        _sort(material, wanted)
    termination = None
    for message in wanted:
        batch.consumed.append(message.message_id)
        if message.event_type in _COMPLETIONS and message.task_id is not None:
            task = _open_task(material, batch.closed, message.task_id)
            if task is None:  # its double stood earlier in this batch
                continue
            batch.closed.add(message.task_id)
            if task.retry is not None:
                record: dict[str, Any] = json.loads(task.retry)
                batch.retry_steps.append(RetryStep(message.event_type, message.event, record))
        elif message.event_type == _TERMINATED:
            termination = Termination(json.loads(message.event)["Input"])
        batch.events.append(message.event)
        batch.types.append(message.event_type)
    if material.is_first and material.instance.continued and batch.events:
        # The dispatch that has ended the generation before has begun this one, and ends here.
        batch.events.append(events.orchestrator_completed(material.now))
        batch.types.append(HistoryEventType.ORCHESTRATOR_COMPLETED.value)
    return batch._replace(termination=termination)


def _sort(material: Material, wanted: list[Message]) -> None:
    first = {m.message_id for m in wanted if _takes_number(material, m)}
    # The start stays the second event of the history; what waited for a resume follows it.
    wanted.sort(
        key=lambda message: (
            message.event_type != _STARTED,
            message.event_type not in _PAUSES,
            message.message_id not in first,
        )
    )


def _is_wanted(material: Material, message: Message) -> bool:
    """Whether a message still means something: late and double results do not."""
    if message.execution_id not in (None, material.instance.execution_id):
        return False
    if material.is_first and message.event_type == _STARTED:
        return True
    kind = _COMPLETIONS.get(message.event_type)
    if kind is None:
        return message.event_type != _STARTED
    task = _open_task(material, (), message.task_id)
    return task is not None and task.kind == kind


def _takes_number(material: Material, message: Message) -> bool:
    """Whether a message makes the host take a number: the next attempt, or the wait before it."""
    task = _open_task(material, (), message.task_id)
    if task is None or task.retry is None:
        return False
    if message.event_type in retry_records.FAILURES:
        return not failures.is_final(message.event)
    phase: str = json.loads(task.retry)["phase"]
    return phase == retry_records.WAIT and message.event_type == HistoryEventType.TIMER_FIRED


def _open_task(
    material: Material, closed: set[int] | tuple[()], task_id: int | None
) -> OpenTask | None:
    if task_id is None or task_id in closed:
        return None
    return material.open_tasks.get(task_id)
