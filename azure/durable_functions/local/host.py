"""Starts, watches and stops everything that makes a local host. Source: host.md 12."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import secrets
import socket
import ssl
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local import operating_system, start_output, watcher
from azure.durable_functions.local.config import hidden_modules
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.config.host_json import HostJson, read_host_json
from azure.durable_functions.local.config.local_settings import LocalSettings
from azure.durable_functions.local.config.requirements_txt import DISTRIBUTION
from azure.durable_functions.local.console_log import Console
from azure.durable_functions.local.engine.clock import SystemClock
from azure.durable_functions.local.engine.hub import TaskHub
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.http_sender import DurableHttp
from azure.durable_functions.local.options import AppFailed, HostOptions
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.space import StoreFull
from azure.durable_functions.local.web import server
from azure.durable_functions.local.web.access import Access
from azure.durable_functions.local.web.admin_api import AdminApi
from azure.durable_functions.local.web.cors import Cors
from azure.durable_functions.local.web.functions_api import (
    FunctionsApi,
    client_texts,
    http_functions,
)
from azure.durable_functions.local.web.links import RPC_PATH, Links
from azure.durable_functions.local.web.management_api import ManagementApi
from azure.durable_functions.local.web.server import Manners, Server
from azure.durable_functions.local.web.throttle import Throttle
from azure.durable_functions.local.worker.binding_types import TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo, registry_of
from azure.durable_functions.local.workers.pool import WorkerPool
from azure.durable_functions.local.workers.starting import make_pool
from azure.durable_functions.local.workers.workers import WorkerFailed

if TYPE_CHECKING:
    from azure.durable_functions.local.timer_triggers.runs import TimerTriggers
    from azure.durable_functions.local.timer_triggers.timer_functions import TimerFunction

logger = logging.getLogger("azure.durable_functions.local")

_LOOK_AT_STATE_SECONDS = 1.0

_MOST_NAMED = 5
"""So many unfinished instances a start names."""


class LocalHost:
    """One running host."""

    def __init__(self, options: HostOptions, console: Console, setup: Setup) -> None:
        """Prepare; `start` does the work, in the order of host.md 12.1."""
        self._options = options
        self._setup = setup
        self._console = console
        self._say = console.say
        self._clock = SystemClock()
        self._http = DurableHttp()
        self._sockets: list[socket.socket] = []
        self._state: StateFolder | None = None
        self._database: Database | None = None
        self._pool: WorkerPool | None = None
        self._server: Server | None = None
        self._hub: TaskHub | None = None
        self._timers: TimerTriggers | None = None
        self._functions: FunctionsApi
        self._admin: AdminApi
        self._links: Links
        self._root: Path
        self._environment: dict[str, str]
        self._host_json: HostJson
        self._seen: watcher.Snapshot
        self._is_working = False
        self._rpc_secret = secrets.token_urlsafe(32)
        self._timer_functions: list[TimerFunction] = []
        self.port = 0

    async def start(self) -> None:
        """Start everything; when this returns, requests are answered.

        Raises:
            SettingsError: Folder, settings or port cannot be used; says which and why.
            StoreError: The store cannot be used.
            WorkerFailed: No worker can be started.
        """
        options = self._options
        for line in start_output.versions(_version()):
            self._say(line)
        root = self._root = self._setup.root
        self._say(f"App folder: {root}")
        local = self._setup.local
        self._environment = dict(self._setup.environment)
        host_json = self._host_json = read_host_json(root, self._environment)
        self._console.configure(host_json.log_levels)
        for note in (*self._setup.notes, *host_json.notes):
            self._say(note)
        if not (root / "host.json").is_file():
            self._say(f"No host.json in {root}; the defaults apply.")
        address = options.address or local.address or "127.0.0.1"
        tls = self._tls()
        public, rpc = self._bind(address, local)
        if options.watches:
            look = asyncio.get_running_loop().run_in_executor(None, watcher.look, self._watched)
            self._seen = await look

        self._database = self._open_store(root, host_json.hub_name)
        key = await self._database.write(
            lambda c: stored_settings.get_or_set(c, stored_settings.KEY, secrets.token_urlsafe(32))
        )
        await self._tell_commands(self._database, None)
        access = self._access(address, key, local)
        self._links = Links(
            public_origin=f"http{'s' if tls else ''}://{_shown_address(address)}:{self.port}",
            hub_name=host_json.hub_name,
            connection_name=host_json.connection_name,
            key=key,
            rpc_base_url=(
                None
                if rpc is None
                else f"http://127.0.0.1:{rpc.getsockname()[1]}{RPC_PATH}/{self._rpc_secret}/"
            ),
        )
        self._pool = make_pool(
            self._setup, host_json, options, self._console.show_user_record, self.port
        )
        self._pool.client_texts = lambda function: client_texts(function, self._links)
        self._pool.start_instances = self._start_instances
        app = await self._start_workers(self._pool)
        self._hub, self._server = self._make_rooms(self._database, self._pool, access, tls)
        if rpc is not None:
            await self._server.open_rpc(rpc)
        unfinished, newest = await self._hub.unfinished(_MOST_NAMED)
        await self._serve(app)
        for hint in start_output.release_hint(app, root):
            logger.warning("%s", hint)
        if unfinished and app.failure is None:
            self._say(start_output.unfinished(unfinished, newest))
        self._say(f"Task hub {host_json.hub_name}, kept in {self._database.path}")
        logger.debug(
            "At once run at most %d orchestrators, %d entities and %d activities",
            host_json.hub.max_episodes,
            host_json.hub.max_entity_turns,
            host_json.hub.max_activities,
        )
        if not self._console.is_verbose:
            self._say("For detailed output, run durable with --verbose flag.")
        url = self._links.public_origin
        await self._server.open_public(public)
        await self._tell_commands(self._database, url)
        self._say(f"Listening on {url} (Ctrl-C stops)")

    @staticmethod
    async def _tell_commands(database: Database, url: str | None) -> None:
        """Leave the address for the command line, which needs ``--url`` while the disk is full."""
        with contextlib.suppress(StoreFull):
            if url is None:
                await database.write(lambda c: stored_settings.remove(c, stored_settings.URL))
            else:
                await database.write(lambda c: stored_settings.put(c, stored_settings.URL, url))

    async def _start_workers(self, pool: WorkerPool) -> AppInfo:
        """The app as the first worker has loaded it.

        Raises:
            WorkerFailed: None can be started; names the files that may be the reason.
        """
        hidden = hidden_modules.lines(self._root)
        for line in hidden:
            logger.warning("%s", line)
        try:
            return await pool.start()
        except WorkerFailed as error:
            raise WorkerFailed("\n".join([str(error), *hidden])) from None

    def _make_rooms(
        self, database: Database, pool: WorkerPool, access: Access, tls: ssl.SSLContext | None
    ) -> tuple[TaskHub, Server]:
        """The engine, and what answers requests about it and the functions."""
        hub = TaskHub(
            database,
            self._clock,
            pool,
            Registry(),
            self._options.applied_to(self._host_json.hub),
            self._http,
        )
        self._functions = FunctionsApi(pool)
        self._admin = AdminApi(
            pool,
            host_id=self._host_json.hub_name,
            version=_version(),
            public_origin=self._links.public_origin,
            timer_payload=self._timer_payload,
        )
        web = Server(
            ManagementApi(hub, self._links, uses_app_lease=self._host_json.uses_app_lease),
            self._functions,
            self._admin,
            access,
            self._manners(tls, is_here=access.is_loopback),
            self._rpc_secret,
        )
        return hub, web

    async def run(self, *, watches: bool) -> None:
        """Return when host.json has changed; without `watches` never.

        Raises:
            StoreError: The folder of the store was deleted or replaced.
        """
        assert self._state is not None  # the host has been started
        watching = asyncio.ensure_future(self.watch() if watches else asyncio.Event().wait())
        try:
            while not watching.done():
                await asyncio.wait({watching}, timeout=_LOOK_AT_STATE_SECONDS)
                self._state.demand_lock()
            watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def watch(self) -> None:
        """Load the app anew whenever its files change; return when host.json has."""
        assert self._pool is not None  # the host has been started
        async for change in watcher.changes(self._watched, self._seen):
            if change is watcher.Change.SETTINGS:
                try:
                    read_host_json(self._root, self._environment)
                except SettingsError as error:
                    logger.error("host.json is not taken over: %s", error)
                    continue
                logger.warning("host.json has changed; the host starts again")
                return
            logger.warning("Files of the app have changed; loading it anew")
            await self._reload()

    async def stop(self) -> None:
        """Take nothing new, let what runs finish for a while, then close everything.

        The worker door closes last: functions that finish may still use their clients.
        """
        ending: list[Awaitable[None]] = []
        if self._server is not None:
            ending.append(self._server.close_public())
        if self._hub is not None:
            ending.append(self._hub.stop(server.PATIENCE_SECONDS))
        if self._timers is not None:
            ending.append(self._timers.stop(server.PATIENCE_SECONDS))
        if self._server is not None:
            ending.append(self._admin.stop(server.PATIENCE_SECONDS))
        await asyncio.gather(*ending)
        await self._http.close()
        if self._server is not None:
            await self._server.close_rpc()
        if self._pool is not None:
            await self._pool.stop()
        if self._database is not None:
            await self._database.close()
        if self._state is not None:
            self._state.release()
        for opened in self._sockets:
            opened.close()

    async def _reload(self) -> None:
        """Put the app's new code in the place of the old; instances in flight go on with it."""
        assert self._pool is not None  # the host has been started
        assert self._hub is not None
        self._hub.dispatcher.pause()
        if self._timers is not None:
            self._timers.halt()
        try:
            await self._pool.reload()
        except WorkerFailed as error:
            logger.error("Worker failed to load: %s", error)
            if self._pool.has_workers and self._pool.app.failure is None:
                logger.warning("The code that was loaded before goes on")
                self._go_on()
            return
        await self._serve(self._pool.app)

    async def _serve(self, app: AppInfo) -> None:
        """Let everything work with the functions of an app, and say what they are."""
        assert self._hub is not None  # made before
        routes, route_errors = http_functions(app.enabled, self._host_json.route_prefix)
        runs, timer_errors = self._find_timers(app.functions)
        errors = dict((*app.errors, *route_errors, *timer_errors))
        self._report(app, errors)
        self._functions.functions = routes
        origin = self._links.public_origin
        self._admin.url_templates = {
            http.function.name: f"{origin}/{http.template}" for http in routes
        }
        self._admin.errors = errors
        now = self._clock.now()
        schedules = {timer.function.name: timer.summary(now) for timer in runs}
        for line in start_output.functions(app, routes, errors, origin, schedules):
            self._say(line)
        if app.failure is not None:
            return  # what is unfinished waits until the app is mended
        self._hub.registry = registry_of(app)
        if not self._is_working:
            await self._hub.start()
            self._is_working = True
        self._timer_functions = [each for each in runs if not each.function.is_disabled]
        self._go_on()

    def _go_on(self) -> None:
        """Let instances and timers go on after a pause."""
        assert self._hub is not None  # made before
        self._hub.dispatcher.go_on()
        if self._timers is not None:
            self._timers.start(self._timer_functions)

    def _find_timers(
        self, functions: list[FunctionInfo]
    ) -> tuple[list[TimerFunction], list[tuple[str, str]]]:
        """Timers among functions, also disabled ones: these may be run by hand."""
        if not any(function.kind == TIMER_TRIGGER for function in functions):
            return [], []
        # Calendars take long to import.
        from azure.durable_functions.local.timer_triggers import runs, timer_functions

        assert self._database is not None  # opened before
        assert self._pool is not None
        if self._timers is None:
            self._timers = runs.TimerTriggers(self._database, self._clock, self._pool)
        return timer_functions.timer_functions(functions, self._environment)

    async def _timer_payload(self, name: str) -> str:
        assert self._timers is not None  # there is the one that is asked for
        return await self._timers.payload_by_hand(name)

    async def _start_instances(self, starts: list[dict[str, Any]]) -> None:
        """Start what functions ask for through outputs of type durableClient."""
        assert self._hub is not None  # no function runs before
        for start in starts:
            await self._hub.start_instance(
                str(start["FunctionName"]),
                instance_id=start.get("InstanceId") or None,
                input_text=None if start.get("Input") is None else events.dump(start["Input"]),
            )

    @property
    def _watched(self) -> watcher.Watched:
        host_json = self._host_json
        return watcher.Watched(self._root, host_json.watch_directories, host_json.watch_files)

    def _bind(
        self, address: str, local: LocalSettings
    ) -> tuple[socket.socket, socket.socket | None]:
        port = next(p for p in (self._options.port, local.port, 7071) if p is not None)
        public = server.bind(address, port)
        self._sockets.append(public)
        self.port = public.getsockname()[1]
        rpc = server.bind_rpc() if self._host_json.rpc_enabled else None
        if rpc is not None:
            self._sockets.append(rpc)
        return public, rpc

    def _tls(self) -> ssl.SSLContext | None:
        path = self._options.certificate
        if path is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(path, password=self._options.certificate_password or "")
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"the certificate {path} cannot be used: {error}. It must be a PEM file with "
                "certificate and key; a .pfx becomes one with: openssl pkcs12 -in FILE.pfx "
                "-out FILE.pem"
            ) from None
        return context

    def _manners(self, tls: ssl.SSLContext | None, *, is_here: bool) -> Manners:
        host_json = self._host_json
        hidden = self._environment.get("AzureWebJobsDisableHomepage", "")
        return Manners(
            custom_headers=host_json.custom_headers,
            trusts_forwarded_host=host_json.trusts_forwarded_host,
            has_home_page=hidden.lower() not in ("true", "1"),
            tells_failures=is_here,
            tls=tls,
            throttle=Throttle(
                host_json.max_concurrent_requests, host_json.max_outstanding_requests
            ),
        )

    def _access(self, address: str, key: str, local: LocalSettings) -> Access:
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
            self._say(
                f"Listening on {address}: requests need the key, as ?code=... or as header "
                "x-functions-key. It stands in the URLs that the durable client gives."
            )
        return access

    def _open_store(self, root: Path, hub_name: str) -> Database:
        state = StateFolder(root, hub_name)
        state.acquire()
        self._state = state
        if self._options.is_fresh:
            state.clear()
        state.make_store()
        database = Database(state.store, synchronous=self._options.synchronous)
        database.open()
        return database

    def _report(self, app: AppInfo, errors: dict[str, str]) -> None:
        if app.failure is not None:
            if self._options.is_strict:
                raise AppFailed(f"Worker failed to load the app:\n{app.failure}")
            hidden = hidden_modules.lines(self._root)
            logger.error("Worker failed to load the app:\n%s", "\n".join([app.failure, *hidden]))
        for name, reason in errors.items():
            if self._options.is_strict:
                raise AppFailed(f"The '{name}' function is in error: {reason}")
            logger.error("The '%s' function is in error: %s", name, reason)
        wanted = self._options.functions or self._host_json.functions
        for warning in start_output.warnings(app, wanted):
            logger.warning("%s", warning)


