"""The calls that a history records, and which of its events belong to each.

A call is more than two events where it was retried: the engine's retries take ids of their own
(protocol.md 8.3), those of the SDK are listed as plain calls and timers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.store.history import History, Leaf, OpenTask
from azure.durable_functions.local.store.instances import Instance

CREATED = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED
SCHEDULING = (
    HistoryEventType.TASK_SCHEDULED,
    HistoryEventType.TIMER_CREATED,
    HistoryEventType.EVENT_SENT,
    CREATED,
)
_FAILURES = (
    HistoryEventType.TASK_FAILED,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
)
_RESULTS = (
    *_FAILURES,
    HistoryEventType.TASK_COMPLETED,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    HistoryEventType.TIMER_FIRED,
)
_PLAIN = (ActionType.CALL_ACTIVITY, ActionType.CALL_HTTP, ActionType.CALL_SUB_ORCHESTRATOR)
_RETRIED = (
    ActionType.CALL_ACTIVITY_WITH_RETRY,
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY,
)
Action = Mapping[str, Any]


@dataclass(frozen=True)
class FailedCall:
    """A call that has failed for good, and what is to be taken back of it."""

    task_id: int
    """Under which it is made again."""
    positions: frozenset[int]
    """Of its events; a child that is rewound keeps the one that created it."""
    last: int
    """Position of its last failure."""
    texts: tuple[str, ...]
    """What is told of the failure."""
    child: Instance | None = None
    """To be rewound, instead of being started again."""
    extra_ids: frozenset[int] = frozenset()
    """Task ids of further attempts, and of the waits between them."""


class RecordedCalls:
    """Reads the history of an instance that has ended."""

    def __init__(
        self, instance: Instance, history: History, children: Mapping[str, Instance]
    ) -> None:
        """Read it; the children are instances by their ids, as far as there are any."""
        self.instance = instance
        self.history = history
        self.events: list[dict[str, Any]] = [json.loads(text) for text in history.events]
        self._children = children
        self._leaves = {leaf.task_id: leaf for leaf in history.leaves if leaf.task_id is not None}
        self._scheduled: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._answered: dict[str, int] = {}
        self._turn_of: list[int] = []
        self._ended_by_turn: dict[int, list[int]] = {}
        self._before: dict[int, tuple[int, int]] | None = None
        self._read()
        self.failed: list[FailedCall] = sorted(self._find_failed(), key=lambda call: call.last)
        """In the order in which they have failed."""
        self._owner = {position: call for call in self.failed for position in call.positions}

    @property
    def open_tasks(self) -> list[OpenTask]:
        """What was open when the instance ended."""
        return list(self.history.open_tasks.values())

    def position_of(self, task_id: int) -> int | None:
        """Of the event that has scheduled something."""
        return self._scheduled.get(task_id)

    def leaf_of(self, task_id: int) -> Leaf | None:
        """The action that has got the id; None for what the engine's retries have scheduled."""
        return self._leaves.get(task_id)

    def call_of(self, position: int) -> FailedCall | None:
        """The failed call that an event belongs to."""
        return self._owner.get(position)

    def child_of(self, task_id: int) -> Instance | None:
        """The instance that a plain call has started; not another one of its id."""
        position = self._scheduled.get(task_id)
        if position is None or self.events[position]["EventType"] != CREATED:
            return None
        found = self._children.get(self.events[position]["InstanceId"])
        if found is None or found.parent is None:
            return None
        link = json.loads(found.parent)
        parent = {
            "InstanceId": self.instance.instance_id,
            "ExecutionId": self.instance.execution_id,
        }
        is_ours = link["OrchestrationInstance"] == parent and link["TaskScheduleId"] == task_id
        return found if is_ours else None

    def unanswered_entities(self) -> Iterator[int]:
        """Task ids of the entity calls that nobody has answered."""
        for task_id, leaf in self._leaves.items():
            is_call = leaf.action_type == ActionType.CALL_ENTITY and task_id in self._scheduled
            if is_call and self._request_of(task_id) not in self._answered:
                yield task_id

    def with_attempts(self, call: FailedCall, actions: Sequence[Action]) -> FailedCall | None:
        """A call together with its earlier attempts, if it looks as if there were any.

        So look those that the SDK retries: after a failure a timer is set, and when it fires, the
        same is called again.

        Args:
            call: The last attempt.
            actions: What the code asks for, in the order of the leaves.
        """
        if self._before is None:
            self._before = self._pair(actions)
        whole = call
        while whole.task_id in self._before:
            whole = self._joined(*self._before[whole.task_id], whole)
        return None if whole is call else whole

    def _read(self) -> None:
        turn = 0
        for position, event in enumerate(self.events):
            kind = event["EventType"]
            turn += kind == HistoryEventType.ORCHESTRATOR_STARTED
            self._turn_of.append(turn)
            if kind in SCHEDULING:
                self._scheduled[event["EventId"]] = position
            elif kind in _RESULTS:
                self._ended[_ended_id(event)] = position
                self._ended_by_turn.setdefault(turn, []).append(_ended_id(event))
            elif kind == HistoryEventType.EVENT_RAISED:
                self._answered[event["Name"]] = position

    def _find_failed(self) -> Iterator[FailedCall]:
        attempts = self._engine_retries()
        for task_id, leaf in self._leaves.items():
            call = None
            if leaf.action_type in _PLAIN:
                call = self._plain(task_id)
            elif leaf.action_type == ActionType.CALL_ENTITY:
                call = self._of_entity(task_id)
            elif leaf.action_type in _RETRIED:
                call = self._retried([task_id, *attempts.get(task_id, ())])
            if call is not None:
                yield call

    def _plain(self, task_id: int) -> FailedCall | None:
        position = self._failure_of(task_id)
        if position is None:
            return None
        child = self.child_of(task_id)
        if child is not None and child.status != "Failed":
            child = None
        positions = {position}
        if child is None:
            positions.add(self._scheduled[task_id])
        return FailedCall(task_id, frozenset(positions), position, self._texts_at(position), child)

    def _of_entity(self, task_id: int) -> FailedCall | None:
        position = self._answered.get(self._request_of(task_id) or "")
        if position is None:
            return None
        answer = json.loads(self.events[position]["Input"])
        if not answer.get("exceptionType"):
            return None
        text = str(answer.get("result"))
        try:
            text = str(json.loads(text))
        except ValueError:
            pass  # a bare text
        positions = frozenset({self._scheduled[task_id], position})
        return FailedCall(task_id, positions, position, (text,) if text.strip() else ())

    def _request_of(self, task_id: int) -> str | None:
        position = self._scheduled.get(task_id)
        if position is None or "Input" not in self.events[position]:
            return None
        return str(json.loads(self.events[position]["Input"])["id"])

    def _retried(self, ids: list[int]) -> FailedCall | None:
        """A call that the engine has retried, of whose attempts and waits all have ended."""
        if any(task_id in self.history.open_tasks for task_id in ids):
            return None
        failures = [self._failure_of(task_id) for task_id in ids]
        last = max((position for position in failures if position is not None), default=None)
        if last is None or any(self._has_succeeded(task_id) for task_id in ids):
            return None
        positions = {self._scheduled[task_id] for task_id in ids}
        positions.update(self._ended[task_id] for task_id in ids if task_id in self._ended)
        return FailedCall(
            ids[0],
            frozenset(positions),
            last,
            self._texts_at(last),
            extra_ids=frozenset(ids[1:]),
        )

    def _failure_of(self, task_id: int) -> int | None:
        position = self._ended.get(task_id)
        if position is None or task_id not in self._scheduled:
            return None
        return position if self.events[position]["EventType"] in _FAILURES else None

    def _has_succeeded(self, task_id: int) -> bool:
        position = self._ended.get(task_id)
        kind = None if position is None else self.events[position]["EventType"]
        return kind in (
            HistoryEventType.TASK_COMPLETED,
            HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
        )

    def _texts_at(self, position: int) -> tuple[str, ...]:
        event = self.events[position]
        details: dict[str, Any] = event.get("FailureDetails") or {}
        told = (event.get("Reason"), details.get("ErrorMessage"))
        return tuple(str(text).strip() for text in told if text and str(text).strip())

    def _engine_retries(self) -> dict[int, list[int]]:
        """By the id of each call the ids that its further attempts and its waits have taken.

        In each turn these are taken first, in the order of the messages that ask for them (8.6).
        """
        taken: dict[int, list[int]] = {}
        owner = {i: i for i, leaf in self._leaves.items() if leaf.action_type in _RETRIED}
        for asking, scheduled in self._turns():
            for task_id in asking:
                first = owner.get(task_id)
                if first is None or self._has_succeeded(task_id) or self._is_last_wait(task_id):
                    continue
                fitting = (other for other in scheduled if self._may_follow(task_id, other, first))
                following = next(fitting, None)
                if following is not None:
                    scheduled.remove(following)
                    owner[following] = first
                    taken.setdefault(first, []).append(following)
        return taken

    def _turns(self) -> Iterator[tuple[list[int], list[int]]]:
        """Of each turn what has ended before it, and what it has scheduled without any action."""
        turns: dict[int, tuple[list[int], list[int]]] = {}
        for position, event in enumerate(self.events):
            asking, scheduled = turns.setdefault(self._turn_of[position], ([], []))
            if event["EventType"] in _RESULTS:
                asking.append(_ended_id(event))
            elif event["EventType"] in SCHEDULING and event["EventId"] not in self._leaves:
                scheduled.append(event["EventId"])
        yield from turns.values()

    def _may_follow(self, task_id: int, other: int, first: int) -> bool:
        """Whether a retry may have scheduled the other one when the first one had ended."""
        event = self.events[self._scheduled[other]]
        is_timer = bool(event["EventType"] == HistoryEventType.TIMER_CREATED)
        if self._failure_of(task_id) is not None:
            return is_timer
        name = self._leaves[first].name or ""
        return not is_timer and str(event.get("Name")).lower() == name.lower()

    def _is_last_wait(self, task_id: int) -> bool:
        """Whether it is the timer behind the last failure, which is due when it is set."""
        event = self.events[self._scheduled[task_id]]
        is_timer = event["EventType"] == HistoryEventType.TIMER_CREATED
        return bool(is_timer and event["FireAt"] == event["Timestamp"])

    def _pair(self, actions: Sequence[Action]) -> dict[int, tuple[int, int]]:
        """By the id of each further attempt the attempt before it, and the timer between them.

        In each turn attempts begin in the order in which their timers have fired.
        """
        asked = {
            leaf.task_id: (leaf.action_type, leaf.name, action.get("input"))
            for leaf, action in zip(self.history.leaves, actions, strict=False)
            if leaf.action_type in _PLAIN
        }
        pairs: dict[int, tuple[int, int]] = {}
        taken: set[int] = set()
        timers: dict[int, list[int]] = {}
        for task_id in sorted(i for i in asked if i is not None and i in self._scheduled):
            turn = self._turn_of[self._scheduled[task_id]]
            if turn not in timers:
                fired = self._ended_in(turn, (HistoryEventType.TIMER_FIRED,))
                timers[turn] = [timer for timer in fired if timer in self._leaves]
            for place, timer in enumerate(timers[turn]):
                failed = self._ended_in(self._turn_of[self._scheduled[timer]], _FAILURES)
                same = (i for i in failed if asked.get(i) == asked[task_id] and i not in taken)
                before = next(same, None)
                if before is not None:
                    taken.add(before)
                    pairs[task_id] = before, timer
                    del timers[turn][: place + 1]
                    break
        return pairs

    def _joined(self, task_id: int, timer: int, call: FailedCall) -> FailedCall:
        positions = {self._scheduled[i] for i in (task_id, timer, call.task_id)}
        positions.update(self._ended[i] for i in (task_id, timer))
        return replace(
            call,
            task_id=task_id,
            positions=call.positions | positions,
            child=None,
            extra_ids=call.extra_ids | {timer, call.task_id},
        )

    def _ended_in(self, turn: int, kinds: Sequence[int]) -> list[int]:
        return [
            task_id
            for task_id in self._ended_by_turn.get(turn, ())
            if self.events[self._ended[task_id]]["EventType"] in kinds
            and task_id in self._scheduled
        ]


def _ended_id(event: Mapping[str, Any]) -> int:
    """The id of the task that an event is the end of."""
    task_id: int = event["TimerId" if "TimerId" in event else "TaskScheduledId"]
    return task_id
