"""What an instance waits for, as the engine reads it from the stored history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from typing import Any

from engine_kit import BEGINNING, DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.waiting import Child, Details, Wait, attempts_of

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
Step = Callable[[Engine], Awaitable[object]]


def details_after(
    orchestrator: Callable[[Any], Any],
    *steps: Step,
    activities: dict[str, Callable[[Any], Any]] | None = None,
    more: dict[str, Callable[[Any], Any]] | None = None,
    entities: dict[str, Callable[[Any], Any]] | None = None,
) -> Details:
    """Start it, take the steps, and read."""

    async def scenario() -> Details:
        invoker = DirectInvoker({"main": orchestrator, **(more or {})}, activities or {}, entities)
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            for step in steps:
                await step(engine)
            found = await engine.hub.details_of("one")
            assert found is not None
            return found

    return asyncio.run(scenario())


async def settle(engine: Engine) -> None:
    await engine.settle()


async def next_timer(engine: Engine) -> None:
    due = engine.dispatcher.next_due
    assert due is not None
    engine.clock.move_to(clock.from_stored(due))
    await engine.settle()


def raising(name: str) -> Step:
    return lambda engine: engine.hub.raise_event("one", name, "1")


def told(wait: Wait) -> tuple[str, str | None]:
    return wait.kind, wait.name


def fails(value: Any) -> Any:
    raise RuntimeError("no file")


def test_an_event_and_a_timer_are_told_with_their_times() -> None:
    def main(context: Context) -> Orchestration:
        due = context.current_utc_datetime + timedelta(hours=2)
        yield context.task_any(
            [context.wait_for_external_event("Approval"), context.create_timer(due)]
        )

    event, timer = details_after(main).waits
    assert told(event) == ("event", "Approval")
    assert event.since is not None
    assert event.since.startswith(f"{BEGINNING:%Y-%m-%dT%H:%M}")
    assert told(timer) == ("timer", None)
    assert timer.due_at is not None
    assert timer.due_at.startswith("2026-01-15T12:00:00")


def test_an_event_that_has_come_is_not_waited_for_whatever_its_case() -> None:
    def main(context: Context) -> Orchestration:
        yield context.task_all(
            [context.wait_for_external_event(name) for name in ("A", "B", "a", "C")]
        )

    waits = details_after(main, raising("b"), raising("A"), settle).waits
    assert [wait.name for wait in waits] == ["a", "C"]


def test_an_event_that_no_turn_has_taken_yet_means_the_next_turn() -> None:
    def main(context: Context) -> Orchestration:
        yield context.wait_for_external_event("Go")

    async def stop(engine: Engine) -> None:
        await engine.stop()

    waits = details_after(main, stop, raising("Go")).waits
    assert [wait.kind for wait in waits] == ["turn"]


def test_a_suspended_instance_waits_to_be_resumed_and_says_why() -> None:
    def main(context: Context) -> Orchestration:
        yield context.wait_for_external_event("Go")

    async def suspend(engine: Engine) -> None:
        await engine.hub.suspend("one", "a look")

    found = details_after(main, suspend, settle)
    assert found.reason == "a look"
    assert [wait.kind for wait in found.waits] == ["resume", "event"]
    assert found.waits[0].since is not None


def test_the_attempt_of_a_call_that_the_engine_retries_is_told_and_the_pause_before_it() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("post", df.RetryOptions(60_000, 3), 1)

    [pause] = details_after(main, activities={"post": fails}).waits
    assert told(pause) == ("retry", "post")
    assert (pause.attempt, pause.most_attempts) == (2, 3)
    assert pause.due_at is not None
    assert pause.due_at.startswith("2026-01-15T10:01:00")
    [pause] = details_after(main, next_timer, activities={"post": fails}).waits
    assert pause.attempt == 3


def test_the_attempt_of_a_call_that_the_sdk_retries_is_told() -> None:
    def main(context: Context) -> Orchestration:
        policy = df.RetryPolicy(timedelta(minutes=1), 5)
        yield context.task_all([context.call_activity_with_retry("post", policy, n) for n in "ab"])

    attempts: list[int] = []

    async def read(engine: Engine) -> None:
        attempts.extend(attempts_of(await engine.hub.history_of("one")).values())

    timers = details_after(main, activities={"post": fails}).waits
    assert [told(wait) for wait in timers] == [("timer", "post"), ("timer", "post")]
    details_after(main, next_timer, next_timer, read, activities={"post": fails})
    assert attempts == [2, 2, 3, 3]


def test_the_next_call_of_a_loop_is_no_further_attempt() -> None:
    def main(context: Context) -> Orchestration:
        for number in range(3):
            try:
                yield context.call_activity("post", number)
            except Exception:
                context.set_custom_status(number)
        yield context.wait_for_external_event("Go")

    attempts: list[dict[int, int]] = []

    async def read(engine: Engine) -> None:
        attempts.append(attempts_of(await engine.hub.history_of("one")))

    details_after(main, read, activities={"post": fails})
    assert attempts == [{}]


def test_parent_and_children_are_told_and_a_child_is_waited_for() -> None:
    def child(context: Context) -> Orchestration:
        yield context.wait_for_external_event("Go")

    def main(context: Context) -> Orchestration:
        yield context.call_sub_orchestrator("child", None, "ship-1")

    parents: list[str | None] = []

    async def read_child(engine: Engine) -> None:
        found = await engine.hub.details_of("ship-1")
        parents.append(found and found.parent_id)

    found = details_after(main, read_child, more={"child": child})
    assert found.children == [Child("ship-1", "child", "Running")]
    [wait] = found.waits
    assert (*told(wait), wait.instance_id) == ("orchestration", "child", "ship-1")
    assert parents == ["one"]


def test_a_call_of_an_entity_is_waited_for_but_no_signal() -> None:
    def main(context: Context) -> Orchestration:
        ledger = df.EntityId("ledger", "main")
        context.signal_entity(ledger, "add")
        context.call_entity(ledger, "get")
        yield context.wait_for_external_event("Go")

    def ledger(context: df.DurableEntityContext) -> None:
        context.set_result(1)

    answered = details_after(main, entities={"ledger": ledger}).waits
    assert [wait.kind for wait in answered] == ["event"]


def test_an_operation_of_an_entity_that_has_not_answered_is_told() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_entity(df.EntityId("ledger", "main"), "get")

    unanswered: list[Wait] = []

    def ledger(context: df.DurableEntityContext) -> None:
        context.set_result(1)

    async def scenario() -> None:
        invoker = DirectInvoker({"main": main}, {}, {"ledger": ledger})
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            while not unanswered:  # between the turns of the two
                await asyncio.sleep(0)
                found = await engine.hub.details_of("one")
                assert found is not None
                unanswered.extend(wait for wait in found.waits if wait.kind == "entity")

    asyncio.run(scenario())
    assert (unanswered[0].name, unanswered[0].instance_id) == ("get", "@ledger@main")


def test_after_a_rewind_the_waits_are_told_without_a_wrong_time() -> None:
    is_broken = [True]

    def sometimes(value: Any) -> Any:
        if is_broken[0]:
            raise RuntimeError("no file")
        return 1

    def main(context: Context) -> Orchestration:
        early = context.wait_for_external_event("Early")
        yield context.task_any([early, context.call_activity("wait", 0)])
        yield context.call_activity("post", 1)
        yield context.task_all([early, context.wait_for_external_event("Late")])

    async def rewind(engine: Engine) -> None:
        is_broken[0] = False
        await engine.hub.rewind("one", None)
        await engine.settle()

    waits = details_after(main, rewind, activities={"post": sometimes, "wait": str}).waits
    assert {wait.name for wait in waits} == {"Early", "Late"}
    assert next(wait for wait in waits if wait.name == "Early").since is None


def test_what_has_ended_waits_for_nothing() -> None:
    def main(context: Context) -> Orchestration:
        yield context.task_any(
            [context.wait_for_external_event("Never"), context.call_activity("post", 1)]
        )

    assert details_after(main, activities={"post": lambda value: value}).waits == []
