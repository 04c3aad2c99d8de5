"""Without sessions, too, a worker runs the next episode right behind an activity."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Continuation,
    Continued,
    Outcome,
)
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.engine.turns import early_episodes, outcomes, running
from azure.durable_functions.local.engine.turns.batch import Batch
from azure.durable_functions.local.engine.turns.material import Material
from azure.durable_functions.local.worker.continuations import NO_LIMIT, Places
from azure.durable_functions.local.workers.pool import WorkerPool
from azure.durable_functions.local.workers.workers import InProcessWorker, Worker

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]

PATIENT = HubSettings(max_episodes=20, max_activities=20, result_patience_seconds=60)
"""However slow the machine is."""
SLOW = HubSettings(max_episodes=20, max_activities=20, result_patience_seconds=0)
"""No turn is quick."""


def chain(context: Context) -> Orchestration:
    value = context.get_input()
    for _ in range(5):
        value = yield context.call_activity("same", value)
    return value


def parent(context: Context) -> Orchestration:
    first = yield context.call_activity("same", None)
    return [first, (yield context.call_sub_orchestrator("chain", ["ä", {"b": '"\\'}, 1.5]))]


async def run_chain(settings: HubSettings) -> tuple[Any, int, int]:
    """What comes of it, how many episodes there were, how many of them behind an activity."""
    invoker = DirectInvoker({"chain": chain}, {"same": lambda value: value})
    async with Engine(invoker, settings=settings) as engine:
        await engine.hub.start_instance("chain", instance_id="one", input_text="1")
        await engine.settle()
        return await engine.result("one"), invoker.episodes, invoker.continued


def test_the_host_asks_for_the_first_episode_only() -> None:
    assert asyncio.run(run_chain(PATIENT)) == (("Completed", 1), 6, 5)


def test_nothing_is_begun_behind_an_activity_where_turns_are_slow() -> None:
    """Its result would not be stored before the turn has ended, or the turn be void."""
    assert asyncio.run(run_chain(SLOW)) == (("Completed", 1), 6, 0)


def test_an_activity_does_not_carry_a_long_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_episodes, "_SHORT_HISTORY_EVENTS", 4 + 4)
    assert asyncio.run(run_chain(PATIENT)) == (("Completed", 1), 6, 2)


def test_what_a_worker_puts_together_is_the_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    asked: list[str] = []

    class Noting(DirectInvoker):
        async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
            given.append(trigger)
            return await super().orchestrate(name, trigger, **options)

    decide = outcomes.decide

    def deciding(material: Material, batch: Batch, *more: Any) -> outcomes.Decided:
        asked.append(running.trigger(material, batch))
        return decide(material, batch, *more)

    monkeypatch.setattr(outcomes, "decide", deciding)

    async def scenario() -> None:
        invoker = Noting({"parent": parent, "chain": chain}, {"same": lambda value: value})
        async with Engine(invoker, settings=PATIENT) as engine:
            await engine.hub.start_instance("parent", instance_id="one")
            await engine.settle()
            value = ["ä", {"b": '"\\'}, 1.5]
            assert await engine.result("one") == ("Completed", [None, value])
            assert invoker.continued == 1 + 5

    asyncio.run(scenario())
    assert sorted(given) == sorted(asked)


def test_what_is_begun_beside_what_is_asked_for_has_places_left_over() -> None:
    begun: list[int] = []
    places = Places(2, share=1)
    assert places.take()
    assert not places.take()
    for number in range(3):
        places.begin(lambda number=number: begun.append(number))
    assert begun == [0]
    places.give_back()
    assert begun == [0, 1]
    assert not places.take()
    for _ in range(3):
        places.give_back()
    assert begun == [0, 1, 2]
    assert [places.take() for _ in range(2)] == [True, False]


def test_where_the_host_alone_counts_nobody_waits_and_nothing_is_begun_beside() -> None:
    begun: list[int] = []
    places = Places(*NO_LIMIT)
    for number in range(100):
        places.begin(lambda number=number: begun.append(number))
        assert not places.take()
    assert len(begun) == 100


def test_behind_a_slow_episode_a_worker_waits_until_it_is_asked() -> None:
    class Slow(DirectInvoker):
        async def go_on(self, then: Continuation, result: str) -> Continued | None:
            continued = await super().go_on(then, result)
            return None if continued is None else continued._replace(seconds=60.0)

        async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
            self.asked += 1
            return await super().orchestrate(name, trigger, **options)

        asked = 0

    async def scenario() -> tuple[Any, int, int]:
        invoker = Slow({"chain": chain}, {"same": lambda value: value})
        async with Engine(invoker, settings=PATIENT) as engine:
            await engine.hub.start_instance("chain", instance_id="one", input_text="1")
            await engine.settle()
            return await engine.result("one"), invoker.asked, invoker.continued

    # The host finds the next one quick again, in each case.
    assert asyncio.run(scenario()) == (("Completed", 1), 6, 3)


APP = """
import threading
import azure.durable_functions as df

