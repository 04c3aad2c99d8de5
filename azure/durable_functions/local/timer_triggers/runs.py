"""Runs timer functions when they are due. Source: host.md 6."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
from azure.durable_functions.local.workers.app_info import FunctionInfo
from azure.durable_functions.local.workers.pool import WorkerPool

if TYPE_CHECKING:  # timer_functions imports the calendar library, which takes long
    from azure.durable_functions.local.worker.frames import RetryState

    from .timer_functions import TimerFunction

logger = logging.getLogger("azure.durable_functions.local")

_PAUSE_AFTER_ERROR = timedelta(seconds=5)
_NEVER = "0001-01-01T00:00:00"
"""How the Functions host writes that a timer has not run yet."""


@dataclass(frozen=True)
class _Status:
    """What is stored about a timer function; times are ISO 8601 texts."""

    schedule: str
    last: str
    next: str
    last_updated: str

    @staticmethod
    def parse(text: str | None) -> _Status | None:
        return None if text is None else _Status(**json.loads(text))

    def shown(self) -> dict[str, str]:
        return {"Last": self.last, "LastUpdated": self.last_updated, "Next": self.next}


class TimerTriggers:
    """Runs timer functions when they are due; each runs at most once at a time."""

    def __init__(self, database: Database, time: Clock, workers: WorkerPool) -> None:
        """Prepares; `start` begins to run functions."""
        self._database = database
        """Stores the last and next run of each function, so that missed runs are noticed."""
        self._clock = time
        self._workers = workers
        self._stopped = asyncio.Event()
        """Ends the tasks of the last `start`; a later `start` has an event of its own."""
        self._tasks: set[asyncio.Task[None]] = set()
        """One task per function; those of an earlier `start` stay until their run has ended."""
        self._running: dict[str, asyncio.Lock] = {}
        """Held by name while a function runs, also across a reload of the app."""

    def start(self, timers: Sequence[TimerFunction]) -> None:
        """Runs these functions from now on."""
        self._stopped = asyncio.Event()
        for timer in timers:
            task = asyncio.create_task(self._watch(timer, self._stopped))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def halt(self) -> None:
        """Starts no further runs; current runs may finish."""
        self._stopped.set()

    async def stop(self, patience_seconds: float) -> None:
        """Halts, and cancels the runs that do not finish in time."""
        self.halt()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=patience_seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def payload_by_hand(self, name: str) -> str:
        """Returns the trigger text for a run outside the schedule."""
        stored = await self._database.read(lambda c: stored_settings.find(c, _key(name)))
        status = _Status.parse(stored)
        return payload(status.shown() if status else None, is_past_due=False)

    async def _watch(self, timer: TimerFunction, stopped: asyncio.Event) -> None:
        """Runs a function whenever it is due; an error of the host only delays the next run."""
        is_first = True
        while not stopped.is_set():
            try:
                await self._round(timer, stopped, is_first=is_first)
                is_first = False
            except StoreClosed:
                return
            except Exception:
                logger.exception(
                    "Timer function %s: could not be run, retrying in %d s",
                    timer.function.name,
                    _PAUSE_AFTER_ERROR.seconds,
                )
                await self._sleep(self._clock.now() + _PAUSE_AFTER_ERROR, stopped)

    async def _round(self, timer: TimerFunction, stopped: asyncio.Event, *, is_first: bool) -> None:
        """Runs the next occurrence when it is due; the first round makes up for a missed one."""
        lock = self._running.setdefault(timer.function.name, asyncio.Lock())
        if is_first:
            async with lock:  # wait for a run of the code before a reload
                now = self._clock.now()
                status = await self._status(timer)
                is_past_due = status is not None and datetime.fromisoformat(status.next) < now
                if stopped.is_set():
                    return
                if timer.runs_at_start or is_past_due:
                    await self._run(timer, status, now, is_past_due=is_past_due, stopped=stopped)
        due = timer.schedule.next_after(self._clock.now())
        known = await self._status(timer)
        status = await self._store_status(timer, known.last if known else _NEVER, due)
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
        """Runs one occurrence with its retries; a failure is only logged."""
        text = payload(status.shown() if status else None, is_past_due=is_past_due)
        reason = f"Timer fired at {self._clock.now():%Y-%m-%dT%H:%M:%S.%f0+00:00}"
        retry: RetryState | None = None
        retries = 0
        while True:
            failure = await self._try(timer.function, text, reason, retry)
            policy = timer.retry
            if failure is None or policy is None or stopped.is_set():
                break
            retries += 1
            if not policy.allows(retries):
                break
            retry = policy.state(retries, failure)
            await self._sleep(self._clock.now() + policy.pause_before(retries), stopped)
        # Store it at once: a host that is stopped now must not run it again at its next start.
        following = timer.schedule.next_after(self._clock.now())
        await self._store_status(timer, due.isoformat(), following)

    async def _try(
        self, function: FunctionInfo, text: str, reason: str, retry: RetryState | None
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
        logger.error("Timer function %s: not retried now: %s", function.name, text)
        return Failure("WorkerLost", text, "")

    async def _status(self, timer: TimerFunction) -> _Status | None:
        """Returns the stored status; None if there is none for this schedule, or no monitoring."""
        if not timer.is_monitored:
            return None
        key = _key(timer.function.name)
        status = _Status.parse(await self._database.read(lambda c: stored_settings.find(c, key)))
        return status if status and status.schedule == timer.schedule.text else None

    async def _store_status(self, timer: TimerFunction, last: str, due: datetime) -> _Status | None:
        if not timer.is_monitored:
            return None
        now = self._clock.now().isoformat()
        status = _Status(timer.schedule.text, last, due.isoformat(), now)
        key, text = _key(timer.function.name), json.dumps(asdict(status))
        with contextlib.suppress(StoreFull):  # run anyway; the store has logged it
            await self._database.write(lambda c: stored_settings.put(c, key, text))
        return status


def payload(status: Mapping[str, str] | None, *, is_past_due: bool) -> str:
    """Returns the trigger text: what the function's parameter is made from."""
    return json.dumps(
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status,
            "IsPastDue": is_past_due,
        }
    )


def _key(name: str) -> str:
    return f"timer:{name}"
