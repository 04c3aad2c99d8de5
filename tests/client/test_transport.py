"""The transport: a pool per event loop, errors that do not spread, a stand-in in the process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import pytest
from recording_server import RecordingServer, binding, talk

import azure.durable_functions as df
from azure.durable_functions._client import http

STARTED = (202, {"id": "i1"}, {})


@pytest.fixture(autouse=True)
def no_pool_left() -> Iterator[None]:
    yield
    assert http._in_use == {}
    assert http._abandoned == {}
    http._client_session = None


def test_a_second_event_loop_gets_a_pool_of_its_own() -> None:
    """sdk.md Q80: 1.7.0 says "Event loop is closed" at each call of a second asyncio.run."""
    for _ in range(3):
        server = RecordingServer(answers=[STARTED])
        assert talk(server, lambda client: client.start_new("Orch")) == "i1"


def test_loops_that_run_at_once_keep_their_pools() -> None:
    async def twice(base_url: str) -> list[Any]:
        client = df.DurableOrchestrationClient(binding(base_url))
        pools = []
        for _ in range(2):
            await client.start_new("Orch")
            pools.append(http._sessions[asyncio.get_running_loop()])
        await http._close_session()
        return pools

    async def scenario() -> tuple[list[Any], list[Any]]:
        async with RecordingServer(status=202, answer={"id": "i"}) as server:
            loop = asyncio.get_running_loop()
            elsewhere = loop.run_in_executor(None, lambda: asyncio.run(twice(server.base_url)))
            return await asyncio.gather(twice(server.base_url), elsewhere)

    here, there = asyncio.run(scenario())
    assert not {id(pool) for pool in here} & {id(pool) for pool in there}


def test_one_failed_request_does_not_abort_its_neighbours() -> None:
    """sdk.md Q81: 1.7.0 closes the shared pool under the others: "Connector is closed."."""

    async def scenario() -> tuple[Any, Any]:
        async with RecordingServer(answers=[STARTED]) as server:
            client = df.DurableOrchestrationClient(binding(server.base_url))
            nobody = df.DurableOrchestrationClient(binding("http://127.0.0.1:9/durabletask/"))
            answers = await asyncio.gather(
                nobody.start_new("Orch"), client.start_new("Orch"), return_exceptions=True
            )
            return answers[0], answers[1]

    failed, started = asyncio.run(scenario())
    assert "Cannot connect" in str(failed)
    assert started == "i1"


def test_a_failed_request_closes_the_pool_when_it_was_alone() -> None:
    async def scenario() -> Any:
        nobody = df.DurableOrchestrationClient(binding("http://127.0.0.1:9/durabletask/"))
        session = await http._get_session()
        with pytest.raises(Exception, match="Cannot connect"):
            await nobody.start_new("Orch")
        return session.closed, http._client_session

    assert asyncio.run(scenario()) == (True, None)


def test_an_answer_that_is_not_json_is_told_with_its_status() -> None:
    """sdk.md Q75: 1.7.0 raises a JSONDecodeError that hides the status (sdk.md Q75)."""
    server = RecordingServer(status=502, raw=b"<html>bad gateway</html>")

    with pytest.raises(Exception, match="answered 502 with a body that is not JSON: '<html>"):
        talk(server, lambda client: client.get_status("i1"))


def test_the_settings_of_a_new_pool_are_the_official_ones() -> None:
    utils = "azure.durable_functions.models.utils.http_utils"

    async def scenario() -> tuple[Any, Any, Any]:
        module = sys.modules[utils]
        with (
            mock.patch.object(module.aiohttp, "ClientSession") as session,
            mock.patch.object(module.aiohttp, "ClientTimeout") as timeout,
            mock.patch.object(module.aiohttp, "TCPConnector") as connector,
        ):
            session.return_value.closed = False
            await module._get_session()
            return session.call_args, timeout.call_args, connector.call_args

    session, timeout, connector = asyncio.run(scenario())
    assert timeout.kwargs == {"total": 240, "sock_connect": 10, "sock_read": None}
    assert connector.kwargs == {"limit": 30, "limit_per_host": 30, "enable_cleanup_closed": True}
    assert set(session.kwargs) == {"timeout", "connector"}


class InProcess:
    """PendingAnswers without a socket."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    async def request(
        self, method: str, url: str, *, body: str | None, headers: Mapping[str, str]
    ) -> http.Answer:
        self.asked.append((method, url, body))
        return http.Answer(202, {}, json.dumps({"id": "within"}))


