"""What an instance waits for, read from its stored history: for `durable show` and whoever asks."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.history import Leaf, OpenTask, Turn
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Message

from .invoker import HTTP_ACTIVITY
from .texts.entity_rows import is_entity
from .turns import misfits, retry_records

Kind = Literal[
    "turn", "resume", "event", "timer", "activity", "retry", "http", "orchestration", "entity"
]
"""``turn``: something has arrived, and the orchestrator has not run since. ``retry``: the pause
before the next attempt of a call with retry options."""

_STARTED = HistoryEventType.ORCHESTRATOR_STARTED
_SCHEDULED = HistoryEventType.TASK_SCHEDULED
_FAILED = HistoryEventType.TASK_FAILED
_TIMER_CREATED = HistoryEventType.TIMER_CREATED
_TIMER_FIRED = HistoryEventType.TIMER_FIRED
_CHILD_CREATED = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED
_SENT = HistoryEventType.EVENT_SENT
_RAISED = HistoryEventType.EVENT_RAISED
_SUSPENDED = HistoryEventType.EXECUTION_SUSPENDED

_KINDS: Mapping[str, Kind] = {
    "activity": "activity",
    "orchestration": "orchestration",
    "timer": "timer",
}


@dataclass(frozen=True)
class Wait:
    """One thing that an instance waits for. Moments are ISO text in UTC."""

    kind: Kind
    name: str | None = None
    """Of the event, activity, orchestrator or entity operation; of a timer behind a failure, what
    has failed."""
    since: str | None = None
    """When the orchestrator asked for it; None where a rewind has mixed the turns."""
    due_at: str | None = None
    attempt: int = 1
    """Which attempt runs or, of a ``retry``, which one comes next."""
    most_attempts: int | None = None
    """None where the engine does not know, or does not retry."""
    instance_id: str | None = None
    """Of the child or entity."""
    reason: str | None = None
    """Why the instance was suspended."""


@dataclass(frozen=True)
class Child:
    """A sub-orchestration that the current generation has started."""

    instance_id: str
    name: str
    status: str | None = None
    """None if it is gone."""


@dataclass(frozen=True)
class Details:
    """What is known of an instance beside its row."""

    waits: list[Wait]
    children: list[Child]
    parent_id: str | None
    reason: str | None
    """Why it was suspended or terminated, if somebody has said so; or that it waits for other code,
    and why."""


def details_of(connection: sqlite3.Connection, instance_id: str) -> Details | None:
    """What an instance waits for, and its relatives; None if there is no such instance."""
    instance = instances.find(connection, instance_id)
    if instance is None:
        return None
    turns = history.turns(connection, instance_id)
    found = history.find(connection, instance_id)
    arrived = messages.waiting(connection, instance_id)
    children: list[Child] = []
    for child in children_of(turns):
        row = instances.find(connection, child.instance_id)
        children.append(replace(child, status=None if row is None else row.status))
    is_stopped = instance.status in ("Suspended", "Terminated")
    return Details(
        waits_of(instance, turns, found.open_tasks, arrived),
        children,
        parent_id_of(instance),
        instance.output if is_stopped or misfits.is_note(instance.output) else None,
    )


def parent_id_of(instance: Instance) -> str | None:
    """Id of the orchestration that has started this one; None without one."""
    if instance.parent is None:
        return None
    return str(json.loads(instance.parent)["OrchestrationInstance"]["InstanceId"])


@dataclass
class _Episode:
    """The events between two starts, sorted by what is asked of them."""

    at: str
    failed: list[int] = field(default_factory=list[int])
    """Task ids of activities whose failure arrived."""
    fired: list[int] = field(default_factory=list[int])
    """Ids of timers that fell due."""


@dataclass
class _Story:
    """A history, indexed by task id."""

    scheduled: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    """The event that opened a task."""
    asked_in: dict[int, _Episode] = field(default_factory=dict[int, _Episode])
    raised: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    """How many events of each name, in upper case, have arrived."""
    waits: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    """Name and moment of every wait for an event, in their order."""
    suspended_at: str | None = None


def waits_of(
    instance: Instance,
    turns: Sequence[Turn],
    open_tasks: Mapping[int, OpenTask],
    arrived: Sequence[Message],
) -> list[Wait]:
    """All that is open: also what a `task_any` has left behind, for the history cannot tell.

    Args:
        instance: Which one; one that has ended waits for nothing.
        turns: Of its current generation, oldest first.
        open_tasks: What is scheduled and has not finished, by task id.
        arrived: Messages for it that no turn has taken yet, those of timers included.

    Returns:
        What keeps it from running at all first, then by the time since when it waits.
    """
    if instance.is_terminal or is_entity(instance.instance_id):
        return []
    story = _read(turns)
    due = [message for message in arrived if message.due_at is None]
    found = [*_open_events(story, due), *_open_entities(story, due)]
    attempts = _Attempts(story)
    done = {message.task_id for message in due}
    for task_id, task in open_tasks.items():
        if task_id not in done and task_id in story.scheduled:
            found.append(_open_task(story, task, attempts))
    found.sort(key=lambda wait: (wait.since is None, wait.since or ""))
    return [*_hindrances(instance, story, due), *found]


def children_of(turns: Sequence[Turn]) -> list[Child]:
    """Sub-orchestrations that were started, in their order; one id stands once."""
    found: dict[str, Child] = {}
    for event in _events(turns):
        if event["EventType"] == _CHILD_CREATED:
            found[event["InstanceId"]] = Child(event["InstanceId"], event["Name"])
    return list(found.values())


def attempts_of(events: Sequence[str]) -> dict[int, int]:
    """Which attempt an activity was, by task id; the first ones are left out.

    Args:
        events: JSON texts of a generation's history, oldest first.
    """
    return _Attempts(_read([Turn(list(events), [])])).repeated()


def _events(turns: Sequence[Turn]) -> Iterator[dict[str, Any]]:
    for turn in turns:
        for text in turn.events:
            yield json.loads(text)


def _read(turns: Sequence[Turn]) -> _Story:
    story = _Story()
    for turn in turns:
        starts: list[str] = []
        episode = _Episode("")
        for event in map(json.loads, turn.events):
            if event["EventType"] == _STARTED:
                episode = _Episode(event["Timestamp"])
                starts.append(episode.at)
            _note(story, episode, event)
        # A rewind puts all turns into one, and then only the order of the waits is known.
        since = starts[0] if len(starts) == 1 else None
        story.waits += [(leaf.name or "", since) for leaf in turn.leaves if _is_wait(leaf)]
    return story


def _note(story: _Story, episode: _Episode, event: dict[str, Any]) -> None:
    kind = event["EventType"]
    if kind in (_SCHEDULED, _TIMER_CREATED, _CHILD_CREATED, _SENT):
        story.scheduled[event["EventId"]] = event
        story.asked_in[event["EventId"]] = episode
    elif kind == _FAILED:
        episode.failed.append(event["TaskScheduledId"])
    elif kind == _TIMER_FIRED:
        episode.fired.append(event["TimerId"])
    elif kind == _RAISED:
        story.raised[str(event["Name"]).upper()] += 1
    elif kind == _SUSPENDED:
        story.suspended_at = event["Timestamp"]


def _is_wait(leaf: Leaf) -> bool:
    return leaf.action_type == ActionType.WAIT_FOR_EXTERNAL_EVENT


def _hindrances(instance: Instance, story: _Story, due: Sequence[Message]) -> Iterator[Wait]:
    """What must happen before anything else counts."""
    if instance.status == "Suspended":
        yield Wait("resume", since=story.suspended_at, reason=instance.output)
    elif due:
        yield Wait("turn", since=min(message.created_at for message in due))


def _open_events(story: _Story, due: Sequence[Message]) -> Iterator[Wait]:
    """Waits that no event has answered: the events of a name answer the earliest ones."""
    raised = dict(story.raised)
    for name in _names_raised(due):
        raised[name] = raised.get(name, 0) + 1
    for name, since in story.waits:
        if raised.get(name.upper(), 0) > 0:
            raised[name.upper()] -= 1
        else:
            yield Wait("event", name, since)


def _open_entities(story: _Story, due: Sequence[Message]) -> Iterator[Wait]:
    """Calls of entities that were not answered; the answer is an event with the call's id."""
    answered = {*story.raised, *_names_raised(due)}
    for event in story.scheduled.values():
        if event["EventType"] != _SENT:
            continue
        request = json.loads(event["Input"])
        if not request.get("signal") and request["id"].upper() not in answered:
            name = request.get("op")
            yield Wait("entity", name, event["Timestamp"], instance_id=event["InstanceId"])


