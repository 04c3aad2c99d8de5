"""Orchestrators written with ``async def`` and ``await``."""

from __future__ import annotations

import asyncio
import json
import random
import warnings
from datetime import timedelta
from typing import Any

import emulated_host
import programs
import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions.testing import (
    DurableTestHost,
    FakeOrchestrationContext,
    orchestrator_generator_wrapper,
)

Context = df.DurableOrchestrationContext
app = df.DFApp()


@app.activity_trigger(input_name="amount")
def charge(amount: int) -> int:
    return amount


@app.orchestration_trigger(context_name="context")
async def order(context: Context) -> list[Any]:
    paid = await context.call_activity("charge", context.get_input())
    both = await context.task_all([context.call_activity("charge", n) for n in (1, 2)])
    winner = await context.task_any(
        [context.wait_for_external_event("go"), context.sleep(timedelta(days=1))]
    )
    child = await context.call_sub_orchestrator("child", 4)
    total = await context.call_entity(df.EntityId("Counter", "a"), "add", 3)
    await helper(context)
    return [paid, both, winner.result, child, total]


async def helper(context: Context) -> None:
    await context.call_activity("charge", 9)


@app.orchestration_trigger(context_name="context")
async def child(context: Context) -> Any:
    try:
        await context.call_activity("unlucky", None)
    except Exception:
        return await context.call_activity("charge", context.get_input())


@app.activity_trigger(input_name="nothing")
def unlucky(nothing: Any) -> None:
    raise ValueError("bad luck")


@app.entity_trigger(context_name="context")
def Counter(context: df.DurableEntityContext) -> None:
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state())


@pytest.mark.parametrize("strict", [False, True])
def test_a_whole_app_may_be_written_with_await(strict: bool) -> None:
    with DurableTestHost(app, strict_replay=strict) as host:
        instance = host.start("order", 5)
        assert instance.result() == [5, [1, 2], None, 4, 3]
        assert [call.input for call in instance.calls("charge")] == [5, 1, 2, 9]


def test_the_function_model_takes_it_too() -> None:
    async def waits(context: Context) -> Any:
        return await context.call_activity("A", 1)

    handle = df.Orchestrator.create(waits)
    history = History().episode().done(0, "result")

    assert json.loads(handle(json.dumps(history.trigger())))["output"] == "result"


def awaiting(program: programs.Program) -> Any:
    """The orchestrator of a random program, driven from a coroutine."""
    driven = programs.orchestrator(program)

    async def run(context: Context) -> Any:
        generator = driven(context)
        if not hasattr(generator, "send"):
            return generator
        try:
            task = next(generator)
            while True:
                try:
                    result = await task
                except Exception as error:
                    task = generator.throw(error)
                else:
                    task = generator.send(result)
        except StopIteration as stop:
            return stop.value

    return run


@pytest.mark.parametrize("seed", range(150))
def test_a_coroutine_decides_what_a_generator_decides(seed: int) -> None:
    program = programs.random_program(random.Random(seed))
    plain = df.Orchestrator.create(programs.orchestrator(program))
    modern = df.Orchestrator.create(awaiting(program))

    def answer(handle: Any, trigger: str) -> str:
        try:
            return str(handle(trigger))
        except Exception as error:
            return str(error)

    def replay(trigger: str) -> tuple[str | None, str | None]:
        first = answer(plain, trigger)
        assert answer(modern, trigger) == first
        return (None, first) if "$OutOfProcData$" in first else (first, None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rng = random.Random(seed)
        emulated_host.EmulatedHost(rng, program["events"], None).run(replay)


class Foreign:
    def __await__(self) -> Any:
        return (yield "something")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (lambda: asyncio.sleep(1), "an event loop"),
        (lambda: asyncio.sleep(0), "None"),
        (lambda: asyncio.to_thread(print), "an event loop"),
        (lambda: Foreign(), "'something'"),
    ],
    ids=["sleep", "pause", "thread", "foreign"],
)
def test_awaiting_what_is_no_task_is_told_with_its_place(what: Any, told: str) -> None:
    async def wrong(context: Context) -> Any:
        await context.call_activity("A", 1)
        await what()

    first = wrong.__code__.co_firstlineno
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = History().episode().done(0, 1).replay(wrong)["error"]

    assert told in error
    asked = first + 2 if "something" not in told else Foreign.__await__.__code__.co_firstlineno + 1
    assert f"{__file__}, line {asked}" in error
    assert "move it into an activity" in error


def test_such_an_await_can_be_caught() -> None:
    async def careful(context: Context) -> Any:
        try:
            await Foreign()
        except TypeError as error:
            return type(error).__name__

    assert History().replay(careful)["output"] == "NonDurableAwaitError"


def test_the_test_wrapper_drives_a_coroutine() -> None:
    context = FakeOrchestrationContext(activities={"A": 7})

    async def waits(context: Context) -> Any:
        return [await context.call_activity("A", 1)]

    *tasks, output = orchestrator_generator_wrapper(waits(context))
    assert [task.result for task in tasks] == [7]
    assert output == [7]
    assert FakeOrchestrationContext(activities={"A": 7}).run(waits) == [7]


def test_a_time_span_is_taken_for_a_timer() -> None:
    async def sleeper(context: Context) -> Any:
        await context.create_timer(timedelta(hours=1))

    [action] = History().replay(sleeper)["actions"][0]
    assert action["fireAt"].endswith("T11:00:00.000000Z") or action["fireAt"][11:13] != "10"


def test_it_is_kept_in_sessions() -> None:
    from engine_kit import DirectInvoker, Engine

    from azure.durable_functions.local.engine.settings import HubSettings

    async def chain(context: Context) -> Any:
        value = 0
        for _ in range(5):
            value = await context.call_activity("more", value)
        return value

    async def scenario() -> Any:
        invoker = DirectInvoker({"chain": chain}, {"more": lambda n: n + 1})
        async with Engine(invoker, settings=HubSettings(keeps_sessions=True)) as engine:
            instance_id = await engine.hub.start_instance("chain")
            await engine.settle()
            return await engine.result(instance_id), invoker.continued

    assert asyncio.run(scenario()) == (("Completed", 5), 5)
