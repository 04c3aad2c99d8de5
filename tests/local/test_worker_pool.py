"""Who gets which invocation, and what is remembered of workers that keep orchestrations."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from azure.durable_functions.local.engine.invoker import ActivityCall, Continuation, WorkerLost
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.worker import app_loader
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.local.workers import pool
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.workers.pool import WorkerPool
from azure.durable_functions.local.workers.workers import (
    Answers,
    InProcessWorker,
    Worker,
    WorkerProcess,
)
from azure.durable_functions.testing._apps import InlineWorker

NOW = "2024-05-01T12:00:00.000000"


class ScriptedWorker(Answers):
    """Keeps every orchestration, and goes on behind every activity that does not fail.

    An orchestration whose session's name begins with "short" ends behind its activity.
    """

    def __init__(self) -> None:
        super().__init__()
        names = {"main": "orchestrationTrigger", "work": "activityTrigger"}
        functions = [
            FunctionInfo(name, [{"name": "x", "type": kind}], name, "function_app.py", "")
            for name, kind in names.items()
        ]
        self.app = AppInfo(functions, [], None, [], "3.11")
        self.lost = asyncio.Event()
        self.load = 0
        self.is_retired = False
        self.calls: list[dict[str, Any]] = []

    async def call(self, header: dict[str, Any], payload: bytes, after: Commit = KEPT) -> Frame:
        await after.kept()
        self.calls.append(header)
        if payload == b"lost":
            self.lost.set()
            self._break(WorkerLost)
            raise WorkerLost
        if payload == b"fails":
            return Frame({"error": {"typeName": "", "message": "", "stack": "", "details": {}}})
        if "then" not in header:
            return Frame({"state": header["invocationId"]} if "session" in header else {})
        then = header["then"]
        has_ended = then.get("session", "short").startswith("short")
        after = {} if has_ended else {"state": then["invocationId"]}
        answer = Frame({"id": then["id"], "now": NOW, **after}, b"{}")
        asyncio.get_running_loop().call_soon(self._take, answer)
        return Frame({"goesOn": True}, b"1")

    async def stop(self) -> None:
        self.lost.set()


def in_pool(scenario: Callable[[WorkerPool, list[ScriptedWorker]], Awaitable[None]]) -> None:
    async def run() -> None:
        workers: list[ScriptedWorker] = []

        async def start() -> ScriptedWorker:
            workers.append(ScriptedWorker())
            return workers[-1]

        pool = WorkerPool(start, 2)
        await pool.start()
        await scenario(pool, workers)
        assert [worker.load for worker in workers] == [0] * len(workers)
        assert [worker._waiting for worker in workers] == [{}] * len(workers)
        await pool.stop()

    asyncio.run(run())


async def opened(pool: WorkerPool, session: str) -> Continuation:
    """The continuation of an orchestration that a worker has just begun to keep."""
    outcome = await pool.orchestrate("main", "{}", session=session)
    assert outcome.session_state is not None
    return behind_an_activity(session, outcome.session_state)


def behind_an_activity(session: str, state: str) -> Continuation:
    return Continuation("main", "", ("", ""), ("", "", ""), (session, state))


def state_of(then: Continuation) -> str:
    assert then.session is not None
    return then.session[1]


async def continued(pool: WorkerPool, then: Continuation) -> str | None:
    """The state after the episode behind an activity."""
    outcome = await pool.run_activity(ActivityCall("work", None, "one", then=then))
    assert outcome.continued is not None
    answer = await outcome.continued
    assert answer is not None
    return answer.outcome.session_state


def test_an_activity_goes_to_the_worker_that_keeps_its_orchestration() -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        workers[0].load += 1  # so that the second one begins
        then = await opened(pool, "one")
        workers[0].load -= 1

        await continued(pool, then)

        assert [len(worker.calls) for worker in workers] == [0, 2]

    in_pool(scenario)


def test_an_activity_with_something_to_follow_waits_for_its_commit_too() -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        then, commit = await opened(pool, "one"), Commit()
        call = ActivityCall("work", None, "one", then=then, after=commit)
        running = asyncio.ensure_future(pool.run_activity(call))
        for _ in range(10):
            await asyncio.sleep(0)  # until it would be on its way
        assert len(workers[0].calls) == 1

        commit.keep()

        outcome = await running
        assert outcome.continued is not None
        assert await outcome.continued is not None

    in_pool(scenario)


def test_a_worker_that_has_more_to_do_than_others_is_not_chosen_for_what_it_keeps() -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        then = await opened(pool, "one")
        workers[0].load += 1

        outcome = await pool.run_activity(ActivityCall("work", None, "one", then=then))

        assert outcome.continued is None
        assert [len(worker.calls) for worker in workers] == [1, 1]
        workers[0].load -= 1

    in_pool(scenario)


def test_without_a_session_what_follows_may_run_in_any_worker() -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        workers[0].load += 1
        then = Continuation("main", "", ("before", "behind"), ("", "", ""))

        assert await continued(pool, then) is None

        assert [len(worker.calls) for worker in workers] == [0, 1]
        assert workers[1].calls[0]["then"].keys().isdisjoint(("session", "state"))
        workers[0].load -= 1

    in_pool(scenario)


def test_an_activity_does_not_fail_with_an_orchestrator_that_a_reload_has_removed() -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        then = Continuation("removed", "", ("before", "behind"), ("", "", ""))

        outcome = await pool.run_activity(ActivityCall("work", None, "one", then=then))

        assert (outcome.failure, outcome.continued) == (None, None)
        assert "then" not in workers[0].calls[0]

    in_pool(scenario)


@pytest.mark.parametrize("trouble", ["fails", "lost"])
def test_nothing_is_left_of_a_continuation_that_never_comes(trouble: str) -> None:
    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        then = await opened(pool, "one")

        try:
            outcome = await pool.run_activity(ActivityCall("work", trouble, "one", then=then))
        except WorkerLost:
            assert trouble == "lost"
        else:
            assert outcome.failure is not None
            assert outcome.continued is None

    in_pool(scenario)


def test_sessions_that_have_ended_do_not_displace_one_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MOST_SESSIONS", 1)  # two, for two workers

    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        state = state_of(await opened(pool, "long"))
        for number in range(5):
            assert await continued(pool, await opened(pool, f"short {number}")) is None
            after = await continued(pool, behind_an_activity("long", state))
            assert after is not None
            state = after

        assert await pool.advance("main", "long", state, "[]") is not None

    in_pool(scenario)


def test_of_those_in_use_the_one_used_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MOST_SESSIONS", 1)

    async def scenario(pool: WorkerPool, workers: list[ScriptedWorker]) -> None:
        first = await opened(pool, "first")
        second = await opened(pool, "second")
        await continued(pool, first)
        await opened(pool, "third")

        assert await pool.advance("main", "second", state_of(second), "[]") is None
        assert await pool.advance("main", "first", state_of(first), "[]") is not None

    in_pool(scenario)


COUNTING = """
import azure.durable_functions as df

