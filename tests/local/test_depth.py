"""JSON that is nested deeply, and numbers that JSON lacks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config import json_files
from azure.durable_functions.local.web import exchange, instance_views
from azure.durable_functions.testing import DurableTestHost, InstanceFailed


def request_of(body: bytes) -> exchange.Request:
    return exchange.Request("POST", "http://localhost/x", "/x", "", {}, body, True)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_500_levels_are_taken_and_one_more_is_refused() -> None:
    assert exchange.read_json_text(request_of(nested(500).encode())) == nested(500)
    with pytest.raises(exchange.InvalidJson, match="nested deeper than 500"):
        exchange.read_json_text(request_of(nested(501).encode()))


def test_brackets_side_by_side_or_in_texts_are_no_depth() -> None:
    for text in (json.dumps([{}] * 600), json.dumps(["[" * 600 + '\\"' + "{" * 600])):
        assert exchange.read_json_text(request_of(text.encode())) == text


@pytest.mark.parametrize("depth", [501, 2_000, 200_000])
def test_what_is_stored_too_deep_is_shown_as_text(depth: int) -> None:
    answer = exchange.as_json(200, [instance_views.shown(nested(depth))])
    assert json.loads(answer.body) == [nested(depth)]


def test_numbers_that_json_lacks_are_shown_as_texts() -> None:
    stored = "[NaN, Infinity, -Infinity, 1.5]"
    body = exchange.as_json(200, instance_views.shown(stored)).body.decode()
    assert body == '["NaN","Infinity","-Infinity",1.5]'


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def app() -> df.DFApp:
    made = df.DFApp()

    @made.activity_trigger(input_name="given")
    def echo(given: Any) -> Any:
        return given

    @made.activity_trigger(input_name="levels")
    def make(levels: int) -> Any:
        return deep(levels)

    @made.orchestration_trigger(context_name="context")
    def result(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return len((yield context.call_activity("make", context.get_input())))

    @made.orchestration_trigger(context_name="context")
    def argument(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return len((yield context.call_activity("echo", deep(context.get_input()))))

    @made.orchestration_trigger(context_name="context")
    def output(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        return deep(context.get_input())
        yield

    @made.orchestration_trigger(context_name="context")
    def status(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        context.set_custom_status(deep(context.get_input()))
        return 1
        yield

    @made.orchestration_trigger(context_name="context")
    def state(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
        entity = df.EntityId("box", "1")
        yield context.call_entity(entity, "put", context.get_input())
        return len((yield context.call_entity(entity, "get")))

    @made.entity_trigger(context_name="context")
    def box(context: df.DurableEntityContext) -> None:
        if context.operation_name == "put":
            context.set_state(deep(context.get_input()))
        context.set_result(context.get_state(list))

    return made


@pytest.mark.parametrize("name", ["result", "argument", "output", "status", "state"])
def test_what_functions_send_is_held_to_the_same_limit(name: str) -> None:
    async def scenario(levels: int) -> str:
        async with DurableTestHost(app()) as host:
            instance = await host.start(name, levels)
            try:
                await instance.result()
            except InstanceFailed as error:
                return str(error)
            return ""

    assert asyncio.run(scenario(400)) == ""
    assert "nested deeper than 500 levels" in asyncio.run(scenario(600))


def test_settings_that_are_nested_too_deep_are_refused(tmp_path: Path) -> None:
    for levels in (600, 100_000):
        (tmp_path / "host.json").write_text(nested(levels))
        with pytest.raises(SettingsError, match=r"host\.json cannot be read: .*nested deeper"):
            json_files.read_json(tmp_path / "host.json")
