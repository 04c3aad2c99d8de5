"""The timer functions of an app, their schedules and retries. Source: host.md 6.1, 6.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.config import time_spans
from azure.durable_functions.local.engine.invoker import Failure
from azure.durable_functions.local.worker.binding_types import TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import FunctionInfo

from . import schedules
from .schedules import Schedule, ScheduleError

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import RetryState

_WITHOUT_LIMIT = -1


class FunctionRetryError(DurableFunctionsError):
    """A function-level retry policy cannot be used; the message says why."""


@dataclass(frozen=True)
class FunctionRetry:
    """A function-level retry policy (host.md 6.2)."""

    most_retries: int
    """-1 means without limit."""
    first_pause: timedelta
    """The pause before the first retry; each later one is twice as long."""
    longest_pause: timedelta

    @staticmethod
    def parse(policy: Mapping[str, Any]) -> FunctionRetry:
        """Reads a policy in the spelling of function.json or of the decorator.

        Raises:
            FunctionRetryError: A value is missing or not valid.
        """
        values = {str(key).replace("_", "").lower(): value for key, value in policy.items()}
        strategy = str(values.get("strategy") or "").replace("_", "").lower()
        try:
            most = int(values.get("maxretrycount", ""))
        except (TypeError, ValueError):
            most = _WITHOUT_LIMIT - 1
        if most < _WITHOUT_LIMIT:
            raise FunctionRetryError(
                "retry.maxRetryCount must be a whole number, or -1 for retries without limit, got "
                f"{values.get('maxretrycount')!r}"
            )
        if strategy == "fixeddelay":
            pause = _span(values, "delayInterval")
            return FunctionRetry(most, pause, pause)
        if strategy == "exponentialbackoff":
            return FunctionRetry(
                most, _span(values, "minimumInterval"), _span(values, "maximumInterval")
            )
        raise FunctionRetryError(
            "retry.strategy must be fixedDelay or exponentialBackoff, got "
            f"{values.get('strategy')!r}"
        )

    def allows(self, retry: int) -> bool:
        """Returns whether a retry, counted from 1, may be made."""
        return self.most_retries == _WITHOUT_LIMIT or retry <= self.most_retries

    def pause_before(self, retry: int) -> timedelta:
        """Returns how long to wait before a retry, counted from 1."""
        return min(self.first_pause * (1 << min(retry - 1, 32)), self.longest_pause)

    def state(self, retry: int, failure: Failure) -> RetryState:
        """Returns what the function's context shows during a retry, counted from 1.

        Args:
            retry: The number of the retry.
            failure: How the previous run failed.
        """
        return {
            "count": retry,
            "max": self.most_retries,
            "message": failure.text,
            "source": "",
            "stack": failure.stack,
        }


@dataclass(frozen=True)
class TimerFunction:
    """A timer function with its schedule."""

    function: FunctionInfo
    schedule: Schedule
    runs_at_start: bool
    is_monitored: bool
    """Its last run is stored, so that a missed run is made up for."""
    retry: FunctionRetry | None

    def summary(self, now: datetime) -> str:
        """Returns schedule and next run, in the time zone of the schedule."""
        due = self.schedule.next_after(now).astimezone(self.schedule.zone)
        at_start = ", runs at the start" if self.runs_at_start else ""
        return f"{self.schedule.text}{at_start}, next run {due:%Y-%m-%d %H:%M:%S %Z}"


def timer_functions(
    functions: Sequence[FunctionInfo], environment: Mapping[str, str]
) -> tuple[list[TimerFunction], list[tuple[str, str]]]:
    """Finds the timer functions among an app's functions.

    Args:
        functions: The app's functions.
        environment: App settings; ``WEBSITE_TIME_ZONE`` may name a time zone.

    Returns:
        The timer functions, and the name and reason of each that cannot be used.
    """
    usable: list[TimerFunction] = []
    errors: list[tuple[str, str]] = []
    for function in functions:
        if function.kind != TIMER_TRIGGER:
            continue
        trigger = function.trigger
        try:
            schedule = schedules.parse(str(trigger.get("schedule") or ""), environment)
            retry = FunctionRetry.parse(function.retry) if function.retry else None
        except (ScheduleError, FunctionRetryError) as error:
            errors.append((function.name, str(error)))
            continue
        is_monitored = trigger.get("useMonitor") is not False and not schedule.is_frequent
        runs_at_start = trigger.get("runOnStartup") is True
        usable.append(TimerFunction(function, schedule, runs_at_start, is_monitored, retry))
    return usable, errors


def _span(values: Mapping[str, Any], name: str) -> timedelta:
    text = values.get(name.lower())
    span = time_spans.parse(text)
    if span is None:
        raise FunctionRetryError(f'retry.{name} must be "hh:mm:ss", got {text!r}')
    return span
