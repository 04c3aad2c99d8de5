"""Mistakes that users make, and the one good sentence that each gets."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions.local.worker.advice import advice
from azure.durable_functions.testing import DurableTestHost

app = df.DFApp()
Context = df.DurableOrchestrationContext
WANTED: dict[str, tuple[str, ...]] = {}
"""Words that the text of a mistake must have, by the name of its orchestrator."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"


def says(*words: str) -> Callable[[Callable[[Any], Any]], None]:
    """Register an orchestrator that makes a mistake."""

    def register(function: Callable[[Any], Any]) -> None:
        WANTED[function.__name__] = words
        app.orchestration_trigger(context_name="context")(function)

    return register


@dataclass
class Outcome:
    total: int


@app.activity_trigger(input_name="n")
def double(n: int) -> int:
    return 2 * n


@app.activity_trigger(input_name="n")
def gives_a_set(n):
    return {n}


@app.activity_trigger(input_name="n")
def gives_an_object(n):
    return Outcome(n)


def helper(context: Any) -> Iterator[Any]:
    yield context.call_activity("double", 1)


async def async_helper(context: Any) -> Any:
    return await context.call_activity("double", 1)


@says("write 'await'", __file__)
async def adds_a_task(context: Any):
    return context.call_activity("double", 1) + 1


@says("write 'await'", __file__)
async def sums_tasks(context: Any):
    return sum(context.call_activity("double", n) for n in range(3))


@says("write 'await'", __file__)
async def asks_a_task_for_a_key(context: Any):
    return context.call_activity("double", 1)["key"]


@says("write 'await'", __file__)
async def asks_a_task_for_an_attribute(context: Any):
    return context.call_activity("double", 1).upper()


@says("write 'await'", __file__)
async def compares_a_task(context: Any):
    return context.call_activity("double", 1) > 1


@says("write 'await'", __file__)
async def loops_over_a_task(context: Any):
    return list(context.call_activity("double", 1))


@says("write 'await'", __file__)
async def passes_a_task_on(context: Any):
    await context.call_activity("double", context.call_activity("double", 1))


@says("write 'await'")
async def returns_a_task(context: Any):
    return {"all": [context.call_activity("double", 1)]}


@says("write 'await'")
async def shows_a_task(context: Any):
    context.set_custom_status(context.call_activity("double", 1))


@says("write 'await'", "'async_helper'", __file__)
async def returns_a_coroutine(context: Any):
    return async_helper(context)


@says("write 'await'", __file__)
async def adds_a_coroutine(context: Any):
    return async_helper(context) + 1


@says("write 'yield'", __file__)
def adds_a_task_in_a_generator(context: Any):
    yield context.call_activity("double", 1)
    return context.call_activity("double", 1) + 1


@says("write 'yield'", __file__)
def adds_a_task_in_a_plain_function(context: Any):
    return context.call_activity("double", 1) + 1


@says("'yield from'", "'helper'", __file__)
def returns_a_helper(context: Any):
    yield context.call_activity("double", 1)
    return helper(context)


@says("'yield from'", __file__)
def passes_a_helper_on(context: Any):
    yield context.call_activity("double", helper(context))


@says("'yield from'", __file__)
def yields_a_helper(context: Any):
    yield helper(context)


@says("'async def'", __file__)
async def awaits_a_generator(context: Any):
    await helper(context)


@says("task_all")
def yields_a_list(context: Any):
    yield [context.call_activity("double", 1)]


@says("task_all", __file__)
async def awaits_a_list(context: Any):
    await [context.call_activity("double", 1)]


@says("timedelta(seconds=5)")
async def waits_for_five(context: Any):
    await context.create_timer(5)


@says("RetryPolicy", "got 3")
async def retries_three(context: Any):
    await context.call_activity_with_retry("double", 3, 1)


@says("RetryPolicy", "got 3")
async def retries_a_child_three_times(context: Any):
    await context.call_sub_orchestrator_with_retry("double", 3, 1)


@says("must be a number", "RetryPolicy")
async def retries_after_a_span(context: Any):
    options = df.RetryOptions(timedelta(seconds=5), 3)  # type: ignore[arg-type]
    await context.call_activity_with_retry("double", options, 1)


@says("context.task_all", "asyncio.gather", __file__)
async def gathers(context: Any):
    await asyncio.gather(context.call_activity("double", 1), async_helper(context))


