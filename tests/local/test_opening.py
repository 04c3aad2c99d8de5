"""A host that does not start, or not to its end, leaves nothing open."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from host_process import copy_app

from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.console_log import Console, LogOptions
from azure.durable_functions.local.host import LocalHost
from azure.durable_functions.local.options import AppFailed, HostOptions
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.web.server import bind
from azure.durable_functions.local.workers.pool import WorkerPool

APP = Path(__file__).parent / "apps" / "conformance"
BROKEN = "\n\n@app.route('a/{x}')\ndef broken(req: int):\n    return 'x'\n"


@pytest.fixture
def console() -> Iterator[Console]:
    names = ("azure.durable_functions.local", "Function", "asyncio", "aiohttp")
    sources = [logging.getLogger(name) for name in names]
    before = [(log, log.handlers[:], log.propagate, log.level) for log in sources]
    yield Console(LogOptions())
    for log, handlers, propagates, level in before:
        log.handlers[:], log.propagate = handlers, propagates
        log.setLevel(level)


def state_of(folder: Path) -> StateFolder:
    setup = Setup.read(folder)
    return StateFolder(setup.root, setup.read_host_json().hub_name)


def open_files() -> set[str]:
    """What the descriptors of this process lead to, where the system shows it."""
    found: set[str] = set()
    if not Path("/proc/self/fd").is_dir():
        return found
    for name in os.listdir("/proc/self/fd"):
        path = Path("/proc/self/fd", name)
        if path.exists() or path.is_symlink():
            found.add(os.readlink(path))
    return found


def demand_closed(folder: Path, port: int) -> None:
    """The port and the store can be used again."""
    bind("127.0.0.1", port).close()
    state = state_of(folder)
    assert state.try_acquire()
    state.release()
    assert not any(str(folder) in path for path in open_files())


def free_port() -> int:
    with bind("127.0.0.1", 0) as reserved:
        port: int = reserved.getsockname()[1]
    return port


def test_a_start_that_fails_closes_what_it_has_opened(tmp_path: Path, console: Console) -> None:
    folder = copy_app(APP, tmp_path / "app")
    with (folder / "function_app.py").open("a") as file:
        file.write(BROKEN)
    port = free_port()

    async def scenario() -> None:
        options = HostOptions(folder, port=port, is_strict=True)
        with pytest.raises(AppFailed, match="broken"):
            async with AsyncExitStack() as stack:
                await LocalHost.open(options, console, Setup.read(folder), stack)
        demand_closed(folder, port)

    asyncio.run(scenario())


def test_a_start_that_is_cancelled_closes_what_it_has_opened(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_app(APP, tmp_path / "app")
    port = free_port()
    is_loading = asyncio.Event()

    async def never(pool: WorkerPool) -> None:
        is_loading.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        monkeypatch.setattr(WorkerPool, "start", never)
        options = HostOptions(folder, port=port)
        async with AsyncExitStack() as stack:
            opening = asyncio.ensure_future(
                LocalHost.open(options, console, Setup.read(folder), stack)
            )
            await is_loading.wait()
            assert not state_of(folder).try_acquire()
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        demand_closed(folder, port)

    asyncio.run(scenario())


def test_an_open_host_answers_until_its_stack_is_closed(tmp_path: Path, console: Console) -> None:
    folder = copy_app(APP, tmp_path / "app")

    async def status(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /admin/host/ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return line

    async def scenario() -> None:
        options = HostOptions(folder, port=0)
        async with AsyncExitStack() as stack:
            host = await LocalHost.open(options, console, Setup.read(folder), stack)
            assert b" 200 " in await status(host.port)
        demand_closed(folder, host.port)
        with pytest.raises(OSError, match="onnect"):
            await status(host.port)

    asyncio.run(scenario())
