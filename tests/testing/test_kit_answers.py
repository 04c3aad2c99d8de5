"""What a test asks the kit, and how it answers: time, types, names, statuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import azure.functions as func
import pytest

import azure.durable_functions as df
from azure.durable_functions import testing
from azure.durable_functions.testing import DurableTestHost, FunctionFailed, InstanceFailed
from azure.durable_functions.testing._host import Instance


@dataclass
class Outcome:
    total: int


def app_of(runs: list[str]) -> df.DFApp:
    app = df.DFApp()

    @app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")
    def nightly(timer: func.TimerRequest) -> None:
        runs.append("nightly")

    @app.timer_trigger(arg_name="timer", schedule="1.00:00:00")
    @app.durable_client_input(client_name="client")
    async def daily(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
        runs.append("daily")
        await client.start_new("order", f"order-{len(runs)}")

    @app.orchestration_trigger(context_name="context")
    def order(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return (yield context.call_activity("price", 5))

    @app.orchestration_trigger(context_name="context")
    def waits(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        yield context.create_timer(context.current_utc_datetime + timedelta(days=3))

    @app.activity_trigger(input_name="n")
    def price(n: int) -> Outcome:
        return Outcome(n)

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
    def queued(msg: func.QueueMessage) -> None:
        if msg.get_body() == b"bad":
            raise ValueError("a bad message")
        runs.append(msg.get_body().decode())

    @app.route("page")
    def page(req: func.HttpRequest) -> str:
        raise ValueError("an empty shelf")

    return app


def test_timer_functions_run_when_time_passes_in_the_order_of_their_times() -> None:
    runs: list[str] = []
    with DurableTestHost(app_of(runs), auto_advance=False) as host:
        host.advance(timedelta(days=2))
        assert runs == ["nightly", "daily", "nightly", "daily"]
        assert [instance.status for instance in host.instances] == ["Completed"] * 2


def test_they_run_too_when_time_jumps_to_the_timer_of_an_orchestration() -> None:
    runs: list[str] = []
    with DurableTestHost(app_of(runs)) as host:
        host.start("waits").result()
        assert runs.count("nightly") == 3


def test_they_can_be_left_out() -> None:
    runs: list[str] = []
    with DurableTestHost(app_of(runs), timer_functions=False) as host:
        host.advance(timedelta(days=9))
    assert runs == []


def test_a_timer_function_that_raises_fails_the_test_after_its_retries() -> None:
    app = df.DFApp()
    counts: list[int | None] = []

    @app.timer_trigger(arg_name="timer", schedule="01:00:00")
    @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:10")
    def hourly(timer: func.TimerRequest, context: func.Context) -> None:
        counts.append(context.retry_context.retry_count)
        raise ValueError("no mail server")

    with (
        DurableTestHost(app) as host,
        pytest.raises(FunctionFailed, match=r"hourly has failed: ValueError: no mail server"),
    ):
        host.advance(timedelta(hours=1, minutes=1))
    assert counts == [None, 1, 2]


def test_one_function_is_run_by_hand() -> None:
    runs: list[str] = []
    with DurableTestHost(app_of(runs)) as host:
        host.run_function("Nightly")
        host.run_function("queued", "hello")
        assert runs == ["nightly", "hello"]
        assert host.run_function("price", 4) == {"total": 4}
        with pytest.raises(FunctionFailed, match="a bad message"):
            host.run_function("queued", "bad")
        with pytest.raises(LookupError, match="no function 'weekly'; it has 'daily'"):
            host.run_function("weekly")
        with pytest.raises(ValueError, match=r"host\.start"):
            host.run_function("order")


def test_results_and_calls_have_the_types_that_are_asked_for() -> None:
    app = app_of([])
    activity = next(f for f in app._function_builders if f._function.get_function_name() == "price")
    with DurableTestHost(app) as host:
        one = host.start("order")
        assert one.result(Outcome) == Outcome(5)
        assert one.result() == {"total": 5}
        [call] = one.calls(activity)
        assert (call.input, call.result) == (5, Outcome(5))
        assert host.calls("PRICE")[0].result == {"total": 5}


def test_names_that_the_app_does_not_have_are_refused() -> None:
    with DurableTestHost(app_of([])) as host:
        one = host.start("order")
        for ask in (host.calls, one.calls):
            with pytest.raises(LookupError, match="'no_such'"):
                ask("no_such")
        with pytest.raises(LookupError, match="'nobody'"):
            host.entity(df.EntityId("nobody", "x"))
    early = DurableTestHost(app_of([]))
    early.stub_activity("no_such", returns=1)
    with pytest.raises(LookupError, match="'no_such'"), early:
        pass


def test_a_status_is_equal_to_the_text_and_to_the_enumeration() -> None:
    with DurableTestHost(app_of([])) as host:
        one = host.start("order")
        one.wait()
        assert one.status == "Completed"
        assert one.status == df.OrchestrationRuntimeStatus.Completed
        assert df.OrchestrationRuntimeStatus.Completed == one.status
        assert one.status != df.OrchestrationRuntimeStatus.Failed
        assert one.status in (df.OrchestrationRuntimeStatus.Completed,)
        assert {one.status: 1}["Completed"] == 1


def test_the_modules_show_their_public_names() -> None:
    assert set(testing.__all__) <= set(dir(testing))
    assert {"Activity", "DataConverter", "activity_context"} <= set(dir(df))


def test_what_a_failed_test_shows_can_still_be_shown_when_the_host_is_gone() -> None:
    async def scenario() -> tuple[Instance, Instance]:
        async with DurableTestHost(app_of([])) as host:
            one = await host.start("order", instance_id="one")
            await one.wait()
            return one, host.instance("nobody")

    one, nobody = asyncio.run(scenario())
    assert repr(one) == "<Instance one: Completed>"
    assert repr(nobody) == "<Instance nobody: not there>"
    assert one.output == {"total": 5}
    assert "Task completed 'price'" in one.timeline
    with pytest.raises(InstanceFailed, match="instance one is Completed, not Failed"):
        one.assert_failed()


def test_an_http_function_that_raises_tells_why() -> None:
    with DurableTestHost(app_of([])) as host:
        reply = host.http.get("/api/page")
        assert reply.status == 500
        assert "ValueError: an empty shelf" in reply.text
