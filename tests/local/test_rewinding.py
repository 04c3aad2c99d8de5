"""A rewind takes back what has ended an instance, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import NotPossible

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
HOST_RUN = df.RetryOptions(1000, 2)
SDK_RUN = df.RetryPolicy(timedelta(seconds=1), 3)


class App:
    """Functions some of which fail until they are mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.calls: Counter[str] = Counter()
        self.done: list[Any] = []
        """What `shaky` has given."""

    def shaky(self, value: Any) -> Any:
        self.calls["shaky"] += 1
        if not self.is_mended:
            raise RuntimeError(f"not yet {value}")
        self.done.append(value)
        return value

    def broken(self, value: Any) -> Any:
        self.calls["broken"] += 1
        raise ValueError("always")

    def flaky(self, value: Any) -> Any:
        """Fails once."""
        self.calls["flaky"] += 1
        if self.calls["flaky"] == 1:
            raise ConnectionError("first time")
        return value

    def steady(self, value: Any) -> Any:
        self.calls["steady"] += 1
        return value

    def box(self, context: df.DurableEntityContext) -> None:
        context.set_result(self.shaky(context.operation_name))

    def invoker(self, orchestrators: dict[str, Callable[[Any], Any]]) -> DirectInvoker:
        names = ("shaky", "broken", "flaky", "steady")
        activities = {name: getattr(self, name) for name in names}
        return DirectInvoker(orchestrators, activities, {"box": self.box})


