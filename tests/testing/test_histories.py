"""Recorded runs, replayed with today's code."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import kit_app
import pytest
from click.testing import CliRunner

import azure.durable_functions as df
from azure.durable_functions.local.cli.main import main as durable
from azure.durable_functions.testing import (
    DurableTestHost,
    NotReplayable,
    ReplayDiffers,
    replay,
)

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    """Exported runs, and what the cloud's status query shows of them, by orchestrator."""

    async def record() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        async with DurableTestHost(kit_app.app) as host:
            host.http_responses.add("*", json=1)
            for name, given in [("order", {"amount": 5}), ("parent", None), ("child", 3)]:
                instance = await host.start(name, given, instance_id=name)
                if name == "order":
                    await host.raise_event(instance, "approved", True)
                await instance.result()
            host.stub_activity("charge", raises=ValueError("no"), times=1)
            await (await host.start("retried", instance_id="retried")).result()
            waiting = await host.start("order", {"amount": 1}, instance_id="waiting")
            await host.settle()
            assert waiting.status == "Running"
            base = f"{host._origin}/runtime/webhooks/durabletask/instances"
            for name in ("order", "parent", "child", "retried", "waiting"):
                exported = await host.http.get(f"{base}/{name}?export=true")
                query = "showHistory=true&showHistoryOutput=true&showInput=true"
                shown = await host.http.get(f"{base}/{name}?{query}")
                found[name] = {"export": exported.json(), "status": shown.json()}
        return found

    return asyncio.run(record())


@pytest.mark.parametrize("name", ["order", "parent", "child", "retried", "waiting"])
def test_the_code_that_was_recorded_replays(name: str, recorded: Any, tmp_path: Path) -> None:
    export = recorded[name]["export"]
    file = tmp_path / "run.json"
    file.write_text(json.dumps(export))

    for history in (export, json.dumps(export), file, str(file)):
        output = replay(kit_app.app, history)
        status = recorded[name]["status"]
        assert output == (None if status["runtimeStatus"] == "Running" else status["output"])


@pytest.mark.parametrize("name", ["order", "child", "waiting"])
def test_what_the_cloud_shows_replays_too(name: str, recorded: Any) -> None:
    status = recorded[name]["status"]

    assert replay(kit_app.app, status) == status["output"]


def test_where_the_cloud_shows_too_little_that_is_said(recorded: Any) -> None:
    with pytest.raises(NotReplayable, match="retry policy and entity calls"):
        replay(kit_app.app, recorded["retried"]["status"])
    without_results = copy.deepcopy(recorded["child"]["status"])
    for event in without_results["historyEvents"]:
        event.pop("Result", None)
    with pytest.raises(NotReplayable, match="show_history_output=True"):
        replay(kit_app.app, without_results)
    with pytest.raises(NotReplayable, match="--export"):
        replay(kit_app.app, {"name": "child", "runtimeStatus": "Completed"})


def test_a_failure_that_the_cloud_shows_is_caught_by_its_class() -> None:
    app = df.DFApp()

    @app.orchestration_trigger
    def pay(context: Context) -> Orchestration:
        try:
            yield context.call_activity("charge", 1)
        except KeyError as error:
            failure = error.failure  # type: ignore[attr-defined]
            return [failure.error_message, failure.inner_failure.error_message]

    @app.activity_trigger
    def charge(amount: int) -> None:
        raise KeyError("card") from df.NonRetryableError("never")

    async def record() -> Any:
        async with DurableTestHost(app) as host:
            await (await host.start("pay", instance_id="pay")).result()
            base = f"{host._origin}/runtime/webhooks/durabletask/instances"
            query = "showHistory=true&showHistoryOutput=true&showInput=true"
            return (await host.http.get(f"{base}/pay?{query}")).json()

    assert replay(app, asyncio.run(record())) == ["'card'", "never"]


def renamed(context: Context) -> Orchestration:
    charged = yield context.call_activity("bill", context.get_input()["amount"])
    return charged


def reordered(context: Context) -> Orchestration:
    timeout = context.create_timer(context.current_utc_datetime + timedelta(days=3))
    charged = yield context.call_activity("charge", context.get_input()["amount"])
    yield context.task_any([timeout, context.wait_for_external_event("approved")])
    return charged


def one_more(context: Context) -> Orchestration:
    charged = yield context.task_all(
        [context.call_activity("charge", 5), context.call_activity("greet", "Ada")]
    )
    return charged


def sooner(context: Context) -> Orchestration:
    return (yield context.call_activity("charge", 5))


