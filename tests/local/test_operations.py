"""Suspend, resume, rewind, restart and purge, on the real engine and store."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import (
    AlreadyExists,
    InstanceEnded,
    NoSuchInstance,
    NotPossible,
    WrongStatus,
)
from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.store.instances import Filter

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


def two_events(context: Context) -> Orchestration:
    first = yield context.wait_for_external_event("first")
    context.set_custom_status(first)
    second = yield context.wait_for_external_event("second")
    return [first, second]


async def shown(engine: Engine, instance_id: str) -> tuple[str, str | None, str | None]:
    found = await engine.hub.find(instance_id)
    assert found is not None
    return found.status, found.output, found.custom_status


def kinds(history: list[dict[str, Any]]) -> list[int]:
    return [event["EventType"] for event in history]


def test_while_suspended_no_code_runs_and_nothing_is_lost() -> None:
    async def scenario() -> None:
        invoker = DirectInvoker({"main": two_events}, {})
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.suspend("one", "a pause")
            await engine.settle()
            episodes = invoker.episodes
            await engine.hub.raise_event("one", "first", "1")
            await engine.hub.raise_event("one", "second", "2")
            await engine.settle()
            assert await shown(engine, "one") == ("Suspended", "a pause", None)
            assert invoker.episodes == episodes
            with pytest.raises(NotPossible, match="instance one because instance is in the Susp"):
                await engine.hub.suspend("one", None)

            await engine.hub.resume("one", "go on")
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, 2])
            recorded = kinds(await engine.history("one"))
            assert recorded[recorded.index(19) :] == [19, 13, 12, 20, 15, 15, 1, 13]

    asyncio.run(scenario())


def test_the_reason_stays_shown_until_the_end() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": two_events}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.suspend("one", "a pause")
            await engine.settle()
            await engine.hub.resume("one", "go on")
            await engine.hub.raise_event("one", "first", "1")
            await engine.settle()
            assert await shown(engine, "one") == ("Running", "go on", "1")
            with pytest.raises(NotPossible, match=r"Cannot resume .* in the Running state"):
                await engine.hub.resume("one", None)

    asyncio.run(scenario())


def test_an_instance_suspended_before_it_began_keeps_its_start_first() -> None:
    async def scenario() -> None:
        engine = Engine(DirectInvoker({"main": two_events}, {}))
        engine.database.open()  # not started yet: everything stays in the store
        await engine.hub.start_instance("main", instance_id="one")
        await engine.hub.suspend("one", None)
        await engine.start()
        await engine.settle()
        assert await shown(engine, "one") == ("Suspended", None, None)
        assert await engine.history("one") == []

        await engine.hub.resume("one", None)
        await engine.settle()
        assert kinds(await engine.history("one")) == [12, 0, 19, 20, 13]
        await engine.stop(1)
        await engine.database.close()

    asyncio.run(scenario())


def test_a_timer_that_fell_due_meanwhile_fires_after_the_resume() -> None:
    def waits(context: Context) -> Orchestration:
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        return "fired"

    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": waits}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.suspend("one", None)
            await engine.run_out()
            assert (await shown(engine, "one"))[0] == "Suspended"
            await engine.hub.resume("one", None)
            await engine.settle()
            assert await engine.result("one") == ("Completed", "fired")

    asyncio.run(scenario())


def test_a_suspended_instance_can_be_terminated() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": two_events}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.suspend("one", "a pause")
            await engine.settle()
            await engine.hub.terminate("one", "enough")
            await engine.settle()
            assert await engine.result("one") == ("Terminated", "enough")
            with pytest.raises(InstanceEnded):
                await engine.hub.resume("one", None)

    asyncio.run(scenario())


class Flaky:
    """Activities of which one fails until it is mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.calls: list[str] = []

    def steady(self, value: Any) -> Any:
        self.calls.append("steady")
        return value

    def flaky(self, value: Any) -> Any:
        self.calls.append("flaky")
        if self.is_broken:
            raise ValueError("not yet")
        return value


