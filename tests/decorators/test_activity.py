"""`Activity.create`: typed payloads for apps with function.json."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost


@dataclass
class Order:
    article: str


MODULE = """
from dataclasses import dataclass
from datetime import timedelta
import azure.durable_functions as df

@dataclass
class Order:
    article: str

{body}
"""
ACTIVITY = """
def book(order: Order | None, context) -> list[timedelta]:
    assert order == Order("tea"), order
    return [timedelta(minutes=1)]

main = df.Activity.create(book)
"""
ORCHESTRATOR = """
def run(context):
    return (yield context.call_activity("Book", context.get_input(Order)))

main = df.Orchestrator.create(run)
"""


def write_function(folder: Path, body: str, kind: str, name: str) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text(MODULE.format(body=body))
    bindings = [{"name": name, "type": kind, "direction": "in"}]
    described = {"scriptFile": "__init__.py", "bindings": bindings}
    (folder / "function.json").write_text(json.dumps(described))


def test_an_app_with_function_json_has_typed_activities(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    write_function(tmp_path / "Book", ACTIVITY, "activityTrigger", "order")
    write_function(tmp_path / "Run", ORCHESTRATOR, "orchestrationTrigger", "context")

    async def scenario() -> Any:
        async with DurableTestHost(tmp_path) as host:
            return await (await host.start("Run", {"article": "tea"})).result()

    assert asyncio.run(scenario()) == [60]


def test_the_worker_sees_classes_that_it_takes() -> None:
    async def book(order: list[Order], context) -> timedelta:  # type: ignore[no-untyped-def]
        return timedelta(seconds=len(order))

    main = df.Activity.create(book)

    assert inspect.iscoroutinefunction(main)
    assert list(inspect.signature(main).parameters) == ["order", "context"]
    assert main.__annotations__ == {"order": object, "return": object}
    assert asyncio.run(main(order=[{"article": "tea"}], context=None)) == 1


def test_a_plain_activity_is_seen_and_called_as_it_is() -> None:
    def book(order: dict) -> str:  # type: ignore[type-arg]
        return "booked"

    main: Any = df.Activity.create(book)

    assert main.activity_function is book
    assert inspect.signature(main) == inspect.signature(book)
    assert main.__annotations__ == book.__annotations__
    assert (main({}), main(order={})) == ("booked", "booked")


def test_a_function_without_an_input_is_refused() -> None:
    with pytest.raises(TypeError, match="must take a parameter for its input"):
        df.Activity.create(lambda context: None)
