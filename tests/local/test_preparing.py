"""What a commit schedules is prepared while the disk works, and begins when it has ended."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.invoker import ActivityCall, Outcome, WorkerLost
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.store.database import IN_MEMORY, Database
from azure.durable_functions.local.store.messages import Activity

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


class HeldDatabase(Database):
    """Can be made to take its time for a commit, and to fail then."""

    def __init__(self, path: Path, *, fails: bool = False) -> None:
        super().__init__(path, flush=self._hold_or_commit)
        self.is_held = asyncio.Event()
        self._fails = fails
        self._may_flush = threading.Event()
        self._may_flush.set()
        self._loop = asyncio.get_running_loop()

    def hold(self) -> None:
        """Hold the next commit; only the first one that is wanted."""
        if not self.is_held.is_set():
            self._may_flush.clear()

    def let_go(self) -> None:
        self._may_flush.set()

    def _hold_or_commit(self, connection: sqlite3.Connection) -> None:
        if not self._may_flush.is_set():
            self._loop.call_soon_threadsafe(self.is_held.set)
            assert self._may_flush.wait(10)
            if self._fails:
                self._fails = False
                raise sqlite3.OperationalError("disk I/O error")
        connection.execute("COMMIT")


@asynccontextmanager
async def engine_on(
    database: HeldDatabase, invoker: DirectInvoker, **more: Any
) -> AsyncIterator[Engine]:
    async with Engine(invoker, database, **more) as engine:
        yield engine


async def some_turns_of_the_loop() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("fails", [False, True], ids=["kept", "lost"])
@pytest.mark.parametrize("sessions", [False, True], ids=["replays", "sessions"])
def test_behind_an_activity(tmp_path: Path, sessions: bool, fails: bool) -> None:
    def four(context: Context) -> Orchestration:
        yield context.call_activity("step", 1)
        return (yield context.task_all([context.call_activity("step", k) for k in (2, 3, 4)]))

    async def scenario() -> None:
        database = HeldDatabase(tmp_path / "hub.sqlite", fails=fails)

        def step(number: int) -> int:
            if number == 1:
                database.hold()  # its result, with the turn behind it
            return number

        invoker = DirectInvoker({"four": four}, {"step": step})
        settings = HubSettings(
            max_episodes=20,
            max_activities=2,
            keeps_sessions=sessions,
            result_patience_seconds=60,
        )
        async with engine_on(database, invoker, settings=settings) as engine:
            await engine.hub.start_instance("four", instance_id="one")
            await database.is_held.wait()
            await some_turns_of_the_loop()
            assert invoker.started == {"step(1)": 1}
            # A turn prepares as many as there are places.
            assert engine.dispatcher.load.running_activities == 2
            database.let_go()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [2, 3, 4])
            assert invoker.started == {f"step({number})": 1 for number in (1, 2, 3, 4)}

    asyncio.run(scenario())


class EarlyAnswers(HeldDatabase):
    """Tells of a commit so late that workers have answered meanwhile what it has let go."""

    def _tell(self, loop: asyncio.AbstractEventLoop, commit: Commit, patience: int = 10) -> None:
        if patience:
            loop.call_soon(self._tell, loop, commit, patience - 1)
        else:
            super()._tell(loop, commit)


def test_an_answer_does_not_overtake_the_end_of_the_turn_before(tmp_path: Path) -> None:
    def chain(context: Context) -> Orchestration:
        for number in range(20):
            yield context.call_activity("step", number)

    async def scenario() -> None:
        database = EarlyAnswers(tmp_path / "hub.sqlite")
        invoker = DirectInvoker({"chain": chain}, {"step": lambda number: number})
        settings = HubSettings(keeps_sessions=True)
        async with engine_on(database, invoker, settings=settings) as engine:
            await engine.hub.start_instance("chain", instance_id="one")
            await engine.settle()
            assert await engine.result("one") == ("Completed", None)
            assert (invoker.episodes, invoker.advanced, invoker.continued) == (1, 0, 20)

    asyncio.run(scenario())


def test_no_episode_is_asked_for_on_top_of_a_turn_that_is_not_committed(tmp_path: Path) -> None:
    """Of an activity that has waited for a place since an earlier turn, say."""
    calls: list[ActivityCall] = []

    class Noting(DirectInvoker):
        async def run_activity(self, call: ActivityCall) -> Outcome:
            calls.append(call)
            if len(calls) == 1:
                database.hold()
            return await super().run_activity(call)

    def two(context: Context) -> Orchestration:
        yield context.call_activity("step", 1)
        yield context.call_activity("step", 2)

    async def scenario() -> None:
        nonlocal database
        database = HeldDatabase(tmp_path / "hub.sqlite")
        invoker = Noting({"two": two}, {"step": lambda number: number})
        settings = HubSettings(keeps_sessions=True)
        async with engine_on(database, invoker, settings=settings) as engine:
            await engine.hub.start_instance("two", instance_id="one")
            await database.is_held.wait()
            await some_turns_of_the_loop()
            then, commit = calls[1].then, calls[1].after
            assert then is not None
            assert then.session is not None
            execution_id = then.session[0].partition("/")[2]
            activity = Activity("one", 1, execution_id, "step", "2")
            assert engine.orchestrations.continuation_of(activity, commit) == then
            assert engine.orchestrations.continuation_of(activity, KEPT) is None
            database.let_go()
            await engine.settle()
            assert await engine.result("one") == ("Completed", None)

    database: HeldDatabase
    asyncio.run(scenario())


class Losing(DirectInvoker):
    """Loses three workers in a row, the first one before the function may begin."""

    lost = 0

    async def run_activity(self, call: ActivityCall) -> Outcome:
        if self.lost < 3:
            self.lost += 1
            raise WorkerLost
        return await super().run_activity(call)


class Http:
    """Answers each request with its address."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.sent.append(request["uri"])
        return {"statusCode": 200, "headers": {}, "content": request["uri"]}


