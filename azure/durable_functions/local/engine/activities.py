"""Running activities: at least once, recorded exactly once. Source: host.md 8.8."""

from __future__ import annotations

import json
import logging
import sqlite3

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.store import messages
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.messages import Activity, NewMessage

from . import clock, events, failures
from .clock import Clock
from .functions import (
    HTTP_ACTIVITY,
    MOST_LOST_WORKERS,
    HasRun,
    HttpFailed,
    HttpSender,
    Invoker,
    LostWorkers,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
)

logger = logging.getLogger("azure.durable_functions.local")


class Activities:
    """Has activities run and records what they return."""

    def __init__(self, database: Database, time: Clock, invoker: Invoker, http: HttpSender) -> None:
        self._database = database
        self._clock = time
        self._invoker = invoker
        self._http = http
        self._lost = LostWorkers()

    async def run(self, activity: Activity, has_run: HasRun) -> bool:
        """Run one activity and store its result as a message for its instance.

        Args:
            activity: Which one.
            has_run: Called when it has run; its result is not stored yet.

        Returns:
            Whether the instance waits for it.

        Raises:
            WorkerLost: The process is gone and the activity must run again.
        """
        event_type, event = await self._invoke(activity)
        has_run()
        now = self._clock.now()

        def record(connection: sqlite3.Connection) -> bool:
            if not messages.take(connection, activity):
                return False  # terminated, purged or replaced meanwhile
            message = NewMessage(
                instance_id=activity.instance_id,
                execution_id=activity.execution_id,
                event_type=event_type.value,
                created_at=clock.stored(now),
                event=event,
                task_id=activity.task_id,
            )
            messages.send(connection, [message])
            return True

        recorded = await self._database.write(record)
        self._lost.forget(activity)
        if not recorded:
            logger.debug(
                "Dropping the late result of activity %s for instance %s",
                activity.name,
                activity.instance_id,
            )
        return recorded

    async def _invoke(self, activity: Activity) -> tuple[HistoryEventType, str]:
        if activity.name == HTTP_ACTIVITY:
            return await self._send_http(activity)
        try:
            outcome = await self._invoker.run_activity(
                activity.name,
                activity.input,
                activity.instance_id,
                alone=self._lost.must_run_alone(activity),
            )
        except UnknownFunction:
            reason = (
                f"Activity function '{activity.name}' failed: Activity function "
                f"'{activity.name}' does not exist."
            )
            return self._failed(activity, failures.not_run(reason, "FunctionNotFound"))
        except TimedOut as error:
            reason = f"Activity function '{activity.name}' failed: {error}"
            return self._failed(activity, failures.not_run(reason, "FunctionTimeoutException"))
        except WorkerLost as error:
            if not self._lost.is_guilty(activity, error):
                raise
            reason = (
                f"Activity function '{activity.name}' failed: it has ended {MOST_LOST_WORKERS} "
                "worker processes, one at each try"
            )
            return self._failed(activity, failures.not_run(reason, "WorkerLost"))
        return self._completion(activity, outcome)

    async def _send_http(self, activity: Activity) -> tuple[HistoryEventType, str]:
        try:
            answer = await self._http.send(json.loads(activity.input or "{}"))
        except HttpFailed as error:
            return self._failed(activity, failures.not_run(str(error), "HttpRequestException"))
        except Exception as error:  # a request that is not as it must be would never get better
            text = f"The request cannot be sent: {type(error).__name__}: {error}"
            return self._failed(activity, failures.not_run(text, "ArgumentException"))
        completed = events.task_completed(self._clock.now(), activity.task_id, events.dump(answer))
        return HistoryEventType.TASK_COMPLETED, completed

    def _completion(self, activity: Activity, outcome: Outcome) -> tuple[HistoryEventType, str]:
        now = self._clock.now()
        if outcome.failure is not None:
            return self._failed(activity, failures.activity_failed(activity.name, outcome.failure))
        result = None if outcome.value in (None, "null") else outcome.value
        return (
            HistoryEventType.TASK_COMPLETED,
            events.task_completed(now, activity.task_id, result),
        )

    def _failed(
        self, activity: Activity, failure: dict[str, object]
    ) -> tuple[HistoryEventType, str]:
        now = self._clock.now()
        return HistoryEventType.TASK_FAILED, events.task_failed(now, activity.task_id, failure)