app = df.DFApp()
calls = 0

@app.activity_trigger(input_name="nothing")
def count(nothing) -> int:
    global calls
    calls += 1
    return calls
"""


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["", "cancelled"])
@pytest.mark.parametrize("kind", ["process", "thread", "inline"])
def test_a_function_begins_after_the_commit_that_it_waits_for(
    kind: str,
    is_cancelled: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    (tmp_path / "function_app.py").write_text(COUNTING)

    def told() -> int:
        return sum(record.name == "Function.count" for record in caplog.records)

    async def start() -> Worker:
        if kind == "process":
            environment = dict(os.environ)
            return await WorkerProcess.start([sys.executable], tmp_path, environment, print)
        if kind == "thread":
            return await InProcessWorker.start(tmp_path, print)
        return InlineWorker(app_loader.load(tmp_path))

    async def run() -> None:
        pool = WorkerPool(start, 1)
        await pool.start()
        try:
            commit = Commit()
            second = asyncio.ensure_future(
                pool.run_activity(ActivityCall("count", None, "one", after=commit))
            )
            for _ in range(10):
                await asyncio.sleep(0)  # until it would be on its way
            first = await pool.run_activity(ActivityCall("count", None, "two"))
            assert first.value == "1"
            assert told() == 2  # of the one that has begun
            if is_cancelled:
                second.cancel()
                await asyncio.wait([second])
            commit.keep()
            commit.tell()
            assert is_cancelled or (await second).value == "2"
            last = await pool.run_activity(ActivityCall("count", None, "three", after=commit))
            assert last.value == ("2" if is_cancelled else "3")
            assert told() == (4 if is_cancelled else 6)
        finally:
            await pool.stop()
            app_loader.unload(tmp_path)

    asyncio.run(run())


class KilledWorker(WorkerProcess):
    def __init__(self) -> None:
        self.was_killed = False

    def kill(self) -> None:
        self.was_killed = True


def test_a_function_has_its_time_from_the_commit_on() -> None:
    async def run() -> None:
        limit = pool._TimeLimit(timedelta(minutes=30))
        worker, commit, other = KilledWorker(), Commit(), KilledWorker()
        invocation = limit.begin(worker, commit)
        limit._look()  # a slow disk
        commit.keep()
        limit.begin(other, KEPT)
        limit._look()
        assert not worker.was_killed
        assert commit.kept_at is not None
        commit.kept_at -= 1800
        invocation._called_at -= 1900
        limit._look()
        assert worker.was_killed
        assert invocation.was_exceeded
        assert not other.was_killed

    asyncio.run(run())
