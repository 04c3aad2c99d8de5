"""Timer triggers: runs functions when their schedules are due. Source: host.md 6."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.config import time_spans
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.invoker import (
    Failure,
    TimedOut,
    WorkerLost,
    WorkerRetired,
)
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database, StoreClosed
from azure.durable_functions.local.store.space import StoreFull
from azure.durable_functions.local.timer_triggers import schedules
from azure.durable_functions.local.timer_triggers.schedules import Schedule, ScheduleError
from azure.durable_functions.local.worker.binding_types import TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import FunctionInfo
from azure.durable_functions.local.workers.pool import WorkerPool

logger = logging.getLogger("azure.durable_functions.local")

_PAUSE_AFTER_PROBLEM = timedelta(seconds=5)
_NEVER = "0001-01-01T00:00:00"
_FIXED = ("fixeddelay",)
_EXPONENTIAL = ("exponentialbackoff",)


class RetryPolicyError(DurableFunctionsError):
    """A function-level retry policy cannot be used; says why."""


@dataclass(frozen=True)
class RetryPolicy:
    """A function-level retry policy (host.md 6.2)."""

    most_retries: int
    """-1 means without end."""
    first_pause: timedelta
    longest_pause: timedelta

    @staticmethod
    def parse(policy: Mapping[str, Any]) -> RetryPolicy:
        """Read a policy, spelt as function.json or as the decorator does.

        Raises:
            RetryPolicyError: A value is missing or not valid.
        """
        values = {str(key).replace("_", "").lower(): value for key, value in policy.items()}
        strategy = str(values.get("strategy") or "").replace("_", "").lower()
        try:
            most = int(values.get("maxretrycount", ""))
        except (TypeError, ValueError):
            most = -2
        if most < -1:
            raise RetryPolicyError(
                "retry.maxRetryCount must be a whole number, or -1 for retries without end, got "
                f"{values.get('maxretrycount')!r}"
            )
        if strategy in _FIXED:
            pause = _span(values, "delayInterval")
            return RetryPolicy(most, pause, pause)
        if strategy in _EXPONENTIAL:
            return RetryPolicy(
                most, _span(values, "minimumInterval"), _span(values, "maximumInterval")
            )
        raise RetryPolicyError(
            "retry.strategy must be fixedDelay or exponentialBackoff, got "
            f"{values.get('strategy')!r}"
        )

    def pause_before(self, retry: int) -> timedelta:
        """How long to wait before a retry, counted from 1."""
        return min(self.first_pause * (1 << min(retry - 1, 32)), self.longest_pause)


@dataclass(frozen=True)
class TimerFunction:
    """A timer function with its schedule."""

    function: FunctionInfo
    schedule: Schedule
    runs_at_start: bool
    is_monitored: bool
    """Its last run is remembered, and one that was missed is made up for."""
    retry: RetryPolicy | None

    def told(self, now: datetime) -> str:
        """Schedule and next run, in the zone of the schedule."""
        due = self.schedule.next_after(now).astimezone(self.schedule.zone)
        at_start = ", runs at the start" if self.runs_at_start else ""
        return f"{self.schedule.text}{at_start}, next run {due:%Y-%m-%d %H:%M:%S %Z}"


def timer_functions(
    functions: Sequence[FunctionInfo], environment: Mapping[str, str]
) -> tuple[list[TimerFunction], list[tuple[str, str]]]:
    """The timer functions, and those that cannot be used with the reason."""
    usable: list[TimerFunction] = []
    errors: list[tuple[str, str]] = []
    for function in functions:
        if function.kind != TIMER_TRIGGER:
            continue
        trigger = function.trigger
        try:
            schedule = schedules.parse(str(trigger.get("schedule") or ""), environment)
            retry = RetryPolicy.parse(function.retry) if function.retry else None
        except (ScheduleError, RetryPolicyError) as error:
            errors.append((function.name, str(error)))
            continue
        is_monitored = trigger.get("useMonitor") is not False and not schedule.is_frequent
        runs_at_start = trigger.get("runOnStartup") is True
        usable.append(TimerFunction(function, schedule, runs_at_start, is_monitored, retry))
    return usable, errors


@dataclass(frozen=True)
class _Status:
    """What is remembered of a timer."""

    schedule: str
    last: str
    next: str
    last_updated: str

    @staticmethod
    def parse(text: str | None) -> _Status | None:
        return None if text is None else _Status(**json.loads(text))

    def shown(self) -> dict[str, str]:
        return {"Last": self.last, "LastUpdated": self.last_updated, "Next": self.next}


class Timers:
    """Runs timer functions when they are due; one run at a time of each."""

    def __init__(self, database: Database, time: Clock, workers: WorkerPool) -> None:
        self._database = database
        self._clock = time
        self._workers = workers
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[str, asyncio.Lock] = {}

    def start(self, timers: Sequence[TimerFunction]) -> None:
        """Begin to watch these."""
        self._stopped = asyncio.Event()
        for timer in timers:
            task = asyncio.create_task(self._watch(timer, self._stopped))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def halt(self) -> None:
        """Run nothing any more; what runs may end."""
        self._stopped.set()

    async def stop(self, patience_seconds: float) -> None:
        """`halt`, and wait a while for what runs."""
        self.halt()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=patience_seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def payload_by_hand(self, name: str) -> str:
        """Trigger text for a run that no schedule asks for."""
        stored = await self._database.read(lambda c: stored_settings.find(c, _key(name)))
        status = _Status.parse(stored)
        return payload(status.shown() if status else None, is_past_due=False)

    async def _watch(self, timer: TimerFunction, stopped: asyncio.Event) -> None:
        """Run a timer again and again; what goes wrong in between stops nothing."""
        is_first = True
        while not stopped.is_set():
            try:
                await self._round(timer, stopped, is_first=is_first)
                is_first = False
            except StoreClosed:
                return
            except Exception:
                logger.exception("The timer %s is tried again later", timer.function.name)
                await self._sleep(self._clock.now() + _PAUSE_AFTER_PROBLEM, stopped)

    async def _round(self, timer: TimerFunction, stopped: asyncio.Event, *, is_first: bool) -> None:
        """Wait for the next occurrence and run it; at first also what is due at a start."""
        lock = self._running.setdefault(timer.function.name, asyncio.Lock())
        if is_first:
            async with lock:  # an earlier run, of code that was replaced, ends first
                now = self._clock.now()
                status = await self._status(timer)
                is_past_due = status is not None and datetime.fromisoformat(status.next) < now
                if stopped.is_set():
                    return
                if timer.runs_at_start or is_past_due:
                    await self._run(timer, status, now, is_past_due=is_past_due, stopped=stopped)
        due = timer.schedule.next_after(self._clock.now())
        known = await self._status(timer)
        status = await self._remember(timer, known.last if known else _NEVER, due)
        await self._sleep(due, stopped)
        async with lock:
            if not stopped.is_set():
                await self._run(timer, status, due, is_past_due=False, stopped=stopped)

    async def _sleep(self, until: datetime, stopped: asyncio.Event) -> None:
        while self._clock.now() < until and not stopped.is_set():
            await self._clock.wait(until, stopped)

    async def _run(
        self,
        timer: TimerFunction,
        status: _Status | None,
        due: datetime,
        *,
        is_past_due: bool,
        stopped: asyncio.Event,
    ) -> None:
        """One occurrence with its retries; that it fails is in the log and stops nothing."""
        text = payload(status.shown() if status else None, is_past_due=is_past_due)
        reason = f"Timer fired at {self._clock.now():%Y-%m-%dT%H:%M:%S.%f0+00:00}"
        retry: dict[str, Any] | None = None
        retries = 0
        while True:
            failure = await self._try(timer.function, text, reason, retry)
            policy = timer.retry
            if failure is None or policy is None or stopped.is_set():
                break
            if policy.most_retries != -1 and retries >= policy.most_retries:
                break
            retries += 1
            retry = {
                "count": retries,
                "max": policy.most_retries,
                "message": failure.text,
                "source": "",
                "stack": failure.stack,
            }
            await self._sleep(self._clock.now() + policy.pause_before(retries), stopped)
        # At once: a host that is stopped now must not run it again at its next start.
        following = timer.schedule.next_after(self._clock.now())
        await self._remember(timer, due.isoformat(), following)

    async def _try(
        self, function: FunctionInfo, text: str, reason: str, retry: Mapping[str, Any] | None
    ) -> Failure | None:
        lost = 0
        while lost < MOST_LOST_WORKERS:
            try:
                outcome = await self._workers.run_function(
                    function, text, reason=reason, retry=retry
                )
            except WorkerLost as error:
                lost += not isinstance(error, WorkerRetired)
                continue
            except TimedOut as error:
                return Failure("FunctionTimeoutException", str(error), "")
            return outcome.failure
        text = f"it has ended {MOST_LOST_WORKERS} worker processes, one at each try"
        logger.error("The timer function %s is not tried again now: %s", function.name, text)
        return Failure("WorkerLost", text, "")

    async def _status(self, timer: TimerFunction) -> _Status | None:
        """What is remembered; None for a new timer, another schedule, or without monitoring."""
        if not timer.is_monitored:
            return None
        key = _key(timer.function.name)
        status = _Status.parse(await self._database.read(lambda c: stored_settings.find(c, key)))
        return status if status and status.schedule == timer.schedule.text else None

    async def _remember(self, timer: TimerFunction, last: str, due: datetime) -> _Status | None:
        if not timer.is_monitored:
            return None
        now = self._clock.now().isoformat()
        status = _Status(timer.schedule.text, last, due.isoformat(), now)
        key, text = _key(timer.function.name), json.dumps(asdict(status))
        with contextlib.suppress(StoreFull):  # it runs nevertheless; the store has said it
            await self._database.write(lambda c: stored_settings.put(c, key, text))
        return status


def payload(status: Mapping[str, str] | None, *, is_past_due: bool) -> str:
    """JSON text of the trigger."""
    return json.dumps(
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status,
            "IsPastDue": is_past_due,
        }
    )


def _key(name: str) -> str:
    return f"timer:{name}"


def _span(values: Mapping[str, Any], name: str) -> timedelta:
    text = values.get(name.lower())
    span = time_spans.parse(text)
    if span is None:
        raise RetryPolicyError(f'retry.{name} must be "hh:mm:ss", got {text!r}')
    return span
