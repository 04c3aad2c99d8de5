"""The diagnostic replay: where in the user's code each action was asked for."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

from history_kit import History

import azure.durable_functions as df

Context = df.DurableOrchestrationContext
SOURCE = Path(__file__).read_text().splitlines()


def line_of(marker: str) -> int:
    [number] = [n for n, line in enumerate(SOURCE, 1) if line.endswith(f"# {marker}")]
    return number


def helper(context: Context) -> Generator[Any, Any, Any]:
    return (yield context.call_activity("B"))  # in the helper


def orchestrator(context: Context) -> Generator[Any, Any, Any]:
    yield context.call_activity("A")  # first
    context.signal_entity(df.EntityId("E", "k"), "op")  # signal
    yield from helper(context)
    tasks = [context.call_activity(name) for name in ("C", "D")]
    yield context.task_all(tasks)  # both


def test_every_action_has_its_line() -> None:
    history = History().episode().done(0).episode().done(2)

    explained = df.Orchestrator.create(orchestrator).explain(json.dumps(history.trigger()))

    assert [item["line"] for item in explained] == [
        line_of("first"),
        line_of("signal"),
        line_of("in the helper"),
        line_of("both"),
        line_of("both"),
    ]
    assert {item["file"] for item in explained} == {__file__}
    assert explained[0]["action"]["functionName"] == "A"


def test_an_orchestrator_that_raises_is_explained_up_to_there() -> None:
    def raises(context: Context) -> Generator[Any, Any, Any]:
        yield context.call_activity("A")
        raise ValueError("the end")

    history = History().episode().done(0)

    assert len(df.Orchestrator.create(raises).explain(json.dumps(history.trigger()))) == 1
