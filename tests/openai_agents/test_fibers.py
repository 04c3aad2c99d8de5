"""A function that is suspended in the middle, by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from azure.durable_functions.openai_agents import _fibers
from azure.durable_functions.openai_agents._fibers import Fiber
from azure.durable_functions.openai_agents.exceptions import YieldException


def fiber_of(function: Callable[[Fiber], Any], join: Any = tuple) -> tuple[Fiber, Any]:
    fiber = Fiber(lambda: function(fiber), join)
    return fiber, fiber.steps()


def in_its_loop(coroutine: Any) -> Any:
    return asyncio.get_event_loop().run_until_complete(coroutine)


def test_it_hands_tasks_over_and_goes_on_with_their_results() -> None:
    def function(fiber: Fiber) -> str:
        one = fiber.wait_for("one")
        try:
            fiber.wait_for("two")
        except KeyError as error:
            return f"{one}, {error}"
        return "not reached"

    _, steps = fiber_of(function)
    assert next(steps) == "one"
    assert steps.send(1) == "two"
    with pytest.raises(StopIteration) as stop:
        steps.throw(KeyError("lost"))
    assert stop.value.value == "1, 'lost'"


def test_what_is_asked_for_before_the_loop_rests_is_one_group() -> None:
    async def ask(fiber: Fiber, *names: Any) -> list[Any]:
        return list(await asyncio.gather(*map(fiber.result_of, names), return_exceptions=True))

    async def both(fiber: Fiber) -> list[Any]:
        first = await asyncio.gather(ask(fiber, "a", "b"), ask(fiber, "c"))
        return [*first, await ask(fiber, "d")]

    _, steps = fiber_of(lambda fiber: in_its_loop(both(fiber)))
    assert next(steps) == ("a", "b", "c")
    failure = ValueError("b")
    assert steps.send([1, failure, 3]) == "d"
    with pytest.raises(StopIteration) as stop:
        steps.send(4)
    assert stop.value.value == [[1, failure], [3], [4]]


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor], ids=["the loop's", "one's own"])
def test_plain_tools_on_threads_are_waited_for(pool: type[ThreadPoolExecutor] | None) -> None:
    """What they lead to belongs to the group, however long they take."""
    may_end = threading.Event()

    async def slow(fiber: Fiber) -> Any:
        executor = pool and pool()
        await asyncio.get_running_loop().run_in_executor(executor, may_end.wait)
        return await fiber.result_of("after the thread")

    async def quick(fiber: Fiber) -> Any:
        asyncio.get_running_loop().call_soon(may_end.set)
        return await fiber.result_of("at once")

    async def both(fiber: Fiber) -> Any:
        return await asyncio.gather(slow(fiber), quick(fiber))

    _, steps = fiber_of(lambda fiber: in_its_loop(both(fiber)))
    assert next(steps) == ("at once", "after the thread")
    steps.close()


def test_time_stands_still_while_a_task_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(asyncio.SelectorEventLoop, "time", lambda self: clock[0], raising=False)

    async def patient(fiber: Fiber) -> Any:
        return await asyncio.wait_for(fiber.result_of("task"), timeout=5)

    _, steps = fiber_of(lambda fiber: in_its_loop(patient(fiber)))
    assert next(steps) == "task"
    clock[0] = 1000.0
    with pytest.raises(StopIteration) as stop:
        steps.send("in time")
    assert stop.value.value == "in time"


def test_a_function_that_is_left_is_unwound() -> None:
    told: list[Any] = []

    def function(fiber: Fiber) -> None:
        try:
            in_its_loop(asyncio.gather(fiber.wait_for("task")))
        except YieldException as pending:
            told.append(pending.task)
            with pytest.raises(YieldException):
                fiber.wait_for("another")
            raise
        finally:
            told.append("unwound")

    _, steps = fiber_of(function)
    assert next(steps) == "task"
    steps.close()
    assert told == ["task", "unwound"]


def test_one_that_is_never_begun_has_no_thread() -> None:
    before = threading.active_count()
    _, steps = fiber_of(lambda fiber: None)
    steps.close()
    assert threading.active_count() == before


def test_what_the_function_raises_is_raised() -> None:
    def function(fiber: Fiber) -> None:
        raise SystemExit("enough")

    _, steps = fiber_of(function)
    with pytest.raises(SystemExit, match="enough"):
        next(steps)


def test_other_threads_are_told_to_stay_out() -> None:
    async def call_from_a_thread(fiber: Fiber) -> Any:
        return await asyncio.to_thread(fiber.result_of, "task")

    _, steps = fiber_of(lambda fiber: in_its_loop(call_from_a_thread(fiber)))
    with pytest.raises(RuntimeError, match="make the tool an async function"):
        next(steps)


def test_a_function_that_does_not_end_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_fibers, "_PATIENCE", 0.0)
    may_end = threading.Event()

    def function(fiber: Fiber) -> None:
        try:
            fiber.wait_for("task")
        except BaseException:  # what nobody should write
            may_end.wait()

    fiber, steps = fiber_of(function)
    next(steps)
    steps.close()
    assert "does it catch BaseException?" in caplog.text
    may_end.set()
    fiber._thread.join()
