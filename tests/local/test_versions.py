"""Instances run only on hosts of a matching version."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.engine.versions import is_greater, matches
from azure.durable_functions.local.store.database import Database


@pytest.mark.parametrize(
    ("first", "second"),
    [("1.0", ""), ("1.10", "1.9"), ("2.0", "1.9.9"), ("1.0.0", "1.0"), ("2", "10"), ("b", "A")],
)
def test_versions_have_an_order(first: str, second: str) -> None:
    assert is_greater(first, second)
    assert not is_greater(second, first)
    assert not is_greater(first, first)


def test_the_strategy_decides_who_matches() -> None:
    assert matches("2.0", "1.0", "None")
    assert matches(None, None, "Strict")
    assert not matches("1.0", "1.1", "Strict")
    assert matches("1.0", "1.1", "CurrentOrOlder")
    assert matches(None, "1.0", "CurrentOrOlder")
    assert not matches("1.0", None, "CurrentOrOlder")


def settings(version: str | None, **more: Any) -> HubSettings:
    return HubSettings(limits=Limits(default_version=version, **more))


def test_a_rejected_instance_waits_for_a_matching_host(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    invoker = DirectInvoker({"main": lambda context: context.version}, {})
    store = tmp_path / "hub.sqlite"

    async def old() -> None:
        async with Engine(invoker, Database(store), settings=settings("1.0")) as engine:
            await engine.hub.start_instance("main", instance_id="one", version="2.0")
            await engine.settle()
            found = await engine.hub.find("one")
            assert found is not None
            assert found.status == "Pending"

    async def new() -> tuple[str, Any]:
        async with Engine(invoker, Database(store), settings=settings("2.1")) as engine:
            await engine.settle()
            return await engine.result("one")

    with caplog.at_level(logging.WARNING):
        asyncio.run(old())
    assert "Instance one is waiting: its version 2.0 does not match" in caplog.text
    assert "defaultVersion 1.0" in caplog.text
    assert asyncio.run(new()) == ("Completed", "2.0")


def test_a_mismatch_fails_where_it_is_set_so() -> None:
    async def scenario() -> tuple[str, Any]:
        invoker = DirectInvoker({"main": lambda context: 1}, {})
        async with Engine(invoker, settings=settings(None, version_failure="Fail")) as engine:
            instance_id = await engine.hub.start_instance("main", version="2.0")
            await engine.settle()
            return await engine.result(instance_id)

    status, output = asyncio.run(scenario())
    assert status == "Failed"
    assert "VersionMismatch: its version 2.0 does not match the host's defaultVersion" in output


def test_a_rejected_instance_can_be_suspended_and_resumed() -> None:
    async def scenario() -> list[str]:
        statuses = []
        invoker = DirectInvoker({"main": lambda context: 1}, {})
        async with Engine(invoker, settings=settings("1.0")) as engine:
            await engine.hub.start_instance("main", instance_id="one", version="2.0")
            for operation in (engine.hub.suspend, engine.hub.resume):
                await engine.settle()
                await operation("one", None)
                await engine.settle()
                found = await engine.hub.find("one")
                assert found is not None
                statuses.append(found.status)
        return statuses

    assert asyncio.run(scenario()) == ["Suspended", "Pending"]