@pytest.mark.parametrize("fails", [False, True], ids=["kept", "lost"])
@pytest.mark.parametrize("invoker_type", [DirectInvoker, Losing], ids=["", "worker lost"])
def test_behind_the_first_turn(
    tmp_path: Path, invoker_type: type[DirectInvoker], fails: bool
) -> None:
    def both(context: Context) -> Orchestration:
        call = context.call_activity("step", 1)
        number, answer = yield context.task_all([call, context.call_http("GET", "http://x/")])
        return [number, answer["content"]]

    async def scenario() -> None:
        database = HeldDatabase(tmp_path / "hub.sqlite", fails=fails)
        invoker, http = invoker_type({"both": both}, {"step": lambda number: number}), Http()
        async with engine_on(database, invoker, http=http) as engine:
            await engine.hub.start_instance("both", instance_id="one")
            database.hold()  # its first turn, which has not begun
            await database.is_held.wait()
            await some_turns_of_the_loop()
            assert (invoker.started, http.sent) == ({}, [])
            assert engine.dispatcher.load.running_activities == 2
            database.let_go()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, "http://x/"])
            assert (invoker.started, http.sent) == ({"step(1)": 1}, ["http://x/"])

    asyncio.run(scenario())


def test_not_in_a_pause(tmp_path: Path) -> None:
    async def scenario() -> None:
        def one(context: Context) -> Orchestration:
            engine.dispatcher.pause()
            return (yield context.call_activity("step", 1))

        database = HeldDatabase(tmp_path / "hub.sqlite")
        invoker = DirectInvoker({"one": one}, {"step": lambda number: number})
        async with engine_on(database, invoker) as engine:
            await engine.hub.start_instance("one", instance_id="one")
            while not await engine.count("activities"):
                await asyncio.sleep(0)
            await some_turns_of_the_loop()
            assert invoker.started == {}
            engine.dispatcher.resume()
            await engine.settle()
            assert await engine.result("one") == ("Completed", 1)

    asyncio.run(scenario())


def test_only_of_changes_that_are_part_of_the_commit(tmp_path: Path) -> None:
    def insert(name: str) -> Callable[[sqlite3.Connection], str]:
        def change(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT INTO settings VALUES (:name, '')", {"name": name})
            return name

        return change

    async def scenario() -> None:
        database = HeldDatabase(tmp_path / "hub.sqlite")
        database.open()
        begun: list[str] = []
        ended: list[str] = []

        def begin(name: str, commit: Commit) -> None:
            begun.append(name)
            commit.then(lambda: ended.append(name))

        database.hold()
        writes = [database.write(insert(name), begin) for name in ("a", "a", "b")]
        writing = asyncio.gather(*writes, return_exceptions=True)
        await database.is_held.wait()
        assert (begun, ended) == (["a", "b"], [])
        database.let_go()
        told = await writing
        assert (told[0], type(told[1]), told[2]) == ("a", sqlite3.IntegrityError, "b")
        assert ended == ["a", "b"]
        await database.close()

    asyncio.run(scenario())


def test_what_waits_for_a_commit_follows_in_order() -> None:
    commit, order = Commit(), list[str]()

    def first() -> None:
        assert commit.is_kept  # as an answer to what was let go may come at once
        order.append("first")
        commit.then(lambda: order.append("third"))

    commit.then(first)
    commit.then(lambda: order.append("second"))
    commit.keep()
    commit.then(lambda: order.append("fourth"))

    assert order == ["first", "second", "third", "fourth"]


def test_a_preparation_that_fails_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        told: list[Any] = []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        database = Database(IN_MEMORY)
        database.open()
        assert await database.write(lambda _: 1, broken) == 1
        assert await database.write(lambda _: 2, lambda _, commit: commit.then(broken)) == 2
        assert [type(error) for error in told] == [ZeroDivisionError] * 2
        await database.close()

    asyncio.run(scenario())
