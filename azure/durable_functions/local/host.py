"""Starts, watches and stops everything that makes a local host. Source: host.md 12."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local import logs, operating_system, settings
from azure.durable_functions.local.durable_http import DurableHttp
from azure.durable_functions.local.engine.clock import SystemClock
from azure.durable_functions.local.engine.episodes import Limits
from azure.durable_functions.local.engine.functions import Registry
from azure.durable_functions.local.engine.hub import HubSettings, TaskHub
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database, Synchronous
from azure.durable_functions.local.web import server
from azure.durable_functions.local.web.access import Access
from azure.durable_functions.local.web.cors import Cors
from azure.durable_functions.local.web.functions_api import (
    FunctionsApi,
    HttpFunction,
    client_texts,
    http_functions,
)
from azure.durable_functions.local.web.links import RPC_PATH, Links
from azure.durable_functions.local.web.management_api import ManagementApi
from azure.durable_functions.local.web.server import Server
from azure.durable_functions.local.workers import (
    AppInfo,
    InProcessWorker,
    WorkerPool,
    WorkerProcess,
)

logger = logging.getLogger("azure.durable_functions.local")


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    folder: Path
    port: int | None = None
    address: str | None = None
    workers: int = 1
    worker_python: str | None = None
    in_process: bool = False
    synchronous: Synchronous = "FULL"
    is_fresh: bool = False
    is_strict: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors: str | None = None
    cors_credentials: bool = False
    is_key_wanted: bool = False
    retention_days: float | None = None


class AppFailed(SettingsError):
    """The app cannot be loaded and ``--strict`` was given."""


def show_at_once(line: str) -> None:
    """Print a line also where output goes to a file or a pipe."""
    print(line, flush=True)


class LocalHost:
    """One running host."""

    def __init__(self, options: Options, show: Callable[[str], None] = show_at_once) -> None:
        """Prepare; `start` does the work, in the order of host.md 12.1.

        Args:
            options: From the command line.
            show: Where start-up lines go.
        """
        self._options = options
        self._show = show
        self._state: StateFolder | None = None
        self._database: Database | None = None
        self._pool: WorkerPool | None = None
        self._server: Server | None = None
        self._hub: TaskHub | None = None
        self._http = DurableHttp()
        self._sockets: list[socket.socket] = []
        self.port = 0

    async def start(self) -> None:
        """Start everything; when this returns, requests are answered.

        Raises:
            SettingsError: Folder, settings or port cannot be used; says which and why.
            StoreError: The store cannot be used.
            WorkerFailed: No worker can be started.
        """
        options = self._options
        root = settings.find_app_root(options.folder)
        local = settings.read_local_settings(root)
        environment, notes = settings.app_environment(local, os.environ)
        host_json = settings.read_host_json(root, environment)
        for note in (*local.notes, *notes):
            self._show(note)
        if not (root / "host.json").is_file():
            self._show(f"No host.json in {root}; the defaults apply.")
        address = options.address or local.address or "127.0.0.1"
        port = next(p for p in (options.port, local.port, 7071) if p is not None)
        public = server.bind(address, port)
        self._sockets.append(public)
        self.port = public.getsockname()[1]
        rpc = server.bind_rpc() if host_json.rpc_enabled else None
        if rpc is not None:
            self._sockets.append(rpc)

        self._database = self._open_store(root, host_json.hub_name)
        key = await self._database.write(
            lambda c: stored_settings.get_or_set(c, "system_key", secrets.token_urlsafe(32))
        )
        access = self._access(address, key, local)
        links = Links(
            public_origin=f"http://{_shown_address(address)}:{self.port}",
            hub_name=host_json.hub_name,
            connection_name=host_json.connection_name,
            key=key,
            rpc_base_url=(
                None if rpc is None else f"http://127.0.0.1:{rpc.getsockname()[1]}{RPC_PATH}/"
            ),
        )
        self._pool = self._make_pool(root, environment, host_json.function_timeout)
        self._pool.client_texts = lambda function: client_texts(function, links)
        app = await self._pool.start()
        routes, route_errors = http_functions(app.functions, host_json.route_prefix)
        self._report(app, route_errors)
        self._hub = TaskHub(
            self._database,
            SystemClock(),
            self._pool,
            registry_of(app),
            hub_settings(host_json, options),
            self._http,
        )
        self._server = Server(
            ManagementApi(self._hub, links), FunctionsApi(routes, self._pool), access
        )
        if rpc is not None:
            await self._server.open_rpc(rpc)
        if app.failure is None:
            unfinished = await self._hub.count_unfinished()
            await self._hub.start()
            if unfinished:
                self._show(f"{unfinished} unfinished instance(s) go on; --fresh starts anew.")
        self._show_functions(app, routes, links.public_origin)
        self._show(f"Task hub {host_json.hub_name}, kept in {self._database.path}")
        await self._server.open_public(public)
        self._show(f"Listening on {links.public_origin} (Ctrl-C stops)")

    def _access(self, address: str, key: str, local: settings.LocalSettings) -> Access:
        options = self._options
        access = Access.of_address(
            address,
            key,
            options.allowed_hosts,
            is_key_wanted=options.is_key_wanted,
            cors=Cors.of_text(
                options.cors or local.cors,
                with_credentials=options.cors_credentials or local.cors_credentials,
            ),
        )
        if access.is_key_required:
            self._show(
                f"Listening on {address}: requests need the key, as ?code=... or as header "
                "x-functions-key. It stands in the URLs that the durable client gives."
            )
        return access

    async def stop(self) -> None:
        """Take nothing new, let what runs finish for a while, then close everything.

        The worker door closes last: functions that finish may still use their clients.
        """
        ending: list[Awaitable[None]] = []
        if self._server is not None:
            ending.append(self._server.close_public())
        if self._hub is not None:
            ending.append(self._hub.stop(server.PATIENCE_SECONDS))
        await asyncio.gather(*ending)
        await self._http.close()
        if self._server is not None:
            await self._server.close_rpc()
        if self._pool is not None:
            await self._pool.stop()
        if self._database is not None:
            await self._database.close()
        if self._state is not None:
            self._state.give_back()
        for opened in self._sockets:
            opened.close()

    def _open_store(self, root: Path, hub_name: str) -> Database:
        state = StateFolder(root, hub_name)
        state.take()
        self._state = state
        if self._options.is_fresh:
            state.clear()
        database = Database(state.store, synchronous=self._options.synchronous)
        database.open()
        return database

    def _make_pool(
        self, root: Path, environment: dict[str, str], timeout: timedelta | None
    ) -> WorkerPool:
        options = self._options
        environment = {
            **environment,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "WEBSITE_HOSTNAME": f"localhost:{self.port}",
            "AzureWebJobsScriptRoot": str(root),
        }
        if options.in_process:
            os.environ.update(environment)
            os.chdir(root)
            return WorkerPool(lambda: InProcessWorker.start(root), 1)
        python = options.worker_python or _find_python(root, environment)
        packages = root / ".python_packages" / "lib" / "site-packages"
        if packages.is_dir():
            known = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = os.pathsep.join(
                part for part in (str(packages), known) if part
            )
        return WorkerPool(
            lambda: WorkerProcess.start(python, root, environment, logs.show_user_record),
            options.workers,
            timeout=timeout,
        )

    def _report(self, app: AppInfo, route_errors: list[tuple[str, str]]) -> None:
        if app.failure is not None:
            if self._options.is_strict:
                raise AppFailed(f"Worker failed to load the app:\n{app.failure}")
            logger.error("Worker failed to load the app:\n%s", app.failure)
        for name, reason in (*app.errors, *route_errors):
            if self._options.is_strict:
                raise AppFailed(f"The '{name}' function is in error: {reason}")
            logger.error("The '%s' function is in error: %s", name, reason)
        for function in app.functions:
            for warning in function.warnings:
                logger.warning("Function %s: %s", function.name, warning)
        if app.mixed_folders:
            logger.warning(
                "function_app.py has functions, so these function.json folders are ignored: %s",
                ", ".join(sorted(app.mixed_folders)),
            )
        if not app.functions and app.failure is None:
            logger.warning(
                "No job functions found. Is this the folder of a function app, and are its "
                "functions decorated or described by function.json files?"
            )

    def _show_functions(self, app: AppInfo, routes: list[HttpFunction], public_origin: str) -> None:
        self._show("\nFunctions:\n")
        for http in routes:
            methods = f"[{','.join(sorted(http.methods))}]" if http.methods else ""
            self._show(f"\t{http.function.name}: {methods} {public_origin}/{http.template}\n")
        shown = {http.function.name for http in routes}
        for function in sorted(app.functions, key=lambda function: function.name.lower()):
            if function.name not in shown and function.trigger["type"] != "httpTrigger":
                self._show(f"\t{function.name}: {function.trigger['type']}\n")


def hub_settings(host_json: settings.HostJson, options: Options) -> HubSettings:
    """What host.json and the command line ask of the engine."""
    days = options.retention_days
    return HubSettings(
        limits=Limits(
            max_orchestration_actions=host_json.max_orchestration_actions,
            store_inputs=host_json.store_inputs,
            max_entity_batch=host_json.max_entity_batch,
            default_version=host_json.default_version,
            version_match=host_json.version_match,
            version_failure=host_json.version_failure,
            http_poll_milliseconds=host_json.http_poll_milliseconds,
        ),
        max_episodes=host_json.max_episodes,
        max_activities=host_json.max_activities,
        max_entity_turns=host_json.max_entity_turns,
        may_replace_running=host_json.may_replace_running,
        retention=None if days is None else timedelta(days=days),
    )


def registry_of(app: AppInfo) -> Registry:
    """Names of the app's durable functions."""

    def names(trigger: str) -> list[str]:
        return [f.durable_name for f in app.functions if f.trigger["type"] == trigger]

    return Registry(
        orchestrators=names("orchestrationTrigger"),
        activities=names("activityTrigger"),
        entities=names("entityTrigger"),
    )


