"""An instance whose history the code does not fit fails and says so, or waits for other code."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine
from rich.console import Console

import azure.durable_functions as df
from azure.durable_functions.local.cli import tables
from azure.durable_functions.local.engine.errors import NotPossible
from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.web import instance_views

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


class Code:
    """An orchestrator that is edited while instances run."""

    def __init__(self) -> None:
        self.first = "steady"

    def __call__(self, context: Context) -> Orchestration:
        one = yield context.call_activity(self.first, 1)
        two = yield context.wait_for_external_event("go")
        return [one, two, (yield context.call_activity("steady", 3))]


def invoker(code: Callable[[Context], Any]) -> DirectInvoker:
    return DirectInvoker({"main": code}, {"steady": lambda n: n, "other": lambda n: n})


def settings(mode: Any, *, keeps_sessions: bool = False) -> HubSettings:
    return HubSettings(limits=Limits(on_non_determinism=mode), keeps_sessions=keeps_sessions)


async def started(engine: Engine) -> None:
    await engine.hub.start_instance("main", instance_id="one")
    await engine.settle()


async def go(engine: Engine) -> None:
    await engine.hub.raise_event("one", "go", "2")
    await engine.settle()


def test_failing_is_an_error_in_the_log_that_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    code = Code()

    async def scenario() -> None:
        async with Engine(invoker(code), settings=settings("fail")) as engine:
            await started(engine)
            code.first = "other"
            await go(engine)
            assert (await engine.result("one"))[0] == "Failed"

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    [record] = [r for r in caplog.records if "Non-Deterministic" in r.getMessage()]
    said = record.getMessage()
    assert record.levelno == logging.ERROR
    assert "Instance one of main failed" in said
    assert "CALL_ACTIVITY 'steady' with sequence number 0" in said
    assert "CALL_ACTIVITY 'other'" in said
    assert f"{Path(__file__).name}, line {code.__call__.__code__.co_firstlineno + 1}" in said
    assert "revert the change, then run: durable rewind one" in said


def test_a_failed_one_goes_on_by_rewind_once_the_change_is_taken_back() -> None:
    code = Code()

    async def scenario() -> None:
        async with Engine(invoker(code), settings=settings("fail")) as engine:
            await started(engine)
            code.first = "other"
            await go(engine)
            before = await engine.history("one")
            with pytest.raises(NotPossible, match=r"does not fit its history.*Take the change"):
                await engine.hub.rewind("one", None)
            assert await engine.history("one") == before
            code.first = "steady"
            await engine.hub.rewind("one", None)
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, 2, 3])

    asyncio.run(scenario())


@pytest.mark.parametrize("keeps_sessions", [False, True])
def test_a_waiting_one_stays_as_it_is_until_the_code_fits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keeps_sessions: bool
) -> None:
    code = Code()
    mode = settings("wait", keeps_sessions=keeps_sessions)

    async def begins() -> None:
        async with Engine(invoker(code), Database(tmp_path / "a"), settings=mode) as engine:
            await started(engine)

    async def waits() -> None:
        async with Engine(invoker(code), Database(tmp_path / "a"), settings=mode) as engine:
            before = await engine.history("one")
            await go(engine)
            await engine.hub.raise_event("one", "more", "1")
            await engine.settle()
            assert await engine.history("one") == before
            assert (await engine.result("one"))[0] == "Running"

    async def goes_on() -> None:
        async with Engine(invoker(code), Database(tmp_path / "a"), settings=mode) as engine:
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, 2, 3])

    asyncio.run(begins())
    code.first = "other"
    with caplog.at_level(logging.ERROR):
        asyncio.run(waits())
    told = [r.getMessage() for r in caplog.records if "Non-Deterministic" in r.getMessage()]
    assert len(told) == 1  # though it was tried twice
    assert "Instance one of main is waiting" in told[0]
    code.first = "steady"
    asyncio.run(goes_on())


def test_a_waiting_one_is_tried_again_when_the_app_is_loaded_anew() -> None:
    code = Code()

    async def scenario() -> None:
        async with Engine(invoker(code), settings=settings("wait")) as engine:
            await started(engine)
            code.first = "other"
            await go(engine)
            code.first = "steady"
            await engine.settle()
            assert (await engine.result("one"))[0] == "Running"
            engine.registry = engine.invoker.registry()
            await engine.settle()
            assert await engine.result("one") == ("Completed", [1, 2, 3])

    asyncio.run(scenario())


def test_the_result_of_an_activity_waits_too() -> None:
    def main(context: Context) -> Orchestration:
        if code.first == "other":
            yield context.call_activity("other", 0)
        one = yield context.call_activity("slow", 1)
        return [one, (yield context.call_activity("steady", 2))]

    code = Code()

    def slow(value: Any) -> Any:
        code.first = "other"  # somebody edits the code while it runs
        return value

    async def scenario() -> None:
        functions = {"steady": lambda n: n, "other": lambda n: n, "slow": slow}
        async with Engine(DirectInvoker({"main": main}, functions), settings=settings("wait")) as e:
            await started(e)
            assert (await e.result("one"))[0] == "Running"
            code.first = "steady"
            e.registry = e.invoker.registry()
            await e.settle()
            assert await e.result("one") == ("Completed", [1, 2])
            assert e.invoker.started["slow(1)"] == 1

    asyncio.run(scenario())


def test_a_waiting_one_can_be_suspended_resumed_and_terminated() -> None:
    code = Code()

    async def scenario() -> list[str]:
        statuses: list[str] = []
        async with Engine(invoker(code), settings=settings("wait")) as engine:
            await started(engine)
            code.first = "other"
            await go(engine)
            for operation in (engine.hub.suspend, engine.hub.resume, engine.hub.terminate):
                await operation("one", "why")
                await engine.settle()
                status, output = await engine.result("one")
                statuses.append(f"{status}: {str(output)[:22]}")
        return statuses

    assert asyncio.run(scenario()) == [
        "Suspended: why",
        "Running: Waits: Non-Determinist",
        "Terminated: why",
    ]


def test_show_says_that_it_waits_and_why_and_then_no_more() -> None:
    code = Code()

    async def shown(engine: Engine) -> str:
        found = await engine.hub.find("one")
        details = await engine.hub.details_of("one")
        assert found is not None
        assert details is not None
        item = {**instance_views.status(found), **instance_views.details(details)}
        console = Console(width=300, record=True, file=io.StringIO())
        tables.instance(console, item)
        return console.export_text()

    async def scenario() -> None:
        async with Engine(invoker(code), settings=settings("wait")) as engine:
            await started(engine)
            code.first = "other"
            await go(engine)
            text = await shown(engine)
            assert "Waits: " in text
            assert text.count("Waits: ") == 1
            assert "Non-Deterministic workflow detected" in text
            assert "now the code asks for CALL_ACTIVITY 'other'" in text
            code.first = "steady"
            engine.registry = engine.invoker.registry()
            await engine.settle()
            assert "Waits: " not in await shown(engine)

    asyncio.run(scenario())
