"""Rewinding: what failed is done once more. Source: host.md 8.14, protocol.md 13.6.

The history is changed in place: failures, what scheduled them and the end become tombstones. The
next episode lists the same actions, and those that have lost their event are started again under
their old number (`redo`).
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from typing import Any

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.history import OpenTask
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import NewMessage

from . import clock, events
from .children import answer_to_parent

REWOUND = "rewound"
"""Kind of an open task that the next episode starts again."""

_REPEATABLE = (ActionType.CALL_ACTIVITY, ActionType.CALL_HTTP, ActionType.CREATE_TIMER)
_SCHEDULING = (HistoryEventType.TASK_SCHEDULED, HistoryEventType.TIMER_CREATED)
_CREATED = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED
_FINISHING = (
    HistoryEventType.TASK_COMPLETED,
    HistoryEventType.TASK_FAILED,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
    HistoryEventType.TIMER_FIRED,
)


class CannotRewind(Exception):
    """The instance failed while calls with a retry policy were open; they cannot be repeated."""


def rewind(
    connection: sqlite3.Connection, instance: Instance, now: datetime, reason: str | None
) -> list[str]:
    """Rewind a failed instance and, first, its failed children; gives the ids of those to wake.

    Failures of calls with a retry policy stay, so that such an instance fails again (8.14).

    Raises:
        CannotRewind: See there.
    """
    rewinding = _Rewinding(connection, instance, now, reason)
    rewinding.run()
    if rewinding.woken:
        return rewinding.woken
    message = NewMessage(
        instance_id=instance.instance_id,
        execution_id=instance.execution_id,
        event_type=HistoryEventType.GENERIC_EVENT.value,
        created_at=clock.stored(now),
        event=events.generic(now, reason),
    )
    messages.send(connection, [message])
    return [instance.instance_id]


class _Rewinding:
    def __init__(
        self,
        connection: sqlite3.Connection,
        instance: Instance,
        now: datetime,
        reason: str | None,
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._now = now
        self._reason = reason
        self._history = history.find(connection, instance.instance_id)
        self._history.open_tasks.clear()  # what is to be open again is found anew
        self._recorded: list[dict[str, Any]] = [json.loads(text) for text in self._history.events]
        self._types = {
            leaf.task_id: leaf.action_type
            for leaf in self._history.leaves
            if leaf.task_id is not None
        }
        self.woken: list[str] = []
        """Children that go on, and this instance if one of them had ended meanwhile."""

    def run(self) -> None:
        finished = {
            event.get("TaskScheduledId", event.get("TimerId"))
            for event in self._recorded
            if event["EventType"] in _FINISHING
        }
        failed = {
            event["TaskScheduledId"]
            for event in self._recorded
            if event["EventType"] == HistoryEventType.TASK_FAILED
        }
        for position, event in enumerate(self._recorded):
            kind = event["EventType"]
            task_id: int = event["EventId"]
            if kind == HistoryEventType.EXECUTION_COMPLETED:
                self._erase(position)
            elif kind in _SCHEDULING and (task_id not in finished or task_id in failed):
                if self._types.get(task_id) in _REPEATABLE:
                    self._open(task_id, REWOUND)
                    self._erase(position)
                elif task_id not in finished:
                    raise CannotRewind
            elif kind == HistoryEventType.TASK_FAILED:
                if self._types.get(event["TaskScheduledId"]) in _REPEATABLE:
                    self._erase(position)
            elif kind == _CREATED and task_id not in finished:
                self._wait_again(task_id, event["InstanceId"])
            elif kind == HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED:
                self._rewind_child(position, event["TaskScheduledId"])
        history.replace(self._connection, self._instance.instance_id, self._history)
        ready = self._instance._replace(status="Pending", output=None)
        instances.update(self._connection, self._instance, ready)

    def _open(self, task_id: int, kind: str) -> None:
        self._history.open_tasks[task_id] = OpenTask(task_id, kind, None)

    def _erase(self, position: int) -> None:
        texts = self._history.events
        texts[position] = events.erased(texts[position])

    def _rewind_child(self, position: int, task_id: int) -> None:
        """A child that has failed is rewound, and waited for again."""
        created = (
            event
            for event in self._recorded
            if event["EventType"] == _CREATED and event["EventId"] == task_id
        )
        child = self._child(task_id, next(created)["InstanceId"])
        if child is None or child.status != "Failed":
            return
        self.woken += rewind(self._connection, child, self._now, self._reason)
        self._open(task_id, "orchestration")
        self._erase(position)

    def _wait_again(self, task_id: int, child_id: str) -> None:
        """A child that was open when the instance failed may have gone on since."""
        child = self._child(task_id, child_id)
        if child is None:
            raise CannotRewind
        self._open(task_id, "orchestration")
        if child.status == "Failed":
            self.woken += rewind(self._connection, child, self._now, self._reason)
        elif child.is_terminal:
            answer = answer_to_parent(child, json.loads(child.parent or "{}"), self._now)
            messages.send(self._connection, [answer])
            self.woken.append(self._instance.instance_id)

    def _child(self, task_id: int, child_id: str) -> Instance | None:
        """The instance that a plain call has started; not another one of its id."""
        if self._types.get(task_id) != ActionType.CALL_SUB_ORCHESTRATOR:
            return None
        found = instances.find(self._connection, child_id)
        link = None if found is None or found.parent is None else json.loads(found.parent)
        if link is None:
            return None
        parent = {
            "InstanceId": self._instance.instance_id,
            "ExecutionId": self._instance.execution_id,
        }
        is_ours = link["OrchestrationInstance"] == parent and link["TaskScheduleId"] == task_id
        return found if is_ours else None
