"""Connections that say nothing, and clients that wait while the host is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from furl import furl
from host_process import WEBHOOK, HostProcess

from azure.durable_functions.local.web import connections

APP = """
import time
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route("slow")
def slow(req):
    print("slow has begun", flush=True)
    time.sleep(600)
@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("never")
@app.orchestration_trigger(context_name="context")
def works(context):
    yield context.call_activity("work")
@app.activity_trigger(input_name="given")
def work(given):
    print("work has begun", flush=True)
    time.sleep(600)
"""


def said(host: HostProcess, text: str) -> bool:
    return any(text in line for line in host.lines)


def test_the_host_stops_within_five_seconds_while_clients_wait(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    wait = {"timeout": 600, "pollingInterval": 1}
    with HostProcess(tmp_path) as host:
        asked: list[threading.Thread] = []
        statuses: list[int] = []

        def ask(path: str, **query: object) -> None:
            try:
                statuses.append(host.call("POST", path, query=query).status)
            except OSError:  # cut off
                statuses.append(0)

        host.call("POST", f"{WEBHOOK}/orchestrators/works")
        for path, query in ((f"{WEBHOOK}/orchestrators/waits", wait), ("/api/slow", {})):
            asked.append(threading.Thread(target=ask, args=(path,), kwargs=query))
            asked[-1].start()
        port = furl(host.url).port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port)) as half_open:
            half_open.sendall(b"POST /api/slow HTTP/1.1\r\nContent-Le")
            while not (said(host, "work has begun") and said(host, "slow has begun")):
                host.call("GET", "/admin/host/status")
            host._process.send_signal(signal.SIGINT)
            assert host._process.wait(5) == 0
        for thread in asked:
            thread.join()
        assert 202 in statuses  # a start that waits is answered with the links, as at its time-out


async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> tuple[web.AppRunner, connections.Connections, int]:
    watched: list[connections.Connections] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        watched[0].heard(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/", answer)
    runner = web.AppRunner(app, lingering_time=0.0)
    await runner.setup()
    assert runner.server is not None
    watched.append(connections.Connections(runner.server))
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    await watched[0].open(reserved, None)
    return runner, watched[0], reserved.getsockname()[1]


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHos"])
def test_a_connection_that_sends_no_request_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(connections, "_SWEEP_SECONDS", 0.01)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text="here")

    async def scenario() -> tuple[bytes, bytes]:
        runner, watched, port = await serving(answer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        kept, asking = await asyncio.open_connection("127.0.0.1", port)
        asking.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        first = await kept.readuntil(b"here")
        writer.write(sent)
        silent = await reader.read()  # until the host closes it
        asking.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        again = await kept.read()
        for opened in (writer, asking):
            opened.close()
        watched.close()
        await runner.cleanup()
        assert first.startswith(b"HTTP/1.1 200")
        return silent, again

    silent, again = asyncio.run(scenario())
    assert silent == b""
    assert again.startswith(b"HTTP/1.1 200")  # one that has asked stays


def test_a_body_that_pauses_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.05)

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await connections.body_of(request, 1000)
        return web.Response(body=body)

    async def scenario(*sent: bytes) -> bytes:
        runner, watched, port = await serving(answer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        writer.writelines(sent)
        got = await reader.read()
        writer.close()
        watched.close()
        await runner.cleanup()
        return got

    got = asyncio.run(scenario(b"Content-Length: 10\r\n\r\n", b"12345"))
    assert got.startswith(b"HTTP/1.1 408")
    got = asyncio.run(scenario(b"Content-Length: 5\r\n\r\n", b"12345"))
    assert got.endswith(b"\r\n\r\n12345")
    got = asyncio.run(scenario(b"Content-Length: 1001\r\n\r\n", b"x" * 1001))
    assert got.startswith(b"HTTP/1.1 413")
