"""The leaves of an action list: without the compounds around them, and their events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType

from .actions import (
    Action,
    CallSubOrchestratorAction,
    CallSubOrchestratorWithRetryAction,
    CompoundAction,
    CreateTimerAction,
    WaitForExternalEventAction,
    _EntityAction,
)
from .tasks import AtomicTask, CompoundTask, RetryAbleTask, TaskBase

_SUSPENDED = HistoryEventType.EXECUTION_SUSPENDED.value
_RESUMED = HistoryEventType.EXECUTION_RESUMED.value
EVENT_RAISED = HistoryEventType.EVENT_RAISED.value
ORCHESTRATOR_STARTED = HistoryEventType.ORCHESTRATOR_STARTED.value
TASK_SCHEDULED = HistoryEventType.TASK_SCHEDULED.value
CHILD_CREATED = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED.value
TIMER_CREATED = HistoryEventType.TIMER_CREATED.value
EVENT_SENT = HistoryEventType.EVENT_SENT.value


def joined(kind: type[CompoundAction], actions: Sequence[Action]) -> Action:
    """A compound of actions, among which those of the same kind are dissolved."""
    parts: list[Action] = []
    for action in actions:
        parts += action.compound_tasks if type(action) is kind else [action]
    return parts[0] if len(parts) == 1 else kind(parts)


def leaf_tasks(owner: TaskBase) -> Iterator[tuple[int, TaskBase]]:
    """By identity of its action each leaf of a task; of retried calls the whole."""
    if isinstance(owner, CompoundTask):
        for child in owner.children:
            found = dict(leaf_tasks(child))
            if isinstance(owner, RetryAbleTask):
                found = dict.fromkeys(found, owner)
            yield from found.items()
    elif isinstance(owner, AtomicTask):
        yield id(owner._get_action()), owner


def leaves_of(action: Action) -> Iterator[Action]:
    if isinstance(action, CompoundAction):
        for child in action.compound_tasks:
            yield from leaves_of(child)
    else:
        yield action


def event_name(leaf: Action) -> str | None:
    """The name of the event that a wait is for, as it is compared; None of what is no wait."""
    if isinstance(leaf, WaitForExternalEventAction):
        return leaf.external_event_name.upper()
    return None


def completions_in(events: Sequence[Mapping[str, Any]]) -> Mapping[int, int]:
    """By number of a task the event that has completed it first."""
    found: dict[int, int] = {}
    for index, event in enumerate(events):
        for key in ("TaskScheduledId", "TimerId"):
            number = event.get(key)
            if type(number) is int:
                found.setdefault(number, index)
    return found


def end_of_turn(events: Sequence[Mapping[str, Any]], moment: int) -> int | None:
    """Where the turn ends that has started what was asked for at a moment; None if it is the last.

    A suspended orchestration starts nothing until it is resumed (Y45).
    """
    is_suspended = False
    for index, event in enumerate(events):
        kind = event["EventType"]
        if kind in (_SUSPENDED, _RESUMED):
            is_suspended = kind == _SUSPENDED
        elif kind == ORCHESTRATOR_STARTED and index > moment and not is_suspended:
            return index
    return None


def scheduling_of(leaf: Action) -> int | None:
    """The type of the event that tells that an action was started."""
    if isinstance(leaf, (CallSubOrchestratorAction, CallSubOrchestratorWithRetryAction)):
        return CHILD_CREATED
    if isinstance(leaf, CreateTimerAction):
        return TIMER_CREATED
    return EVENT_SENT if isinstance(leaf, _EntityAction) else TASK_SCHEDULED
