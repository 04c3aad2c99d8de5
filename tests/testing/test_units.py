"""Tests of one function alone: histories and batches by hand, a context without a history."""

from __future__ import annotations

from datetime import timedelta

import kit_app
import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import (
    EntityBatch,
    FakeOrchestrationContext,
    HistoryBuilder,
    orchestrator_generator_wrapper,
)


def test_a_history_by_hand_shows_what_is_asked_next() -> None:
    history = HistoryBuilder({"amount": 5})
    assert history.run(kit_app.order)["actions"][0][0]["functionName"] == "charge"

    history.next_episode().activity_completed(0, "paid")
    asked = history.run(kit_app.order)
    assert asked["customStatus"] == "charged"
    assert asked["actions"][0][1]["compoundActions"][1]["fireAt"] == "2026-01-18T10:00:01.000000Z"

    history.next_episode(timedelta(days=3)).timer_fired(1)
    assert history.run(kit_app.order)["output"] == ["paid", "nobody approved"]


def test_a_history_by_hand_can_fail() -> None:
    history = HistoryBuilder(4).next_episode().activity_failed(0, "out of order", "details")

    assert "out of order" in history.run(kit_app.child)["error"]


def test_a_batch_by_hand_shows_state_results_and_errors() -> None:
    outcome = (
        EntityBatch("Counter", state=1)
        .add("add", 2)
        .add("add", "x")
        .add("get")
        .run(kit_app.Counter)
    )

    assert (outcome.exists, outcome.state) == (True, 3)
    assert outcome.results == [3, None, 3]
    assert outcome.errors[1] is not None
    assert "unsupported operand" in outcome.errors[1]


def test_a_context_without_a_history_completes_tasks_at_once() -> None:
    context = FakeOrchestrationContext(
        {"amount": 5}, activities={"charge": lambda n: f"paid {n}"}, events={"approved": "yes"}
    )

    assert context.run(kit_app.order) == ["paid 5", "yes"]
    assert context.custom_status == "charged"


def test_a_context_without_a_history_can_fail_tasks() -> None:
    context = FakeOrchestrationContext(4, activities={"charge": ValueError("no")})

    with pytest.raises(ValueError, match="no"):
        context.run(kit_app.child)


def test_a_fan_out_works_without_a_history() -> None:
    def fan_out(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return (yield context.task_all([context.call_activity("double", n) for n in range(3)]))

    context = FakeOrchestrationContext(activities={"double": lambda n: 2 * n})

    assert context.run(fan_out) == [0, 2, 4]


def test_a_bounded_fan_out_works_without_a_history() -> None:
    def fan_out(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return (yield context.map("double", range(2000), max_concurrency=3))

    context = FakeOrchestrationContext(activities={"double": lambda n: 2 * n})

    assert context.run(fan_out) == list(range(0, 4000, 2))


def test_the_official_wrapper_takes_an_orchestrator_that_yields_nothing() -> None:
    def nothing():  # type: ignore[no-untyped-def]
        return "done"
        yield

    assert list(orchestrator_generator_wrapper(nothing())) == ["done"]


def test_without_the_event_the_timer_fires() -> None:
    context = FakeOrchestrationContext({"amount": 5}, activities={"charge": "paid"})

    assert context.run(kit_app.order) == ["paid", "nobody approved"]
    assert context.current_utc_datetime.day == 18


def test_without_a_history_time_outs_and_retries_come_too() -> None:
    tried: list[int] = []

    def flaky(number: int) -> str:
        tried.append(number)
        if len(tried) < 3:
            raise ValueError("not yet")
        return "at last"

    async def patient(context: df.DurableOrchestrationContext) -> object:
        policy = df.RetryPolicy(timedelta(hours=1), 5)
        found = await context.call_activity_with_retry("flaky", policy, 7)
        try:
            await context.wait_for_external_event("go", timeout=timedelta(days=1))
        except df.TaskTimeoutError:
            return found

    context = FakeOrchestrationContext(activities={"flaky": flaky})
    assert context.run(patient) == "at last"
    assert (tried, context.current_utc_datetime.day) == ([7, 7, 7], 16)


def test_what_is_never_given_is_told() -> None:
    def waiting(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        yield context.wait_for_external_event("go")

    with pytest.raises(AssertionError, match="an event of none"):
        FakeOrchestrationContext().run(waiting)
