"""Workers that keep orchestrations between episodes: less is run, nothing comes out differently."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from engine_kit import BEGINNING, DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine.errors import InstanceEnded, NotPossible
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Continuation,
    Continued,
    Outcome,
)
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store import instances
from azure.durable_functions.local.worker import sessions
from azure.durable_functions.local.worker.sessions import Sessions

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
SESSIONS = HubSettings(keeps_sessions=True)
REPLAYS = HubSettings(max_episodes=20, max_activities=20, result_patience_seconds=60)
"""Without sessions, and however slow the machine is."""


def chain(context: Context) -> Orchestration:
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_activity("same", value)
    return value


def same(value: Any) -> Any:
    return value


def test_a_chain_is_begun_once_and_goes_on_behind_each_activity() -> None:
    async def scenario() -> tuple[Any, int, int, int]:
        invoker = DirectInvoker({"chain": chain}, {"same": same})
        async with Engine(invoker, settings=SESSIONS) as engine:
            instance_id = await engine.hub.start_instance("chain", input_text="20")
            await engine.settle()
            result = await engine.result(instance_id)
            return result, invoker.episodes, invoker.advanced, invoker.continued

    assert asyncio.run(scenario()) == (("Completed", 0), 1, 0, 20)


def test_who_waits_for_more_than_one_activity_is_advanced() -> None:
    def pairs(context: Context) -> Orchestration:
        for _ in range(3):
            calls = [context.call_activity("same", number) for number in range(2)]
            yield context.task_all(calls)
        retry = df.RetryOptions(1000, 2)
        return (yield context.call_activity_with_retry("same", retry, "last"))

    async def scenario() -> tuple[Any, int, int, int]:
        invoker = DirectInvoker({"pairs": pairs}, {"same": same})
        async with Engine(invoker, settings=SESSIONS) as engine:
            instance_id = await engine.hub.start_instance("pairs")
            await engine.settle()
            result = await engine.result(instance_id)
            return result, invoker.episodes, invoker.continued, sum(invoker.started.values())

    # Who is the last of two could go on, but that it is the last is not on disk when it begins.
    assert asyncio.run(scenario()) == (("Completed", "last"), 1, 0, 7)


HELD = ["the activity", "its answer", "the answer behind it"]


class Slow(DirectInvoker):
    """Holds an activity before it runs, or one of the worker's answers when all has run."""

    def __init__(self, orchestrator: Any, held: str) -> None:
        super().__init__({"it": orchestrator}, {"same": same})
        self.held = held
        self.is_held = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def run_activity(self, call: ActivityCall) -> Outcome:
        await self._hold("the activity")
        outcome = await super().run_activity(call)
        if outcome.continued is not None:
            await asyncio.sleep(0)  # it runs
        await self._hold("its answer")
        return outcome

    async def go_on(self, then: Continuation, result: str) -> Continued | None:
        continued = await super().go_on(then, result)
        await self._hold("the answer behind it")
        return continued

    async def _hold(self, what: str) -> None:
        if what == self.held:
            self.is_held.set()
            await self.may_go_on.wait()


def racing(context: Context) -> Orchestration:
    call = context.call_activity("same", "activity")
    event = context.wait_for_external_event("go")
    winner = yield context.task_any([call, event])
    first = winner.result
    both = yield context.task_all([call, event])
    last = yield context.call_activity("same", "last")
    return [first, both, last]