def rewound(
    main: Callable[[Context], Any], app: App | None = None, **more: Callable[[Context], Any]
) -> tuple[str, Any]:
    """Result of an instance that failed, was rewound with the app mended, and ran out."""
    app = app or App()

    async def scenario() -> tuple[str, Any]:
        async with Engine(app.invoker({"main": main, **more})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            assert (await engine.result("one"))[0] == "Failed"
            app.is_mended = True
            await engine.hub.rewind("one", "again")
            await engine.run_out()
            return await engine.result("one")

    return asyncio.run(scenario())


def refusal(
    main: Callable[[Context], Any], app: App | None = None, **more: Callable[[Context], Any]
) -> str:
    """What a rewind says that does nothing; the instance must be as it was."""
    app = app or App()

    async def everything(engine: Engine) -> Any:
        page = [await engine.hub.find(name) for name in ("one", "kid")]
        return page, await engine.hub.history_of("one"), await engine.hub.history_of("kid")

    async def scenario() -> str:
        async with Engine(app.invoker({"main": main, **more})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            app.is_mended = True
            before = await everything(engine)
            with pytest.raises(NotPossible) as refused:
                await engine.hub.rewind("one", None)
            await engine.run_out()
            assert await everything(engine) == before
            return str(refused.value)

    return asyncio.run(scenario())


# What was caught stays


def test_a_failure_that_was_caught_stays_caught() -> None:
    def main(context: Context) -> Orchestration:
        try:
            yield context.call_activity("broken", 1)
        except Exception:
            yield context.call_activity("steady", 2)
        return (yield context.call_activity("shaky", 3))

    app = App()
    assert rewound(main, app) == ("Completed", 3)
    assert app.calls == {"broken": 1, "steady": 1, "shaky": 2}


def test_retries_that_have_succeeded_stay() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("flaky", SDK_RUN, 1)
        yield context.call_activity_with_retry("steady", HOST_RUN, 1)
        return (yield context.call_activity("shaky", 3))

    app = App()
    assert rewound(main, app) == ("Completed", 3)
    assert app.calls == {"flaky": 2, "steady": 1, "shaky": 2}


def test_retries_of_the_host_that_have_succeeded_keep_their_numbers() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("flaky", HOST_RUN, 1)
        return (yield context.call_activity("shaky", 3))

    app = App()
    assert rewound(main, app) == ("Completed", 3)
    assert app.calls == {"flaky": 2, "shaky": 2}


def test_exceptions_that_a_map_has_returned_stay() -> None:
    def main(context: Context) -> Orchestration:
        first = yield context.map("broken", [1, 2, 3], max_concurrency=2, return_exceptions=True)
        last = yield context.call_activity("shaky", 3)
        return [len(first), last]

    app = App()
    assert rewound(main, app) == ("Completed", [3, 3])
    assert app.calls == {"broken": 3, "shaky": 2}


def test_a_failed_child_that_was_caught_is_left_alone() -> None:
    def main(context: Context) -> Orchestration:
        try:
            yield context.call_sub_orchestrator("child", None, "kid")
        except Exception:
            context.set_custom_status("without child")
        return (yield context.call_activity("shaky", 3))

    def child(context: Context) -> Orchestration:
        yield context.call_activity("broken", 1)

    app = App()
    assert rewound(main, app, child=child) == ("Completed", 3)
    assert app.calls == {"broken": 1, "shaky": 2}


# What has ended the instance is done again


def by_the_host(context: Context) -> Orchestration:
    return (yield context.call_activity_with_retry("shaky", HOST_RUN, 1))


def by_the_sdk(context: Context) -> Orchestration:
    return (yield context.call_activity_with_retry("shaky", SDK_RUN, 1))


@pytest.mark.parametrize(("main", "attempts"), [(by_the_host, 2), (by_the_sdk, 3)])
def test_a_retried_call_gets_all_its_attempts_again(main: Any, attempts: int) -> None:
    app = App()

    async def scenario() -> None:
        async with Engine(app.invoker({"main": main})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            for tries in (2, 3):  # it fails once more, after all its attempts
                await engine.hub.rewind("one", None)
                await engine.run_out()
                assert app.calls["shaky"] == tries * attempts
            await engine.hub.rewind("one", None)
            app.is_mended = True
            await engine.run_out()
            assert await engine.result("one") == ("Completed", 1)
            assert app.calls["shaky"] == 3 * attempts + 1

    asyncio.run(scenario())


@pytest.mark.parametrize("retry", [HOST_RUN, SDK_RUN])
def test_what_ran_beside_the_retries_keeps_its_results(retry: Any) -> None:
    def main(context: Context) -> Orchestration:
        retried = context.call_activity_with_retry("shaky", retry, 1)
        others = context.call_activity_with_retry("flaky", retry, 2)
        kid = context.call_sub_orchestrator("child", 5)
        return (yield context.task_all([retried, others, kid]))

    def child(context: Context) -> Orchestration:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        return (yield context.call_activity("steady", 3))

    app = App()
    assert rewound(main, app, child=child) == ("Completed", [1, 2, 3])
    assert app.calls["flaky"] == 2
    assert app.calls["steady"] == 1


@pytest.mark.parametrize("retry", [HOST_RUN, SDK_RUN])
def test_calls_behind_rewound_retries_go_on_with_the_right_numbers(retry: Any) -> None:
    def main(context: Context) -> Orchestration:
        first = context.call_activity_with_retry("shaky", retry, 1)
        second = yield context.call_activity("steady", 2)
        third = yield context.call_sub_orchestrator("child", None, "kid")
        done = yield first
        fourth = yield context.call_activity_with_retry("steady", retry, 4)
        fifth = yield context.call_sub_orchestrator("child")
        return [done, second, third, fourth, fifth]

    def child(context: Context) -> Orchestration:
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        return (yield context.call_activity("steady", 3))

    assert rewound(main, child=child) == ("Completed", [1, 2, 3, 4, 3])


def test_all_that_failed_in_one_task_all_is_done_again() -> None:
    def main(context: Context) -> Orchestration:
        try:
            yield context.call_activity("broken", 0)
        except Exception:
            context.set_custom_status("caught")
        calls = [context.call_activity("shaky", n) for n in range(5)]
        return (yield context.task_all([*calls, context.call_activity("steady", 5)]))

    app = App()
    assert rewound(main, app) == ("Completed", [0, 1, 2, 3, 4, 5])
    assert app.calls == {"broken": 1, "shaky": 10, "steady": 1}


@pytest.mark.parametrize("retry", [HOST_RUN, SDK_RUN])
def test_all_retried_calls_of_one_task_all_are_done_again(retry: Any) -> None:
    def main(context: Context) -> Orchestration:
        calls = [context.call_activity_with_retry("shaky", retry, n) for n in range(3)]
        return (yield context.task_all([*calls, context.call_activity("steady", 3)]))

    assert rewound(main) == ("Completed", [0, 1, 2, 3])


def test_many_attempts_that_begin_in_one_turn_are_told_apart() -> None:
    def main(context: Context) -> Orchestration:
        calls = [context.call_activity_with_retry("shaky", SDK_RUN, n) for n in range(30)]
        return (yield context.task_all(calls))

    app = App()
    assert rewound(main, app) == ("Completed", [*range(30)])
    assert sorted(app.done) == [*range(30)]


def test_a_rewind_without_effect_can_be_repeated() -> None:
    """The code has failed again before it has done anything again."""
    app = App()

    def main(context: Context) -> Orchestration:
        if app.calls["spoiled"]:
            raise KeyError("spoiled")
        return (yield context.task_all([context.call_activity("shaky", n) for n in range(2)]))

    async def scenario() -> None:
        async with Engine(app.invoker({"main": main})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            engine.dispatcher.pause()
            await engine.hub.rewind("one", None)
            app.calls["spoiled"] = 1
            engine.dispatcher.resume()
            await engine.settle()
            assert (await engine.result("one"))[0] == "Failed"
            app.calls["spoiled"] = 0
            app.is_mended = True
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert await engine.result("one") == ("Completed", [0, 1])

    asyncio.run(scenario())


def test_a_bounded_map_that_has_failed_goes_on() -> None:
    def main(context: Context) -> Orchestration:
        return (yield context.map("shaky", [1, 2, 3, 4], max_concurrency=2))

    assert rewound(main) == ("Completed", [1, 2, 3, 4])


def test_a_map_over_its_tolerance_goes_on_where_it_failed() -> None:
    def main(context: Context) -> Orchestration:
        return len((yield context.map("shaky", [1, 2, 3], max_concurrency=1, tolerated_failures=1)))

    app = App()
    assert rewound(main, app) == ("Completed", 3)
    assert app.calls["shaky"] == 4


def test_a_failed_entity_call_is_made_again() -> None:
    def main(context: Context) -> Orchestration:
        try:
            yield context.call_activity("broken", 1)
        except Exception:
            context.set_custom_status("caught")
        return (yield context.call_entity(df.EntityId("box", "a"), "do"))

    app = App()
    assert rewound(main, app) == ("Completed", "do")
    assert app.calls == {"broken": 1, "shaky": 2}


def test_the_failure_down_the_tree_is_taken_back() -> None:
    def main(context: Context) -> Orchestration:
        return (yield context.call_sub_orchestrator("child", None, "kid"))

    def child(context: Context) -> Orchestration:
        try:
            yield context.call_activity("broken", 1)
        except Exception:
            yield context.call_activity("steady", 1)
        return (yield context.call_sub_orchestrator("grandchild"))

    app = App()
    assert rewound(main, app, child=child, grandchild=by_the_sdk) == ("Completed", 1)
    assert app.calls == {"broken": 1, "steady": 1, "shaky": 4}


@pytest.mark.parametrize("retry", [HOST_RUN, SDK_RUN])
def test_retried_children_start_again(retry: Any) -> None:
    def main(context: Context) -> Orchestration:
        return (yield context.call_sub_orchestrator_with_retry("child", retry, None, "kid"))

    def child(context: Context) -> Orchestration:
        return (yield context.call_activity("shaky", 1))

    assert rewound(main, child=child) == ("Completed", 1)


def test_a_child_that_is_gone_is_started_again() -> None:
    def main(context: Context) -> Orchestration:
        return (yield context.call_sub_orchestrator("child", None, "kid"))

    def child(context: Context) -> Orchestration:
        return (yield context.call_activity("shaky", 1))

    async def scenario() -> None:
        app = App()
        async with Engine(app.invoker({"main": main, "child": child})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.purge("kid")
            app.is_mended = True
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert await engine.result("one") == ("Completed", 1)
            assert await engine.result("kid") == ("Completed", 1)

    asyncio.run(scenario())


def test_a_failure_that_is_looked_at_late_is_found_by_its_text() -> None:
    def main(context: Context) -> Orchestration:
        first = context.call_activity("shaky", 1)
        yield context.call_activity("steady", 2)
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        return (yield first)

    assert rewound(main) == ("Completed", 1)


def test_calls_with_retries_that_were_open_go_on_where_they_were() -> None:
    app = App()

    def main(context: Context) -> Orchestration:
        retried = context.call_activity_with_retry("shaky", df.RetryOptions(60000, 2), 1)
        kid = context.call_sub_orchestrator_with_retry("child", HOST_RUN, None, "kid")
        yield context.task_any([retried, context.wait_for_external_event("go")])
        if not app.is_mended:
            context.signal_entity(df.EntityId("nobody", "k"), "op")  # fails it at once
        return (yield context.task_all([retried, kid]))

    def child(context: Context) -> Orchestration:
        return (yield context.wait_for_external_event("end"))

    async def scenario() -> None:
        async with Engine(app.invoker({"main": main, "child": child})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.raise_event("one", "go", "1")
            await engine.settle()
            assert (await engine.result("one"))[0] == "Failed"
            app.is_mended = True
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert app.calls["shaky"] == 1  # it waits for its second attempt
            await engine.hub.raise_event("kid", "end", "7")
            await engine.run_out()
            assert await engine.result("one") == ("Completed", [1, 7])
            assert app.calls["shaky"] == 2

    asyncio.run(scenario())


# Changed code, and what cannot be taken back


def test_code_that_was_mended_needs_nothing_taken_back() -> None:
    app = App()

    def main(context: Context) -> Orchestration:
        try:
            yield context.call_activity("broken", 1)
        except Exception:
            if not app.is_mended:
                raise KeyError("of its own") from None
        return "went on"

    assert rewound(main, app) == ("Completed", "went on")
    assert app.calls == {"broken": 1}


def test_an_exception_of_its_own_fails_again_as_on_azure() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity("steady", 1)
        raise KeyError("of its own")

    status, output = rewound(main)
    assert status == "Failed"
    assert "of its own" in output


def reported(context: Context) -> Orchestration:
    try:
        return (yield context.call_activity("shaky", 1))
    except Exception:
        yield context.call_activity("steady", None)
        raise


def test_a_failure_that_was_reported_first_is_refused_and_nothing_changes() -> None:
    app = App()
    said = refusal(reported, app)
    assert "durable restart one" in said
    assert app.calls == {"shaky": 1, "steady": 1}


def test_a_child_that_cannot_be_rewound_is_named_and_nothing_changes() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_sub_orchestrator("child", None, "kid")

    said = refusal(main, child=reported)
    assert "instance one cannot be rewound: its child kid cannot be" in said
    assert "durable restart one" in said


def test_without_its_function_nobody_can_tell_and_that_is_said() -> None:
    async def scenario() -> None:
        app = App()
        invoker = app.invoker({"main": by_the_host})
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            engine.registry = app.invoker({}).registry()
            with pytest.raises(NotPossible, match=r"main is not loaded.*durable start"):
                await engine.hub.rewind("one", None)

    asyncio.run(scenario())


def test_the_history_keeps_its_length_and_shows_what_was_taken_back() -> None:
    async def scenario() -> None:
        app = App()
        async with Engine(app.invoker({"main": by_the_host})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            before = await engine.history("one")
            app.is_mended = True
            await engine.hub.rewind("one", "mended")
            after = (await engine.history("one"))[: len(before)]
            erased = [old for old, new in zip(before, after, strict=True) if old != new]
            assert [event["EventType"] for event in erased] == [4, 6, 10, 11, 4, 6, 10, 11, 1]
            await engine.run_out()
            [reason] = [e for e in await engine.history("one") if e.get("Data") == "mended"]
            assert reason["EventType"] == 17

    asyncio.run(scenario())


def test_an_instance_that_fails_here_and_there_is_rewound_each_time() -> None:
    def main(context: Context) -> Orchestration:
        one = context.call_activity_with_retry("shaky", HOST_RUN, 1)
        two = context.call_activity_with_retry("shaky", SDK_RUN, 2)
        first = yield context.task_all([one, two, context.call_activity("steady", 3)])
        second = yield context.call_entity(df.EntityId("box", "a"), "do")
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        third = yield context.call_activity("flaky", 5)
        return [*first, second, third, (yield context.call_activity_with_retry("steady", SDK_RUN))]

    async def scenario() -> None:
        app = App()
        async with Engine(app.invoker({"main": main})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            for is_mended, told in ((False, "not yet"), (True, "not yet"), (True, "first time")):
                await engine.run_out()
                status, output = await engine.result("one")
                assert (status, told in output) == ("Failed", True)
                app.is_mended = is_mended
                await engine.hub.rewind("one", None)
            await engine.run_out()
            assert await engine.result("one") == ("Completed", [1, 2, 3, "do", 5, None])

    asyncio.run(scenario())


# Random programs


class Program:
    """An orchestrator of random steps; each knows whether it catches what fails in it."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.steps = [self._step(chance) for _ in range(chance.randint(2, 5))]

    def _step(self, chance: random.Random) -> tuple[str, int, bool, bool]:
        kinds = ("plain", "host", "sdk", "entity", "all", "map", "child", "timer", "any")
        is_caught, is_followed = chance.random() < 0.3, chance.random() < 0.5
        return chance.choice(kinds), chance.randint(0, 9), is_caught, is_followed

    def __call__(self, context: Context) -> Orchestration:
        done: list[Any] = []
        for kind, number, is_caught, is_followed in self.steps:
            try:
                result = yield self._task(context, kind, number)
                done.append(repr(result) if kind in ("map", "any") else result)
            except Exception:
                if not is_caught:
                    raise
                if is_followed:
                    yield context.call_activity("steady", number)
        return done

    def _task(self, context: Context, kind: str, number: int) -> Any:
        name = ("shaky", "steady", "flaky")[number % 3]
        if kind in ("host", "sdk"):
            retry = HOST_RUN if kind == "host" else SDK_RUN
            return context.call_activity_with_retry(name, retry, number)
        if kind == "entity":
            return context.call_entity(df.EntityId("box", "a"), "do")
        if kind == "all":
            kinds = ("plain", "host", "sdk", "child")
            return context.task_all(
                [self._task(context, k, number + i) for i, k in enumerate(kinds)]
            )
        if kind == "map":
            return context.map(name, [1, 2, 3], max_concurrency=2, return_exceptions=number > 5)
        if kind == "child":
            return context.call_sub_orchestrator("child", number)
        timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=number))
        if kind == "any":
            return context.task_all([timer, context.call_activity(name, number)])
        return timer if kind == "timer" else context.call_activity(name, number)


def random_child(context: Context) -> Orchestration:
    number = context.get_input()
    try:
        yield context.call_activity("broken", number)
    except Exception:
        yield context.call_activity("steady", number)
    return (yield context.call_activity(("shaky", "steady", "flaky")[number % 3], number))


@pytest.mark.parametrize("seed", range(120))
def test_a_rewound_program_completes_once_all_is_mended(seed: int) -> None:
    app = App()

    async def scenario() -> None:
        async with Engine(app.invoker({"main": Program(seed), "child": random_child})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.run_out()
            for _ in range(4):  # flaky calls fail in their turn
                status, output = await engine.result("one")
                if status == "Completed":
                    return
                assert "Non-Deterministic" not in output
                app.is_mended = True
                await engine.hub.rewind("one", None)
                await engine.run_out()
            pytest.fail(f"it fails for good: {await engine.result('one')}")

    asyncio.run(scenario())
