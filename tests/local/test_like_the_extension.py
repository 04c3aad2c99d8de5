"""What the engine does as the extension 3.19 does, beyond the triggers themselves."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from engine_kit import BEGINNING, DirectInvoker, Engine, _outcome

from azure.durable_functions.local.engine.invoker import Outcome
from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.engine.texts import envelopes, events
from azure.durable_functions.local.engine.turns.changes import fires_early_at

Context = Any
Orchestration = Any
HEX = re.compile(r"[0-9a-f]{32}")
DASHED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def waits(context: Context) -> Orchestration:
    return (yield context.wait_for_external_event("go"))


class Failing(DirectInvoker):
    """Its orchestrators' second episode fails with a message of the test's own."""

    def __init__(self, message: str, **given: Any) -> None:
        super().__init__({"main": calls_twice}, {"noop": lambda _: 0})
        self.goes_on = False
        self._message = message

    async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
        if '"EventType":5,' not in trigger:
            return await super().orchestrate(name, trigger, **options)

        def fail() -> str:
            raise ValueError(self._message)

        return _outcome(fail)


def calls_twice(context: Context) -> Orchestration:
    yield context.call_activity("noop", 1)
    yield context.call_activity("noop", 2)


ACTIONS = '"actions": [[{"actionType": 0, "functionName": "noop", "input": "1"}]]'
NON_DETERMINISM = (
    "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled an "
    "activity task with sequence ID 0 and name 'noop' (version ''), but the current replay "
    "execution hasn't (yet?) scheduled this task. Was a change made to the orchestrator code after "
    "this instance had already started running?"
)


async def failed_with(message: str) -> tuple[str, Any]:
    async with Engine(Failing(message)) as engine:
        instance_id = await engine.hub.start_instance("main")
        await engine.run_out()
        return await engine.result(instance_id)


def envelope(text: str) -> str:
    return f"boom\nStack: no, a text\n\n$OutOfProcData$:no, a text\n\n$OutOfProcData$:{text}"


def test_a_failure_with_an_envelope_ends_with_its_own_text() -> None:
    message = envelope(f'{{"isDone": false, "schemaVersion": 2, {ACTIONS}, "error": "boom"}}')
    expected = ("Failed", "Orchestrator function 'main' failed: boom")
    assert asyncio.run(failed_with(message)) == expected


@pytest.mark.parametrize(
    "text",
    [
        f'{{"isDone": true, "schemaVersion": 2, {ACTIONS}, "error": "boom"}}',
        f'{{"isDone": 0, "schemaVersion": 2, {ACTIONS}, "error": "boom"}}',
        f'{{"schemaVersion": 2, {ACTIONS}, "error": "boom"}}',
        f'{{"isDone": false, "schemaVersion": 2, {ACTIONS}, "error": ""}}',
        f'{{"isDone": false, "schemaVersion": 2, {ACTIONS}, "error": 7}}',
        f'{{"isDone": false, "schemaVersion": 2, {ACTIONS}, "error": "boom"}} and more',
        f'{{"isDone": false, "IsDone": false, "schemaVersion": 2, {ACTIONS}, "error": "boom"}}',
        '{"isDone": false, "schemaVersion": 2, "actions": [7], "error": "boom"}',
        '{"isDone": false, "schemaVersion": 2, "error": "boom"}',
        "[]",
    ],
)
def test_what_is_no_envelope_ends_as_non_determinism_and_the_log_has_the_reason(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(failed_with(envelope(text))) == ("Failed", NON_DETERMINISM)
    assert "It raised: ValueError: boom" in caplog.text
    assert "actionType" not in caplog.text


def test_without_work_in_the_history_a_plain_failure_shows_type_text_and_stack() -> None:
    async def scenario() -> tuple[str, Any]:
        invoker = DirectInvoker({"main": waits}, {})

        async def plain(name: str, trigger: str, **options: Any) -> Outcome:
            def fail() -> str:
                raise ValueError("plain")

            return _outcome(fail)

        invoker.orchestrate = plain  # type: ignore[method-assign]
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            return await engine.result(instance_id)

    status, output = asyncio.run(scenario())
    assert status == "Failed"
    assert output.startswith(
        "Orchestrator function 'main' failed: One or more errors occurred. (Result: Failure\n"
        "Exception: ValueError: plain\nStack: "
    )


def test_a_timer_is_told_without_a_name() -> None:
    event = events.timer_created(BEGINNING, 3, BEGINNING)
    assert "a timer with sequence ID 3, but" in (envelopes.contradicted([event]) or "")


def test_execution_ids_have_dashes_only_where_a_client_has_started() -> None:
    def parent(context: Context) -> Orchestration:
        yield context.call_sub_orchestrator("child")

    def child(context: Context) -> Orchestration:
        if context.get_input() is None:
            context.continue_as_new(1)
        else:
            yield context.wait_for_external_event("go")

    async def scenario() -> list[str]:
        async with Engine(DirectInvoker({"parent": parent, "child": child}, {})) as engine:
            instance_id = await engine.hub.start_instance("parent")
            await engine.settle()
            started = await engine.hub.find(instance_id)
            assert started is not None
            generation = await engine.hub.find(f"{started.execution_id}:0")
            assert generation is not None
            restarted = await engine.hub.find(await engine.hub.restart(instance_id))
            assert restarted is not None
            return [started.execution_id, generation.execution_id, restarted.execution_id]

    by_client, *others = asyncio.run(scenario())
    assert DASHED.fullmatch(by_client)
    assert all(HEX.fullmatch(execution_id) for execution_id in others)


def test_the_trigger_of_a_repeated_instance_names_its_source_in_each_generation() -> None:
    triggers: list[dict[str, Any]] = []

    begun: set[str] = set()

    def again(context: Context) -> Orchestration:
        if context.instance_id not in begun:
            begun.add(context.instance_id)
            context.continue_as_new(1)
            return
        yield context.wait_for_external_event("go")

    class Seeing(DirectInvoker):
        async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
            triggers.append(json.loads(trigger))
            return await super().orchestrate(name, trigger, **options)

    async def scenario() -> str:
        async with Engine(Seeing({"again": again}, {})) as engine:
            source = await engine.hub.start_instance("again")
            await engine.settle()
            await engine.hub.restart(source)
            await engine.settle()
            return source

    source = asyncio.run(scenario())
    assert [t["sourceInstanceId"] for t in triggers] == [None, None, source, source]


def test_two_children_with_one_id_run_one_after_the_other_and_both_answer() -> None:
    running = 0

    def parent(context: Context) -> Orchestration:
        calls = [context.call_sub_orchestrator("child", n, "same") for n in (1, 2, 3)]
        return (yield context.task_all(calls))

    def child(context: Context) -> Orchestration:
        return (yield context.call_activity("alone", context.get_input()))

    def alone(value: int) -> int:
        nonlocal running
        running += 1
        assert running == value
        return value * 10

    async def scenario() -> tuple[tuple[str, Any], int]:
        invoker = DirectInvoker({"parent": parent, "child": child}, {"alone": alone})
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("parent")
            await engine.run_out()
            return await engine.result(instance_id), await engine.count("waiting_starts")

    assert asyncio.run(scenario()) == (("Completed", [10, 20, 30]), 0)


def test_a_child_replaces_a_running_instance_of_its_id(caplog: pytest.LogCaptureFixture) -> None:
    def parent(context: Context) -> Orchestration:
        return (yield context.call_sub_orchestrator("child", "x", "taken"))

    def child(context: Context) -> Orchestration:
        return (yield context.call_activity("echo", context.get_input()))

    async def scenario() -> tuple[tuple[str, Any], str | None]:
        orchestrators = {"parent": parent, "child": child, "waits": waits}
        async with Engine(DirectInvoker(orchestrators, {"echo": lambda v: v})) as engine:
            await engine.hub.start_instance("waits", instance_id="taken")
            await engine.settle()
            instance_id = await engine.hub.start_instance("parent")
            await engine.run_out()
            replaced = await engine.hub.find("taken")
            return await engine.result(instance_id), replaced and replaced.name

    assert asyncio.run(scenario()) == (("Completed", "x"), "child")
    assert "Instance taken was Running and is replaced" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "early"),
    [(0.3, 0.2), (0.7, 0.6), (1.0, 0.9), (1.5, 0.4), (1.9, 0.8), (2.0, 0.9), (2.5, 0.4), (0.05, 0)],
)
def test_early_timers_wait_for_whole_seconds_and_a_poll(seconds: float, early: float) -> None:
    now = BEGINNING
    due = now + timedelta(seconds=seconds)
    assert (due - fires_early_at(now, due)).total_seconds() == pytest.approx(early, abs=1e-4)


def counts_turns(context: Context) -> Orchestration:
    due = context.current_utc_datetime + timedelta(seconds=5)
    turns = 0
    while context.current_utc_datetime < due:
        yield context.create_timer(due)
        turns += 1
    return turns


@pytest.mark.parametrize(("early", "expected"), [(False, {1}), (True, set(range(7, 12)))])
def test_a_loop_until_the_due_time_takes_many_turns_with_early_timers(
    early: bool, expected: set[int]
) -> None:
    async def scenario() -> tuple[str, Any]:
        settings = HubSettings()
        settings = replace(settings, limits=Limits(early_timers=early))
        invoker = DirectInvoker({"main": counts_turns}, {})
        async with Engine(invoker, settings=settings) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()
            return await engine.result(instance_id)

    status, turns = asyncio.run(scenario())
    assert status == "Completed"
    assert turns in expected


def test_the_code_behind_a_carried_over_event_is_not_replaying() -> None:
    seen: list[bool] = []

    def main(context: Context) -> Orchestration:
        if context.get_input() is None:
            timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=3))
            yield context.task_any([timer, context.wait_for_external_event("a")])
            context.continue_as_new(2)
            return
        yield context.wait_for_external_event("a")
        seen.append(context.is_replaying)
        yield context.wait_for_external_event("a")
        seen.append(context.is_replaying)

    async def scenario() -> None:
        async with Engine(DirectInvoker({"main": main}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            for payload in ("1", "2"):
                await engine.settle()
                await engine.hub.raise_event(instance_id, "a", payload)
            await engine.run_out()
            await engine.hub.raise_event(instance_id, "a", "3")
            await engine.settle()

    asyncio.run(scenario())
    assert seen == [False, True, False]


def test_events_of_every_turn_since_continuing_as_new_are_carried_over() -> None:
    def main(context: Context) -> Orchestration:
        if context.get_input() is None:
            timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=3))
            yield context.task_any([timer, context.wait_for_external_event("a")])
            context.continue_as_new(2)
            return None
        got = []
        for _ in range(3):
            got.append((yield context.wait_for_external_event("a")))
        return got

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": main}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            for payload in ("1", "2", "3", "4"):
                await engine.settle()
                await engine.hub.raise_event(instance_id, "a", payload)
            await engine.run_out()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", [2, 3, 4])


def test_a_payload_is_written_as_the_extension_writes_it() -> None:
    value = {"ü": "😀 1e+5", "f": 1e20, "g": 1.0, "s": "\u2028\x85\x7f\ud800", "t": 1e-7}
    assert events.dump_payload(value) == (
        '{"ü":"😀 1e+5","f":1E+20,"g":1.0,"s":"\\u2028\\u0085\x7f\\ud800","t":1E-07}'
    )


def test_what_an_earlier_release_has_begun_keeps_timers_of_any_length() -> None:
    triggers: list[dict[str, Any]] = []

    class Seeing(DirectInvoker):
        async def orchestrate(self, name: str, trigger: str, **options: Any) -> Outcome:
            triggers.append(json.loads(trigger))
            return await super().orchestrate(name, trigger, **options)

    async def scenario() -> None:
        async with Engine(Seeing({"main": waits}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.database.write(
                lambda c: c.execute(
                    "UPDATE messages SET event = :event",
                    {
                        "event": '{"EventType":0,"EventId":-1,"IsPlayed":false,"Timestamp":'
                        '"2026-01-15T10:00:00Z","Name":"main","Input":null,"Version":null}'
                    },
                )
            )
            await engine.settle()
            await engine.hub.raise_event(instance_id, "go", "1")
            await engine.settle()

    asyncio.run(scenario())
    assert {t["maximumShortTimerDuration"] for t in triggers} == {"00:00:00"}
    assert triggers[-1]["history"][1]["IsPlayed"] is True
