"""A result is stored together with the turn that it makes possible, or else by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.invoker import Outcome, TimedOut, WorkerLost
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store.database import Database

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]

PATIENT = HubSettings(max_episodes=20, max_activities=20, result_patience_seconds=60)
"""However slow the machine is."""


def three(context: Context) -> Orchestration:
    found = []
    for number in range(3):
        found.append((yield context.call_activity("step", number)))
    return found


def approved(context: Context) -> Orchestration:
    approval = context.wait_for_external_event("approval")
    number = yield context.call_activity("step", 1)
    return [number, (yield approval)]


def first_of(context: Context) -> Orchestration:
    result = context.call_activity("step", 1)
    stopped = context.wait_for_external_event("stop")
    winner = yield context.task_any([result, stopped])
    return "result" if winner is result else "stopped"


class CountingDatabase(Database):
    def __init__(self, path: Path) -> None:
        super().__init__(path, flush=self._count)
        self.commits = 0

    def _count(self, connection: sqlite3.Connection) -> None:
        self.commits += 1
        connection.execute("COMMIT")


class SecondEpisode(DirectInvoker):
    """Something happens while it runs, which is the first that a result makes possible."""

    def __init__(self, happens: Callable[[], Any], *, goes_on: bool = False) -> None:
        orchestrators = {"three": three, "approved": approved, "first_of": first_of}
        super().__init__(orchestrators, {"step": lambda number: number})
        self.happens = happens
        self.goes_on = goes_on

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        outcome = await super().orchestrate(name, trigger, alone=alone, session=session)
        if self.episodes == 2:
            await self.happens()
        return outcome


async def commits_of_three(path: Path, settings: HubSettings, *, goes_on: bool = False) -> int:
    """Of an orchestration with three activities in a row."""
    database = CountingDatabase(path)
    invoker = DirectInvoker({"three": three}, {"step": lambda number: number})
    invoker.goes_on = goes_on
    async with Engine(invoker, database, settings=settings) as engine:
        at_start = database.commits
        await engine.hub.start_instance("three", instance_id="one")
        await engine.settle()
        assert await engine.result("one") == ("Completed", [0, 1, 2])
        return database.commits - at_start


BEHIND = pytest.mark.parametrize("goes_on", [False, True], ids=["asked for", "behind it"])
"""Who runs the turn of a result: a worker that the host asks, or the activity's at once."""


@BEHIND
def test_a_result_and_the_turn_behind_it_are_one_commit(tmp_path: Path, goes_on: bool) -> None:
    commits = asyncio.run(commits_of_three(tmp_path / "hub.sqlite", PATIENT, goes_on=goes_on))
    assert commits == 1 + 1 + 3


def test_a_result_does_not_wait_for_a_turn_that_may_be_slow(tmp_path: Path) -> None:
    settings = replace(PATIENT, result_patience_seconds=0)  # the one before took longer
    assert asyncio.run(commits_of_three(tmp_path / "hub.sqlite", settings)) == 1 + 1 + 3 * 2


@BEHIND
def test_a_result_does_not_wait_for_a_turn_that_hangs(tmp_path: Path, goes_on: bool) -> None:
    async def scenario() -> None:
        may_go = asyncio.Event()
        invoker = SecondEpisode(may_go.wait, goes_on=goes_on)
        async with Engine(invoker, Database(tmp_path / "hub.sqlite"), settings=PATIENT) as engine:
            engine.dispatcher.results.patience_seconds = 0  # over before the turn is
            await engine.hub.start_instance("three", instance_id="one")
            while not invoker.started or await engine.count("activities"):
                await asyncio.sleep(0)
            assert await engine.count("messages") == 1
            may_go.set()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [0, 1, 2])
            assert invoker.started == {f"step({number})": 1 for number in range(3)}

    asyncio.run(scenario())


@asynccontextmanager
async def waiting_result(
    database: Database | None = None, orchestrator: str = "three", patience_seconds: float = 60
) -> AsyncIterator[tuple[Engine, asyncio.Event]]:
    """The first result of "one" has come while "two" has the only place, until the event is set."""
    is_taken, may_go, work = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        is_taken.set()
        await may_go.wait()

    invoker = SecondEpisode(hold)
    run_activity = invoker.run_activity

    async def waits(call: Any) -> Outcome:
        await work.wait()
        return await run_activity(call)

    invoker.run_activity = waits  # type: ignore[method-assign]
    async with Engine(invoker, database, settings=replace(PATIENT, max_episodes=1)) as engine:
        engine.dispatcher.results.patience_seconds = patience_seconds
        await engine.hub.start_instance(orchestrator, instance_id="one")
        while not await engine.count("activities"):
            await asyncio.sleep(0)
        await engine.hub.start_instance("three", instance_id="two")
        await is_taken.wait()
        work.set()
        while not invoker.started:
            await asyncio.sleep(0)
        yield engine, may_go


def test_a_result_waits_for_a_place_so_as_to_be_stored_with_its_turn() -> None:
    async def scenario() -> None:
        async with waiting_result() as (engine, may_go):
            may_go.set()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [0, 1, 2])
            assert await engine.result("two") == ("Completed", [0, 1, 2])
            [ever] = await engine.database.read(
                lambda c: c.execute("SELECT seq FROM sqlite_sequence").fetchone()
            )
            assert ever == 2  # messages: no more than the two starts

    asyncio.run(scenario())