def test_a_transport_within_the_process_can_stand_in() -> None:
    base_url = "http://within.invalid/durabletask/"
    transport = InProcess()
    http.install_transport(base_url, transport)
    try:
        client = df.DurableOrchestrationClient(binding(base_url))
        assert asyncio.run(client.start_new("Orch", None, 1)) == "within"
    finally:
        http.remove_transport(base_url)

    assert transport.asked == [("POST", f"{base_url}orchestrators/Orch", '"1"')]


def test_lists_follow_the_continuation_token() -> None:
    """sdk.md Q69: 1.7.0 reads one page only (sdk.md Q69)."""
    status = {"name": "X", "instanceId": "i", "runtimeStatus": "Running"}
    server = RecordingServer(
        answers=[
            (200, [status, status], {"x-ms-continuation-token": "next"}),
            (200, [status], {"x-ms-continuation-token": ""}),
        ]
    )

    found = talk(server, lambda client: client.get_status_all())

    assert len(found) == 3
    assert "x-ms-continuation-token" not in server.asked[0].headers
    assert server.asked[1].headers["x-ms-continuation-token"] == "next"


ENDS = {
    "asyncio.run": "asyncio.run(use())",
    "asyncio.run twice": "asyncio.run(use()); asyncio.run(use())",
    "a loop left open": "loop.run_until_complete(use())",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_nothing_is_left_open_at_exit(end: str) -> None:
    """sdk.md Q82: 1.7.0 leaves ResourceWarnings behind (sdk.md Q82)."""
    code = (
        "import asyncio, atexit, http.server, threading\n"
        "loop = asyncio.new_event_loop()\n"
        "atexit.register(loop.close)\n"
        "from azure.durable_functions._client import http as client\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        "    protocol_version = 'HTTP/1.1'\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.send_header('Content-Length', '2')\n"
        "        self.end_headers()\n"
        "        self.wfile.write(b'{}')\n"
        "    def log_message(self, *arguments): pass\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answer)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "async def use():\n"
        "    url = f'http://127.0.0.1:{server.server_port}/'\n"
        "    assert await client.get_async_request(url) == [200, {}]\n"
        f"{end}\n"
        "server.shutdown(); server.server_close()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_loops_pool_ends_with_the_loop() -> None:
    for _ in range(3):
        server = RecordingServer(answers=[STARTED])
        talk(server, lambda client: client.start_new("Orch"))

    assert http._sessions == {}
    assert http._guards == {}


def test_an_answer_in_another_encoding_does_not_hide_its_status() -> None:
    server = RecordingServer(status=500, raw=b"\xff\xfe broken")

    with pytest.raises(Exception, match="answered 500 with a body that is not JSON"):
        talk(server, lambda client: client.get_status("i1"))


def test_the_library_can_be_replaced_in_the_module() -> None:
    module = sys.modules["azure.durable_functions.models.utils.http_utils"]
    response = mock.AsyncMock(status=200)
    response.json.return_value = {"from": "a stand-in"}

    class Session:
        closed = False

        def get(self, url: str, headers: dict[str, str]) -> Any:
            answer = mock.MagicMock()
            answer.__aenter__ = mock.AsyncMock(return_value=response)
            answer.__aexit__ = mock.AsyncMock(return_value=False)
            return answer

        async def close(self) -> None:
            self.closed = True

    stand_in = mock.MagicMock()
    stand_in.ClientSession.return_value = Session()
    stand_in.ClientError = OSError
    with mock.patch.object(module, "aiohttp", stand_in):
        answer = asyncio.run(module.get_async_request("http://a.invalid/"))

    assert answer == [200, {"from": "a stand-in"}]
