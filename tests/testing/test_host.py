"""A whole app in memory, as a test of a user's would run it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import kit_app
import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost, InstanceFailed

SAMPLES = Path(__file__).parent.parent.parent / "samples"
Scenario = Callable[[DurableTestHost], Awaitable[Any]]


def run(scenario: Scenario, **options: Any) -> Any:
    async def within() -> Any:
        async with DurableTestHost(kit_app.app, **options) as host:
            return await scenario(host)

    return asyncio.run(within())


def test_an_approval_arrives_as_the_client_sends_it_and_raw_as_http_does() -> None:
    async def scenario(host: DurableTestHost) -> list[Any]:
        outputs = []
        for raw in (False, True):
            order = await host.start("order", {"amount": 5})
            await host.raise_event(order, "approved", {"by": "Ada"}, raw=raw)
            outputs.append(await order.result())
            assert order.custom_status == "charged"
        return outputs

    assert run(scenario) == [["charged 5", '{"by": "Ada"}'], ["charged 5", {"by": "Ada"}]]


def test_time_jumps_when_nothing_else_can_happen() -> None:
    async def scenario(host: DurableTestHost) -> None:
        order = await host.start(kit_app.order, {"amount": 5})
        began = host.now

        assert await order.result() == ["charged 5", "nobody approved"]
        assert timedelta(days=3) <= host.now - began < timedelta(days=3, seconds=1)

    run(scenario)


def test_time_may_be_moved_by_hand() -> None:
    async def scenario(host: DurableTestHost) -> None:
        order = await host.start("order", {"amount": 5})
        with pytest.raises(InstanceFailed, match="the next timer falls due at 2026-01-18"):
            await order.result()
        await host.advance(timedelta(days=2))
        assert order.status == "Running"
        await host.advance(timedelta(days=2))
        order.assert_completed(["charged 5", "nobody approved"])

    run(scenario, auto_advance=False)


def test_an_endless_workflow_is_tested_by_advancing() -> None:
    async def scenario(host: DurableTestHost) -> None:
        await host.start("eternal")
        await host.advance(timedelta(hours=3, minutes=30))
        assert [call.input for call in host.calls("greet")] == ["moon"] * 4

    run(scenario)


def test_calls_tell_input_attempt_time_and_outcome() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_activity("charge", raises=ValueError("no funds"), times=2)
        retried = await host.start("retried")
        assert await retried.result() == "charged 5"

        calls = retried.calls("charge")
        assert [(call.input, call.attempt) for call in calls] == [(5, 1), (5, 2), (5, 3)]
        assert [call.error for call in calls] == ["ValueError: no funds"] * 2 + [None]
        assert calls[1].time - calls[0].time >= timedelta(minutes=1)
        assert calls[2].result == "charged 5"

    run(scenario)


def test_stubs_answer_in_order_and_functions_of_the_input() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_activity(kit_app.charge, returns="first", times=1)
        host.stub_activity("charge", calls=lambda amount: f"stubbed {amount}")
        outputs = [await (await host.start("child", n)).result() for n in (1, 2, 3)]
        assert outputs == ["first", "stubbed 2", "stubbed 3"]

    run(scenario)


def test_children_entities_and_http_can_be_stubbed_too() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_orchestrator("child", returns=7)
        host.stub_entity("Counter", calls=lambda operation, value: f"{operation} {value}")
        host.http_responses.add("https://example.org/*", json={"rate": 1.5})
        assert await (await host.start("parent")).result() == [7, "add 1", {"rate": 1.5}]
        assert host.http_responses.requests[0]["uri"] == "https://example.org/rate"

    run(scenario)


def test_a_stub_that_raises_fails_its_caller() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_orchestrator("child", raises=ValueError("bad luck"))
        parent = await host.start("parent")
        with pytest.raises(InstanceFailed, match="bad luck"):
            await parent.result()
        parent.assert_failed("bad luck")

    run(scenario)


def test_a_request_nobody_answers_says_how_to_answer_it() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_orchestrator("child", returns=1)
        parent = await host.start("parent")
        await parent.wait()
        parent.assert_failed(r"host\.http_responses\.add\('https://example.org/rate'")

    run(scenario)


def test_entities_can_be_signalled_and_looked_at() -> None:
    async def scenario(host: DurableTestHost) -> None:
        counter = host.entity(df.EntityId("Counter", "a"))
        assert not counter.exists
        await host.signal_entity(df.EntityId("Counter", "a"), "add", 3)
        assert (counter.exists, counter.state) == (True, 3)

    run(scenario)


def test_the_apps_own_starters_answer() -> None:
    async def scenario(host: DurableTestHost) -> None:
        started = await host.http.post("/api/start/child", json=8)
        assert started.status == 202
        assert await host.instance(started.json()["id"]).result() == "charged 8"
        status = await host.http.get(started.json()["statusQueryGetUri"])
        assert status.json()["runtimeStatus"] == "Completed"
        assert (await host.http.get("/api/nothing")).status == 404

    run(scenario)


def test_a_test_that_is_not_async_has_the_same_without_await() -> None:
    with DurableTestHost(kit_app.app) as host:
        order = host.start("order", {"amount": 1})
        host.raise_event(order, "approved", True)
        assert order.result() == ["charged 1", "true"]
        assert host.http.post("/api/start/child", json=8).status == 202
        assert len(host.instances) == 2


@pytest.mark.parametrize(
    "app",
    [kit_app.app, kit_app, "kit_app", SAMPLES / "function_chaining", SAMPLES / "blueprint"],
    ids=["app", "module", "name", "function.json", "decorators"],
)
def test_an_app_may_be_given_in_many_ways(app: Any) -> None:
    with DurableTestHost(app) as host:
        assert host.instances == []


def test_a_blueprint_is_an_app_too() -> None:
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context")
    def alone(context: df.DurableOrchestrationContext) -> str:
        return "done"

    with DurableTestHost(blueprint) as host:
        assert host.start("alone").result() == "done"


@pytest.mark.parametrize(
    ("app", "told"),
    [("no_such_module", "neither an app folder nor a module"), (5, "got int"), (sys, "sys")],
)
def test_what_is_no_app_is_refused_with_a_reason(app: Any, told: str) -> None:
    with pytest.raises(Exception, match=told), DurableTestHost(app):
        pass


def test_a_crash_loses_nothing_that_was_committed() -> None:
    async def scenario(host: DurableTestHost) -> None:
        order = await host.start("order", {"amount": 5})
        await host.settle()
        await host.crash()
        await host.recover()
        await host.raise_event(order, "approved", 1)
        order.assert_completed()
        assert len(order.calls("charge")) == 1

    run(scenario)


def test_a_scenario_ends_alike_wherever_the_host_crashes() -> None:
    async def approve(host: DurableTestHost) -> Any:
        order = await host.start("order", {"amount": 5})
        await host.raise_event(order, "approved", True)
        await host.signal_entity(df.EntityId("Counter", "a"), "add", 3)
        return await order.result()

    async def scenario(host: DurableTestHost) -> int:
        return await host.crash_everywhere(approve)

    assert run(scenario) >= 6


def test_a_scenario_that_a_crash_changes_fails() -> None:
    runs = 0

    def count(amount: int) -> int:
        nonlocal runs
        runs += 1
        return runs

    async def scenario(host: DurableTestHost) -> None:
        host.stub_activity("charge", calls=count)

        async def once(inner: DurableTestHost) -> Any:
            return await (await inner.start("child", 1)).result()

        await host.crash_everywhere(once)

    with pytest.raises(AssertionError, match="with a crash at commit 1 of"):
        run(scenario)


def test_failures_show_the_timeline() -> None:
    async def scenario(host: DurableTestHost) -> None:
        host.stub_activity("charge", raises=KeyError("gone"))
        await (await host.start("child", 1)).result()

    with pytest.raises(InstanceFailed) as told:
        run(scenario)

    assert "Task scheduled 'charge' (0)" in str(told.value)
    assert "Task failed 'charge' (0)" in str(told.value)


def test_a_failure_is_told_with_the_line_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(
        "import azure.durable_functions as df\n"
        "app = df.DFApp()\n"
        "@app.orchestration_trigger(context_name='context')\n"
        "def report(context):\n"
        "    yield context.call_activity('bad')\n"
        "@app.activity_trigger(input_name='n')\n"
        "def bad(n):\n"
        "    raise RuntimeError('no file') from KeyError('key')\n"
    )
    with DurableTestHost(tmp_path) as host:
        report = host.start("report")
        with pytest.raises(InstanceFailed) as told:
            report.result()

    text = str(told.value)
    for expected in (
        "RuntimeError: no file",
        'function_app.py", line 5',
        'function_app.py", line 8',
    ):
        assert expected in text
    assert "caused by KeyError: 'key'" in text
    assert "$type" not in text
    assert "_replay" not in text


def test_a_stub_s_final_failure_ends_the_host_s_retries() -> None:
    async def scenario(host: DurableTestHost) -> Any:
        host.stub_activity("charge", raises=df.NonRetryableError("never"))
        child = await host.start("child", 1)
        await child.wait()
        assert child.output == "NonRetryableError: never"
        assert [call.error for call in child.calls("charge")] == ["NonRetryableError: never"]

    run(scenario)


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    async def scenario(host: DurableTestHost) -> None:
        with pytest.raises(LookupError, match="'charge', 'greet'"):
            host.stub_activity("chrage", returns=1)
        with pytest.raises(Exception, match="'child'"):
            await host.start("orders")

    run(scenario)


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    with DurableTestHost(kit_app.app) as host:
        host.start("child", 1).result()
    assert set(threading.enumerate()) == before


def test_a_retry_time_out_of_the_hosts_ends_the_attempts_and_stalls_nothing() -> None:
    app = df.DFApp()

    @app.activity_trigger(input_name="value")
    def fails(value: int) -> None:
        raise ValueError("bad luck")

    @app.orchestration_trigger(context_name="context")
    def patient(context: Any) -> Any:
        options = df.RetryOptions(60_000, 9, retry_timeout_in_milliseconds=90_000)
        try:
            yield context.call_activity_with_retry("fails", options, 1)
        except ValueError:
            return (yield context.call_activity_with_retry("fails", df.RetryOptions(1, 1), 2))

    with DurableTestHost(app) as host:
        instance = host.start("patient")
        instance.wait()
        assert [call.attempt for call in instance.calls() if call.input == 1] == [1, 2, 3]
        instance.assert_failed("bad luck")


@pytest.mark.parametrize("early", [False, True])
def test_timers_fire_early_where_a_test_asks_for_it(early: bool) -> None:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def is_in_time(context: df.DurableOrchestrationContext) -> Any:
        due = context.current_utc_datetime + timedelta(seconds=2)
        yield context.create_timer(due)
        return context.current_utc_datetime >= due

    async def within() -> Any:
        async with DurableTestHost(app, early_timers=early) as host:
            return await (await host.start("is_in_time")).result()

    assert asyncio.run(within()) is not early
