"""A double of the extension's own algorithm: it awaits each action before it starts the next.

Source: protocol.md 7.2, 8.3 and 8.4; extension-engine.md Y18, Y23, Y30, Y40, Y41, Y60, Y61, Y132.
The emulated host of `emulated_host` follows 8.6 instead, as our engine does.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]
Activity = Callable[[str, Any], Any]

_TIMER, _EVENT, _CONTINUE, _HTTP, _SIGNAL = 5, 6, 4, 8, 9
_RETRIED = (1, 3)
_CHILDREN = (2, 3)
_ENTITIES = (7, 9)
_LABEL = "\n\n$OutOfProcData$:"


class NonDeterministic(Exception):
    """The history tells of work that the replay has not asked for."""


class Hangs(AssertionError):
    """Nothing is open, nothing will come, and the instance has not ended."""


@dataclass
class _Step:
    """Something that has a task id: it was started, or will be."""

    task_id: int
    event: int
    """Type of the event that tells of it."""
    action: Json
    leaf: _Leaf
    due_now: bool = False


@dataclass
class _Leaf:
    action: Json
    is_done: bool = False
    attempts_left: int = 0
    has_failed: bool = False


@dataclass
class _Group:
    wants_all: bool
    children: list[Any]

    @property
    def is_done(self) -> bool:
        done = [child.is_done for child in self.children]
        return all(done) if self.wants_all else any(done)


class _Replay:
    """One pass over the history with one action list."""

    def __init__(self, actions: list[Json], history: list[Json]) -> None:
        self.steps: list[_Step] = []
        self.started = 0
        """How many entries of the list were started."""
        self.is_through = False
        self.continued_at: int | None = None
        """Where in the history the ContinueAsNew action was reached."""
        self._history = history
        self._actions = actions
        self._waits: list[_Leaf] = []
        self._early: dict[str, deque[Json]] = {}
        self._requests: dict[str, _Leaf] = {}
        self._routine = self._await_all()
        for self._at, event in enumerate(history):
            if self._take(event):
                self.is_through = next(self._routine, True) is True or self.is_through

    def _await_all(self) -> Iterator[bool]:
        for action in self._actions:
            self.started += 1
            node = self._build(action)
            while not node.is_done:
                yield False

    def _take(self, event: Json) -> bool:
        """Take an event into account; tells whether it may let the routine go on."""
        kind = event["EventType"]
        if kind == 0:
            return True
        if kind in (4, 7, 10, 14):
            self._match(event, kind)
            return False
        if kind in (5, 6, 8, 9, 11):
            number = event.get("TaskScheduledId", event.get("TimerId"))
            assert number < len(self.steps), f"a completion of {number}, which was never started"
            self._complete(self.steps[number], event)
            return True
        if kind == 15:
            self._raise(event)
            return True
        return False

    def _match(self, event: Json, kind: int) -> None:
        number = event["EventId"]
        if number >= len(self.steps):
            raise NonDeterministic(f"nothing has the number {number} yet: {event}")
        step = self.steps[number]
        name = step.action.get("functionName", "")
        is_alike = kind in (10, 14) or event["Name"].lower() == name.lower() or not name
        if step.event != kind or not is_alike:
            raise NonDeterministic(f"{number} is {step.action}, not {event}")
        if kind == 14:
            self._requests[json.loads(event["Input"])["id"]] = step.leaf

    def _complete(self, step: _Step, event: Json) -> None:
        leaf = step.leaf
        is_failure = event["EventType"] in (6, 9)
        if leaf.action["actionType"] not in _RETRIED:
            leaf.is_done = True
        elif event["EventType"] == 11:
            if leaf.attempts_left:
                self._attempt(leaf)
            else:
                leaf.is_done = True
        elif is_failure and not (event.get("FailureDetails") or {}).get("IsNonRetriable"):
            self._step(leaf, 10, due_now=not leaf.attempts_left)
        else:
            leaf.is_done = True

    def _raise(self, event: Json) -> None:
        if event["Name"] in self._requests:
            self._requests[event["Name"]].is_done = True
            return
        name = event["Name"].lower()
        waiting = [
            leaf
            for leaf in self._waits
            if leaf.action["externalEventName"].lower() == name and not leaf.is_done
        ]
        if waiting:
            waiting[-1].is_done = True  # the latest is served first
        else:
            self._early.setdefault(name, deque()).append(event)

    def _build(self, action: Json) -> Any:
        kind = action["actionType"]
        if kind in (11, 12):
            children = [self._build(child) for child in action["compoundActions"]]
            assert children or kind == 12, "a WhenAny of nothing"
            return _Group(kind == 12, children)
        leaf = _Leaf(action, is_done=bool(action.get("isCanceled")) or kind == _SIGNAL)
        if kind == _CONTINUE:
            self.continued_at = self._at
            leaf.is_done = True
        elif kind == _EVENT:
            queue = self._early.get(action["externalEventName"].lower())
            if queue:
                queue.popleft()
                leaf.is_done = True
            else:
                self._waits.append(leaf)
        elif kind in _RETRIED:
            leaf.attempts_left = action["retryOptions"]["maxNumberOfAttempts"]
            self._attempt(leaf)
        else:
            self._step(leaf, 10 if kind == _TIMER else 14 if kind in _ENTITIES else _work(kind))
        return leaf

    def _attempt(self, leaf: _Leaf) -> None:
        leaf.attempts_left -= 1
        self._step(leaf, _work(leaf.action["actionType"]))

    def _step(self, leaf: _Leaf, event: int, *, due_now: bool = False) -> None:
        self.steps.append(_Step(len(self.steps), event, leaf.action, leaf, due_now))


def _work(kind: int) -> int:
    return 7 if kind in _CHILDREN else 4


@dataclass
class Outcome:
    """What an orchestration came to."""

    output: Any = None
    error: str | None = None
    most_open: int = 0
    """Activities that were open at the same time."""
    took: timedelta = timedelta()
    turns: int = 0


@dataclass
class ExtensionDouble:
    """Runs one orchestrator handle to its end."""

    handle: Callable[[str], str]
    activity: Activity
    """Also plays sub-orchestrations; entities by the name of the operation."""
    events: list[tuple[timedelta, str, Any]] = field(default_factory=list[Any])
    """When events are raised, with name and value."""
    input: Any = None
    seed: int = 0
    seconds: Callable[[str, Any], float] = lambda name, value: 1.0
    """How long an activity takes."""
    longest_timer: timedelta | None = None
    """What Azure Storage would not take; None takes all."""
    open_tasks: Callable[[], Mapping[Any, Any]] | None = None
    """What the SDK waits for after its last answer, to compare the numbers with."""
    may_differ: Callable[[], bool] = lambda: False
    """Whether the SDK has said that the extension goes on at another moment."""
    early: timedelta = timedelta()
    """How much too early timers fire (Y50)."""

    def run(self) -> Outcome:
        """Run to the end.

        Raises:
            NonDeterministic: The answer does not fit the history.
            Hangs: It would wait for ever.
            AssertionError: The extension has another number for a task than the SDK, or has not
                started what the code has asked for.
        """
        self._began = self._now = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
        self._rng = random.Random(self.seed)
        self._waiting = sorted(self.events, key=lambda planned: planned[0])
        self._outcome = Outcome()
        self._begin(self.input, [])
        for _ in range(2000):
            if self._turn():
                self._outcome.took = self._now - self._began
                return self._outcome
        raise AssertionError("it never ends")

    def _begin(self, given: Any, carried: list[Json]) -> None:
        self._input = given
        self._history: list[Json] = []
        self._open: dict[int, tuple[datetime, Json]] = {}
        self._answers: list[tuple[datetime, Json]] = []
        started = self._event(0, Name="Main", Version=None, Input=json.dumps(given))
        self._batch = [started, *carried]

    def _turn(self) -> bool:
        outcome = self._outcome
        outcome.turns += 1
        self._history += [self._event(12), *self._batch]
        answer = self._ask()
        [actions] = answer["actions"]
        replay = _Replay(actions, self._history)
        if self.open_tasks is not None and not self.may_differ():
            self._compare(replay, actions, self.open_tasks())
        self._history += self._start(replay.steps)
        self._history.append(self._event(13))
        for event in self._history:
            event["IsPlayed"] = True
        busy = sum(1 for _, action in self._open.values() if action["actionType"] != _TIMER)
        outcome.most_open = max(outcome.most_open, busy)
        has_failed = "error" in answer
        assert not (has_failed and answer["isDone"]), "the extension takes no such error (Y30)"
        if replay.is_through and (answer["isDone"] or has_failed) and not self._open:
            if replay.continued_at is not None and not has_failed:
                self._continue(replay, actions)
                return False
            outcome.output, outcome.error = answer.get("output"), answer.get("error")
            return True
        self._batch = self._next()
        return False

    def _continue(self, replay: _Replay, actions: list[Json]) -> None:
        """Begin the next generation with the events that came after the replay had asked for it."""
        rest = self._history[(replay.continued_at or 0) + 1 :]
        carried = [event for event in rest if event["EventType"] == 15]
        known = {name for event in self._history for name in _request_ids(event)}
        carried = [event for event in carried if event["Name"] not in known]
        given = next(a for a in actions if a["actionType"] == _CONTINUE)["input"]
        self._begin(json.loads(given), carried)

    def _compare(self, replay: _Replay, actions: list[Json], open_tasks: Mapping[Any, Any]) -> None:
        """The extension has started all that the code has asked for, under the SDK's numbers."""
        assert replay.started == len(actions), (replay.started, actions)
        for number, task in open_tasks.items():
            if not isinstance(number, int):
                continue
            step = replay.steps[number]
            action = task._get_action()
            if type(action).__name__ == "NoOpAction":  # a step of a retry
                assert step.event == (10 if "wait" in action.metadata else step.event), step
                assert step.leaf.action["actionType"] in _RETRIED, step
            else:
                assert step.action == action.to_json(), (number, step, action.to_json())

    def _ask(self) -> Json:
        limit = self.longest_timer
        limits: Json = {}
        if limit is not None:
            limits["maximumShortTimerDuration"] = f"0{limit}"
            limits["longRunningTimerIntervalDuration"] = f"0{limit / 2}"
        trigger = {
            **limits,
            "history": self._history,
            "input": self._input,
            "instanceId": "double",
            "isReplaying": len(self._history) > 2,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 3,
        }
        try:
            text = self.handle(json.dumps(trigger))
        except Exception as error:
            _, label, text = str(error).rpartition(_LABEL)
            if not label:
                raise
        answer: Json = json.loads(text)
        return answer

    def _start(self, steps: list[_Step]) -> list[Json]:
        new: list[Json] = []
        known = {e["EventId"] for e in self._history if e["EventType"] in (4, 7, 10, 14)}
        for step in steps:
            number, action = step.task_id, step.action
            if action.get("isCanceled"):
                self._open.pop(number, None)
            if number in known:
                continue
            if step.event == 10:
                new.append(self._start_timer(step))
            elif step.event == 14:
                new.append(self._send(step))
            else:
                name, value = _called(action)
                new.append(self._event(step.event, number, Name=name))
                ends = self._now + timedelta(seconds=self.seconds(name, value))
                self._open[number] = (ends, action)
        return new

    def _start_timer(self, step: _Step) -> Json:
        action = step.action
        if action["actionType"] != _TIMER:  # of a retry
            wait = action["retryOptions"]["firstRetryIntervalInMilliseconds"]
            fire_at = self._now + timedelta(milliseconds=0 if step.due_now else wait)
        else:
            fire_at = datetime.fromisoformat(action["fireAt"].replace("Z", "+00:00"))
            if self.longest_timer is not None:
                assert fire_at <= self._now + self.longest_timer, "a timer is too long"
        if not action.get("isCanceled"):
            # However early: the queue takes its time.
            fires_at = max(fire_at - self.early, min(fire_at, self._now + self.early / 3))
            self._open[step.task_id] = (fires_at, {"actionType": _TIMER})
        return self._event(10, step.task_id, FireAt=f"{fire_at:%Y-%m-%dT%H:%M:%S.%f}Z")

    def _send(self, step: _Step) -> Json:
        action = step.action
        request = f"00000000-0000-0000-0000-{self._rng.getrandbits(48):012x}"
        if action["actionType"] != _SIGNAL:
            answer: Json = {}
            try:
                answer["result"] = json.dumps(self.activity(*_called(action)))
            except Exception as error:
                answer = {"result": json.dumps(str(error)), "exceptionType": "Error"}
            when = self._now + timedelta(seconds=self.seconds("entity", action["instanceId"]))
            self._answers.append((when, {"Name": request, "Input": json.dumps(answer)}))
        told = json.dumps({"op": action["operation"], "id": request})
        return self._event(14, step.task_id, InstanceId="@e", Name="op", Input=told)

    def _next(self) -> list[Json]:
        """What arrives next: everything of one moment."""
        moments = [moment for moment, _ in [*self._open.values(), *self._answers]]
        moments += [self._began + after for after, _, _ in self._waiting[:1]]
        if not moments:
            raise Hangs("nothing is open and no event is left")
        self._now = max(self._now + timedelta(microseconds=1), min(moments))
        arrived: list[Json] = []
        for number in [n for n, (moment, _) in self._open.items() if moment <= self._now]:
            _, action = self._open.pop(number)
            arrived.append(self._completion(number, action))
        for when, fields in [answer for answer in self._answers if answer[0] <= self._now]:
            self._answers.remove((when, fields))
            arrived.append(self._event(15, **fields))
        self._rng.shuffle(arrived)
        while self._waiting and self._began + self._waiting[0][0] <= self._now:
            _, name, value = self._waiting.pop(0)
            arrived.append(self._event(15, Name=name, Input=json.dumps(value)))
        return arrived

    def _completion(self, number: int, action: Json) -> Json:
        if action["actionType"] == _TIMER:
            return self._event(11, TimerId=number)
        name, value = _called(action)
        is_child = action["actionType"] in _CHILDREN
        try:
            result = json.dumps(self.activity(name, value))
        except Exception as error:
            return self._event(9 if is_child else 6, TaskScheduledId=number, **_failure(error))
        return self._event(8 if is_child else 5, TaskScheduledId=number, Result=result)

    def _event(self, kind: int, event_id: int = -1, **fields: Any) -> Json:
        stamp = f"{self._now:%Y-%m-%dT%H:%M:%S.%f}Z"
        common = {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp}
        return {**common, **fields}


def _called(action: Json) -> tuple[str, Any]:
    kind = action["actionType"]
    if kind == _HTTP:
        return "BuiltIn::HttpActivity", action["httpRequest"]["uri"]
    value = json.loads(action["input"])
    return (action["operation"] if kind in _ENTITIES else action["functionName"]), value


def _request_ids(event: Json) -> list[str]:
    return [json.loads(event["Input"])["id"]] if event["EventType"] == 14 else []


def _failure(error: Exception) -> Json:
    kind = type(error)
    is_own = kind.__module__ != "builtins"
    name = f"{kind.__module__}.{kind.__qualname__}" if is_own else kind.__name__
    return {
        "Reason": f"Activity function 'x' failed:  {kind.__name__}: {error}",
        "Details": "",
        "FailureDetails": {"ErrorType": name, "ErrorMessage": str(error), "StackTrace": None},
    }