def _version() -> str:
    return importlib.metadata.version(DISTRIBUTION)


def _shown_address(address: str) -> str:
    if address in ("127.0.0.1", "0.0.0.0", "::1", "::", "localhost"):
        return "localhost"
    return f"[{address}]" if ":" in address else address


async def run(options: HostOptions, console: Console, stop_requested: asyncio.Event) -> None:
    """Run a host until it is asked to stop; a changed host.json makes it start again."""
    console.gather()
    operating_system.raise_descriptor_limit()
    asyncio.get_running_loop().set_exception_handler(_on_loop_error)
    setup = Setup.read(options.folder)
    while not stop_requested.is_set():
        host = LocalHost(options, console, setup)
        try:
            await _until(host.start(), stop_requested)
            if not stop_requested.is_set():
                options = replace(options, port=host.port, is_fresh=False)
                await _until(host.run(watches=options.watches), stop_requested)
        finally:
            await host.stop()


_REPEAT_SECONDS = 60.0
_told_at = -_REPEAT_SECONDS


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio reports; that no descriptor is left it does for each connection that waits."""
    global _told_at
    if "out of system resource" not in str(context.get("message")):
        loop.default_exception_handler(context)
    elif loop.time() - _told_at >= _REPEAT_SECONDS:
        _told_at = loop.time()
        logger.error(
            "No connection can be taken: %s. Those that wait are taken as others end; raise the "
            "limit of open files (ulimit -n) if this lasts",
            context.get("exception"),
        )


async def _until(work: Awaitable[None], stop_requested: asyncio.Event) -> None:
    """Let something end, or cancel it when a stop is requested."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop_requested.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
