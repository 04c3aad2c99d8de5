"""Responses that a function makes bit by bit reach the client the same way."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from furl import furl
from host_process import HostProcess

pytest.importorskip("azurefunctions.extensions.http.fastapi")

APP = """
import asyncio
import azure.functions as func
import azure.durable_functions as df
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
may_go = asyncio.Event()
seen = {"sent": 0, "closed": False}

@app.route("steps")
async def steps(req: Request) -> StreamingResponse:
    async def pieces():
        yield b"one"
        await may_go.wait()
        yield b"two"
    return StreamingResponse(pieces(), headers={"X-Own": "yes"}, status_code=201)

@app.route("go")
async def go(req: Request) -> JSONResponse:
    may_go.set()
    return JSONResponse({})

@app.route("endless")
async def endless(req: Request) -> StreamingResponse:
    async def pieces():
        seen.update(sent=0, closed=False)
        try:
            while True:
                seen["sent"] += 1
                yield bytes(65536)
        finally:
            seen["closed"] = True
    return StreamingResponse(pieces())

@app.route("seen")
async def look(req: Request) -> JSONResponse:
    return JSONResponse(seen)

@app.route("breaks")
async def breaks(req: Request) -> StreamingResponse:
    async def pieces():
        yield b"a part"
        raise ValueError("no more")
    return StreamingResponse(pieces())

@app.route("large")
async def large(req: Request) -> StreamingResponse:
    async def pieces():
        for _ in range(200):
            yield b"x" * 50_000
    return StreamingResponse(pieces())
"""


@pytest.fixture(scope="module", params=[(), ("--in-process",)], ids=["process", "in process"])
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostProcess]:
    folder: Path = tmp_path_factory.mktemp("streaming")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    with HostProcess(folder, "--no-watch", *request.param) as running:
        yield running


@contextlib.contextmanager
def asked(host: HostProcess, path: str) -> Iterator[http.client.HTTPResponse]:
    """An answer; leaving the block closes the connection."""
    connection = http.client.HTTPConnection(furl(host.url).netloc, timeout=20)
    connection.request("GET", path)
    with contextlib.closing(connection), connection.getresponse() as answer:
        yield answer


def test_the_first_piece_arrives_before_the_second_is_made(host: HostProcess) -> None:
    with asked(host, "/api/steps") as answer:
        assert answer.read(3) == b"one"
        assert (answer.status, answer.headers["X-Own"]) == (201, "yes")
        assert host.call("GET", "/api/go").status == 200
        assert answer.read() == b"two"


def test_a_client_that_does_not_read_slows_the_function_down(host: HostProcess) -> None:
    with asked(host, "/api/endless") as answer:
        answer.read(1)
        sent, before = -1, -2
        while sent != before:  # until the function waits
            before, sent = sent, host.call("GET", "/api/seen").json["sent"]

        assert sent * 65536 < 64 * 1024 * 1024  # sockets hold a few MB, the host next to nothing
        assert not host.call("GET", "/api/seen").json["closed"]
    while not host.call("GET", "/api/seen").json["closed"]:
        pass


def test_an_exception_in_the_middle_cuts_the_response_off(host: HostProcess) -> None:
    broken = pytest.raises((http.client.IncompleteRead, ConnectionError))
    with asked(host, "/api/breaks") as answer, broken:
        answer.read()
    while not any("A response was cut off: ValueError: no more" in line for line in host.lines):
        host.call("GET", "/api/seen")


def test_all_of_a_long_response_arrives(host: HostProcess) -> None:
    with asked(host, "/api/large") as answer:
        assert answer.read() == b"x" * 10_000_000
