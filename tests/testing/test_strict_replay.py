"""Orchestrators that are not deterministic, and how a strict test tells of them."""

from __future__ import annotations

import datetime as dt
import os
import random
import time
import uuid
from collections.abc import Callable, Generator
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost, NonDeterministic

Context = df.DurableOrchestrationContext
counter = 0
rows = {"a": 1, "b": 2}
names = ["a", "b"]
renamed = False


def step(context: Context, value: Any = None) -> Any:
    return context.call_activity("step", value)


def clock(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, dt.datetime.now().isoformat())


def clock_of_time(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, int(time.time()))


def today(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, str(dt.date.today()))


def chance(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, random.randint(1, 2))


def number(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, str(uuid.uuid4()))


def order_of_a_set(context: Context) -> Generator[Any, Any, Any]:
    for name in {"one", "two"}:
        yield step(context, name)


def list_of_a_set(context: Context) -> Generator[Any, Any, Any]:
    yield context.task_all([step(context, name) for name in set(names)])


def environment(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, os.environ["HOME"])


def environment_by_function(context: Context) -> Generator[Any, Any, Any]:
    yield step(context, os.getenv("HOME"))


def global_counter(context: Context) -> Generator[Any, Any, Any]:
    global counter
    counter += 1
    yield step(context, counter)


def database(context: Context) -> Generator[Any, Any, Any]:
    for name in list(rows):
        yield step(context, name)
        rows["c"] = 3  # somebody else's, meanwhile
        rows.pop("a", None)


def changed_order(context: Context) -> Generator[Any, Any, Any]:
    first, second = names
    yield step(context, first)
    names.reverse()
    yield step(context, second)


def renamed_activity(context: Context) -> Generator[Any, Any, Any]:
    global renamed
    yield context.call_activity("other" if renamed else "step", 1)
    renamed = True
    yield step(context, 2)


def sleeping(context: Context) -> Generator[Any, Any, Any]:
    time.sleep(0)
    yield step(context)


def missing_yield(context: Context) -> Generator[Any, Any, Any]:
    context.call_activity("step", "forgotten")
    yield step(context, "not forgotten")


def host_with(orchestrator: Callable[..., Any], **options: Any) -> DurableTestHost:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context")(orchestrator)

    @app.activity_trigger(input_name="value")
    def step(value: Any) -> Any:
        return value

    @app.activity_trigger(input_name="value")
    def other(value: Any) -> Any:
        return value

    return DurableTestHost(app, **options)


FAULTS = [
    (clock, "context.current_utc_datetime"),
    (clock_of_time, "context.current_utc_datetime"),
    (today, "context.current_utc_datetime"),
    (chance, "activity"),
    (number, "context.new_uuid"),
    (order_of_a_set, "sorted"),
    (list_of_a_set, "sorted"),
    (environment, "input"),
    (environment_by_function, "input"),
    (global_counter, "input"),
    (database, "input"),
    (changed_order, "input"),
    (renamed_activity, "input"),
    (sleeping, "create_timer"),
    (missing_yield, "write 'yield'"),
]


@pytest.mark.parametrize(("fault", "remedy"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_fault_is_found_with_its_place_and_a_remedy(fault: Any, remedy: str) -> None:
    first = fault.__code__.co_firstlineno
    with host_with(fault, strict_replay=True) as host:
        instance = host.start(fault.__name__)
        with pytest.raises(NonDeterministic) as told:
            instance.result()

    text = str(told.value)
    assert fault.__name__ in text
    assert any(f"{__file__}, line {line}" in text for line in range(first, first + 8)), text
    assert remedy in text


def test_what_was_recorded_stands_beside_what_is_asked_now() -> None:
    names[:] = ["a", "b"]
    with (
        host_with(changed_order, strict_replay=True) as host,
        pytest.raises(NonDeterministic) as told,
    ):
        host.start("changed_order").result()

    assert 'recorded: {"actionType": 0, "functionName": "step", "input": "\\"a\\""}' in str(
        told.value
    )
    assert 'asks now: {"actionType": 0, "functionName": "step", "input": "\\"b\\""}' in str(
        told.value
    )


def test_a_deterministic_orchestrator_passes() -> None:
    def good(context: Context) -> Generator[Any, Any, Any]:
        for name in sorted({"one", "two"}):
            yield step(context, [name, str(context.current_utc_datetime), context.new_uuid()])
        yield context.create_timer(context.current_utc_datetime + dt.timedelta(days=1))
        return "done"

    with host_with(good, strict_replay=True) as host:
        assert host.start("good").result() == "done"
