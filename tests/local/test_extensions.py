"""Functions that are written with Microsoft's extension packages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

import azure.durable_functions as df
from azure.durable_functions.local import start_output
from azure.durable_functions.local.worker import app_loader, runtime
from azure.durable_functions.local.worker.functions import Functions
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.local.workers import app_info
from azure.durable_functions.testing import DurableTestHost

pytest.importorskip("azurefunctions.extensions.http.fastapi")
base: Any = pytest.importorskip("azurefunctions.extensions.base")

from azurefunctions.extensions.http.fastapi import (  # type: ignore[import-untyped]  # noqa: E402
    JSONResponse,
    PlainTextResponse,
    Request,
    StreamingResponse,
)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
UNLISTED: Any = None


@app.route(route="begin/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req: Request, client: df.DurableOrchestrationClient) -> JSONResponse:
    name = req.path_params["name"]
    instance_id = await client.start_new(name, None, await req.json())
    return JSONResponse({"id": instance_id}, status_code=202, headers={"X-Own": "yes"})


@app.route(route="look", methods=["GET", "PUT"])
async def look(req: Request) -> dict[str, Any]:
    return {
        "url": str(req.url),
        "method": req.method,
        "query": req.query_params.getlist("a"),
        "header": req.headers["x-given"],
        "body": (await req.body()).decode(),
    }


@app.route(route="stream")
async def stream(req: Request) -> StreamingResponse:
    async def parts() -> Any:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"data: {number}\n\n"

    return StreamingResponse(parts(), media_type="text/event-stream")


@app.route(route="blocking")
def blocking(req: Request) -> PlainTextResponse:
    with pytest.raises(RuntimeError):  # it has a thread, and holds no loop
        asyncio.get_running_loop()
    return PlainTextResponse("from a thread")


@app.route(route="fails")
async def fails(req: Request) -> JSONResponse:
    raise KeyError("missing")


@app.route(route="classic")
async def classic(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.method)


@app.orchestration_trigger(context_name="context")
def echo(context: df.DurableOrchestrationContext) -> Any:
    return context.get_input()


def asked(work: Callable[[DurableTestHost], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        async with DurableTestHost(app) as host:
            return await work(host)

    return asyncio.run(scenario())


def test_a_request_of_the_extension_starts_an_orchestration() -> None:
    async def work(host: DurableTestHost) -> Any:
        answer = await host.http.post("/api/begin/echo", json={"a": 1})
        instance = host.instance(answer.json()["id"])
        await instance.wait()
        return answer.status, answer.headers["x-own"], instance.output

    assert asked(work) == (202, "yes", {"a": 1})


def test_the_request_is_what_was_sent_and_a_dictionary_is_sent_as_json() -> None:
    async def work(host: DurableTestHost) -> Any:
        path = "/api/look?a=1&a=%C3%A4"
        return await host.http.put(path, headers={"X-Given": "x"}, data="text")

    answer = asked(work)
    told = answer.json()
    assert told.pop("url").endswith("/api/look?a=1&a=%C3%A4")
    assert told == {"method": "PUT", "query": ["1", "ä"], "header": "x", "body": "text"}


def test_all_of_a_streaming_response_arrives() -> None:
    answer = asked(lambda host: host.http.get("/api/stream"))

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_a_function_that_is_not_async_runs_on_a_thread() -> None:
    assert asked(lambda host: host.http.get("/api/blocking")).text == "from a thread"


def test_what_a_function_raises_fails_the_invocation() -> None:
    assert asked(lambda host: host.http.get("/api/fails")).status == 500


def test_a_classic_function_may_stand_beside() -> None:
    assert asked(lambda host: host.http.get("/api/classic")).text == "GET"


class Client(base.SdkType):  # type: ignore[misc]
    """As BlobClient is one."""


def app_with_a_service_client(kind: Any) -> app_loader.LoadedApp:
    app = df.DFApp()

    @app.blob_trigger(arg_name="file", path="in/{name}", connection="AzureWebJobsStorage")
    async def arrived(file: Any) -> None:
        raise AssertionError("there is no file")

    built: Any = arrived
    built._function._func.__annotations__["file"] = kind
    return app_loader.of_register(app, Path("/app"), "function_app.py")


@pytest.mark.parametrize("kind", [Client, list[Client]], ids=["one", "list"])
def test_a_trigger_with_a_service_client_is_loaded_and_not_emulated(kind: Any) -> None:
    loaded = app_with_a_service_client(kind)

    assert loaded.errors == []
    listed = "".join(
        start_output.functions(
            app_info.AppInfo.from_frame(runtime.describe(loaded)), [], {}, "", {}
        )
    )
    assert "arrived: blobTrigger  (not emulated" in listed


def test_running_it_by_hand_says_why_it_cannot_be() -> None:
    async def scenario() -> Frame:
        functions = Functions(app_with_a_service_client(Client).functions)
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        header = {"function": "arrived", "id": 1, "invocationId": "i"}
        functions.begin(header, b"text", answered.set_result)
        try:
            return await asyncio.wait_for(answered, 10)
        finally:
            functions.close()

    error = asyncio.run(scenario()).header["error"]
    assert "blobTrigger is not emulated here" in error["message"]
    assert "'file'" in error["message"]


def test_the_blob_package_itself_is_recognised() -> None:
    blob = pytest.importorskip("azurefunctions.extensions.bindings.blob")

    assert app_with_a_service_client(blob.BlobClient).errors == []


def test_without_the_packages_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "azurefunctions.extensions.base")

    [(name, reason)] = app_with_a_service_client(Client).errors

    assert (name, "does not match its Python annotation" in reason) == ("arrived", True)