def _shown_address(address: str) -> str:
    if address in ("127.0.0.1", "0.0.0.0", "::1", "::", "localhost"):
        return "localhost"
    return f"[{address}]" if ":" in address else address


def _find_python(root: Path, environment: dict[str, str]) -> str:
    """The app's interpreter: VIRTUAL_ENV, else ``FOLDER/.venv``, else our own (host.md 11.1)."""
    candidates = [Path(environment["VIRTUAL_ENV"])] if environment.get("VIRTUAL_ENV") else []
    candidates.append(root / ".venv")
    for candidate in candidates:
        python = operating_system.interpreter_of(candidate)
        if python.is_file():
            return str(python)
    return sys.executable


async def run(options: Options, stop_requested: asyncio.Event) -> None:
    """Run a host until it is asked to stop."""
    host = LocalHost(options)
    starting = asyncio.ensure_future(host.start())
    stopping = asyncio.ensure_future(stop_requested.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await host.stop()


def reset(folder: Path) -> Path | None:
    """Delete the store of an app that no host is running.

    Returns:
        The file that was deleted; None if there was none.

    Raises:
        SettingsError: The folder holds no app, or its settings cannot be read.
        StoreError: A host is running, or the file cannot be deleted.
    """
    root = settings.find_app_root(folder)
    environment, _ = settings.app_environment(settings.read_local_settings(root), os.environ)
    state = StateFolder(root, settings.read_host_json(root, environment).hub_name)
    state.take()
    try:
        return state.store if state.clear() else None
    finally:
        state.give_back()
