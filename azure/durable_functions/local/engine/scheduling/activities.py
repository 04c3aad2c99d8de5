"""Running activities: at least once, recorded exactly once. Source: host.md 8.8."""

from __future__ import annotations

import json
import logging
import sqlite3
from datetime import datetime
from typing import NamedTuple

from azure.durable_functions._wire import depth
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock, log_fields
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp, StartActivities
from azure.durable_functions.local.engine.invoker import (
    HTTP_ACTIVITY,
    ActivityCall,
    Continuation,
    Failure,
    HasRun,
    HttpFailed,
    HttpSender,
    Invoker,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
)
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS, LostWorkers
from azure.durable_functions.local.engine.texts import events, failures
from azure.durable_functions.local.engine.turns.orchestrations import Orchestrations
from azure.durable_functions.local.store import messages
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.messages import Activity, NewMessage

logger = logging.getLogger("azure.durable_functions.local")


class Ended(NamedTuple):
    """An activity that has run, and what is to be stored of it."""

    activity: Activity
    event_type: HistoryEventType
    event: str
    at: datetime
    """When it has ended, which is when the result arrives."""
    outcome: Outcome = Outcome()
    """Of its function, if one has returned."""
    continuation: Continuation | None = None
    """What its worker was given to run next."""

    @property
    def is_session_advanced(self) -> bool:
        """Whether its worker runs the next episode, in the session that it has kept."""
        then = self.continuation
        return self.outcome.continued is not None and then is not None and then.session is not None


class Activities:
    """Has activities run and records what they return."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        invoker: Invoker,
        http: HttpSender,
        orchestrations: Orchestrations,
    ) -> None:
        self._database = database
        self._orchestrations = orchestrations
        self._clock = time
        self._invoker = invoker
        self._http = http
        self._lost = LostWorkers()

    async def run(self, activity: Activity, has_run: HasRun, after: Commit) -> Ended:
        """Run one activity; its result is to be stored by `record_with_turn`, or else `record`.

        Args:
            activity: Which one.
            has_run: Called when it has run.
            after: What it must not begin before.

        Raises:
            WorkerLost: The process is gone and the activity must run again.
        """
        ended = await self._invoke(activity, after)
        has_run()
        self._lost.forget(activity)
        return ended

    def may_have_turn(self, ended: Ended) -> bool:
        """Whether a result may wait until it is stored with the turn that it makes possible."""
        return self._orchestrations.may_run_on(ended.activity)

    async def record_with_turn(
        self, ended: Ended, has_run: HasRun, begin: StartActivities
    ) -> FollowUp | None:
        """Store a result together with the turn that it makes possible.

        No other turn of the instance may run meanwhile. Gives what the turn has made possible and
        `begin` has not begun; None if nothing is stored, because that turn does not count. Raises
        as `Orchestrations.run_turn`.
        """
        event, ran = ended.event, None
        if ended.outcome.continued is not None and ended.continuation is not None:
            continued = await ended.outcome.continued
            if continued is None:
                return None
            event = _completed(ended.activity, ended.outcome, continued.now)
            ran = ended.continuation, continued
        return await self._orchestrations.run_turn_on(
            ended.activity, ended.event_type, event, has_run, begin, ran
        )

    async def record(self, ended: Ended) -> bool:
        """Store a result as a message for its instance; whether the instance waits for it."""
        activity = ended.activity

        def record(connection: sqlite3.Connection) -> bool:
            if not messages.take(connection, activity):
                return False  # terminated, purged or replaced meanwhile
            message = NewMessage(
                instance_id=activity.instance_id,
                execution_id=activity.execution_id,
                event_type=ended.event_type.value,
                created_at=clock.stored(ended.at),
                event=ended.event,
                task_id=activity.task_id,
            )
            messages.send(connection, [message])
            return True

        recorded = await self._database.write(record)
        if not recorded:
            logger.debug(
                "Dropping the late result of activity %s for instance %s",
                activity.name,
                activity.instance_id,
                extra=log_fields.about(activity.instance_id, activity.name),
            )
        return recorded

    async def _invoke(self, activity: Activity, after: Commit) -> Ended:
        if activity.name == HTTP_ACTIVITY:
            await after.kept()
            return await self._send_http(activity)
        then = self._orchestrations.continuation_of(activity, after)
        try:
            outcome = await self._invoker.run_activity(
                ActivityCall(
                    activity.name,
                    activity.input,
                    activity.instance_id,
                    self._lost.must_run_alone(activity),
                    then,
                    after,
                )
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
            if not after.is_kept or not self._lost.is_guilty(activity, error):
                raise
            reason = (
                f"Activity function '{activity.name}' failed: it has ended {MOST_LOST_WORKERS} "
                "worker processes, one at each try"
            )
            return self._failed(activity, failures.not_run(reason, "WorkerLost"))
        if outcome.failure is not None:
            return self._failed(activity, failures.activity_failed(activity.name, outcome.failure))
        if outcome.value is not None and depth.is_too_deep(outcome.value):
            if outcome.continued is not None:
                await outcome.continued  # an episode that has read the result: it does not count
            refused = Failure("ValueError", f"the result cannot be taken: {depth.TOO_DEEP}", "")
            return self._failed(activity, failures.activity_failed(activity.name, refused))
        now = self._clock.now()
        event = _completed(activity, outcome, now)
        return Ended(activity, HistoryEventType.TASK_COMPLETED, event, now, outcome, then)

    async def _send_http(self, activity: Activity) -> Ended:
        try:
            answer = await self._http.send(json.loads(activity.input or "{}"))
        except HttpFailed as error:
            return self._failed(activity, failures.not_run(str(error), "HttpRequestException"))
        except Exception as error:  # a request that is not as it must be would never get better
            text = f"The request cannot be sent: {type(error).__name__}: {error}"
            return self._failed(activity, failures.not_run(text, "ArgumentException"))
        now = self._clock.now()
        event = events.task_completed(now, activity.task_id, events.dump(answer))
        return Ended(activity, HistoryEventType.TASK_COMPLETED, event, now)

    def _failed(self, activity: Activity, failure: dict[str, object]) -> Ended:
        now = self._clock.now()
        event = events.task_failed(now, activity.task_id, failure)
        return Ended(activity, HistoryEventType.TASK_FAILED, event, now)


def _completed(activity: Activity, outcome: Outcome, now: datetime) -> str:
    """The event of an activity that has returned."""
    result = None if outcome.value in (None, "null") else outcome.value
    if result is not None and "\\u" in result:
        result = events.parsed(result)
    return events.task_completed(now, activity.task_id, result)