def steps(context: Context) -> Orchestration:
    first = yield context.call_activity("steady", 1)
    second = yield context.call_activity("flaky", 2)
    third = yield context.call_activity("steady", 3)
    return [first, second, third]


def test_a_rewound_instance_repeats_what_failed_and_nothing_else() -> None:
    async def scenario() -> None:
        app = Flaky()
        invoker = DirectInvoker({"main": steps}, {"steady": app.steady, "flaky": app.flaky})
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            for _ in range(2):  # the second time it still fails
                assert (await shown(engine, "one"))[0] == "Failed"
                await engine.hub.rewind("one", "again")
                await engine.settle()
            app.is_broken = False
            await engine.hub.rewind("one", "now it works")
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, 2, 3])
            assert app.calls == ["steady", *["flaky"] * 4, "steady"]
            scheduled = [e["EventId"] for e in await engine.history("one") if e["EventType"] == 4]
            assert scheduled == [0, 1, 2]

    asyncio.run(scenario())


def test_a_failed_child_is_rewound_first() -> None:
    def parent(context: Context) -> Orchestration:
        done = yield context.call_sub_orchestrator("child", None, "the-child")
        return ["parent", done]

    async def scenario() -> None:
        app = Flaky()
        invoker = DirectInvoker(
            {"main": parent, "child": steps}, {"steady": app.steady, "flaky": app.flaky}
        )
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            app.is_broken = False
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert await engine.result("the-child") == ("Completed", [1, 2, 3])
            assert await engine.result("one") == ("Completed", ["parent", [1, 2, 3]])

    asyncio.run(scenario())


def test_only_failed_instances_can_be_rewound() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": two_events, "ends": lambda _: 1}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="runs")
            await engine.hub.start_instance("ends", instance_id="ended")
            await engine.settle()
            for instance_id, status in (("runs", "Running"), ("ended", "Completed")):
                with pytest.raises(WrongStatus, match=f'has status {status}, but only .* "Failed"'):
                    await engine.hub.rewind(instance_id, None)
            with pytest.raises(NoSuchInstance):
                await engine.hub.rewind("missing", None)

    asyncio.run(scenario())


def test_restart_repeats_the_input_under_a_new_or_the_same_id() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": lambda context: context.get_input()}, {})) as e:
            await e.hub.start_instance("main", instance_id="one", input_text='{"n":3}')
            await e.settle()
            other = await e.hub.restart("one")
            await e.settle()
            assert other != "one"
            assert await e.result(other) == ("Completed", {"n": 3})
            assert await e.hub.restart("one", new_id="one") == "one"
            await e.settle()
            assert await e.result("one") == ("Completed", {"n": 3})
            with pytest.raises(NoSuchInstance):
                await e.hub.restart("missing")

    asyncio.run(scenario())


def test_a_restarted_instance_carries_the_id_of_the_one_it_repeats() -> None:
    async def scenario() -> None:
        settings = HubSettings(limits=Limits(default_version="7"))
        async with Engine(DirectInvoker({"main": lambda _: 1}, {}), settings=settings) as e:
            await e.hub.start_instance("main", instance_id="one")
            await e.settle()
            other = await e.hub.restart("one", new_id="two", version="6")
            await e.hub.restart("one", new_id="one")
            await e.settle()

            _, started, *_ = (json.loads(event) for event in await e.hub.history_of(other))
            _, again, *_ = (json.loads(event) for event in await e.hub.history_of("one"))
            found = await e.hub.find("two")

        assert started["Tags"] == {"MS_DurableFunctions_SourceInstanceId": "one"}
        assert again["Tags"] is None
        assert found is not None
        assert found.version == "6"

    asyncio.run(scenario())


