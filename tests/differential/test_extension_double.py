"""The newer ways of waiting, on our engine and on a double of the extension's algorithm.

They must end alike, and what may run side by side must do so there too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from extension_double import ExtensionDouble, Outcome

import azure.durable_functions as df
from azure.durable_functions import RetryPolicy, TaskTimeoutError
from azure.durable_functions.testing import DurableTestHost

Context = df.DurableOrchestrationContext


class Flaky(Exception):
    pass


def work(name: str, value: Any) -> Any:
    if name == "fails":
        raise ValueError(f"{value} is bad")
    if name == "odd" and value % 2:
        raise Flaky(str(value))
    if name == "final":
        raise Final("the end")
    if name == "never":
        raise df.NonRetryableError("give it up")
    return [name, value]


async def chain(context: Context) -> Any:
    first = await context.call_activity("step", 1)
    return await context.call_activity("step", first[1] + 1)


async def gathered(context: Context) -> Any:
    calls = [context.call_activity("odd", n) for n in range(6)]
    found = await context.task_all(calls, return_exceptions=True)
    return [each.failure.error_message if isinstance(each, Flaky) else each[1] for each in found]


async def bounded(context: Context) -> Any:
    return await context.map("step", range(20), max_concurrency=4)


async def bounded_with_failures(context: Context) -> Any:
    found = await context.map("odd", range(9), max_concurrency=3, return_exceptions=True)
    return [isinstance(each, Flaky) for each in found]


async def too_many_failures(context: Context) -> Any:
    try:
        await context.map("odd", range(9), max_concurrency=2, tolerated_failures=1)
    except Flaky as error:
        return type(error).__mro__[1].__name__


async def in_time(context: Context) -> Any:
    found = await context.with_timeout(context.call_activity("step", 1), timedelta(hours=1))
    return [found, await context.call_activity("step", 2)]


async def too_late(context: Context) -> Any:
    try:
        await context.call_activity("slow", 1, timeout=5)
    except TaskTimeoutError as error:
        return [str(error), await context.call_activity("step", 2)]


async def late_for_what_runs(context: Context) -> Any:
    slow = context.call_activity("slow", 1)
    await context.task_any([slow, context.call_activity("step", 0)])
    try:
        await context.with_timeout(slow, 5)
    except TimeoutError:
        return await context.call_activity("step", 2)


async def event_in_time(context: Context) -> Any:
    return await context.wait_for_external_event("go", timeout=timedelta(days=1))


async def no_event(context: Context) -> Any:
    try:
        return await context.wait_for_external_event("other", timeout=60)
    except TimeoutError:
        return "nobody came"


async def retried(context: Context) -> Any:
    tried: list[int] = []

    def handle(told: Any) -> bool:
        tried.append(told.attempt)
        return bool(told.attempt < 3)

    policy = RetryPolicy(timedelta(minutes=1), 9, backoff_coefficient=2, handle=handle)
    try:
        await context.call_activity_with_retry("fails", policy, 1)
    except ValueError as error:
        return [type(error).__name__, sorted(set(tried))]


async def given_up(context: Context) -> Any:
    policy = RetryPolicy(timedelta(minutes=1), 9, jitter=0.5)
    try:
        await context.call_activity_with_retry("never", policy, 1)
    except df.NonRetryableError:
        return "given up"


class Final(df.NonRetryableError):
    pass


async def given_up_by_a_class_of_ones_own(context: Context) -> Any:
    policy = RetryPolicy(timedelta(minutes=1), 9)
    try:
        await context.call_activity_with_retry("final", policy, 1)
    except Final as error:
        return [error.failure.error_message, str(context.current_utc_datetime.minute)]


async def a_predicate_that_raises(context: Context) -> Any:
    policy = RetryPolicy(timedelta(minutes=1), 9, handle=lambda told: told.nothing)  # type: ignore[attr-defined]
    try:
        await context.call_activity_with_retry("fails", policy, 1)
    except AttributeError:
        return "caught"


async def a_maker_that_raises(context: Context) -> Any:
    def make(number: int) -> Any:
        return context.call_activity("step", [1, 2][number])

    try:
        await context.map(make, range(5), max_concurrency=2)
    except IndexError:
        return "caught"


async def a_long_wait_beside_work(context: Context) -> Any:
    """The shorter timers that a long one is made of must not hold up the next call."""
    wait = context.wait_for_external_event("other", timeout=60)
    await context.task_any([wait, context.call_activity("slow", 1)])
    tasks = [context.wait_for_external_event("another", timeout=60), chained(context)]
    return (await context.task_all(tasks, return_exceptions=True))[1]


def chained(context: Context) -> Any:
    return context.map("step", range(6), max_concurrency=1)


async def retries_beside_others(context: Context) -> Any:
    """Waits of the retries must not wait for the slow one."""
    policy = RetryPolicy(timedelta(seconds=1), 3)
    tasks = [context.call_activity_with_retry("fails", policy, 1), context.call_activity("slow", 2)]
    found = await context.task_all(tasks, return_exceptions=True)
    return [isinstance(found[0], ValueError), found[1]]


PROGRAMS = [
    *(chain, gathered, bounded, bounded_with_failures, too_many_failures, in_time, too_late),
    *(late_for_what_runs, event_in_time, no_event, retried, given_up),
    *(given_up_by_a_class_of_ones_own, retries_beside_others),
    *(a_predicate_that_raises, a_maker_that_raises, a_long_wait_beside_work),
]


def seconds(name: str, value: Any) -> float:
    return 100.0 if name == "slow" else 1.0


def on_the_double(
    program: Callable[..., Any], seed: int, longest_timer: timedelta | None = None
) -> Outcome:
    handle = df.Orchestrator.create(program)
    events = [(timedelta(seconds=30), "go", "now")]
    double = ExtensionDouble(handle, work, events, seed=seed, seconds=seconds)
    double.longest_timer = longest_timer
    return double.run()


def on_the_engine(program: Callable[..., Any]) -> Any:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context")(program)

    def activity(name: str) -> None:
        def run(value: Any) -> Any:
            return work(name, value)

        run.__name__ = name
        app.activity_trigger(input_name="value")(run)

    for name in ("step", "fails", "odd", "never", "final", "slow"):
        activity(name)
    with DurableTestHost(app) as host:
        instance = host.start(program.__name__)
        if program is event_in_time:
            host.raise_event(instance, "go", "now", raw=True)
        if program in (too_late, late_for_what_runs):
            return None  # in virtual time no activity is slow
        return instance.result()


@pytest.mark.parametrize("program", PROGRAMS, ids=[each.__name__ for each in PROGRAMS])
@pytest.mark.parametrize("seed", range(4))
def test_a_program_ends_alike_under_the_extensions_algorithm(program: Any, seed: int) -> None:
    there = on_the_double(program, seed)
    assert there.error is None
    here = on_the_engine(program)
    if here is not None:
        assert there.output == here


@pytest.mark.parametrize("program", PROGRAMS, ids=[each.__name__ for each in PROGRAMS])
def test_a_host_that_takes_short_timers_only_changes_nothing(program: Any) -> None:
    without = on_the_double(program, 1)
    found = on_the_double(program, 1, longest_timer=timedelta(seconds=4))

    assert (found.output, found.error) == (without.output, without.error)
    assert abs(found.took - without.took) < timedelta(milliseconds=1)


def test_a_window_stays_open_under_the_extensions_algorithm() -> None:
    outcome = on_the_double(bounded, 1)

    assert outcome.most_open == 4
    assert outcome.took < timedelta(seconds=6)


def test_time_outs_come_in_time_under_the_extensions_algorithm() -> None:
    assert on_the_double(too_late, 1).output == [
        "a task has not ended within 0:00:05",
        ["step", 2],
    ]
    assert on_the_double(late_for_what_runs, 1).output == ["step", 2]


def test_retries_go_on_beside_what_is_slow() -> None:
    outcome = on_the_double(retries_beside_others, 1)

    assert outcome.output == [True, ["slow", 2]]
    assert outcome.took < timedelta(seconds=102)