app = df.DFApp()
runs, may_end = threading.Semaphore(0), threading.Semaphore(0)

@app.activity_trigger(input_name="value")
def work(value: int) -> int:
    return value

@app.activity_trigger(input_name="value")
async def work_async(value: int) -> int:
    return value

@app.activity_trigger(input_name="value")
def fails(value: int) -> int:
    raise ValueError(value)

@app.orchestration_trigger(context_name="context")
def main(context):
    yield context.call_activity("work", 7)
    runs.release()
    may_end.acquire()
    return "done"

@app.orchestration_trigger(context_name="context")
def exits(context):
    yield context.call_activity("work", 7)
    raise SystemExit("enough")

@app.entity_trigger(context_name="context")
def blocks(context):
    runs.release()
    may_end.acquire()
"""
NOW = datetime(2024, 5, 1, tzinfo=timezone.utc)


def history() -> list[str]:
    """Of an orchestration that waits for its activity."""
    started = events.execution_started(
        NOW, name="main", instance_id="one", execution_id="1", input_text=None, version=None
    )
    return [
        events.orchestrator_started(NOW),
        events.played(started),
        events.task_scheduled(NOW, 0, "work", None),
        events.orchestrator_completed(NOW),
    ]


AROUND = (
    f'{{"history":[{",".join(history())}',
    '],"input":null,"instanceId":"one","isReplaying":true,"parentInstanceId":null,'
    '"upperSchemaVersion":1,"upperSchemaVersionNew":2}',
)
THEN = Continuation("main", clock.stored(NOW), AROUND, events.completion_to_be(0))
RESULT = [events.orchestrator_started(NOW), events.task_completed(NOW, 0, "7")]
TRIGGER = f"{AROUND[0]},{','.join(RESULT)}{AROUND[1]}"


def in_worker(
    folder: Path,
    places: int,
    scenario: Callable[[WorkerPool, Any], Awaitable[None]],
) -> None:
    """Run something in a worker that has a thread of this process; it is given its module, too."""
    (folder / "function_app.py").write_text(APP)
    sys.modules.pop("function_app", None)

    async def start() -> Worker:
        return await InProcessWorker.start(folder, print, places=(places, places))

    async def run() -> None:
        pool = WorkerPool(start, 1)
        await pool.start()
        try:
            await scenario(pool, sys.modules["function_app"])
        finally:
            await pool.stop()

    asyncio.run(run())


async def acquired(semaphore: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, semaphore.acquire)


@pytest.mark.parametrize("activity", ["work", "work_async"])
def test_a_worker_goes_on_behind_an_activity(tmp_path: Path, activity: str) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        outcome = await pool.run_activity(ActivityCall(activity, "7", "one", then=THEN))
        assert outcome.value == "7"  # before the episode has ended
        assert outcome.continued is not None
        running = asyncio.ensure_future(outcome.continued)
        await acquired(module.runs)
        module.may_end.release()
        continued = await running
        assert continued is not None
        assert continued.now > NOW
        answer = json.loads(continued.outcome.value or "")
        assert (answer["isDone"], answer["output"]) == (True, "done")

    in_worker(tmp_path, 1, scenario)


def test_nothing_follows_an_activity_that_fails(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        outcome = await pool.run_activity(ActivityCall("fails", "7", "one", then=THEN))
        assert outcome.failure is not None
        assert (outcome.failure.text, outcome.continued) == ("ValueError: 7", None)

    in_worker(tmp_path, 1, scenario)


def test_a_worker_does_not_go_on_while_as_many_orchestrators_run_as_may(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        running = asyncio.ensure_future(pool.orchestrate("main", TRIGGER))
        await acquired(module.runs)
        outcome = await pool.run_activity(ActivityCall("work", "7", "one", then=THEN))
        assert (outcome.value, outcome.continued) == ("7", None)
        module.may_end.release()
        await running

        outcome = await pool.run_activity(ActivityCall("work", "7", "one", then=THEN))
        assert outcome.continued is not None
        module.may_end.release()
        assert await outcome.continued is not None

    in_worker(tmp_path, 1, scenario)


def test_who_is_asked_for_waits_for_who_has_gone_on(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        outcome = await pool.run_activity(ActivityCall("work", "7", "one", then=THEN))
        assert outcome.continued is not None
        await acquired(module.runs)
        asked = asyncio.ensure_future(pool.orchestrate("main", TRIGGER))
        # When this one has been answered, that one has been looked at.
        second = await pool.run_activity(ActivityCall("work_async", "8", "one"))
        assert second.value == "8"
        assert not module.runs.acquire(blocking=False)
        module.may_end.release()
        assert await outcome.continued is not None
        await acquired(module.runs)
        module.may_end.release()
        assert json.loads((await asked).value or "")["output"] == "done"

    in_worker(tmp_path, 1, scenario)


def test_who_waits_for_a_place_does_not_hold_up_those_who_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread of each kind, an entity on it, and an orchestrator behind that."""
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "1")

    async def scenario(pool: WorkerPool, module: Any) -> None:
        batch = {
            "self": {"name": "blocks", "key": "k"},
            "exists": False,
            "state": None,
            "batch": [{"name": "op", "isSignal": True, "input": None}],
        }
        entity = asyncio.ensure_future(pool.run_entity("blocks", json.dumps(batch)))
        await acquired(module.runs)
        outcome = await pool.run_activity(ActivityCall("work_async", "7", "one", then=THEN))
        assert outcome.continued is not None
        asked = asyncio.ensure_future(pool.orchestrate("main", TRIGGER))
        await acquired(module.runs)  # behind the activity, while the entity blocks
        for _ in range(3):
            module.may_end.release()
        assert await outcome.continued is not None
        assert (await entity).failure is None
        assert json.loads((await asked).value or "")["output"] == "done"

    in_worker(tmp_path, 1, scenario)


