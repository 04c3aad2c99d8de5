"""What an instance comes to, on the real engine and store with time that jumps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine, ManualClock, run_to_end

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import AlreadyExists, InstanceEnded
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Outcome,
    TimedOut,
    UnknownFunction,
)
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store.database import IN_MEMORY, Database, StoreClosed
from azure.durable_functions.local.store.space import StoreFull

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


def run(
    orchestrator: Callable[[Any], Any],
    activities: dict[str, Callable[[Any], Any]] | None = None,
    input_: Any = None,
    more: dict[str, Callable[[Any], Any]] | None = None,
) -> tuple[str, Any]:
    return asyncio.run(run_to_end(orchestrator, activities, input_, more))


def fails(value: Any) -> Any:
    raise ValueError(f"no {value}")


def test_a_chain_passes_results_on() -> None:
    def chain(context: Context) -> Orchestration:
        value = context.get_input()
        for _ in range(3):
            value = yield context.call_activity("double", value)
        return value

    assert run(chain, {"double": lambda n: 2 * n}, input_=5) == ("Completed", 40)


def test_a_failed_activity_is_told_in_the_extensions_words() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("fails", "bread")

    status, output = run(orchestrator, {"fails": fails})

    assert status == "Failed"
    assert output.startswith(
        "Orchestrator function 'main' failed: Activity function 'fails' failed:  "
        "ValueError: no bread \n {"
    )


def test_an_unknown_activity_fails_its_task_only() -> None:
    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_activity("foo")
        except Exception as error:
            return str(error).partition(" \n ")[0]

    assert run(orchestrator, {"A": fails, "B": fails}) == (
        "Completed",
        "Activity function 'foo' failed: The function 'foo' doesn't exist, is disabled, or is not "
        "an activity function. Additional info: The following are the known activity functions: "
        "'A', 'B'. On Azure this call would wait for ever, without a line in any log.",
    )


def test_names_of_activities_ignore_case() -> None:
    def orchestrator(context: Context) -> Orchestration:
        return (yield context.call_activity("HELLO", "you"))

    assert run(orchestrator, {"hello": lambda name: f"hello {name}"}) == ("Completed", "hello you")


def test_an_exception_of_the_orchestrator_fails_the_instance() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("noop")
        raise KeyError("missing")

    assert run(orchestrator, {"noop": lambda _: None}) == (
        "Failed",
        "Orchestrator function 'main' failed: 'missing'",
    )


def test_a_retry_waits_between_attempts_and_gives_up_after_the_last() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("fails", df.RetryOptions(60_000, 3), 1)

    async def scenario() -> tuple[str, list[tuple[int, int]], float]:
        invoker = DirectInvoker({"main": orchestrator}, {"fails": fails})
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("main")
            began = engine.clock.now()
            await engine.run_out()
            took = (engine.clock.now() - began).total_seconds()
            status, _ = await engine.result(instance_id)
            events = await engine.history(instance_id)
            wanted = (4, 6, 10, 11)
            kinds = [(e["EventType"], e["EventId"]) for e in events if e["EventType"] in wanted]
            return status, kinds, took

    status, kinds, took = asyncio.run(scenario())
    attempts = [(4, 0), (6, -1), (10, 1), (11, -1), (4, 2), (6, -1), (10, 3), (11, -1)]
    attempts += [(4, 4), (6, -1), (10, 5), (11, -1)]  # the last timer is due at once
    assert status == "Failed"
    assert kinds == attempts
    assert 120 <= took < 121


def test_many_retried_activities_take_few_episodes() -> None:
    """A fan-out of n must not cost n episodes (protocol.md 8.6)."""
    seen: set[int] = set()

    def fails_once(k: int) -> int:
        if k not in seen:
            seen.add(k)
            raise ValueError(f"first time of {k}")
        return k

    def orchestrator(context: Context) -> Orchestration:
        options = df.RetryOptions(1000, 3)
        tasks = [context.call_activity_with_retry("fails_once", options, k) for k in range(300)]
        return sum((yield context.task_all(tasks)))

    async def scenario() -> tuple[tuple[str, Any], int]:
        invoker = DirectInvoker({"main": orchestrator}, {"fails_once": fails_once})
        settings = HubSettings(max_episodes=20, max_activities=1000)
        async with Engine(invoker, settings=settings) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            return await engine.result(instance_id), invoker.episodes

    result, episodes = asyncio.run(scenario())
    assert result == ("Completed", sum(range(300)))
    assert episodes <= 20


def test_children_get_derived_ids_and_their_results_come_back() -> None:
    def child(context: Context) -> Any:
        return [context.instance_id.rpartition(":")[2], context.parent_instance_id is not None]

    def parent(context: Context) -> Orchestration:
        first = yield context.call_sub_orchestrator("child")
        second = yield context.call_sub_orchestrator("child")
        return [first, second]

    assert run(parent, more={"child": child}) == ("Completed", [["0", True], ["1", True]])


@pytest.mark.parametrize(
    ("instance_id", "told"),
    [("@entity@a", "must not start with @"), ("me", "must be different")],
    ids=["entity", "parent"],
)
def test_a_child_with_a_forbidden_id_fails_its_task(instance_id: str, told: str) -> None:
    def parent(context: Context) -> Orchestration:
        try:
            yield context.call_sub_orchestrator("child", None, instance_id)
        except Exception as error:
            return str(error)

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"parent": parent, "child": parent}, {})) as engine:
            await engine.hub.start_instance("parent", instance_id="me")
            await engine.run_out()
            return await engine.result("me")

    status, output = asyncio.run(scenario())
    assert status == "Completed"
    assert told in output


def test_a_month_passes_without_anybody_waiting() -> None:
    def orchestrator(context: Context) -> Orchestration:
        begin = context.current_utc_datetime
        yield context.create_timer(begin + timedelta(days=30))
        return (context.current_utc_datetime - begin).days

    assert run(orchestrator) == ("Completed", 30)


def test_an_open_timer_keeps_the_instance_running() -> None:
    def orchestrator(context: Context) -> Orchestration:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        event = context.wait_for_external_event("go")
        yield context.task_any([event, timer])
        return "went"

    async def scenario() -> list[str]:
        statuses = []
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            await engine.hub.raise_event(instance_id, "go", "1")
            await engine.settle()
            statuses.append((await engine.result(instance_id))[0])
            await engine.run_out()
            statuses.append((await engine.result(instance_id))[0])
        return statuses

    assert asyncio.run(scenario()) == ["Running", "Completed"]


def test_a_cancelled_timer_does_not() -> None:
    def orchestrator(context: Context) -> Orchestration:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        event = context.wait_for_external_event("go")
        yield context.task_any([event, timer])
        timer.cancel()
        return "went"

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            await engine.hub.raise_event(instance_id, "go", "1")
            await engine.settle()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", "went")


def test_events_that_come_before_anybody_waits_are_taken_in_order() -> None:
    def orchestrator(context: Context) -> Orchestration:
        first = yield context.wait_for_external_event("ping")
        second = yield context.wait_for_external_event("PING")
        return [first, second]

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.hub.raise_event(instance_id, "Ping", "1")
            await engine.hub.raise_event(instance_id, "Ping", "2")
            await engine.settle()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", [1, 2])


def test_continue_as_new_keeps_only_the_last_generation() -> None:
    def orchestrator(context: Context) -> Orchestration:
        count = context.get_input() or 0
        yield context.call_activity("noop")
        context.set_custom_status(f"round {count}")
        if count < 5:
            context.continue_as_new(count + 1)
            return None
        return count

    async def scenario() -> tuple[tuple[str, Any], int]:
        async with Engine(DirectInvoker({"main": orchestrator}, {"noop": lambda _: 0})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            events = await engine.history(instance_id)
            return await engine.result(instance_id), len(events)

    result, events = asyncio.run(scenario())
    assert result == ("Completed", 5)
    assert events == 9  # the generation's first turn ends twice, as the extension's does


def test_continue_as_new_carries_events_that_nobody_has_waited_for() -> None:
    def orchestrator(context: Context) -> Orchestration:
        seen = context.get_input() or []
        seen.append((yield context.wait_for_external_event("tick")))
        if len(seen) < 3:
            context.continue_as_new(seen)
            return None
        return seen

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            for tick in ("1", "2", "3"):
                await engine.hub.raise_event(instance_id, "tick", tick)
            await engine.run_out()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", [1, 2, 3])


def test_terminate_ends_at_once_and_takes_nothing_more() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.wait_for_external_event("never")

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            await engine.hub.terminate(instance_id, "enough")
            await engine.settle()
            with pytest.raises(InstanceEnded):
                await engine.hub.raise_event(instance_id, "never", "1")
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Terminated", "enough")


def test_a_running_id_is_protected_and_an_ended_one_replaced() -> None:
    def orchestrator(context: Context) -> Orchestration:
        if context.get_input() == "wait":
            yield context.wait_for_external_event("go")
        return "done"

    async def scenario() -> list[tuple[str, Any]]:
        results = []
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            await engine.hub.start_instance("main", instance_id="one", input_text='"\\"wait\\""')
            await engine.settle()
            with pytest.raises(AlreadyExists, match="status Running already exists"):
                await engine.hub.start_instance("main", instance_id="one")
            await engine.hub.raise_event("one", "go", "1")
            await engine.settle()
            results.append(await engine.result("one"))
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            results.append(await engine.result("one"))
        return results

    assert asyncio.run(scenario()) == [("Completed", "done"), ("Completed", "done")]


def test_code_that_changed_under_a_running_instance_is_found_out() -> None:
    asked = ["first"]

    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity(asked[0])
        yield context.call_activity("second")

    async def scenario() -> tuple[str, Any]:
        activities = {"first": lambda _: asked.append("other") or asked.pop(0), "second": fails}
        activities["other"] = fails
        async with Engine(DirectInvoker({"main": orchestrator}, activities)) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            return await engine.result(instance_id)

    line = orchestrator.__code__.co_firstlineno + 1
    assert asyncio.run(scenario()) == (
        "Failed",
        "Non-Deterministic workflow detected: the history has CALL_ACTIVITY 'first' with sequence "
        "number 0, but now the code asks for CALL_ACTIVITY 'other' instead "
        f"({__file__}, line {line})",
    )


def test_a_custom_status_that_is_too_large_fails_the_instance() -> None:
    def orchestrator(context: Context) -> Any:
        context.set_custom_status("x" * 20_000)

    status, output = run(orchestrator)

    assert status == "Failed"
    assert output == (
        "Orchestrator function 'main' failed: The UTF-16 size of the JSON-serialized payload must "
        "not exceed 16 KB. The current payload size is 39 KB."
    )


def test_what_has_finished_leaves_nothing_behind() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.task_all([context.call_activity("noop") for _ in range(5)])

    async def scenario() -> list[int]:
        async with Engine(DirectInvoker({"main": orchestrator}, {"noop": lambda _: 0})) as engine:
            await engine.hub.start_instance("main")
            await engine.run_out()
            return [await engine.count(table) for table in ("messages", "activities")]

    assert asyncio.run(scenario()) == [0, 0]


class WaywardClock(ManualClock):
    """A machine's clock that somebody sets back."""

    def set_back(self, span: timedelta) -> None:
        self._now -= span


