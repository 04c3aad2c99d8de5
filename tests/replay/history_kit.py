"""Short histories for tests: each call is an event, `episode()` begins the next one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import azure.durable_functions as df

LABEL = "\n\n$OutOfProcData$:"


class History:
    """Events of one instance; starts with the first two."""

    def __init__(self, **trigger: Any) -> None:
        self._now = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
        self._trigger = trigger
        self.events: list[dict[str, Any]] = []
        self._add(12)
        self._add(0, Version=None)

    def _add(self, kind: int, event_id: int = -1, **fields: Any) -> History:
        stamp = f"{self._now:%Y-%m-%dT%H:%M:%SZ}"
        common = {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp}
        self.events.append({**common, **fields})
        return self

    def episode(self) -> History:
        self._add(13)
        self._now += timedelta(seconds=1)
        return self._add(12)

    def done(self, task_id: int, value: Any = None) -> History:
        return self._add(5, TaskScheduledId=task_id, Result=json.dumps(value))

    def done_with(self, task_id: int, text: str | None) -> History:
        return self._add(5, TaskScheduledId=task_id, Result=text)

    def failed(self, task_id: int, reason: str = "reason") -> History:
        return self._add(6, TaskScheduledId=task_id, Reason=reason, Details="details")

    def fired(self, task_id: int) -> History:
        return self._add(11, TimerId=task_id)

    def raised(self, name: str, value: Any = None) -> History:
        return self._add(15, Name=name, Input=json.dumps(value))

    def sent(self, task_id: int, request_id: str) -> History:
        return self._add(14, task_id, Input=json.dumps({"id": request_id}))

    def answered(self, request_id: str, answer: Any) -> History:
        return self._add(15, Name=request_id, Input=json.dumps(answer))

    def trigger(self) -> dict[str, Any]:
        return {
            "history": self.events,
            "input": None,
            "instanceId": "the-instance",
            "isReplaying": False,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            **self._trigger,
        }

    def replay(self, orchestrator: Callable[[Any], Any]) -> dict[str, Any]:
        """The answer, or what the envelope holds."""
        try:
            text = df.Orchestrator.create(orchestrator)(json.dumps(self.trigger()))
        except Exception as error:
            _, label, text = str(error).rpartition(LABEL)
            if not label:
                raise
        answer: dict[str, Any] = json.loads(text)
        return answer