@pytest.mark.parametrize("held", HELD)
def test_what_comes_while_an_activity_runs_is_not_overtaken(held: str) -> None:
    """An episode that a worker has run behind the activity does not count then."""

    async def scenario() -> Any:
        invoker = Slow(racing, held)
        async with Engine(invoker, settings=SESSIONS) as engine:
            await engine.hub.start_instance("it", instance_id="one")
            await invoker.is_held.wait()
            await engine.hub.raise_event("one", "go", '"event"')
            while held != "the answer behind it" and len(await engine.history("one")) < 7:
                await asyncio.sleep(0)  # the turn of the event
            invoker.may_go_on.set()
            await engine.settle()
            return await engine.result("one"), invoker.episodes

    result, episodes = asyncio.run(scenario())
    # Who has held the second answer had the first one before the event came.
    first = "activity" if held == "the answer behind it" else "event"
    assert result == ("Completed", [first, ["activity", "event"], "last"])
    # A session that has gone another way is replayed; one that has only gone on is not.
    assert (episodes == 1) is (held == "the activity")


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("what", ["terminate", "purge", "suspend"])
def test_what_is_done_to_an_instance_counts_before_what_its_worker_has_run(
    what: str, held: str
) -> None:
    def two(context: Context) -> Orchestration:
        yield context.call_activity("same", 1)
        return (yield context.call_activity("same", 2))

    async def scenario() -> Any:
        invoker = Slow(two, held)
        async with Engine(invoker, settings=SESSIONS) as engine:
            hub = engine.hub
            await hub.start_instance("it", instance_id="one")
            await invoker.is_held.wait()
            if what == "purge":
                await engine.database.write(lambda c: instances.delete(c, "one"))
            else:
                await getattr(hub, what)("one", "enough")
            while what == "suspend" and held != "the answer behind it":
                await asyncio.sleep(0)
                if (await engine.result("one"))[0] == "Suspended":
                    break
            invoker.may_go_on.set()
            await engine.settle()
            assert invoker.started["same(2)"] == 0
            if what == "purge":
                assert [await engine.count(table) for table in ("messages", "activities")] == [0, 0]
                return await hub.find("one")
            if what == "suspend":
                assert (await engine.result("one"))[0] == "Suspended"
                await hub.resume("one", None)
                await engine.settle()
            return await engine.result("one")

    expected = {"terminate": ("Terminated", "enough"), "purge": None, "suspend": ("Completed", 2)}
    assert asyncio.run(scenario()) == expected[what]


def test_a_session_that_does_not_want_to_end_concerns_nobody() -> None:
    """What comes first makes the host drop it; its ``finally`` asks for more, as officially."""

    def stubborn(context: Context) -> Orchestration:
        try:
            call = context.call_activity("same", "activity")
            event = context.wait_for_external_event("go")
            yield context.task_all([call, event])
            return "done"
        finally:
            yield context.call_activity("same", "clean-up")

    async def scenario() -> Any:
        invoker = Slow(stubborn, "the answer behind it")
        async with Engine(invoker, settings=SESSIONS) as engine:
            await engine.hub.start_instance("it", instance_id="one")
            await invoker.is_held.wait()
            await engine.hub.raise_event("one", "go", None)
            invoker.may_go_on.set()
            await engine.settle()
            return await engine.result("one")

    assert asyncio.run(scenario()) == ("Completed", "done")


def wandering(context: Context) -> Orchestration:
    luck = random.Random(context.get_input())
    log: list[Any] = []
    for step in range(8):
        kind = luck.choice(["plain", "plain", "event", "timer", "failure", "child"])
        call = context.call_activity("same", step)
        other: Any = None
        if kind == "event":
            other = context.wait_for_external_event("go")
        elif kind == "timer":
            seconds = luck.randrange(3)
            other = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
        elif kind == "failure":
            try:
                yield context.call_activity("broken", step)
            except Exception as error:
                log.append(str(error)[:20])
        elif kind == "child":
            log.append((yield context.call_sub_orchestrator("chain", 2)))
        if other is not None:
            winner = yield context.task_any([call, other])
            log.append("call" if winner is call else "other")
            if winner is call and kind == "timer" and not other.is_completed:
                other.cancel()
        log.append((yield call))
        context.set_custom_status(step)
    return log


def broken(value: Any) -> Any:
    raise ValueError("broken")


class Jittery(DirectInvoker):
    """Everything takes another while; some episodes behind activities are lost, some sessions."""

    def __init__(self, seed: int) -> None:
        super().__init__({"wandering": wandering, "chain": chain}, {"same": same, "broken": broken})
        self.luck = random.Random(seed)

    async def linger(self) -> None:
        for _ in range(self.luck.choice([0, 0, 0, 1, 3, 10, 30])):
            await asyncio.sleep(0)

    async def run_activity(self, call: ActivityCall) -> Outcome:
        await self.linger()
        outcome = await super().run_activity(call)
        await self.linger()
        return outcome

    async def go_on(self, then: Continuation, result: str) -> Continued | None:
        await self.linger()
        continued = await super().go_on(then, result)
        await self.linger()
        if self.luck.random() < 0.05:
            self.sessions = Sessions()
        return None if self.luck.random() < 0.05 else continued


