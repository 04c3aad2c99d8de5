"""The engine is killed at every commit point in turn, and comes to the same end each time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from engine_kit import DirectInvoker, Engine, ManualClock

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import InstanceEnded
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store.database import Database, StoreClosed

Moment = Literal["before", "after"]
OUTPUT = [1, 2, 3, 4, [10, 20, 30], "rested", "approved", 8, 9, "child of 10"]


def ten_steps(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    done: list[Any] = []
    for step in (1, 2, 3, 4):
        done.append((yield context.call_activity("Step", step)))
    done.append((yield context.task_all([context.call_activity("Work", k) for k in (1, 2, 3)])))
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    done.append("rested")
    done.append((yield context.wait_for_external_event("approval")))
    for step in (8, 9):
        done.append((yield context.call_activity("Step", step)))
    done.append((yield context.call_sub_orchestrator("child", 10)))
    return done


def child(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    number = yield context.call_activity("Step", context.get_input())
    return f"child of {number}"


class Killed(Exception):
    """The process is gone."""


class MortalDatabase(Database):
    """Dies at one commit: just before it, or when it is on disk but nobody knows yet."""

    def __init__(self, path: Path, dies_at: int | None, moment: Moment) -> None:
        super().__init__(path, synchronous="NORMAL", flush=self._die_or_commit)
        self.commits = 0
        self.died = asyncio.Event()
        self._dies_at = dies_at
        self._moment = moment
        self._loop = asyncio.get_running_loop()

    def _die_or_commit(self, connection: sqlite3.Connection) -> None:
        self.commits += 1
        if self._dies_at is not None and self.commits >= self._dies_at:
            if self._moment == "after" and self.commits == self._dies_at:
                connection.execute("COMMIT")
            self.abandon()
            self._loop.call_soon_threadsafe(self.died.set)
            raise StoreClosed("killed")
        connection.execute("COMMIT")

    def bury(self) -> None:
        """Let the file go without writing anything more."""
        self.end_thread()
        self._disconnect()


def make_invoker() -> DirectInvoker:
    return DirectInvoker(
        {"ten_steps": ten_steps, "child": child},
        {"Step": lambda step: step, "Work": lambda k: 10 * k},
    )


class Client:
    """Starts the instance and approves it; repeats what was not acknowledged."""

    def __init__(self) -> None:
        self.has_started = False
        self.has_approved = False

    async def act(self, engine: Engine) -> None:
        if not self.has_started:
            if await engine.hub.find("the-instance") is None:
                await engine.hub.start_instance("ten_steps", instance_id="the-instance")
            self.has_started = True
        await engine.run_out()
        if not self.has_approved:
            try:
                await engine.hub.raise_event("the-instance", "approval", '"approved"')
            except InstanceEnded:
                pass  # the event had been stored, only its acknowledgement was lost
            self.has_approved = True
        await engine.run_out()


async def live(
    client: Client, time: ManualClock, died: MortalDatabase, settings: HubSettings
) -> Engine:
    """Run until the client has seen everything through, or the store dies."""
    engine = Engine(make_invoker(), died, time, settings)
    acting = asyncio.ensure_future(_act(engine, client))
    dying = asyncio.ensure_future(died.died.wait())
    await asyncio.wait({acting, dying}, return_when=asyncio.FIRST_COMPLETED)
    for task in (acting, dying):
        task.cancel()
    await asyncio.gather(acting, dying, return_exceptions=True)
    await engine.stop(patience_seconds=0)
    return engine


async def _act(engine: Engine, client: Client) -> None:
    engine.database.open()
    await engine.start()
    await client.act(engine)


async def life_with_one_death(
    path: Path, dies_at: int | None, moment: Moment, settings: HubSettings
) -> tuple[Engine, Counter[str], int]:
    """The engine after the last life, all activity starts, deaths."""
    client, time = Client(), ManualClock()
    first = MortalDatabase(path, dies_at, moment)
    engine = await live(client, time, first, settings)
    started = Counter(engine.invoker.started)
    if not first.died.is_set():
        return engine, started, 0
    first.bury()
    second = MortalDatabase(path, None, moment)
    engine = await live(client, time, second, settings)
    return engine, started + engine.invoker.started, 1


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("sessions", "patience", "least"),
    [(False, 0, 16), (False, 60, 14), (True, 0, 12), (True, 60, 12)],
    ids=["results alone", "results with turns", "sessions", "sessions, results with turns"],
)
def test_killed_at_every_commit_it_ends_the_same(
    tmp_path: Path, moment: Moment, sessions: bool, patience: float, least: int
) -> None:
    settings = HubSettings(
        max_episodes=20,
        max_activities=20,
        keeps_sessions=sessions,
        result_patience_seconds=patience,
    )

    async def scenario(dies_at: int) -> int:
        engine, started, deaths = await life_with_one_death(
            tmp_path / f"{dies_at}.sqlite", dies_at, moment, settings
        )
        assert await engine.result("the-instance") == ("Completed", OUTPUT), dies_at
        for row in await engine.hub.page(_everything(), limit=10):
            events = await engine.history(row.instance_id)
            scheduled = [event["EventId"] for event in events if event["EventId"] >= 0]
            completed = [
                event.get("TaskScheduledId", event.get("TimerId"))
                for event in events
                if "TaskScheduledId" in event or "TimerId" in event
            ]
            assert len(scheduled) == len(set(scheduled)), (dies_at, row.instance_id)
            assert len(completed) == len(set(completed)), (dies_at, row.instance_id)
        assert all(count <= 2 for count in started.values()), (dies_at, started)
        assert await engine.count("messages") == await engine.count("activities") == 0
        await engine.database.close()
        return deaths

    # How many commits there are is for the disk to say: what comes meanwhile is one.
    commits = 0
    while asyncio.run(scenario(commits + 1)):
        commits += 1
    assert commits > least


def _everything() -> Any:
    from azure.durable_functions.local.store.instances import Filter

    return Filter()


def rewound_steps(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    retry = df.RetryOptions(1000, 2)
    retried = context.call_activity_with_retry("Shaky", retry, 1)
    kid = context.call_sub_orchestrator("kid", None, "the-kid")
    done = yield context.task_all([retried, kid])
    return [*done, (yield context.call_activity("Shaky", 3))]


def kid(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    try:
        yield context.call_activity("Broken", 0)
    except Exception:
        yield context.call_activity("Step", 0)
    return (yield context.call_activity("Shaky", 2))


def invoker_of_rewind(*, is_mended: bool) -> DirectInvoker:
    def broken(_: Any) -> Any:
        raise RuntimeError("not yet")

    return DirectInvoker(
        {"main": rewound_steps, "kid": kid},
        {"Shaky": (lambda n: n) if is_mended else broken, "Broken": broken, "Step": lambda n: n},
    )


async def rewind_with_one_death(path: Path, dies_at: int, moment: Moment) -> bool:
    """Whether the store died; the client repeats a rewind that was not acknowledged."""
    time = ManualClock()
    async with Engine(invoker_of_rewind(is_mended=False), Database(path), time) as engine:
        await engine.hub.start_instance("main", instance_id="the-instance")
        await engine.run_out()
        assert (await engine.result("the-instance"))[0] == "Failed"
    is_told = False

    async def act(engine: Engine) -> None:
        nonlocal is_told
        engine.database.open()
        await engine.start()
        found = await engine.hub.find("the-instance")
        if not is_told and found is not None and found.status == "Failed":
            await engine.hub.rewind("the-instance", None)
        is_told = True
        await engine.run_out()

    for place in (dies_at, None):
        mortal = MortalDatabase(path, place, moment)
        engine = Engine(invoker_of_rewind(is_mended=True), mortal, time)
        acting, dying = (
            asyncio.ensure_future(act(engine)),
            asyncio.ensure_future(mortal.died.wait()),
        )
        await asyncio.wait({acting, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (acting, dying):
            task.cancel()
        await asyncio.gather(acting, dying, return_exceptions=True)
        await engine.stop(patience_seconds=0)
        if not mortal.died.is_set():
            assert await engine.result("the-instance") == ("Completed", [1, 2, 3]), place
            assert await engine.result("the-kid") == ("Completed", 2)
            assert await engine.count("messages") == await engine.count("activities") == 0
            await engine.database.close()
            return place is None
        mortal.bury()
    raise AssertionError("it died twice")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rewind_killed_at_every_commit_ends_the_same(tmp_path: Path, moment: Moment) -> None:
    commits = 0
    while asyncio.run(rewind_with_one_death(tmp_path / f"{commits}.sqlite", commits + 1, moment)):
        commits += 1
    assert commits > 4