def _names_raised(due: Sequence[Message]) -> list[str]:
    raised = [message.event for message in due if message.event_type == _RAISED]
    return [str(json.loads(event)["Name"]).upper() for event in raised]


def _open_task(story: _Story, task: OpenTask, attempts: _Attempts) -> Wait:
    event = story.scheduled[task.task_id]
    since = event["Timestamp"]
    if task.retry is not None:
        return _retried(event, json.loads(task.retry))
    if event["EventType"] == _TIMER_CREATED:
        behind = attempts.failed_before(task.task_id)
        return Wait("timer", behind, since, due_at=event["FireAt"])
    if event["EventType"] == _CHILD_CREATED:
        return Wait("orchestration", event["Name"], since, instance_id=event["InstanceId"])
    if event["Name"] == HTTP_ACTIVITY:
        return Wait("http", None, since)
    return Wait("activity", event["Name"], since, attempt=attempts.of(task.task_id))


def _retried(event: dict[str, Any], record: dict[str, Any]) -> Wait:
    """A call that the engine repeats."""
    attempt = int(record["attempt"])
    most = int(record["options"]["maxNumberOfAttempts"])
    since = event["Timestamp"]
    if record["phase"] == retry_records.ATTEMPT:
        child = event.get("InstanceId")
        return Wait(
            _KINDS[record["kind"]], record["name"], since, None, attempt, most, instance_id=child
        )
    if record["phase"] == retry_records.LAST_WAIT:
        return Wait("timer", record["name"], since, event["FireAt"])
    return Wait("retry", record["name"], since, event["FireAt"], attempt + 1, most)


