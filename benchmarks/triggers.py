"""Texts that the workers are given; the salt makes each a new one, so that no cache can flatter."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

BEGINNING = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)


class _History:
    def __init__(self, name: str, count: int, salt: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._now = BEGINNING + timedelta(microseconds=salt)
        self.add(12)
        self.add(0, Name=name, Version="", Input=json.dumps(str(count)))

    def add(self, kind: int, event_id: int = -1, **fields: Any) -> None:
        stamp = f"{self._now:%Y-%m-%dT%H:%M:%S.%f}1Z"
        common = {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp}
        self.events.append({**common, **fields})

    def next_episode(self) -> None:
        self.add(13)
        self._now += timedelta(milliseconds=7)
        self.add(12)


def orchestration(case: str, count: int, size: int, salt: int) -> str:
    """A trigger whose history holds everything that a case's orchestrator waits for."""
    history = _History(case, count, salt)

    def payload(number: int) -> str:
        return json.dumps(f"{salt}-{number}".ljust(size, "x"))

    if case in ("fan_out", "any_loop"):
        for number in range(count):
            history.add(4, number, Name="step")
        for number in range(count):
            if number % 50 == 0:
                history.next_episode()
            history.add(5, TaskScheduledId=number, Result=payload(number))
    elif case == "chain":
        for number in range(count):
            history.add(4, number, Name="step")
            history.next_episode()
            history.add(5, TaskScheduledId=number, Result=payload(number))
    elif case == "events":
        for number in range(count):
            history.next_episode()
            history.add(15, Name=f"event{number}", Input=payload(number))
    elif case == "mixed":
        _mixed(history, count, payload)
    return _trigger(history.events, count, salt)


def _mixed(history: _History, count: int, payload: Any) -> None:
    """Activities, timers, children and events in turn."""
    task_id = 0
    for number in range(count):
        kind = number % 4
        if kind == 3:
            history.next_episode()
            history.add(15, Name=f"event{number}", Input=payload(number))
            continue
        if kind == 0:
            history.add(4, task_id, Name="step")
        elif kind == 1:
            history.add(10, task_id, FireAt="2026-01-15T10:00:01Z")
        else:
            history.add(7, task_id, Name="child", InstanceId=f"child{number}")
        history.next_episode()
        if kind == 0:
            history.add(5, TaskScheduledId=task_id, Result=payload(number))
        elif kind == 1:
            history.add(11, TimerId=task_id, FireAt="2026-01-15T10:00:01Z")
        else:
            history.add(8, TaskScheduledId=task_id, Result=payload(number))
        task_id += 1


def first_episode(salt: int) -> str:
    """The trigger of an instance that has just been started."""
    return _trigger(_History("chain", 10, salt).events, 10, salt)


def life(count: int, size: int, salt: int) -> list[str]:
    """The triggers of all episodes of a chain."""
    whole = json.loads(orchestration("chain", count, size, salt))
    ends = [index for index, event in enumerate(whole["history"]) if event["EventType"] == 13]
    ends.append(len(whole["history"]))
    # An episode begins with what came in and has not yet what the code asked for.
    cuts = [2, *(end + 3 for end in ends[:-1])]
    return [json.dumps({**whole, "history": whole["history"][:cut]}) for cut in cuts]


def entity(count: int, salt: int) -> str:
    """A batch of operations that each add a number."""
    batch = [
        {"name": "add", "input": json.dumps(json.dumps(salt + k)), "isSignal": True, "id": f"{k}"}
        for k in range(count)
    ]
    return json.dumps(
        {
            "self": {"name": "counter", "key": f"k{salt}"},
            "exists": True,
            "state": "5",
            "batch": batch,
        }
    )


def _trigger(history: list[dict[str, Any]], count: int, salt: int) -> str:
    return json.dumps(
        {
            "history": history,
            "input": str(count),
            "instanceId": f"instance-{salt}",
            "isReplaying": True,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "maximumShortTimerDuration": "6.00:00:00",
            "longRunningTimerIntervalDuration": "3.00:00:00",
        }
    )
