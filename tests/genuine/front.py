"""What stands around the extension: workers, the app's HTTP functions, one address for all.

``python front.py FOLDER FUNCTIONS_JSON EXTENSION_FILE [--worker-python PYTHON]``

- Writes the app's durable functions to FUNCTIONS_JSON, for ``Host/``.
- Runs them in the local host's own worker: ``POST /invoke/KIND/NAME`` with the text of a trigger,
  from ``Host/``.
- Serves the app's HTTP functions, and hands management calls on to the extension, whose address
  is read from EXTENSION_FILE.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.console_log import Console, LogOptions
from azure.durable_functions.local.engine.invoker import Outcome, WorkerLost
from azure.durable_functions.local.options import HostOptions
from azure.durable_functions.local.web.access import Access
from azure.durable_functions.local.web.exchange import Answer, Request
from azure.durable_functions.local.web.functions_api import (
    FunctionsApi,
    client_texts,
    http_functions,
)
from azure.durable_functions.local.web.links import Links
from azure.durable_functions.local.web.server import Server, ServerSettings, bind
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.workers.pool import WorkerPool
from azure.durable_functions.local.workers.starting import make_pool

KEY = "KEY"
KINDS = {
    "orchestrationTrigger": "orchestrator",
    "activityTrigger": "activity",
    "entityTrigger": "entity",
}
_OF_ONE_CONNECTION = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
)


class Extension:
    """The management API, where `Server` expects it: every call goes on to the extension."""

    def __init__(self, address_file: Path) -> None:
        """Prepare; the file is read at every call, as the extension may be started anew."""
        self._address_file = address_file
        self._session = aiohttp.ClientSession(auto_decompress=False)

    @property
    def address(self) -> str:
        """Of the extension's own listener, as clients are told it."""
        return self._address_file.read_text().strip()

    async def answer(self, request: Request) -> Answer:
        """Its answer, unchanged; 503 while it is not there."""
        asked = urlsplit(request.url)
        target = urlsplit(self.address)._replace(path=asked.path, query=asked.query).geturl()
        headers = _handed_on(request.headers)
        try:
            async with self._session.request(
                request.method,
                URL(target, encoded=True),
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
            ) as answered:
                body = await answered.read()
                return Answer(answered.status, body, _handed_on(answered.headers))
        except aiohttp.ClientConnectionError as error:
            return Answer(503, f"the extension is not there: {error}".encode())

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()


def _handed_on(headers: object) -> dict[str, str]:
    given = dict(headers)  # type: ignore[call-overload]
    return {name: text for name, text in given.items() if name.lower() not in _OF_ONE_CONNECTION}


class Door:
    """Where the extension's host has functions run."""

    def __init__(self, pool: WorkerPool, app: AppInfo) -> None:
        self._pool = pool
        self._functions = {
            (KINDS[function.kind], function.durable_name.lower()): function
            for function in app.enabled
            if function.kind in KINDS
        }

    def describe(self) -> str:
        """The list that ``Host/`` reads."""
        return json.dumps(
            [
                {"name": function.durable_name, "kind": kind}
                for (kind, _), function in self._functions.items()
            ]
        )

    async def answer(self, request: web.Request) -> web.Response:
        """200 with what the function gave, 204 for nothing, 500 with its failure."""
        _, _, kind, name = request.rel_url.raw_path.split("/")
        function = self._functions[kind, unquote(name).lower()]
        try:
            outcome = await self._pool.run_function(function, await request.text())
        except WorkerLost as error:
            return web.json_response({"message": f"WorkerLost: {error}", "stack": ""}, status=500)
        return _told(outcome)


def _told(outcome: Outcome) -> web.Response:
    failure = outcome.failure
    if failure is not None:
        told = {"message": failure.text, "stack": failure.stack}
        return web.json_response(told, status=500)
    if outcome.value is None:
        return web.Response(status=204)
    return web.Response(text=outcome.value, content_type="application/json")


class Front:
    """All of it, for one app."""

    def __init__(self, folder: Path, extension: Extension, options: HostOptions) -> None:
        self._extension = extension
        setup = Setup.read(folder)
        self._host_json = setup.read_host_json()
        self._public = bind("127.0.0.1", 0)
        self.url = f"http://localhost:{self._public.getsockname()[1]}"
        self._pool = make_pool(
            setup,
            self._host_json,
            options,
            Console(LogOptions()).show_user_record,
            self._public.getsockname()[1],
        )
        self._pool.client_texts = self._client_texts

    @property
    def hub_name(self) -> str:
        """As host.json says, or the default."""
        return self._host_json.hub_name

    async def start(self, functions_json: Path) -> str:
        """Load the app and answer requests; gives the URL for `Door`."""
        app = await self._pool.start()
        if app.failure is not None:
            raise SystemExit(f"the app cannot be loaded:\n{app.failure}")
        functions = FunctionsApi(self._pool)
        functions.functions, errors = http_functions(app.enabled, self._host_json.route_prefix)
        if errors:
            raise SystemExit(f"routes cannot be used: {errors}")
        access = Access.of_address("127.0.0.1", KEY)
        # The admin API is the Functions host's: nothing here asks for it.
        server = Server(self._extension, functions, None, access, ServerSettings(), "")  # type: ignore[arg-type]
        door = Door(self._pool, app)
        functions_json.write_text(door.describe())
        address = await _open_door(door)
        await server.open_public(self._public)
        return address

    async def stop(self) -> None:
        """End the workers."""
        await self._pool.stop()
        await self._extension.close()

    def _client_texts(self, function: FunctionInfo) -> dict[str, str]:
        links = Links(
            public_origin=self.url,
            hub_name=self.hub_name,
            connection_name=self._host_json.connection_name,
            key=KEY,
            rpc_base_url=self._extension.address,
        )
        return client_texts(function, links)


async def _open_door(door: Door) -> str:
    application = web.Application(client_max_size=1 << 30)
    application.router.add_post("/invoke/{kind}/{name}", door.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    return f"http://127.0.0.1:{port}"


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    folder = arguments.folder.resolve()
    options = HostOptions(folder, worker_python=arguments.worker_python)
    front = Front(folder, Extension(arguments.extension_file), options)
    try:
        door = await front.start(arguments.functions_json)
        print(f"READY {front.url} {door} {front.hub_name}", flush=True)
        await stopped.wait()
    finally:
        await front.stop()


def main() -> None:
    """Serve until the process is asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("functions_json", type=Path)
    parser.add_argument("extension_file", type=Path)
    parser.add_argument("--worker-python")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