def failing(context: Context) -> Orchestration:
    yield context.call_activity("charge", 5)
    raise ValueError("today I fail")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (renamed, r"recorded: activity 'charge'\n  asks now: activity 'bill'\n +at .*line \d+"),
        (one_more, r"recorded: nothing\n  asks now: activity 'greet'|asks now: activity 'charge'"),
        (sooner, r"recorded: a timer\n  asks now: nothing"),
        (failing, r"recorded: a timer\n  asks now: nothing"),
    ],
    ids=["renamed", "one more", "sooner", "failing"],
)
def test_code_that_decides_otherwise_is_told(changed: Any, told: str, recorded: Any) -> None:
    with pytest.raises(ReplayDiffers, match=told):
        replay(changed, recorded["order"]["export"])


def test_another_output_is_told(recorded: Any) -> None:
    def child(context: Context) -> Orchestration:
        return [(yield context.call_activity("charge", context.get_input()))]

    for kind in ("export", "status"):
        with pytest.raises(ReplayDiffers, match="recorded output is 'charged 3'"):
            replay(child, recorded["child"][kind])


def test_a_task_that_is_asked_for_at_another_time_is_found(recorded: Any) -> None:
    assert replay(reordered, recorded["waiting"]["export"]) is None


def test_an_orchestrator_that_is_gone_is_told(recorded: Any) -> None:
    gone = {**recorded["child"]["export"], "name": "gone"}
    gone["history"] = [
        {**event, "Name": "gone"} if event["EventType"] == 0 else event for event in gone["history"]
    ]

    with pytest.raises(ReplayDiffers, match="no orchestrator 'gone' any more"):
        replay(kit_app.app, gone)


def test_the_command_replays_a_folder_of_recordings(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = tmp_path / "app"
    app.mkdir()
    source = Path(kit_app.__file__).read_text()
    (app / "function_app.py").write_text(source)
    runs = [tmp_path / f"{name}.json" for name in ("order", "child")]
    for file in runs:
        file.write_text(json.dumps(recorded[file.stem]["export"]))
    arguments = ["replay", str(app), *map(str, runs)]

    passed = CliRunner().invoke(durable, arguments)
    (app / "function_app.py").write_text(
        source.replace('call_activity("charge"', 'call_activity("greet"')
    )
    failed = CliRunner().invoke(durable, arguments)

    assert (passed.exit_code, failed.exit_code) == (0, 1), passed.output
    assert "2 of 2 replay as recorded" in passed.output
    assert "asks now: activity 'greet'" in failed.output


@dataclass
class Outcome:
    total: Decimal
    due: date


ENDS: dict[str, Any] = {
    "a_data_class": Outcome(Decimal("9.50"), date(2026, 11, 25)),
    "a_span": timedelta(seconds=5),
    "a_list_of_them": [Outcome(Decimal(1), date(2026, 1, 1))],
    "a_text_of_digits": "5",
    "nothing": None,
    "no_number": float("nan"),
}


def typed_app(ends: Any) -> df.DFApp:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def ends_so(context: df.DurableOrchestrationContext) -> Any:
        yield context.call_activity("wait", 1)
        return ends

    @app.activity_trigger(input_name="n")
    def wait(n: int) -> int:
        return n

    return app


async def recordings(app: df.DFApp, name: str, *, ends: bool = True) -> list[Any]:
    """The export and the status of one run; one that does not end is terminated."""
    async with DurableTestHost(app, auto_advance=False) as host:
        base = f"{host._origin}/runtime/webhooks/durabletask/instances"
        one = await host.start(name, instance_id="one")
        await one.wait()
        if not ends:
            # What has arrived before it is looked at together with the end, and nobody runs.
            host._engine.pause()
            await host._engine.hub.raise_event("one", "Go", "1")
            await host._engine.hub.terminate("one", "enough")
            host._engine.resume()
            await host.settle()
            assert one.status == "Terminated"
        query = "showHistory=true&showHistoryOutput=true&showInput=true"
        found = [await host.http.get(f"{base}/one?{asked}") for asked in ("export=true", query)]
        return [each.json() for each in found]


@pytest.mark.parametrize("name", ENDS)
def test_outputs_are_compared_as_they_are_encoded(name: str) -> None:
    app = typed_app(ENDS[name])
    for recording in asyncio.run(recordings(app, "ends_so")):
        replay(app, recording)
        with pytest.raises(ReplayDiffers, match="the recorded output is"):
            replay(typed_app("another"), recording)


def test_a_run_that_was_terminated_ends_there() -> None:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def waits(context: df.DurableOrchestrationContext) -> Any:
        yield context.wait_for_external_event("Go")
        yield context.call_activity("wait", 1)

    for recording in asyncio.run(recordings(app, "waits", ends=False)):
        assert replay(app, recording) is None