@says("context.sleep", "asyncio.sleep", __file__)
async def sleeps_in_asyncio(context: Any):
    await asyncio.sleep(5)


@says("context.sleep", __file__)
async def gives_way(context: Any):
    await asyncio.sleep(0)


@says("timeout=", __file__)
async def limits_time(context: Any):
    await asyncio.wait_for(context.call_activity("double", 1), 5)


@says("await the helper", __file__)
async def makes_a_task(context: Any):
    await asyncio.create_task(async_helper(context))


@says("move it into an activity", __file__)
async def uses_a_thread(context: Any):
    await asyncio.to_thread(print)


@says("move it into an activity", __file__)
async def fetches_a_page(context: Any):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:1/") as answer:
        return await answer.text()


@says("called directly", "context.call_activity(double")
async def calls_the_activity(context: Any):
    return double(1)


@says("type set", "'-> set'")
async def gets_a_set(context: Any):
    await context.call_activity("gives_a_set", 1)


@says("type Outcome", "'-> Outcome'")
async def gets_an_object(context: Any):
    await context.call_activity("gives_an_object", 1)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", WANTED)
def test_a_mistake_gets_a_good_sentence(name: str) -> None:
    with DurableTestHost(app) as host:
        one = host.start(name)
        one.wait()
        assert one.status == "Failed"
        said = str(one.output).partition('{"$type"')[0]
        assert [word for word in WANTED[name] if word not in said] == [], said


def test_what_is_no_mistake_of_these_keeps_its_text() -> None:
    other = df.DFApp()

    @other.orchestration_trigger(context_name="context")
    def plain(context: Any):
        return {}.items() + 1

    with DurableTestHost(other) as host:
        one = host.start("plain")
        one.wait()
        assert one.output == (
            "Orchestrator function 'plain' failed: unsupported operand type(s) for +: 'dict_items' "
            "and 'int'"
        )


def test_a_task_that_is_never_awaited_is_told_without_json() -> None:
    other = df.DFApp()

    @other.orchestration_trigger(context_name="context")
    async def forgets(context: Any):
        context.wait_for_external_event("Approval")
        context.call_activity("double", {"secret": 1})

    with (
        DurableTestHost(other) as host,
        pytest.warns(df.TaskNeverYieldedWarning, match="the wait for the event 'Approval'") as told,
    ):
        host.start("forgets").wait()
    texts = [str(each.message) for each in told]
    assert "the call of the activity 'double' was made and never" in " ".join(texts)
    assert not any("{" in text or "secret" in text for text in texts)
    assert all("write 'await'" in text for text in texts)


COUNT = 0
SEEN: dict[str, int] = {}
CACHE: list[int] = []


def hurts(context: Any) -> Any:
    global COUNT
    COUNT += 1
    SEEN[context.instance_id] = COUNT
    CACHE.append(1)
    time.sleep(1)
    helper(context)
    async_helper(context)
    yield context.call_activity("double", len(SEEN))


def does_not_hurt(context: Any) -> Any:
    seen: dict[str, int] = {}
    seen["a"] = len(SEEN)
    CACHE = [1]  # noqa: N806  # a variable of the function's own
    CACHE.append(2)
    yield from helper(context)
    context.set_custom_status(seen)


@pytest.mark.parametrize("wrapped", [lambda fn: fn, df.Orchestrator.create])
def test_habits_that_hurt_are_found_before_they_run(wrapped: Callable[[Any], Any]) -> None:
    found = advice(wrapped(hurts))
    first = hurts.__code__.co_firstlineno
    wanted = (
        ("'COUNT' is changed", 1),
        ("'SEEN' is changed", 3),
        ("'CACHE' is changed", 4),
        ("time.sleep", 5),
        ("helper is a generator and does not run: write 'yield from'", 6),
        ("async_helper is a coroutine and does not run: write 'await'", 7),
    )
    assert len(found) == len(wanted)
    for text, (words, line) in zip(found, wanted, strict=True):
        assert words in text
        assert text.endswith(f"({__file__}, line {first + line})")
    assert advice(wrapped(does_not_hurt)) == []


def test_a_function_without_source_gets_no_advice() -> None:
    scope: dict[str, Any] = {}
    exec("def made(context):\n    global X\n    X = 1", scope)
    assert advice(scope["made"]) == []
    assert advice(functools.partial(print)) == []
    assert advice(SimpleNamespace()) == []