@pytest.mark.parametrize("settings", [SESSIONS, REPLAYS], ids=["sessions", "replays"])
def test_whatever_comes_in_between_a_replay_of_the_history_agrees(settings: HubSettings) -> None:
    async def interfere(engine: Engine, invoker: Jittery) -> None:
        for number in range(12):
            await invoker.linger()
            with contextlib.suppress(NotPossible, InstanceEnded):
                if invoker.luck.random() < 0.5:
                    await engine.hub.raise_event("one", "go", str(number))
                else:
                    await engine.hub.suspend("one", None)
                    await invoker.linger()
                    await engine.hub.resume("one", None)
        await engine.run_out()
        with contextlib.suppress(NotPossible, InstanceEnded):  # the last resume came too early
            await engine.hub.resume("one", None)
        await engine.run_out()

    async def scenario(seed: int) -> int:
        invoker = Jittery(seed)
        async with Engine(invoker, settings=settings) as engine:
            await engine.hub.start_instance("wandering", instance_id="one", input_text=str(seed))
            await interfere(engine, invoker)
            assert [await engine.count(table) for table in ("messages", "activities")] == [0, 0]
            history = await engine.history("one")
            trigger = {
                "history": history[: _last(history, HistoryEventType.EXECUTION_COMPLETED)],
                "input": seed,
                "instanceId": "one",
                "isReplaying": True,
                "parentInstanceId": None,
                "upperSchemaVersion": 1,
                "upperSchemaVersionNew": 2,
            }
            replayed = json.loads(invoker.handles["wandering"](json.dumps(trigger)))
            assert await engine.result("one") == ("Completed", replayed["output"]), seed
            return invoker.continued

    assert sum(asyncio.run(scenario(seed)) for seed in range(60)) > 200


def _last(history: list[dict[str, Any]], kind: HistoryEventType) -> int:
    return max(place for place, event in enumerate(history) if event["EventType"] == kind)


@pytest.mark.parametrize("settings", [SESSIONS, REPLAYS], ids=["sessions", "replays"])
def test_an_episode_is_not_earlier_than_the_one_before(settings: HubSettings) -> None:
    """A worker's clock may be behind the host's, as in a container."""

    async def scenario() -> Any:
        invoker = DirectInvoker({"chain": chain}, {"same": same})
        async with Engine(invoker, settings=settings) as engine:
            invoker.now = lambda: BEGINNING
            instance_id = await engine.hub.start_instance("chain", input_text="3")
            await engine.settle()
            began = HistoryEventType.ORCHESTRATOR_STARTED
            times = [
                timestamps.parse_moment(event["Timestamp"])
                for event in await engine.history(instance_id)
                if event["EventType"] == began
            ]
            assert times == sorted(set(times))
            return await engine.result(instance_id), invoker.continued

    assert asyncio.run(scenario()) == (("Completed", 0), 3)


def test_what_a_disk_does_not_take_runs_again() -> None:
    """Neither the result nor the episode behind it is lost, or counted twice."""
    failures = 0

    async def scenario() -> Any:
        invoker = DirectInvoker({"chain": chain}, {"same": same})
        async with Engine(invoker, settings=SESSIONS) as engine:
            flush = engine.database.flush

            def full(connection: Any) -> None:
                nonlocal failures
                if invoker.continued == 3 and failures < 2:
                    failures += 1
                    raise sqlite3.OperationalError("database or disk is full")
                flush(connection)

            engine.database.flush = full
            await engine.hub.start_instance("chain", instance_id="one", input_text="5")
            await engine.settle()
            kinds = [event["EventType"] for event in await engine.history("one")]
            return await engine.result("one"), kinds.count(HistoryEventType.TASK_COMPLETED)

    assert asyncio.run(scenario()) == (("Completed", 0), 5)
    assert failures == 2


