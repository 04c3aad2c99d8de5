"""Timer functions of an app under test: they run when its time passes."""

from __future__ import annotations

import heapq
import itertools
import os
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.durable_functions.local.engine.invoker import Failure
from azure.durable_functions.local.worker.binding_types import ACTIVITY_TRIGGER, TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo

if TYPE_CHECKING:
    from azure.durable_functions.local.timer_triggers.timer_functions import TimerFunction
    from azure.durable_functions.local.worker.frames import RetryState

_TIMER_TRIGGER_TEXT = (
    '{"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false}'
)


@dataclass(frozen=True)
class Run:
    """A run of a timer function that is due."""

    timer: TimerFunction
    retries: int = 0
    failure: Failure | None = None
    """Of the run before, if this one repeats it."""

    @property
    def function(self) -> FunctionInfo:
        """Which one."""
        return self.timer.function

    @property
    def retry_state(self) -> RetryState | None:
        """What the function's context tells of the run before; None at the first."""
        if self.failure is None or self.timer.retry is None:
            return None
        return self.timer.retry.state(self.retries, self.failure)


class FunctionTimers:
    """When the timer functions of an app are due.

    Schedules are in UTC unless ``WEBSITE_TIME_ZONE`` says otherwise, so that a test has the same
    end on every machine. ``run_on_startup`` has no effect.
    """

    def __init__(self, app: AppInfo, now: datetime) -> None:
        """Begin to count from a moment.

        Raises:
            ValueError: A function's schedule cannot be used.
        """
        self._planned: list[tuple[datetime, int, Run]] = []
        self._order = itertools.count()
        if not any(function.kind == TIMER_TRIGGER for function in app.enabled):
            return
        try:
            from azure.durable_functions.local.timer_triggers import timer_functions
        except ModuleNotFoundError as error:
            warnings.warn(
                f"timer functions do not run in this test: {error.name!r} is missing, which comes "
                "with the extra [local]",
                stacklevel=2,
            )
            return
        zone = {"WEBSITE_TIME_ZONE": os.environ.get("WEBSITE_TIME_ZONE") or "UTC"}
        found, errors = timer_functions.timer_functions(app.enabled, zone)
        if errors:
            raise ValueError("\n".join(f"{name}: {reason}" for name, reason in errors))
        for timer in found:
            self._plan(timer.schedule.next_after(now), Run(timer))

    @property
    def next_due(self) -> datetime | None:
        """When the next one is due; None without any."""
        return self._planned[0][0] if self._planned else None

    def take(self) -> Run:
        """The next run; the one after it is planned."""
        due, _, run = heapq.heappop(self._planned)
        if not run.retries:
            self._plan(run.timer.schedule.next_after(due), Run(run.timer))
        return run

    def retry(self, run: Run, failure: Failure, now: datetime) -> bool:
        """Plan a run that has failed once more, if its function has such a policy."""
        policy = run.timer.retry
        retries = run.retries + 1
        if policy is None or not policy.allows(retries):
            return False
        self._plan(now + policy.pause_before(retries), Run(run.timer, retries, failure))
        return True

    def _plan(self, due: datetime, run: Run) -> None:
        heapq.heappush(self._planned, (due, next(self._order), run))


def trigger_text(function: FunctionInfo, given: Any, encoded: str) -> str:
    """What the trigger of a function that is run by hand brings.

    Args:
        function: Which one.
        given: Its input, as the test has it.
        encoded: The same as JSON text.
    """
    if function.kind == TIMER_TRIGGER:
        return _TIMER_TRIGGER_TEXT
    return given if isinstance(given, str) and function.kind != ACTIVITY_TRIGGER else encoded