def test_a_clock_that_is_set_back_loses_no_timer() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        options = df.RetryOptions(1000, 1)
        try:
            yield context.call_activity_with_retry("fails", options, 1)
        except Exception:
            return "gave up"

    async def scenario() -> tuple[str, Any]:
        time = WaywardClock()
        invoker = DirectInvoker({"main": orchestrator}, {"fails": fails})
        async with Engine(invoker, time=time) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            time.set_back(timedelta(hours=1))
            await engine.run_out()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", "gave up")


def test_a_timer_of_a_distant_past_fires_at_once() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.create_timer(datetime(3, 1, 1))
        return "fired"

    assert run(orchestrator) == ("Completed", "fired")


def test_texts_that_no_database_takes_are_escaped() -> None:
    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_sub_orchestrator("main", None, "child\udce9")
        except Exception:
            raise ValueError("file\udce9name") from None

    def failing(context: Context) -> None:
        raise ValueError("no")

    status, output = run(orchestrator, more={"failing": failing})

    assert status == "Failed"
    assert "\\udce9" in output


def test_an_activity_whose_function_is_gone_fails() -> None:
    class Forgetful(DirectInvoker):
        async def run_activity(self, call: ActivityCall) -> Any:
            raise UnknownFunction("gone")

    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("gone")

    async def scenario() -> tuple[str, Any]:
        async with Engine(Forgetful({"main": orchestrator}, {"gone": fails})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            return await engine.result(instance_id)

    status, output = asyncio.run(scenario())
    assert status == "Failed"
    assert "Activity function 'gone' failed: Activity function 'gone' does not exist." in output


def test_cancelled_timers_are_forgotten() -> None:
    def orchestrator(context: Context) -> Orchestration:
        for _ in range(40):
            fire_at = context.current_utc_datetime + timedelta(days=30)
            timers = [context.create_timer(fire_at) for _ in range(50)]
            yield context.task_any([context.call_activity("noop"), *timers])
            for timer in timers:
                timer.cancel()
        return "done"

    async def scenario() -> tuple[tuple[str, Any], int]:
        async with Engine(DirectInvoker({"main": orchestrator}, {"noop": lambda _: 0})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            return await engine.result(instance_id), engine.dispatcher.load.timers

    result, kept = asyncio.run(scenario())
    assert result == ("Completed", "done")
    assert kept < 1500


def test_a_store_that_cannot_roll_back_accepts_nothing_more() -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.close()  # the next statement on it fails, a rollback too
        raise sqlite3.OperationalError("disk I/O error")

    async def scenario() -> None:
        database = Database(IN_MEMORY, flush=fail)
        database.open()
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            await database.write(lambda connection: None)
        with pytest.raises(StoreClosed, match="has failed"):
            await database.write(lambda connection: None)
        await database.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spoil", "mend", "told"),
    [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "disk is full"),
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "readonly database"),
    ],
    ids=["disk full", "read-only"],
)
def test_a_store_that_takes_nothing_says_so_and_loses_nothing(
    spoil: str, mend: str, told: str, tmp_path: Path
) -> None:
    def orchestrator(context: Context) -> Orchestration:
        return (yield context.wait_for_external_event("go"))

    async def fill(engine: Engine) -> None:
        for _ in range(100):  # until the pages at hand are full
            await engine.hub.start_instance("main", input_text=f'"{"x" * 5000}"')

    async def scenario() -> tuple[str, Any]:
        invoker = DirectInvoker({"main": orchestrator}, {})
        async with Engine(invoker, Database(tmp_path / "hub.sqlite")) as engine:
            await engine.hub.start_instance("main", instance_id="one")
            await engine.settle()
            assert engine.database._writer is not None
            engine.database._writer.execute(spoil)
            with pytest.raises((StoreFull, sqlite3.OperationalError), match=told):
                await fill(engine)
            engine.database._writer.execute(mend)
            assert (await engine.result("one"))[0] == "Running"
            await engine.hub.raise_event("one", "go", "1")
            while (await engine.result("one"))[0] == "Running":
                await engine.settle()
            return await engine.result("one")

    assert asyncio.run(scenario()) == ("Completed", 1)


class Slow(DirectInvoker):
    """Its orchestrators do not return in time, so often in a row."""

    time_outs = 0

    async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
        outcome = await super().orchestrate(name, trigger, **options)
        if self.episodes <= self.time_outs:
            raise TimedOut("Timeout value of 00:00:01 was exceeded by function: Functions.one")
        return outcome


@pytest.mark.parametrize(("time_outs", "status"), [(2, "Completed"), (3, "Failed")])
def test_an_orchestrator_that_never_returns_fails_at_the_third_try(
    time_outs: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(context: Context) -> Orchestration:
        return (yield context.call_activity("step", 1))

    async def scenario() -> tuple[str, Any]:
        invoker = Slow({"one": one}, {"step": lambda number: number})
        invoker.time_outs = time_outs
        async with Engine(invoker) as engine:
            await engine.hub.start_instance("one", instance_id="one")
            await engine.settle()
            return await engine.result("one")

    found, output = asyncio.run(scenario())

    assert found == status
    if status == "Failed":
        assert "has not returned at any of 3 tries (Timeout value of 00:00:01" in output