def test_an_instance_that_is_replaced_while_it_runs_is_terminated_for_its_parent() -> None:
    def parent(context: Context) -> Orchestration:
        try:
            yield context.call_sub_orchestrator("child", None, "the-child")
        except Exception as error:
            return str(error)

    async def scenario() -> None:
        invoker = DirectInvoker({"parent": parent, "child": two_events, "ends": lambda _: 1}, {})
        async with Engine(invoker, settings=HubSettings(may_replace_running=True)) as engine:
            await engine.hub.start_instance("parent", instance_id="one")
            await engine.settle()
            await engine.hub.start_instance("ends", instance_id="the-child")
            await engine.settle()
            assert await engine.result("the-child") == ("Completed", 1)
            status, told = await engine.result("one")
            assert status == "Completed"
            assert str(told).startswith(
                "A new instance creation request has been issued for instance the-child which "
                "currently has status Running."
            )

    asyncio.run(scenario())


def test_an_instance_of_an_unknown_orchestrator_fails_and_the_log_tells_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"Chain": lambda _: 1}, {})) as engine:
            await engine.hub.start_instance("Chian", instance_id="one")
            [record] = caplog.records
            assert record.levelname == "ERROR"
            assert "Instance one was started, and fails: The function 'Chian'" in record.message
            assert record.message.endswith("Did you mean 'Chain'?")
            await engine.settle()
            assert await shown(engine, "one") == (
                "Failed",
                "Orchestrator function 'Chian' failed: The function 'Chian' doesn't exist, is "
                "disabled, or is not an orchestrator function. Additional info: The following are "
                "the known orchestrator functions: 'Chain'.",
                None,
            )

    asyncio.run(scenario())


def test_a_running_instance_restarts_only_under_a_new_id() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": two_events}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            with pytest.raises(AlreadyExists):
                await engine.hub.restart("one", new_id="one")
            assert await engine.hub.restart("one") != "one"

    asyncio.run(scenario())


def test_purging_leaves_nothing_of_an_ended_instance_and_refuses_a_running_one() -> None:
    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": two_events}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            with pytest.raises(WrongStatus, match="instance ID one has status Running"):
                await engine.hub.purge("one")
            await engine.hub.terminate("one", None)
            await engine.settle()
            assert await engine.hub.purge("one")
            assert not await engine.hub.purge("one")
            for table in ("instances", "history", "messages"):
                assert await engine.count(table) == 0

    asyncio.run(scenario())


def test_purging_many_takes_ended_ones_only() -> None:
    async def scenario() -> None:
        invoker = DirectInvoker({"main": two_events, "ends": lambda _: 1}, {})
        async with Engine(invoker) as engine:
            for number in range(3):
                await engine.hub.start_instance("ends", instance_id=f"ended-{number}")
            await engine.hub.start_instance("main", instance_id="runs")
            await engine.settle()
            assert await engine.hub.purge_ended(Filter(statuses=frozenset({"Running"}))) == 0
            assert await engine.hub.purge_ended(Filter()) == 3
            assert await engine.hub.find("runs") is not None

    asyncio.run(scenario())


def test_what_ended_long_ago_is_purged_by_itself() -> None:
    async def scenario() -> None:
        invoker = DirectInvoker({"main": two_events, "ends": lambda _: 1}, {})
        settings = HubSettings(retention=timedelta(days=30))
        async with Engine(invoker, settings=settings) as engine:
            await engine.hub.start_instance("ends", instance_id="old")
            await engine.hub.start_instance("main", instance_id="runs")
            await engine.settle()
            for days in (29, 2):
                assert await engine.hub.find("old") is not None
                engine.clock.move_to(engine.clock.now() + timedelta(days=days))
                while days == 2 and await engine.hub.find("old") is not None:
                    await asyncio.sleep(0)
            assert await engine.hub.find("runs") is not None

    asyncio.run(scenario())


async def rewound(
    orchestrators: dict[str, Any], app: Flaky, instance_id: str = "one"
) -> tuple[str, Any]:
    """Result of an instance that failed, was rewound with the app mended, and ran out."""
    activities = {"steady": app.steady, "flaky": app.flaky}
    async with Engine(DirectInvoker(orchestrators, activities)) as engine:
        await engine.hub.start_instance("main", instance_id=instance_id)
        await engine.run_out()
        assert (await shown(engine, instance_id))[0] == "Failed"
        app.is_broken = False
        await engine.hub.rewind(instance_id, None)
        await engine.run_out()
        return await engine.result(instance_id)