def test_the_function_is_closed_when_it_has_ended_or_is_evicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def careful(context: Context) -> Orchestration:
        try:
            for _ in range(3):
                yield context.wait_for_external_event("go")
        finally:
            ended.append(context.instance_id)

    async def scenario() -> None:
        invoker = DirectInvoker({"careful": careful}, {})
        async with Engine(invoker, settings=SESSIONS) as engine:
            await engine.hub.start_instance("careful", instance_id="one")
            for _ in range(2):
                await engine.hub.raise_event("one", "go", None)
                await engine.settle()
            assert ended == []
            await engine.hub.raise_event("one", "go", None)
            await engine.settle()
            assert ended == ["one"]

            monkeypatch.setattr(sessions, "MOST_SESSIONS", 1)
            await engine.hub.start_instance("careful", instance_id="two")
            await engine.settle()
            await engine.hub.start_instance("careful", instance_id="three")
            await engine.settle()
            assert ended == ["one", "two"]

    asyncio.run(scenario())


def test_a_rewound_instance_begins_anew_from_its_history() -> None:
    is_broken = True

    def fragile(value: Any) -> Any:
        if is_broken:
            raise ValueError("not now")
        return value

    def caller(context: Context) -> Orchestration:
        first = yield context.call_activity("same", 1)
        second = yield context.call_activity("fragile", 2)
        return [first, second]

    async def scenario() -> Any:
        nonlocal is_broken
        invoker = DirectInvoker({"caller": caller}, {"same": same, "fragile": fragile})
        async with Engine(invoker, settings=SESSIONS) as engine:
            await engine.hub.start_instance("caller", instance_id="one")
            await engine.settle()
            assert (await engine.result("one"))[0] == "Failed"
            is_broken = False
            await engine.hub.rewind("one", None)
            await engine.settle()
            return await engine.result("one")

    assert asyncio.run(scenario()) == ("Completed", [1, 2])


def test_a_restarted_instance_does_not_meet_the_session_of_the_one_before() -> None:
    def waiter(context: Context) -> Orchestration:
        first = yield context.wait_for_external_event("go")
        second = yield context.wait_for_external_event("go")
        return [first, second]

    async def scenario() -> Any:
        async with Engine(DirectInvoker({"waiter": waiter}, {}), settings=SESSIONS) as engine:
            await engine.hub.start_instance("waiter", instance_id="one")
            await engine.hub.raise_event("one", "go", "1")
            await engine.settle()
            await engine.hub.terminate("one", None)
            await engine.settle()
            await engine.hub.restart("one", new_id="one")
            for number in ("2", "3"):
                await engine.hub.raise_event("one", "go", number)
                await engine.settle()
            return await engine.result("one")

    assert asyncio.run(scenario()) == ("Completed", [2, 3])


def test_a_failure_in_a_session_tells_what_a_replay_tells() -> None:
    def failing(context: Context) -> Orchestration:
        yield context.call_activity("same", 1)
        raise ValueError("bad luck")

    async def scenario(settings: HubSettings) -> Any:
        invoker = DirectInvoker({"failing": failing}, {"same": same})
        async with Engine(invoker, settings=settings) as engine:
            instance_id = await engine.hub.start_instance("failing")
            await engine.settle()
            return await engine.result(instance_id)

    assert asyncio.run(scenario(SESSIONS)) == asyncio.run(scenario(HubSettings()))


def test_who_looks_at_the_history_sees_what_came_since() -> None:
    def looking(context: Context) -> Orchestration:
        counts = [len(context.histories)]
        for _ in range(2):
            yield context.call_activity("same", 1)
            counts.append(len(context.histories))
        return counts

    async def scenario(settings: HubSettings) -> Any:
        invoker = DirectInvoker({"looking": looking}, {"same": same})
        async with Engine(invoker, settings=settings) as engine:
            instance_id = await engine.hub.start_instance("looking")
            await engine.settle()
            return await engine.result(instance_id)

    assert asyncio.run(scenario(SESSIONS)) == ("Completed", [2, 6, 10])


def test_a_session_that_is_not_there_is_told() -> None:
    gone = Sessions().answer(lambda trigger: "", {"session": "one", "state": "before"}, "[]")

    assert gone.header == {"noSession": True}
