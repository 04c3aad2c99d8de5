"""A double of the extension's own algorithm: it awaits each action before it starts the next.

Source: protocol.md 7.2 and 8.4, schema V2 and V3; without host-run retries, whose ids it would have
to interleave. The emulated host of `emulated_host` follows 8.6 instead, as our engine does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]
Activity = Callable[[str, Any], Any]

_TIMER, _EVENT = 5, 6


@dataclass
class _Leaf:
    action: Json
    task_id: int | None
    is_done: bool = False


@dataclass
class _Group:
    wants_all: bool
    children: list[Any]

    @property
    def is_done(self) -> bool:
        done = [child.is_done for child in self.children]
        return all(done) if self.wants_all else any(done)


@dataclass
class Outcome:
    """What an orchestration came to."""

    output: Any = None
    error: str | None = None
    most_open: int = 0
    """Activities that were open at the same time."""
    took: timedelta = timedelta()


@dataclass
class ExtensionDouble:
    """Runs one orchestrator handle to its end."""

    handle: Callable[[str], str]
    activity: Activity
    events: list[tuple[timedelta, str, Any]] = field(default_factory=list[Any])
    """When events are raised, with name and value."""
    input: Any = None
    seed: int = 0
    seconds: Callable[[str, Any], float] = lambda name, value: 1.0
    """How long an activity takes."""
    longest_timer: timedelta | None = None
    """What Azure Storage would not take; None takes all."""

    def run(self) -> Outcome:
        self._began = self._now = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
        self._rng = random.Random(self.seed)
        self._history: list[Json] = []
        self._open: dict[int, tuple[datetime, Json]] = {}
        outcome = Outcome()
        batch = [self._event(0, Name="Main", Version=None, Input=json.dumps(self.input))]
        waiting = sorted(self.events, key=lambda planned: planned[0])
        for _ in range(2000):
            self._history += [self._event(12), *batch]
            answer = self._ask()
            leaves, is_through = self._walk(answer["actions"][0])
            self._history += self._start(leaves)
            self._history.append(self._event(13))
            busy = sum(1 for _, action in self._open.values() if action["actionType"] != _TIMER)
            outcome.most_open = max(outcome.most_open, busy)
            if is_through and (answer.get("isDone") or "error" in answer) and not self._open:
                outcome.output, outcome.error = answer.get("output"), answer.get("error")
                outcome.took = self._now - self._began
                return outcome
            batch = self._next(waiting)
        raise AssertionError("it never ends")

    def _ask(self) -> Json:
        limit = self.longest_timer
        limits: Json = {}
        if limit is not None:
            limits["maximumShortTimerDuration"] = f"0{limit}"
            limits["longRunningTimerIntervalDuration"] = f"0{limit / 2}"
        trigger = {
            **limits,
            "history": self._history,
            "input": self.input,
            "instanceId": "double",
            "isReplaying": True,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
        }
        try:
            text = self.handle(json.dumps(trigger))
        except Exception as error:
            _, label, text = str(error).rpartition("\n\n$OutOfProcData$:")
            if not label:
                raise
        answer: Json = json.loads(text)
        return answer

    def _walk(self, actions: list[Json]) -> tuple[list[_Leaf], bool]:
        """Start and await the actions against the history; gives the leaves that were started."""
        leaves: list[_Leaf] = []
        routine = self._routine(actions, leaves)
        ended = next(routine, True) is True
        for event in self._history:
            if event["EventType"] in (5, 6, 11):
                number = event.get("TaskScheduledId", event.get("TimerId"))
                found = [leaf for leaf in leaves if leaf.task_id == number]
                assert found, f"a completion of {number}, which was never started"
                found[0].is_done = True
            elif event["EventType"] == 15:
                waits = [
                    leaf
                    for leaf in reversed(leaves)
                    if leaf.action["actionType"] == _EVENT
                    and leaf.action["externalEventName"].lower() == event["Name"].lower()
                    and not leaf.is_done
                ]
                if waits:
                    waits[0].is_done = True
            else:
                continue
            ended = next(routine, True) is True
        return leaves, ended

    def _routine(self, actions: list[Json], leaves: list[_Leaf]) -> Iterator[bool]:
        for action in actions:
            node = self._build(action, leaves)
            while not node.is_done:
                yield False

    def _build(self, action: Json, leaves: list[_Leaf]) -> Any:
        kind = action["actionType"]
        if kind in (11, 12):
            children = [self._build(child, leaves) for child in action["compoundActions"]]
            return _Group(kind == 12, children)
        number = None
        if kind != _EVENT:
            number = sum(1 for leaf in leaves if leaf.task_id is not None)
        leaf = _Leaf(action, number, is_done=bool(action.get("isCanceled")))
        leaves.append(leaf)
        return leaf

    def _start(self, leaves: list[_Leaf]) -> list[Json]:
        new: list[Json] = []
        known = {e["EventId"] for e in self._history if e["EventType"] in (4, 10)}
        for leaf in leaves:
            number = leaf.task_id
            if number is None:
                continue
            if leaf.action.get("isCanceled"):
                self._open.pop(number, None)
            if number in known:
                continue
            if leaf.action["actionType"] == _TIMER:
                new.append(self._event(10, number, FireAt=leaf.action["fireAt"]))
                if not leaf.action["isCanceled"]:
                    fire_at = datetime.fromisoformat(leaf.action["fireAt"].replace("Z", "+00:00"))
                    if self.longest_timer is not None:
                        assert fire_at <= self._now + self.longest_timer, "a timer is too long"
                    self._open[number] = (fire_at, leaf.action)
            else:
                name = leaf.action["functionName"]
                new.append(self._event(4, number, Name=name))
                value = json.loads(leaf.action["input"])
                ends = self._now + timedelta(seconds=self.seconds(name, value))
                self._open[number] = (ends, leaf.action)
        return new

    def _next(self, waiting: list[tuple[timedelta, str, Any]]) -> list[Json]:
        """What arrives next: everything of one moment."""
        moments = [moment for moment, _ in self._open.values()]
        moments += [self._began + after for after, _, _ in waiting[:1]]
        assert moments, "it hangs: nothing is open and no event is left"
        self._now = max(self._now + timedelta(microseconds=1), min(moments))
        arrived: list[Json] = []
        for number in [n for n, (moment, _) in self._open.items() if moment <= self._now]:
            _, action = self._open.pop(number)
            if action["actionType"] == _TIMER:
                arrived.append(self._event(11, TimerId=number))
                continue
            try:
                result = self.activity(action["functionName"], json.loads(action["input"]))
                arrived.append(self._event(5, TaskScheduledId=number, Result=json.dumps(result)))
            except Exception as error:
                kind = type(error)
                is_own = kind.__module__ != "builtins"
                name = f"{kind.__module__}.{kind.__qualname__}" if is_own else kind.__name__
                details = {"ErrorType": name, "ErrorMessage": str(error), "StackTrace": None}
                text = f"Activity function 'x' failed:  {kind.__name__}: {error}"
                arrived.append(
                    self._event(
                        6, TaskScheduledId=number, Reason=text, Details="", FailureDetails=details
                    )
                )
        self._rng.shuffle(arrived)
        while waiting and self._began + waiting[0][0] <= self._now:
            _, name, value = waiting.pop(0)
            arrived.append(self._event(15, Name=name, Input=json.dumps(value)))
        return arrived

    def _event(self, kind: int, event_id: int = -1, **fields: Any) -> Json:
        stamp = f"{self._now:%Y-%m-%dT%H:%M:%S.%f}Z"
        common = {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp}
        return {**common, **fields}
