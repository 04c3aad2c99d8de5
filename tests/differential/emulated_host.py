"""Plays the host for one orchestration with random outcomes: legal histories for any program.

A small third implementation of protocol.md 8.6, beside the engine; it keeps no store and runs
nothing: what activities give is a matter of luck.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

Event = dict[str, Any]
Answer = tuple[str | None, str | None]
"""What an SDK answered: its text, or the message of what it raised."""

_LABEL = "\n\n$OutOfProcData$:"
_MOST_EPISODES = 60


class EmulatedHost:
    """One instance."""

    def __init__(self, rng: random.Random, events: list[str], given: Any) -> None:
        self._rng = rng
        self._now = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
        self._input = given
        self._events_left = list(events)
        rng.shuffle(self._events_left)
        self._begin()

    def _begin(self) -> None:
        started = self._event(
            0, Name="Main", Version=None, Input=json.dumps(json.dumps(self._input))
        )
        self._history: list[Event] = []
        self._next_id = 0
        self._seen = 0
        self._retries: dict[int, dict[str, Any]] = {}
        self._cancelled: set[int] = set()
        self._leaf_ids: list[int | None] = []
        self._open: set[int] = set()
        self._waiting: list[Event] = [started]

    def run(self, replay: Callable[[str], Answer]) -> list[str]:
        """Run until the instance has ended or nothing more can come; gives the triggers sent."""
        triggers: list[str] = []
        while self._waiting and len(triggers) < _MOST_EPISODES:
            trigger = self._episode()
            triggers.append(trigger)
            if self._has_ended(replay(trigger)):
                break
        return triggers

    def _episode(self) -> str:
        """Take a batch, and write the trigger."""
        rng = self._rng
        while self._events_left and rng.random() < 0.3:
            name = self._events_left.pop()
            payload = rng.choice(["1", "null", '"text"', '{"a": [1]}'])
            self._waiting.append(self._event(15, Name=name, Input=payload))
        if self._history:
            rng.shuffle(self._waiting)
        size = rng.randint(1, 12)
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        batch = [event for event in batch if event.get("TimerId") not in self._cancelled]
        self._now += timedelta(seconds=rng.randint(1, 90), microseconds=rng.randint(0, 999999))
        allocating = [event for event in batch if self._allocates(event)]
        batch = allocating + [event for event in batch if event not in allocating]
        self._new: list[Event] = []
        for event in batch:
            self._close(event)
        self._history.append(self._event(12))
        self._history += batch
        return json.dumps(
            {
                "history": self._history,
                "input": json.dumps(self._input),
                "instanceId": "the-instance",
                "isReplaying": self._seen > 0,
                "parentInstanceId": None,
                "upperSchemaVersion": 1,
                "upperSchemaVersionNew": 2,
                "longRunningTimerIntervalDuration": "00:00:00",
                "maximumShortTimerDuration": "00:00:00",
                "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
            }
        )

    def _allocates(self, event: Event) -> bool:
        record = self._retries.get(event.get("TaskScheduledId", event.get("TimerId", -1)))
        if record is None:
            return False
        if event["EventType"] in (6, 9):
            return True
        return event["EventType"] == 11 and bool(record["attempt"] < record["attempts"])

    def _close(self, event: Event) -> None:
        task_id = event.get("TaskScheduledId", event.get("TimerId"))
        if task_id is None:
            return
        self._open.discard(task_id)
        record = self._retries.pop(task_id, None)
        if record is None:
            return
        if event["EventType"] in (6, 9):
            self._retries[self._next_id] = record
            self._timer(0)
        elif event["EventType"] == 11 and record["attempt"] < record["attempts"]:
            record["attempt"] += 1
            self._retries[self._next_id] = record
            self._work(record["action"])

    def _has_ended(self, answer: Answer) -> bool:
        text, raised = answer
        if text is None:
            _, label, text = (raised or "").rpartition(_LABEL)
            if not label:
                return True
        state = json.loads(text)
        [actions] = state["actions"]
        for action in actions[self._seen :]:
            self._start(action)
        self._seen = len(actions)
        self._cancel(actions)
        self._history += sorted(self._new, key=lambda event: int(event["EventId"]))
        self._history.append(self._event(13))
        for event in self._history:
            if event["EventType"] in (0, 5, 6, 8, 9, 11, 15):
                event["IsPlayed"] = True
        if self._open:
            return False
        if "error" in state or not state["isDone"]:
            return "error" in state
        if actions and actions[-1]["actionType"] == 4:
            self._input = json.loads(actions[-1]["input"])
            self._begin()
            return False
        return True

    def _start(self, action: dict[str, Any]) -> None:
        kind = action["actionType"]
        if kind in (11, 12):
            for child in action["compoundActions"]:
                self._start(child)
            return
        task_id = None if kind in (4, 6) else self._next_id
        self._leaf_ids.append(task_id)
        if kind in (0, 1, 2, 3, 8):
            if kind in (1, 3):
                attempts = action["retryOptions"]["maxNumberOfAttempts"]
                self._retries[self._next_id] = {
                    "attempt": 1,
                    "attempts": attempts,
                    "action": action,
                }
            self._work(action)
        elif kind == 5:
            self._timer(1)
        elif kind in (7, 9):
            self._message(action, answered=kind == 7)

    def _work(self, action: dict[str, Any]) -> None:
        """An activity, HTTP call or sub-orchestration, and how it will end."""
        is_child = action["actionType"] in (2, 3)
        task_id = self._take_id()
        name = action.get("functionName", "BuiltIn::HttpActivity")
        self._new.append(self._event(7 if is_child else 4, task_id, Name=name))
        rng = self._rng
        if rng.random() < 0.25:
            reason = f"{name} failed: number {task_id}"
            details = rng.choice([None, "details"])
            self._waiting.append(
                self._event(
                    9 if is_child else 6, TaskScheduledId=task_id, Reason=reason, Details=details
                )
            )
        else:
            result = rng.choice([None, "1", '"text"', "[1, 2]", '{"a": null}', "true"])
            self._waiting.append(
                self._event(8 if is_child else 5, TaskScheduledId=task_id, Result=result)
            )

    def _timer(self, seconds: int) -> None:
        task_id = self._take_id()
        fire_at = self._stamp(self._now + timedelta(seconds=seconds))
        self._new.append(self._event(10, task_id, FireAt=fire_at))
        self._waiting.append(self._event(11, TimerId=task_id, FireAt=fire_at))

    def _message(self, action: dict[str, Any], *, answered: bool) -> None:
        task_id = self._take_id()
        self._open.discard(task_id)
        request_id = f"00000000-0000-0000-0000-{self._rng.getrandbits(48):012x}"
        request = json.dumps({"op": action["operation"], "id": request_id})
        self._new.append(
            self._event(14, task_id, InstanceId=action["instanceId"], Name="op", Input=request)
        )
        if answered:
            answer: dict[str, Any] = {"result": self._rng.choice(["1", '"text"'])}
            if self._rng.random() < 0.3:
                answer["exceptionType"] = "Error"
            self._waiting.append(self._event(15, Name=request_id, Input=json.dumps(answer)))

    def _cancel(self, actions: list[dict[str, Any]]) -> None:
        for task_id, action in zip(self._leaf_ids, _leaves(actions), strict=True):
            if action.get("isCanceled") and task_id is not None:
                self._cancelled.add(task_id)
                self._open.discard(task_id)

    def _take_id(self) -> int:
        task_id = self._next_id
        self._next_id += 1
        self._open.add(task_id)
        return task_id

    def _event(self, kind: int, event_id: int = -1, **fields: Any) -> Event:
        return {
            "EventType": kind,
            "EventId": event_id,
            "IsPlayed": False,
            "Timestamp": self._stamp(self._now),
            **fields,
        }

    @staticmethod
    def _stamp(moment: datetime) -> str:
        text = f"{moment:%Y-%m-%dT%H:%M:%S}"
        return (f"{text}.{moment.microsecond:06}".rstrip("0") if moment.microsecond else text) + "Z"


def _leaves(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for action in actions:
        inner = action.get("compoundActions")
        found += [action] if inner is None else _leaves(inner)
    return found
