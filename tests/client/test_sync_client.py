"""The client whose methods block: the same names, arguments, requests and answers."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recording_server import RecordingServer, binding, talk
from test_requests import CALLS

import azure.durable_functions as df
from azure.durable_functions._client import blocking, http

COUNTER = df.EntityId("Counter", "a")
Sync = df.SyncDurableOrchestrationClient


@pytest.fixture(autouse=True)
def no_loop_stays() -> Iterator[None]:
    """Tests of connections count them."""
    yield
    blocking._end()


def public(client: type) -> dict[str, Any]:
    return {name: member for name, member in vars(client).items() if not name.startswith("_")}


def test_it_has_the_names_and_parameters_of_the_other() -> None:
    ours, theirs = public(Sync), public(df.DurableOrchestrationClient)

    assert set(ours) - {"around"} == set(theirs)
    for name, method in theirs.items():
        if callable(method):
            assert str(inspect.signature(ours[name])) == str(inspect.signature(method)), name
            assert not inspect.iscoroutinefunction(ours[name])


def blocked(server: RecordingServer, call: Callable[[Any], Any]) -> Any:
    """What a call gives on a thread of its own, while the server runs on this one's loop."""

    async def scenario() -> Any:
        async with server:
            client = Sync(binding(server.base_url), "invocation")
            return await asyncio.to_thread(lambda: call(client))

    return asyncio.run(scenario())


@pytest.mark.parametrize("name", [name for name in CALLS if "Order" not in name])
def test_it_sends_what_the_other_sends_and_gives_what_that_gives(name: str) -> None:
    def ended(run: Callable[[], Any]) -> str:
        try:
            answer = run()
        except Exception as error:
            return f"raises {error!r}"
        return repr(vars(answer)) if hasattr(answer, "__dict__") else repr(answer)

    answer = [] if "all" in name or "status_by" in name else {"id": "i", "instancesDeleted": 1}
    status = 200 if "purge" in name or "status" in name else 202
    ours, theirs = (RecordingServer(status=status, answer=answer) for _ in range(2))
    call: Any = CALLS[name]

    assert ended(lambda: blocked(ours, call)) == ended(lambda: talk(theirs, call))

    [asked], [wanted] = ours.asked, theirs.asked
    assert (asked.method, asked.target, asked.body) == (wanted.method, wanted.target, wanted.body)


def test_errors_come_through_as_they_are() -> None:
    server = RecordingServer(status=409, answer={"Message": "taken"})
    with pytest.raises(df.OrchestrationAlreadyExistsError, match="taken"):
        blocked(server, lambda c: c.start_new("X", "i"))
    with pytest.raises(ValueError, match="cannot be sent"):
        blocked(server, lambda c: c.get_status("a/b"))


def test_many_threads_share_one_pool_of_connections() -> None:
    server = RecordingServer(status=202)
    pools: set[int] = set()

    def call(client: Any) -> None:
        def signal() -> None:
            client.signal_entity(COUNTER, "add", 1)
            pools.update(id(pool) for loop, pool in http._sessions.items() if loop is _loop())

        threads = [threading.Thread(target=signal) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    blocked(server, call)

    assert len(server.asked) == 8
    assert len(pools) == 1


def _loop() -> Any:
    assert blocking._current is not None
    return blocking._current.loop


def test_context_variables_of_the_caller_are_seen() -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def look() -> str:
        return variable.get()

    variable.set("the caller's")
    assert blocking.run(look()) == "the caller's"


def test_an_event_loop_is_never_blocked() -> None:
    async def scenario() -> None:
        Sync(binding("http://h/")).get_status("i")

    with pytest.raises(RuntimeError, match="async uses DurableOrchestrationClient, with await"):
        asyncio.run(scenario())


def test_a_process_ends_without_a_word_about_open_connections() -> None:
    code = """
import http.server, threading
import azure.durable_functions as df
from recording_server import binding

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = df.SyncDurableOrchestrationClient(binding(f"http://127.0.0.1:{server.server_port}/"))
print(bool(client.get_status("i")))
"""
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")
