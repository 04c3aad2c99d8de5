"""Workers that keep orchestrations between episodes: less is run, nothing comes out differently."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.hub import HubSettings
from azure.durable_functions.local.worker import sessions
from azure.durable_functions.local.worker.sessions import Sessions

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
SESSIONS = HubSettings(keeps_sessions=True)


def chain(context: Context) -> Orchestration:
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_activity("same", value)
    return value


def same(value: Any) -> Any:
    return value


def test_a_chain_is_begun_once_and_then_advanced() -> None:
    async def scenario() -> tuple[Any, int, int]:
        invoker = DirectInvoker({"chain": chain}, {"same": same})
        async with Engine(invoker, settings=SESSIONS) as engine:
            instance_id = await engine.hub.start_instance("chain", input_text="20")
            await engine.settle()
            return await engine.result(instance_id), invoker.episodes, invoker.advanced

    assert asyncio.run(scenario()) == (("Completed", 0), 1, 20)


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
            await engine.hub.restart("one", with_new_id=False)
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


def test_an_sdk_without_sessions_replays() -> None:
    answers = Sessions()

    frame = answers.answer(lambda trigger: f"replayed {trigger}", {"session": "one"}, "T")

    assert (frame.header, frame.payload) == ({}, b"replayed T")
    gone = answers.answer(lambda trigger: "", {"session": "one", "seen": 4}, "[]")
    assert gone.header == {"noSession": True}
