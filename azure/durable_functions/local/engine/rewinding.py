"""Rewinding: what has ended an instance is taken back. Source: host.md 8.14, protocol.md 13.6.

A plan is made first, without changing anything, and then carried out in one transaction: in the
history some events become tombstones, and the next episode starts what they stood for (`redo`).

Which failures those are, the engine cannot read off the history, where those stand too that the
code has caught. So it has the function replay without its end, and without some of the failures, as
often as needed: the first event after which it fails is the one that has ended it. What is taken
back must let the function go on, and it must still ask for all else that stands in the history.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.history import History, OpenTask
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import NewMessage

from . import clock
from .invoker import Replay, TimedOut, UnknownFunction, WorkerLost
from .recorded_calls import CREATED, SCHEDULING, FailedCall, RecordedCalls
from .registry import Registry
from .settings import Limits
from .texts import answers, events, triggers
from .turns import decisions
from .turns.changes import REWOUND
from .turns.children import answer_to_parent

_MOST_TRIALS = 200
_COMPLETED = HistoryEventType.EXECUTION_COMPLETED
Renumber = Callable[[int], int]


class CannotRewind(Exception):
    """An instance cannot be rewound; nothing has changed. The text says why, and what to do."""

    def __init__(self, instance_id: str, why: str) -> None:
        super().__init__(
            f"The orchestration instance {instance_id} cannot be rewound: {why}, or start it anew: "
            f"durable restart {instance_id}"
        )
        self.why = why


class Changed(Exception):
    """An instance is no longer as it was when the plan was made."""


@dataclass(frozen=True)
class Plan:
    """How an instance is to be rewound, with its children."""

    instance: Instance
    after: Instance
    history: History
    """Put in the place of the one that there is."""
    children: list[Plan]
    """Those to be rewound, first."""
    open_children: list[tuple[str, bool]]
    """Instance ids of others that are waited for again; whether the engine would retry them."""
    renumbered: dict[str, int]
    """By the instance id of a child the task id that it has now."""


class Trial(NamedTuple):
    """What a function has answered to a history."""

    error: str | None
    """What it raises now; None if it goes on or completes."""
    actions: list[dict[str, Any]]
    conflict: str | None = None
    """How the actions contradict the history."""
    action_count: int = 0
    """Of these actions, those that the history knows."""

    @property
    def fits(self) -> bool:
        """Whether the function does not fail, and asks for all that stands in the history."""
        return self.error is None and self.conflict is None


class Planner:
    """Makes plans; changes nothing."""

    def __init__(
        self, database: Database, replay: Replay, registry: Registry, limits: Limits
    ) -> None:
        self._database = database
        self._replay = replay
        self._registry = registry
        self._limits = limits

    async def plan(self, instance: Instance) -> Plan:
        """A plan for a failed instance and what has failed below it.

        Raises:
            CannotRewind: See there.
        """
        recorded = await self._database.read(lambda connection: _read(connection, instance))
        search = _Search(self._replay, self._registry, self._limits, recorded)
        try:
            found = await search.find()
        except (WorkerLost, TimedOut, UnknownFunction) as error:
            why = f"its function could not be tried ({error}). Try again"
            raise CannotRewind(instance.instance_id, why) from None
        taken_back = {call.task_id for call in found.calls}
        open_failed = [
            child
            for task in recorded.open_tasks
            if task.retry is None
            and (child := recorded.child_of(task.task_id)) is not None
            and child.status == "Failed"
        ]
        failed = [call.child for call in found.calls if call.child is not None] + open_failed
        children: list[Plan] = []
        for child in failed:
            try:
                children.append(await self.plan(child))
            except CannotRewind as error:
                why = f"its child {child.instance_id} cannot be: {error.why}"
                raise CannotRewind(instance.instance_id, why) from None
        return _plan(recorded, found, taken_back, children)


class _Found(NamedTuple):
    calls: Sequence[FailedCall]
    history: History
    action_count: int


class _Search:
    """Finds the calls whose failures have ended an instance."""

    def __init__(
        self, replay: Replay, registry: Registry, limits: Limits, recorded: RecordedCalls
    ) -> None:
        self._replay = replay
        self._limits = limits
        self._recorded = recorded
        self._instance = recorded.instance
        self._name = registry.find("orchestrator", self._instance.name)
        self._trials = 0
        self._actions: Sequence[answers.Action] = ()
        """What the function asks for when nothing is taken back."""

    async def find(self) -> _Found:
        """Find them.

        Raises:
            CannotRewind: There are none whose absence the function agrees with.
        """
        recorded = self._recorded
        if self._name is None:
            if recorded.failed:
                raise self._refusal(
                    f"its function {self._instance.name} is not loaded, so nobody can tell which "
                    "failure has ended it. Run the app that has it (durable start) and rewind again"
                )
            return self._found((), self._instance.action_count)
        calls: Sequence[FailedCall] = ()
        trial = await self._try(calls)
        self._actions = trial.actions
        if trial.error is None and trial.conflict is not None:
            raise self._refusal(
                f"its code does not fit its history: {trial.conflict}. Take the change of the code "
                "back and rewind again"
            )
        if not recorded.failed and not trial.fits:
            # An exception of its own: the same code fails again, as on Azure.
            return self._found((), self._instance.action_count)
        while not trial.fits:
            calls, trial = await self._take_back_more(calls, trial)
        return self._found(calls, trial.action_count)

    async def _take_back_more(
        self, calls: Sequence[FailedCall], trial: Trial
    ) -> tuple[Sequence[FailedCall], Trial]:
        """The calls and those whose failure is next to end the function; and how that goes."""
        best = None
        ended_at = await self._end_of(calls)
        cause = self._recorded.call_of(ended_at)
        if cause is None or cause.task_id in _ids(calls):
            candidates = self._told_in(trial.error or "", calls)
        else:
            candidates = iter((cause,))
        for candidate in candidates:
            for more in self._variants(candidate):
                tried = [*calls, *(call for call in more if call.task_id not in _ids(calls))]
                outcome = await self._try(tried)
                if outcome.fits:
                    return tried, outcome
                if best is None and outcome.conflict is None:
                    best = tried, outcome
        if best is None:
            raise self._refusal(
                "the code has gone on after the failure that it has ended with, so that cannot be "
                "taken back alone. Change the code so that it does not fail there and rewind again"
            )
        return best

    def _told_in(self, text: str, calls: Sequence[FailedCall]) -> Iterator[FailedCall]:
        """Calls whose failure the function tells of in its own; the latest first."""
        for call in reversed(self._recorded.failed):
            is_told = any(told in text for told in call.texts)
            if call.task_id not in _ids(calls) and is_told:
                yield call

    def _variants(self, call: FailedCall) -> Iterator[list[FailedCall]]:
        """What to try for a call: with all attempts and all that failed together; and less."""
        whole = self._recorded.with_attempts(call, self._listed)
        for way in (whole, call):
            if way is None:
                continue
            together = self._failed_together(way)
            if together:
                yield [way, *together]
            yield [way]

    @property
    def _listed(self) -> list[answers.Action]:
        return list(answers.flatten(self._actions))

    def _failed_together(self, call: FailedCall) -> list[FailedCall]:
        """Other calls of the same `task_all` that have failed, each with all its attempts."""
        leaves = self._recorded.history.leaves
        nobody: set[int | None] = set()
        groups = [
            {leaf.task_id for leaf in leaves[first:end]}
            for first, end in decisions.groups_of(self._actions)
        ]
        ids = max((group for group in groups if call.task_id in group), key=len, default=nobody)
        if len(ids) <= 1:
            return []
        whole: dict[int, FailedCall] = {}
        for other in self._recorded.failed:
            other = self._recorded.with_attempts(other, self._listed) or other
            known = whole.get(other.task_id)
            if other.task_id in ids and (known is None or known.extra_ids < other.extra_ids):
                whole[other.task_id] = other
        whole.pop(call.task_id, None)
        return list(whole.values())

    async def _end_of(self, calls: Sequence[FailedCall]) -> int:
        """Position of the event after which the function fails, though these are taken back."""
        taken = _taken_back(self._recorded, calls)
        low, high = 1, len(taken.events) - 1  # it fails with the latter, if not before
        while low < high:
            middle = (low + high) // 2
            if (await self._ask(taken.events[: middle + 1])).error is None:
                low = middle + 1
            else:
                high = middle
        return low

    async def _try(self, calls: Sequence[FailedCall]) -> Trial:
        taken = _taken_back(self._recorded, calls)
        trial = await self._ask(taken.events)
        try:
            count = decisions.count_of(taken.leaves, trial.actions, self._instance.action_count)
        except decisions.NonDeterminism as error:
            return trial._replace(conflict=str(error))
        return trial._replace(action_count=count)

    async def _ask(self, recorded: Sequence[str]) -> Trial:
        self._trials += 1
        if self._trials > _MOST_TRIALS or self._name is None:
            raise self._refusal("it has more failures than can be looked through. Change the code")
        begin, end = triggers.around(self._instance, self._limits, recorded[1])
        trigger = f"{begin}{','.join(recorded)}{end}"
        outcome = await self._replay(self._name, trigger)
        text = outcome.value or ""
        error = None
        if outcome.failure is not None:
            error = outcome.failure.text
            text = outcome.failure.message.rpartition(FAILURE_LABEL)[2]
        try:
            answer = answers.read(text)
        except answers.ProtocolError as problem:
            return Trial(error or str(problem), [])
        return Trial(answer.fields.get("error", error), answer.actions)

    def _found(self, calls: Sequence[FailedCall], action_count: int) -> _Found:
        return _Found(calls, _taken_back(self._recorded, calls), action_count)

    def _refusal(self, why: str) -> CannotRewind:
        return CannotRewind(self._instance.instance_id, why)


def _ids(calls: Iterable[FailedCall]) -> set[int]:
    return {task_id for call in calls for task_id in (call.task_id, *call.extra_ids)}


def _read(connection: sqlite3.Connection, instance: Instance) -> RecordedCalls:
    found = history.find(connection, instance.instance_id)
    created = (text for text in found.events if f'"EventType":{CREATED.value},' in text)
    ids = {json.loads(text)["InstanceId"] for text in created}
    children = {child_id: instances.find(connection, child_id) for child_id in ids}
    there = {child_id: child for child_id, child in children.items() if child is not None}
    return RecordedCalls(instance, found, there)


def _renumbering(calls: Sequence[FailedCall]) -> Renumber:
    """Gives the id that a task has when the ids of further attempts are free again.

    Ids are given in the order in which the code and the retries ask for them, and a replay gives
    them anew.
    """
    gone = sorted({task_id for call in calls for task_id in call.extra_ids})

    def renumbered(task_id: int) -> int:
        return task_id - bisect_left(gone, task_id)

    return renumbered


def _taken_back(recorded: RecordedCalls, calls: Sequence[FailedCall]) -> History:
    """The history without the end and the calls, and without what was open at the end."""
    erased = {position for call in calls for position in call.positions}
    again = {task.task_id for task in recorded.open_tasks}
    again -= {task_id for task_id in again if recorded.child_of(task_id) is not None}
    again.update(recorded.unanswered_entities())
    for task_id in again:
        position = recorded.position_of(task_id)
        if position is not None:
            erased.add(position)
    gone = {task_id for call in calls for task_id in call.extra_ids}
    renumbered = _renumbering(calls)
    texts: list[str] = []
    for position, text in enumerate(recorded.history.events):
        event = recorded.events[position]
        if position in erased or event["EventType"] == _COMPLETED:
            texts.append(events.erased(text))
        elif gone:
            texts.append(_with_ids(event, text, renumbered))
        else:
            texts.append(text)
    leaves = [
        leaf if leaf.task_id is None else leaf._replace(task_id=renumbered(leaf.task_id))
        for leaf in recorded.history.leaves
        if leaf.task_id not in gone
    ]
    return History(texts, leaves, _open_again(recorded, calls, again, renumbered))


def _open_again(
    recorded: RecordedCalls, calls: Sequence[FailedCall], again: set[int], renumbered: Renumber
) -> dict[int, OpenTask]:
    opened = {task.task_id: task for task in recorded.open_tasks}
    for task_id in again:
        retry = opened[task_id].retry if task_id in opened else None
        opened[task_id] = OpenTask(task_id, REWOUND, retry)
    for call in calls:
        kind = REWOUND if call.child is None else "orchestration"
        opened[call.task_id] = OpenTask(call.task_id, kind, None)
    return {
        renumbered(task_id): task._replace(task_id=renumbered(task_id))
        for task_id, task in sorted(opened.items())
    }


def _with_ids(event: dict[str, Any], text: str, renumbered: Renumber) -> str:
    fields = ("TaskScheduledId", "TimerId", *(("EventId",) if _has_id(event) else ()))
    changed = {name: renumbered(event[name]) for name in fields if name in event}
    if all(event[name] == value for name, value in changed.items()):
        return text
    return events.dump({**event, **changed})


def _has_id(event: dict[str, Any]) -> bool:
    return event["EventType"] in SCHEDULING


def _plan(
    recorded: RecordedCalls, found: _Found, taken_back: set[int], children: list[Plan]
) -> Plan:
    instance = recorded.instance
    renumbered = _renumbering(found.calls)
    rewound = {child.instance.instance_id for child in children}
    open_children: list[tuple[str, bool]] = []
    numbers: dict[str, int] = {}
    for event in recorded.events:
        task_id: int = event["EventId"]
        if event["EventType"] != CREATED or recorded.child_of(task_id) is None:
            continue
        child_id: str = event["InstanceId"]
        if renumbered(task_id) != task_id:
            numbers[child_id] = renumbered(task_id)
        task = recorded.history.open_tasks.get(task_id)
        if task is not None and child_id not in rewound:
            open_children.append((child_id, task.retry is not None))
    automatic = (child_id == f"{instance.execution_id}:{i}" for i, child_id in _open_ids(recorded))
    if numbers and any(automatic):  # another child would get the id that one of them has
        raise CannotRewind(
            instance.instance_id,
            "children without an id of their own still run that were started after the retries "
            "which are to be taken back. Let them end and rewind again",
        )
    gone = sum(len(call.extra_ids) for call in found.calls)
    after = instance._replace(
        status="Pending",
        output=None,
        action_count=found.action_count,
        next_task_id=instance.next_task_id - gone,
    )
    return Plan(instance, after, found.history, children, open_children, numbers)


def _open_ids(recorded: RecordedCalls) -> Iterator[tuple[int, str]]:
    """Task and instance ids of children that have not ended."""
    for task in recorded.open_tasks:
        child = recorded.child_of(task.task_id)
        if child is not None and not child.is_terminal:
            yield task.task_id, child.instance_id


def carry_out(
    connection: sqlite3.Connection, plan: Plan, now: datetime, reason: str | None
) -> list[str]:
    """Rewind an instance and, first, its children; gives the ids of those to wake.

    Raises:
        Changed: One of them is not what it was any more; the transaction must not be committed.
    """
    instance = plan.instance
    if instances.find(connection, instance.instance_id) != instance:
        raise Changed
    for child_id, task_id in plan.renumbered.items():
        _renumber_child(connection, child_id, task_id)
    woken: list[str] = []
    for child in plan.children:
        renumbered = plan.renumbered.get(child.instance.instance_id)
        woken += carry_out(connection, _child_plan(child, renumbered), now, reason)
    for child_id, is_retried in plan.open_children:
        woken += _wait_again(connection, instance, child_id, now, is_retried=is_retried)
    history.replace(connection, instance.instance_id, plan.history)
    instances.update(connection, instance, plan.after)
    is_started_again = any(task.kind == REWOUND for task in plan.history.open_tasks.values())
    if woken and not is_started_again:
        return woken
    message = NewMessage(
        instance_id=instance.instance_id,
        execution_id=instance.execution_id,
        event_type=HistoryEventType.GENERIC_EVENT.value,
        created_at=clock.stored(now),
        event=events.generic(now, reason),
    )
    messages.send(connection, [message])
    return [*woken, instance.instance_id]


def _linked(child: Instance, task_id: int) -> Instance:
    link = {**json.loads(child.parent or "{}"), "TaskScheduleId": task_id}
    return child._replace(parent=events.dump(link))


def _renumber_child(connection: sqlite3.Connection, child_id: str, task_id: int) -> None:
    found = instances.find(connection, child_id)
    if found is not None:
        instances.update(connection, found, _linked(found, task_id))


def _child_plan(plan: Plan, task_id: int | None) -> Plan:
    """The plan of a child whose link to its parent has changed meanwhile."""
    if task_id is None:
        return plan
    return replace(
        plan, instance=_linked(plan.instance, task_id), after=_linked(plan.after, task_id)
    )


def _wait_again(
    connection: sqlite3.Connection,
    parent: Instance,
    child_id: str,
    now: datetime,
    *,
    is_retried: bool,
) -> list[str]:
    """A child that was open when the instance failed may have ended since; then tell it again."""
    child = instances.find(connection, child_id)
    if child is None or (child.status == "Failed" and not is_retried):
        raise Changed  # it was there, and had not failed
    if not child.is_terminal:
        return []
    messages.send(connection, [answer_to_parent(child, json.loads(child.parent or "{}"), now)])
    return [parent.instance_id]