def test_a_rewind_leaves_cancelled_timers_cancelled() -> None:
    def main(context: Context) -> Orchestration:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        yield context.task_any([context.call_activity("steady", 1), timer])
        timer.cancel()
        return (yield context.call_activity("flaky", 2))

    assert asyncio.run(rewound({"main": main}, Flaky())) == ("Completed", 2)


def test_a_rewind_does_not_take_itself_for_its_child() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_sub_orchestrator("main", None, context.instance_id)

    status, output = asyncio.run(rewound({"main": main}, Flaky()))
    assert status == "Failed"
    assert "must be different than the instance ID of a parent" in output


def signal_nobody(context: Context) -> None:
    """Fails the instance at once, whatever is open."""
    context.signal_entity(df.EntityId("nobody", "k"), "op")


def test_a_child_that_was_open_is_waited_for_again() -> None:
    app = Flaky()

    def main(context: Context) -> Orchestration:
        child = context.call_sub_orchestrator("waits", None, "kid")
        event = context.wait_for_external_event("go")
        yield context.task_any([child, event])
        if app.is_broken:
            signal_nobody(context)
        return (yield child)

    def waits(context: Context) -> Orchestration:
        return (yield context.wait_for_external_event("end"))

    async def scenario(*, ends_before: bool) -> tuple[str, Any]:
        app.is_broken = True
        async with Engine(DirectInvoker({"main": main, "waits": waits}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            await engine.hub.raise_event("one", "go", "1")
            await engine.settle()
            assert (await shown(engine, "one"))[0] == "Failed"
            app.is_broken = False
            if ends_before:
                await engine.hub.raise_event("kid", "end", "7")
                await engine.settle()
            await engine.hub.rewind("one", None)
            await engine.settle()
            if not ends_before:
                await engine.hub.raise_event("kid", "end", "7")
                await engine.settle()
            return await engine.result("one")

    assert asyncio.run(scenario(ends_before=False)) == ("Completed", 7)
    assert asyncio.run(scenario(ends_before=True)) == ("Completed", 7)


def test_an_answer_that_fails_half_way_leaves_nothing_behind() -> None:
    target = ["nobody"]

    def main(context: Context) -> str:
        context.signal_entity(df.EntityId("tally", "a"), "add")
        context.signal_entity(df.EntityId(target[0], "a"), "add")
        return "done"

    def tally(context: df.DurableEntityContext) -> None:
        context.set_state(context.get_state(lambda: 0) + 1)

    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": main}, {}, {"tally": tally})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            assert (await shown(engine, "one"))[0] == "Failed"
            assert await engine.hub.entity_state("tally", "a") is None
            target[0] = "tally"
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert await engine.result("one") == ("Completed", "done")
            assert await engine.hub.entity_state("tally", "a") == "2"

    asyncio.run(scenario())


def test_events_that_continue_as_new_drops_are_warned_of_by_name(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounds(context: Context) -> Orchestration:
        if context.get_input():
            return
        yield context.wait_for_external_event("Go")
        yield context.wait_for_external_event("tick")
        context.continue_as_new("again")

    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": rounds}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            for name in ("Tick", "Tick", "Late", "Go"):
                await engine.settle()
                await engine.hub.raise_event("one", name, "1")
            await engine.settle()
            assert (await engine.result("one"))[0] == "Completed"

    monkeypatch.setattr(logging.getLogger("azure.durable_functions.local"), "propagate", True)
    asyncio.run(scenario())
    [warning] = [record for record in caplog.records if "drops events" in record.getMessage()]
    assert warning.levelno == logging.WARNING
    assert "Tick, Late" in warning.getMessage()
    assert vars(warning)["instance_id"] == "one"
