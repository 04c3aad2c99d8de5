"""An instance that only waits for the rest of a fan-out is not replayed for each result."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.invoker import ActivityCall, Outcome
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.engine.turns import orchestrations, running

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]

SETTINGS = HubSettings(max_episodes=20, max_activities=20, result_patience_seconds=600)


def every(context: Context) -> Orchestration:
    return (yield context.task_all([context.call_activity("step", n) for n in range(10)]))


def every_or_stopped(context: Context) -> Orchestration:
    tasks = context.task_all([context.call_activity("step", n) for n in range(10)])
    stopped = context.wait_for_external_event("stop")
    first = yield context.task_any([tasks, stopped])
    return "stopped" if first is stopped else "all"


def third(context: Context) -> Orchestration:
    tasks = [context.call_activity("step", n) for n in range(10)]
    wanted = tasks.pop(3)
    yield context.task_any([wanted, context.task_all(tasks)])
    return wanted.result


def with_last_attempts(context: Context) -> Orchestration:
    once = df.RetryOptions(1, 1)
    tasks = [context.call_activity_with_retry("step", once, n) for n in range(10)]
    try:
        yield context.task_all(tasks)
    except Exception:
        return (yield context.call_activity("mend", 0))


def step(number: int) -> int:
    if number < 0:
        raise ValueError("no such step")
    return number


@asynccontextmanager
async def fan_out(
    monkeypatch: pytest.MonkeyPatch, orchestrator: Callable[[Context], Orchestration], turn: float
) -> AsyncIterator[tuple[Engine, Callable[..., Any]]]:
    """Ten activities that end when `finish` is called; each turn seems to take so many seconds."""
    clock = itertools.count(step=turn)
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(orchestrations, "_LONGEST_REST_SECONDS", 600)
    ends: dict[int, asyncio.Future[str]] = {}
    invoker = DirectInvoker({"main": orchestrator}, {"step": step, "mend": lambda _: "mended"})
    run_activity = invoker.run_activity

    async def waits(call: ActivityCall) -> Outcome:
        if call.name == "mend":
            return await run_activity(call)
        number = int(str(call.input))
        ends[number] = asyncio.get_running_loop().create_future()
        return await run_activity(call._replace(input=await ends[number]))

    invoker.run_activity = waits  # type: ignore[method-assign]
    async with Engine(invoker, settings=SETTINGS) as engine:

        async def finish(number: int, input_text: str | None = None) -> None:
            left = await engine.count("activities")
            ends[number].set_result(str(number) if input_text is None else input_text)
            while await engine.count("activities") == left:
                await asyncio.sleep(0)

        await engine.hub.start_instance("main", instance_id="one")
        while len(ends) < 10:
            await asyncio.sleep(0)
        yield engine, finish


def test_only_the_first_and_the_last_result_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, every, turn=60) as (engine, finish):
            for number in range(10):
                await finish(number)
            await engine.settle()
            assert await engine.result("one") == ("Completed", [*range(10)])
            assert engine.invoker.episodes == 1 + 2

    asyncio.run(scenario())


def test_results_that_come_during_the_turn_wait_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, every, turn=60) as (engine, finish):
            orchestrate = engine.invoker.orchestrate

            async def meanwhile(*arguments: Any, **options: Any) -> Outcome:
                outcome = await orchestrate(*arguments, **options)
                if engine.invoker.episodes == 2:
                    for number in range(1, 9):
                        await finish(number)
                return outcome

            engine.invoker.orchestrate = meanwhile  # type: ignore[method-assign]
            await finish(0)
            await finish(9)
            await engine.settle()
            assert await engine.result("one") == ("Completed", [*range(10)])
            assert engine.invoker.episodes <= 1 + 1 + 2  # the second one may be void

    asyncio.run(scenario())


def test_anything_but_a_result_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, every_or_stopped, turn=60) as (engine, finish):
            await finish(0)
            await finish(1)
            assert engine.invoker.episodes == 1 + 1
            await engine.hub.raise_event("one", "stop", "null")
            while engine.invoker.episodes == 1 + 1:
                await asyncio.sleep(0)
            for number in range(2, 10):
                await finish(number)
            await engine.settle()
            assert await engine.result("one") == ("Completed", "stopped")

    asyncio.run(scenario())


def test_a_failed_activity_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, every, turn=60) as (engine, finish):
            await finish(0)
            await finish(1, "-1")
            while engine.invoker.episodes == 1 + 1:
                await asyncio.sleep(0)
            for number in range(2, 10):
                await finish(number)
            await engine.settle()
            status, output = await engine.result("one")
            assert status == "Failed"
            assert "no such step" in output

    asyncio.run(scenario())


def test_the_rest_is_twice_as_long_as_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, third, turn=0.001) as (engine, finish):
            await finish(0)
            await finish(3)  # what it waits for, while the others go on
            while engine.invoker.episodes == 1 + 1:
                await asyncio.sleep(0)
            for number in (1, 2, *range(4, 10)):
                await finish(number)
            await engine.settle()
            assert await engine.result("one") == ("Completed", 3)

    asyncio.run(scenario())


def test_what_the_turn_itself_has_sent_is_not_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fan_out(monkeypatch, with_last_attempts, turn=60) as (engine, finish):
            await finish(
                0, "-1"
            )  # whose last attempt it was: a timer tells so, in a turn of its own
            while "mend(0)" not in engine.invoker.started:
                await asyncio.sleep(0)
            assert engine.dispatcher.load.resting_instances == 0
            for number in range(1, 10):
                await finish(number)
            await engine.settle()
            assert await engine.result("one") == ("Completed", "mended")

    asyncio.run(scenario())
