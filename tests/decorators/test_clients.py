"""Functions with a client binding, in an app: sync and async ones, and their mistakes."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import logging
import threading
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest import mock

import azure.functions as func
import pytest
from recording_server import binding

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = "test_clients.py"


@app.orchestration_trigger(context_name="context")
def work(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    return (yield context.wait_for_external_event("go", int))


@app.orchestration_trigger(context_name="context", orchestration="Renamed")
def known_otherwise(context: df.DurableOrchestrationContext) -> str:
    return "done"


@app.route(route="begin", methods=["POST"])
@app.durable_client_input(client_name="client")
def begin(req: func.HttpRequest, client: df.SyncDurableOrchestrationClient) -> func.HttpResponse:
    assert threading.current_thread() is not threading.main_thread()
    instance_id = client.start_new("work", "one")
    client.raise_event(instance_id, "go", 7)
    return client.create_check_status_response(req, instance_id)


async def with_await(req: func.HttpRequest, client: Any) -> str:
    return str(await client.start_new("work", req.get_body().decode()))


def wraps(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def hides(function: Any) -> Any:
    def wrapper(**kwargs: Any) -> Any:
        return function(**kwargs)

    return wrapper


def passes_on(function: Any) -> Any:
    def wrapper(req: func.HttpRequest, client: Any) -> Any:
        return function(req, client)

    return wrapper


for decorate in (wraps, hides, passes_on):
    _name = decorate.__name__
    _wrapper = decorate(with_await)
    _wrapper.__name__ = _name
    app.function_name(_name)(
        app.route(route=_name, methods=["POST"])(
            app.durable_client_input(client_name="client")(_wrapper)
        )
    )


@app.activity_trigger(input_name="given")
@app.durable_client_input(client_name="client")
def tell(given: str, client: df.SyncDurableOrchestrationClient) -> str:
    return "there" if client.get_status(given) else "missing"


@app.orchestration_trigger(context_name="context")
def asks(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    return (yield context.call_activity("tell", context.instance_id))


def test_a_def_function_starts_and_raises_without_await() -> None:
    with DurableTestHost(app) as host:
        response = host.http.post("/api/begin")
        assert response.status == 202
        assert host.instance(response.json()["id"]).result() == 7


def test_a_def_activity_may_ask_for_its_own_instance() -> None:
    with DurableTestHost(app) as host:
        assert host.start("asks").result() == "there"


@pytest.mark.parametrize("name", ["wraps", "hides", "passes_on"])
def test_a_wrapper_around_an_async_function_stays_async(name: str) -> None:
    with DurableTestHost(app) as host:
        response = host.http.post(f"/api/{name}", data=name)
        assert (response.status, response.text) == (200, name)


def test_a_hidden_async_function_can_be_awaited_as_officially() -> None:
    functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}

    async def answered(*_: Any, **__: Any) -> list[Any]:
        return [202, {"id": "i"}]

    async def run() -> Any:
        request = func.HttpRequest("POST", "/api/x", body=b"work")
        return await functions["passes_on"](req=request, client=binding("http://h/"))

    with mock.patch("azure.durable_functions._client.client.post_async_request", answered):
        assert asyncio.run(run()) == "i"


def test_the_workers_see_what_is_sync_and_what_is_async() -> None:
    functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}

    assert not inspect.iscoroutinefunction(functions["begin"])
    assert inspect.iscoroutinefunction(functions["hides"])


def test_a_test_that_is_not_async_has_a_client() -> None:
    with DurableTestHost(app) as host:
        assert host.client.start_new("work", "one") == "one"
        host.client.raise_event("one", "go", 3)
        assert host.instance("one").result() == 3


def test_another_threads_client_is_told_that_nobody_answers() -> None:
    with DurableTestHost(app) as host:
        text = json.dumps(host._host._links.client_binding())
        client = df.SyncDurableOrchestrationClient(text)
        with pytest.raises(RuntimeError, match=r"use host\.client"):
            client.get_status("one")


def test_a_function_of_a_folder_makes_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "begin"
    folder.mkdir()
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    code = """
import azure.functions as func
import azure.durable_functions as df

def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.SyncDurableOrchestrationClient(starter)
    return func.HttpResponse(str(bool(client.get_status("one"))))
