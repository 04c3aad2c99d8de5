"""How long an invocation may take."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from azure.durable_functions.local.config import time_spans
from azure.durable_functions.local.engine.invoker import Gate

from .process import WorkerProcess


class Limited:
    """An invocation that may take so long and no longer."""

    def __init__(self, worker: WorkerProcess, after: Gate) -> None:
        self.worker = worker
        self.was_exceeded = False
        self._after = after
        self._called_at = time.monotonic()

    def age(self) -> float:
        """Seconds for which the function may have been running."""
        return seconds_since(self._called_at, self._after)


class TimeLimit:
    """Kills workers that take too long: nothing else ends user code that does not return.

    One timer stands for all invocations; one for each is a thirtieth of what a call costs the host.
    """

    def __init__(self, timeout: timedelta) -> None:
        self._text = time_spans.written(timeout)
        self._seconds = timeout.total_seconds()
        self._running: dict[Limited, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return self._text

    def begin(self, worker: WorkerProcess, after: Gate) -> Limited:
        """An invocation begins when the commit is on disk; `end` is to follow."""
        invocation = Limited(worker, after)
        self._running[invocation] = None
        if self._timer is None:
            self._look_in(self._seconds)
        return invocation

    def end(self, invocation: Limited) -> None:
        """It has ended, one way or the other."""
        self._running.pop(invocation, None)

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Kill the worker of each whose time is over; come again when the next one's may be."""
        self._timer = None
        ages = {invocation: invocation.age() for invocation in self._running}
        late = [invocation for invocation, age in ages.items() if age >= self._seconds]
        for invocation in late:
            self.end(invocation)
        if self._running:
            self._look_in(self._seconds - max(ages[invocation] for invocation in self._running))
        for invocation in late:
            invocation.was_exceeded = True
            invocation.worker.kill()


def seconds_since(called_at: float, after: Gate) -> float:
    """How long ago a function has been called, which does not begin before the commit."""
    return 0.0 if after.kept_at is None else time.monotonic() - max(called_at, after.kept_at)