def test_a_result_does_not_wait_long_for_a_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = Database(tmp_path / "hub.sqlite")
        async with waiting_result(database, patience_seconds=0) as (engine, may_go):
            while await engine.count("messages") != 2:  # the start of two, the result of one
                await asyncio.sleep(0)
            may_go.set()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [0, 1, 2])

    asyncio.run(scenario())


def test_a_result_waits_no_longer_when_something_else_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = Database(tmp_path / "hub.sqlite")
        async with waiting_result(database, "approved") as (engine, may_go):
            await engine.hub.raise_event("one", "approval", '"yes"')
            while await engine.count("messages") != 3:  # the start of two, and both for one
                await asyncio.sleep(0)
            may_go.set()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, "yes"])

    asyncio.run(scenario())


def test_a_result_that_waits_comes_before_what_is_sent_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = Database(tmp_path / "hub.sqlite")
        async with waiting_result(database, "first_of") as (engine, may_go):
            while not engine.dispatcher.load.results_in_hand:
                await asyncio.sleep(0)
            engine.clock.move_to(engine.clock.now() + timedelta(seconds=1))
            await engine.hub.raise_event("one", "stop", "null")
            while await engine.count("messages") != 3:  # the start of two, and both for one
                await asyncio.sleep(0)
            may_go.set()
            await engine.settle()
            assert await engine.result("one") == ("Completed", "result")

    asyncio.run(scenario())


def test_a_result_does_not_wait_for_a_host_that_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        may_end = asyncio.Event()
        invoker = DirectInvoker({"three": three}, {"step": lambda number: number})
        invoker.goes_on = False
        run_activity = invoker.run_activity

        async def waits(call: Any) -> Outcome:
            await may_end.wait()
            return await run_activity(call)

        invoker.run_activity = waits  # type: ignore[method-assign]
        async with Engine(invoker, Database(tmp_path / "hub.sqlite"), settings=PATIENT) as engine:
            await engine.hub.start_instance("three", instance_id="one")
            while not await engine.count("activities"):
                await asyncio.sleep(0)
            stopping = asyncio.ensure_future(engine.stop())
            await asyncio.sleep(0)
            may_end.set()
            await asyncio.wait_for(stopping, 30)
            assert await engine.count("activities") == 0
            assert await engine.count("messages") == 1

    asyncio.run(scenario())


def test_a_result_that_waits_for_a_place_is_stored_when_the_host_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = Database(tmp_path / "hub.sqlite")
        async with waiting_result(database) as (engine, may_go):
            stopping = asyncio.ensure_future(engine.stop())
            while await engine.count("activities"):
                await asyncio.sleep(0)
            may_go.set()
            await stopping
        invoker = DirectInvoker({"three": three}, {"step": lambda number: number})
        async with Engine(invoker, Database(tmp_path / "hub.sqlite")) as engine:
            await engine.settle()
            for instance_id in ("one", "two"):
                assert await engine.result(instance_id) == ("Completed", [0, 1, 2])
            assert invoker.started["step(0)"] == 1  # of two, whose turn was on its way

    asyncio.run(scenario())


@BEHIND
@pytest.mark.parametrize("error", [WorkerLost, TimedOut, RuntimeError])
def test_a_turn_that_fails_does_not_take_the_result_along(
    error: type[Exception], goes_on: bool
) -> None:
    async def happens() -> None:
        raise error("the worker is gone")

    async def scenario() -> None:
        invoker = SecondEpisode(happens, goes_on=goes_on)
        async with Engine(invoker, settings=PATIENT) as engine:
            await engine.hub.start_instance("three", instance_id="one")
            await engine.settle()
            assert await engine.result("one") == ("Completed", [0, 1, 2])
            assert invoker.started == {f"step({number})": 1 for number in range(3)}
            assert invoker.episodes == 4 + 1

    asyncio.run(scenario())


@BEHIND
@pytest.mark.parametrize("what", ["event", "suspension", "termination"])
def test_what_comes_during_the_turn_is_not_overlooked(what: str, goes_on: bool) -> None:
    async def scenario() -> None:
        async def happens() -> None:
            if what == "event":
                await engine.hub.raise_event("one", "approval", '"yes"')
            elif what == "suspension":
                await engine.hub.suspend("one", "wait")
            else:
                await engine.hub.terminate("one", "enough")

        invoker = SecondEpisode(happens, goes_on=goes_on)
        async with Engine(invoker, settings=PATIENT) as engine:
            await engine.hub.start_instance("approved", instance_id="one")
            await engine.settle()
            if what == "suspension":
                assert await engine.result("one") == ("Suspended", "wait")
                await engine.hub.resume("one", None)
                await engine.hub.raise_event("one", "approval", '"yes"')
                await engine.settle()
            ended = ("Terminated", "enough") if what == "termination" else ("Completed", [1, "yes"])
            assert await engine.result("one") == ended
            assert invoker.started == {"step(1)": 1}
            assert await engine.count("messages") == await engine.count("activities") == 0

    asyncio.run(scenario())