"""
    (folder / "__init__.py").write_text(code)
    bindings = [
        {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"},
        {"type": "http", "direction": "out", "name": "$return"},
        {"type": "durableClient", "direction": "in", "name": "starter"},
    ]
    (folder / "function.json").write_text(json.dumps({"bindings": bindings}))
    with DurableTestHost(tmp_path) as host:
        assert host.http.get("/api/begin").text == "False"


# -- forgotten await ----------------------------------------------------------------------------


def call(starter: Any, answer: Any = None) -> Any:
    """Run a function with a client, as the worker does; every request is answered 202."""
    blueprint = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    built = blueprint.route(route="x")(blueprint.durable_client_input("client")(starter))

    async def answered(*_: Any, **__: Any) -> list[Any]:
        await asyncio.sleep(0)
        return [202, {"id": "i"}]

    async def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            wrapper: Any = built._function._func
            with mock.patch("azure.durable_functions._client.client.post_async_request", answered):
                given = await wrapper(client=binding("http://h/"))
            gc.collect()
            await asyncio.sleep(0)
            return given

    return asyncio.run(run())


def test_a_forgotten_await_is_an_error_that_names_call_and_line() -> None:
    async def starter(client: Any) -> str:
        client.raise_event("one", "go", 1)
        await client.terminate("one", "why")
        kept = client.start_new("work")
        return "sent" if kept else ""

    with pytest.raises(RuntimeError) as raised:
        call(starter)

    text = str(raised.value)
    assert text.startswith("starter() has called its client without await, so that nothing was ")
    assert "await client.raise_event(...) in " in text
    assert "await client.start_new(...) in " in text
    assert "terminate" not in text
    assert text.count(HERE) == 2


def test_a_result_that_is_returned_before_it_is_awaited_is_an_error() -> None:
    async def starter(client: Any) -> Any:
        return client.start_new("work")

    with pytest.raises(RuntimeError, match=r"Write: await client\.start_new\(\.\.\.\) in "):
        call(starter)


def test_what_was_awaited_or_is_on_its_way_is_no_error() -> None:
    async def starter(client: Any) -> Any:
        await client.start_new("work")
        await asyncio.gather(client.start_new("work"), client.start_new("work"))
        return asyncio.create_task(client.start_new("work"))

    assert call(starter) is not None


def test_what_somebody_may_still_await_is_no_error() -> None:
    kept: list[Any] = []

    async def starter(client: Any) -> str:
        kept.append(client.start_new("work"))
        return "later"

    assert call(starter) == "later"
    assert inspect.getcoroutinestate(kept[0]) == inspect.CORO_CREATED
    kept[0].close()


def test_the_functions_own_error_stands_above_it() -> None:
    async def starter(client: Any) -> None:
        client.start_new("work").close()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        call(starter)


def test_many_calls_are_not_kept() -> None:
    counts: list[int] = []

    async def starter(client: Any) -> str:
        for _ in range(1000):
            await client.start_new("work")
            counts.append(len(client._calls))
        return "done"

    assert call(starter) == "done"
    assert max(counts) <= 256


def test_a_watched_client_is_what_users_and_their_mocks_know() -> None:
    async def starter(client: Any) -> Any:
        assert isinstance(client, df.DurableOrchestrationClient)
        assert type(client).__name__ == "DurableOrchestrationClient"
        with mock.patch.object(df.DurableOrchestrationClient, "start_new") as patched:
            patched.return_value = "patched"
            return await client.start_new("work")

    assert call(starter) == "patched"


# -- unknown names ------------------------------------------------------------------------------


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    return await client.start_new(req.get_body().decode(), "x")


@app.route(route="elsewhere/{name}", methods=["POST"])
@app.durable_client_input(client_name="client", task_hub="Other")
async def elsewhere(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    return await client.start_new(req.get_body().decode(), "x")


def warned(route: str, name: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with DurableTestHost(app) as host, caplog.at_level(logging.WARNING):
        host.http.post(f"/api/{route}/any", data=name)
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("start_new(")]


def test_a_name_that_the_app_does_not_have_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert warned("start", "wrok", caplog) == [
        "start_new('wrok'): this app has no orchestrator of that name, so the instance will fail; "
        "is 'work' meant?"
    ]
    assert warned("start", "something else", caplog) == [
        "start_new('something else'): this app has no orchestrator of that name, so the instance "
        "will fail"
    ]


@pytest.mark.parametrize("name", ["work", "WORK", "renamed", "known_otherwise"])
def test_a_name_that_it_has_is_not(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert warned("start", name, caplog) == []


def test_another_task_hub_may_have_other_names(caplog: pytest.LogCaptureFixture) -> None:
    assert warned("elsewhere", "wrok", caplog) == []