class _Attempts:
    """Which attempt an activity is whose caller repeats it: the SDK's `RetryPolicy`, or a loop.

    The history does not know of such retries. An activity is one if it was scheduled when a timer
    fired that was set just when another of its name had failed. Without the timer it may as well be
    the next call of a loop.
    """

    def __init__(self, story: _Story) -> None:
        self._story = story
        self._known: dict[int, int] = {}
        self._followed: set[int] = set()
        for task_id, event in sorted(story.scheduled.items()):
            if event["EventType"] == _SCHEDULED:
                self._known[task_id] = self._count(task_id, event["Name"])

    def of(self, task_id: int) -> int:
        """Counted from 1."""
        return self._known.get(task_id, 1)

    def repeated(self) -> dict[int, int]:
        """By task id, those that are not the first."""
        return {task_id: attempt for task_id, attempt in self._known.items() if attempt > 1}

    def failed_before(self, timer_id: int) -> str | None:
        """The activity whose failure came just before a timer was set."""
        failed = self._story.asked_in[timer_id].failed
        return self._name(failed[0]) if failed else None

    def _count(self, task_id: int, name: str) -> int:
        episode = self._story.asked_in[task_id]
        candidates: list[int] = []
        for timer_id in episode.fired:
            if timer_id in self._story.asked_in:
                candidates += self._story.asked_in[timer_id].failed
        for failed in candidates:
            if failed not in self._followed and self._name(failed) == name:
                self._followed.add(failed)
                return self._known.get(failed, 1) + 1
        return 1

    def _name(self, task_id: int) -> str | None:
        event = self._story.scheduled.get(task_id)
        return None if event is None else event.get("Name")