def test_a_place_is_given_back_whatever_the_episode_raises(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        for _ in range(3):
            then = THEN._replace(name="exits")
            outcome = await pool.run_activity(ActivityCall("work", "7", "one", then=then))
            assert outcome.continued is not None
            continued = await outcome.continued
            assert continued is not None
            assert continued.outcome.failure is not None
            assert continued.outcome.failure.message.startswith("enough\n\n$OutOfProcData$:")

    in_worker(tmp_path, 1, scenario)


def test_a_worker_without_the_orchestrator_still_answers(tmp_path: Path) -> None:
    """One that has loaded changed code before the host knows of it."""

    async def scenario(pool: WorkerPool, module: Any) -> None:
        worker: Any = pool._workers[0]
        del worker._functions._functions["main"]
        for activity in ("work", "work_async"):
            outcome = await pool.run_activity(ActivityCall(activity, "7", "one", then=THEN))
            assert (outcome.value, outcome.continued) == ("7", None)

    in_worker(tmp_path, 1, scenario)


def test_what_a_worker_has_gone_on_with_does_not_count_after_a_reload(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, module: Any) -> None:
        outcome = await pool.run_activity(ActivityCall("work", "7", "one", then=THEN))
        assert outcome.continued is not None
        await acquired(module.runs)
        await pool.reload()
        running = asyncio.ensure_future(outcome.continued)
        module.may_end.release()
        assert await running is None

    in_worker(tmp_path, 1, scenario)
