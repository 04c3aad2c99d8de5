"""Opens a local host, and reloads the app when its files change. Source: host.md 12."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local import start_output, watcher
from azure.durable_functions.local.config import hidden_modules
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.config.host_json import HostJson
from azure.durable_functions.local.config.requirements_txt import DISTRIBUTION
from azure.durable_functions.local.console_log import Console
from azure.durable_functions.local.engine.clock import SystemClock
from azure.durable_functions.local.engine.engine import Engine
from azure.durable_functions.local.engine.hub import TaskHub
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.http_sender import DurableHttpSender
from azure.durable_functions.local.options import AppFailed, HostOptions
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.space import StoreFull
from azure.durable_functions.local.timer_triggers.runs import TimerTriggers
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
from azure.durable_functions.local.web.server import (
    PATIENCE_SECONDS,
    Server,
    ServerSettings,
    bind,
    bind_rpc,
    tls_context,
)
from azure.durable_functions.local.web.throttle import Throttle
from azure.durable_functions.local.worker.binding_types import TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo, registry_of
from azure.durable_functions.local.workers.pool import WorkerPool
from azure.durable_functions.local.workers.starting import make_pool
from azure.durable_functions.local.workers.workers import WorkerFailed

if TYPE_CHECKING:
    from azure.durable_functions.local.timer_triggers.timer_functions import TimerFunction

logger = logging.getLogger("azure.durable_functions.local")

_LOOK_AT_STATE_SECONDS = 1.0
_MOST_NAMED = 5
"""The start prints the IDs of at most this many unfinished instances."""
_DEFAULT_PORT = 7071


@dataclass(frozen=True)
class _Doors:
    """The sockets of a host, bound but not accepting yet, and how to reach them."""

    address: str
    public: socket.socket
    port: int
    """The public port."""
    rpc: socket.socket | None
    """For the durable client in the app; None if host.json disables it."""
    tls: ssl.SSLContext | None
    """Of the public port; None for HTTP."""
    rpc_secret: str
    """First part of the paths at the RPC port; only the workers know it."""

    @property
    def public_origin(self) -> str:
        """Scheme and authority of the host's URLs."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        if self.address in ("127.0.0.1", "0.0.0.0", "::1", "::", "localhost"):
            shown = "localhost"
        return f"http{'s' if self.tls else ''}://{shown}:{self.port}"

    @property
    def rpc_base_url(self) -> str | None:
        """Base URL for the durable client in the app."""
        if self.rpc is None:
            return None
        port = self.rpc.getsockname()[1]
        return f"http://127.0.0.1:{port}{RPC_PATH}/{self.rpc_secret}/"


@dataclass(frozen=True)
class _Rooms:
    """The open parts of a host."""

    doors: _Doors
    changes: AsyncIterator[watcher.Change] | None
    """Changes of the app's files since before it was loaded; None if they are not watched."""
    state: StateFolder
    database: Database
    pool: WorkerPool
    engine: Engine
    timers: TimerTriggers
    server: Server


class LocalHost:
    """A host that answers requests; it reloads the app when files change."""

    def __init__(
        self,
        options: HostOptions,
        console: Console,
        setup: Setup,
        host_json: HostJson,
        rooms: _Rooms,
    ) -> None:
        """Takes what `open` has opened."""
        self._options = options
        self._console = console
        self._setup = setup
        self._host_json = host_json
        """As read at the start; a changed host.json restarts the host."""
        self._rooms = rooms
        self._is_working = False
        """Whether the hub was started, which waits for an app that can be loaded."""
        self._timer_functions: list[TimerFunction] = []
        """The enabled ones of the app as last loaded; they pause during a reload."""

    @classmethod
    async def open(
        cls, options: HostOptions, console: Console, setup: Setup, stack: AsyncExitStack
    ) -> LocalHost:
        """Opens a host; when this returns, it answers requests.

        Args:
            options: The options of the command line.
            console: Where to print what the start does.
            setup: The app folder.
            stack: Closes everything that was opened, last first, also if the start fails or is
                cancelled half-way.

        Raises:
            SettingsError: A setting or the port cannot be used; says which and why.
            StoreError: The store cannot be used.
            WorkerFailed: No worker can be started.
        """
        host_json = _read_settings(console, setup)
        rooms = await _open_rooms(options, console, setup, host_json, stack)
        host = cls(options, console, setup, host_json, rooms)
        await host._begin()
        return host

    @property
    def port(self) -> int:
        """The public port."""
        return self._rooms.doors.port

    async def _begin(self) -> None:
        """Loads the app, lets everything work with it, and accepts requests.

        Raises:
            WorkerFailed: No worker can be started; names files that may be the reason.
        """
        rooms, say = self._rooms, self._console.say
        hidden = hidden_modules.lines(self._setup.root)
        for line in hidden:
            logger.warning("%s", line)
        try:
            app = await rooms.pool.start()
        except WorkerFailed as error:
            raise WorkerFailed("\n".join([str(error), *hidden])) from None
        if rooms.doors.rpc is not None:
            await rooms.server.open_rpc(rooms.doors.rpc)
        unfinished, newest = await rooms.engine.hub.unfinished(_MOST_NAMED)
        await self._serve(app)
        for hint in start_output.release_hint(app, self._setup.root):
            logger.warning("%s", hint)
        if unfinished and app.failure is None:
            say(start_output.unfinished(unfinished, newest))
        say(f"Task hub {self._host_json.hub_name}, stored in {rooms.database.path}")
        logger.debug(
            "In parallel run at most %d orchestrators, %d entities and %d activities",
            self._host_json.hub.max_episodes,
            self._host_json.hub.max_entity_turns,
            self._host_json.hub.max_activities,
        )
        if not self._console.is_verbose:
            say("For detailed output, run durable with --verbose flag.")
        await rooms.server.open_public(rooms.doors.public)
        await _publish_url(rooms.database, rooms.doors.public_origin)
        say(f"Listening on {rooms.doors.public_origin} (Ctrl-C stops)")

    async def run(self) -> None:
        """Returns when host.json has changed; never if files are not watched.

        Raises:
            StoreError: The folder of the store was deleted or replaced.
        """
        watching = asyncio.ensure_future(self._watch())
        try:
            while not watching.done():
                await asyncio.wait({watching}, timeout=_LOOK_AT_STATE_SECONDS)
                self._rooms.state.demand_lock()
            watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Reloads the app whenever its files change; returns when host.json has changed."""
        if self._rooms.changes is None:
            await asyncio.Event().wait()
            return
        async for change in self._rooms.changes:
            if change is watcher.Change.SETTINGS:
                try:
                    self._setup.read_host_json()
                except SettingsError as error:
                    logger.error("Ignoring the new host.json: %s", error)
                    continue
                logger.warning("host.json has changed; restarting the host")
                return
            logger.warning("Files of the app have changed; reloading it")
            await self._reload()

    async def _reload(self) -> None:
        """Replaces the app's code; unfinished instances continue with the new code."""
        pool = self._rooms.pool
        self._rooms.engine.pause()
        self._rooms.timers.halt()
        try:
            await pool.reload()
        except WorkerFailed as error:
            logger.error("Worker failed to load: %s", error)
            if pool.has_workers and pool.app.failure is None:
                logger.warning("Still running the previous code")
                self._resume()
            return
        await self._serve(pool.app)

    async def _serve(self, app: AppInfo) -> None:
        """Works with the functions of an app from now on, and prints them."""
        rooms = self._rooms
        routes, route_errors = http_functions(app.enabled, self._host_json.route_prefix)
        timers, timer_errors = _timer_functions(app.functions, self._setup.environment)
        errors = dict((*app.errors, *route_errors, *timer_errors))
        self._report(app, errors)
        rooms.server.set_functions(routes, errors)
        now = SystemClock().now()
        schedules = {timer.function.name: timer.summary(now) for timer in timers}
        origin = rooms.doors.public_origin
        for line in start_output.functions(app, routes, errors, origin, schedules):
            self._console.say(line)
        if app.failure is not None:
            return  # unfinished instances wait until the app is fixed
        rooms.engine.registry = registry_of(app)
        if not self._is_working:
            await rooms.engine.start()
            self._is_working = True
        self._timer_functions = [each for each in timers if not each.function.is_disabled]
        self._resume()

    def _resume(self) -> None:
        """Lets instances and timer functions run after a pause."""
        self._rooms.engine.resume()
        self._rooms.timers.start(self._timer_functions)

    def _report(self, app: AppInfo, errors: Mapping[str, str]) -> None:
        """Logs why functions cannot be used, and what will not work as configured.

        Raises:
            AppFailed: Some cannot be used, and the host must not run without them.
        """
        if app.failure is not None:
            if self._options.is_strict:
                raise AppFailed(f"Worker failed to load the app:\n{app.failure}")
            hidden = hidden_modules.lines(self._setup.root)
            logger.error("Worker failed to load the app:\n%s", "\n".join([app.failure, *hidden]))
        for name, reason in errors.items():
            if self._options.is_strict:
                raise AppFailed(f"The '{name}' function is in error: {reason}")
            logger.error("The '%s' function is in error: %s", name, reason)
        wanted = self._options.functions or self._host_json.functions
        for warning in start_output.warnings(app, wanted):
            logger.warning("%s", warning)


def _read_settings(console: Console, setup: Setup) -> HostJson:
    """Prints the first lines of a start, and reads host.json."""
    for line in start_output.versions(_version()):
        console.say(line)
    console.say(f"App folder: {setup.root}")
    host_json = setup.read_host_json()
    console.configure(host_json.log_levels)
    for note in (*setup.notes, *host_json.notes):
        console.say(note)
    if not (setup.root / "host.json").is_file():
        console.say(f"No host.json in {setup.root}; the defaults apply.")
    return host_json


async def _open_rooms(
    options: HostOptions,
    console: Console,
    setup: Setup,
    host_json: HostJson,
    stack: AsyncExitStack,
) -> _Rooms:
    """Opens all parts of a host but the doors; `stack` closes them.

    When it does, the public door closes first, and running functions may finish for a while. The
    RPC door closes after that, because these functions may still use their clients.
    """
    doors = _bind(options, setup, host_json, stack)
    changes = await _begin_to_watch(setup, host_json) if options.watches else None
    state, database = _open_store(options, setup, host_json, stack)
    key = await database.write(
        lambda c: stored_settings.get_or_set(c, stored_settings.KEY, secrets.token_urlsafe(32))
    )
    await _publish_url(database, None)
    access = _access(options, setup, doors.address, key)
    if access.is_key_required:
        console.say(start_output.key_required(doors.address))
    links = Links(
        public_origin=doors.public_origin,
        hub_name=host_json.hub_name,
        connection_name=host_json.connection_name,
        key=key,
        rpc_base_url=doors.rpc_base_url,
    )
    pool = make_pool(setup, host_json, options, console.show_user_record, doors.port)
    stack.push_async_callback(pool.stop)
    clock, http = SystemClock(), DurableHttpSender()
    engine = Engine(database, clock, pool, Registry(), options.applied_to(host_json.hub), http)
    hub = engine.hub
    pool.client_texts = lambda function: client_texts(function, links)
    pool.start_instances = partial(_start_instances, hub)
    timers = TimerTriggers(database, clock, pool)
    server = Server(
        ManagementApi(hub, links, uses_app_lease=host_json.uses_app_lease),
        FunctionsApi(pool),
        AdminApi(
            pool,
            host_id=host_json.hub_name,
            version=_version(),
            public_origin=doors.public_origin,
            timer_payload=timers.payload_by_hand,
        ),
        access,
        _server_settings(setup, host_json, doors, access),
        doors.rpc_secret,
    )
    stack.push_async_callback(server.close_rpc)
    stack.push_async_callback(http.close)
    stack.push_async_callback(_finish, server, engine, timers)
    return _Rooms(doors, changes, state, database, pool, engine, timers, server)


async def _finish(server: Server, engine: Engine, timers: TimerTriggers) -> None:
    """Takes nothing new, and lets what runs finish for a while."""
    await asyncio.gather(
        server.close_public(), engine.stop(PATIENCE_SECONDS), timers.stop(PATIENCE_SECONDS)
    )


def _bind(options: HostOptions, setup: Setup, host_json: HostJson, stack: AsyncExitStack) -> _Doors:
    """Binds the host's ports.

    Raises:
        SettingsError: A port or the certificate cannot be used.
    """
    address = options.address or setup.local.address or "127.0.0.1"
    port = next(p for p in (options.port, setup.local.port, _DEFAULT_PORT) if p is not None)
    tls = None
    if options.certificate is not None:
        tls = tls_context(options.certificate, options.certificate_password)
    public = stack.enter_context(bind(address, port))
    rpc = stack.enter_context(bind_rpc()) if host_json.rpc_enabled else None
    return _Doors(address, public, public.getsockname()[1], rpc, tls, secrets.token_urlsafe(32))


async def _begin_to_watch(setup: Setup, host_json: HostJson) -> AsyncIterator[watcher.Change]:
    """Returns the changes of the app's files from now on."""
    watched = watcher.Watched(setup.root, host_json.watch_directories, host_json.watch_files)
    seen = await asyncio.get_running_loop().run_in_executor(None, watcher.look, watched)
    return watcher.changes(watched, seen)


def _open_store(
    options: HostOptions, setup: Setup, host_json: HostJson, stack: AsyncExitStack
) -> tuple[StateFolder, Database]:
    """Opens the store, which no other process may use until `stack` releases it.

    Raises:
        StoreError: The store cannot be used.
    """
    state = StateFolder(setup.root, host_json.hub_name)
    state.acquire()
    stack.callback(state.release)
    if options.is_fresh:
        state.clear()
    state.make_store()
    database = Database(state.store, synchronous=options.synchronous)
    database.open()
    stack.push_async_callback(database.close)
    return state, database


async def _publish_url(database: Database, url: str | None) -> None:
    """Stores the host's URL for the command line; None removes that of an earlier run.

    While the disk is full, the command line needs ``--url``.
    """
    with contextlib.suppress(StoreFull):
        if url is None:
            await database.write(lambda c: stored_settings.remove(c, stored_settings.URL))
        else:
            await database.write(lambda c: stored_settings.put(c, stored_settings.URL, url))


def _access(options: HostOptions, setup: Setup, address: str, key: str) -> Access:
    return Access.of_address(
        address,
        key,
        options.allowed_hosts,
        is_key_wanted=options.is_key_wanted,
        cors=Cors.of_text(
            options.cors or setup.local.cors,
            with_credentials=options.cors_credentials or setup.local.cors_credentials,
        ),
    )


def _server_settings(
    setup: Setup, host_json: HostJson, doors: _Doors, access: Access
) -> ServerSettings:
    hidden = setup.environment.get("AzureWebJobsDisableHomepage", "")
    return ServerSettings(
        custom_headers=host_json.custom_headers,
        trusts_forwarded_host=host_json.trusts_forwarded_host,
        has_home_page=hidden.lower() not in ("true", "1"),
        tells_failures=access.is_loopback,
        tls=doors.tls,
        throttle=Throttle(host_json.max_concurrent_requests, host_json.max_outstanding_requests),
    )


async def _start_instances(hub: TaskHub, starts: Sequence[Mapping[str, Any]]) -> None:
    """Starts the instances that a function has put into an output of type durableClient."""
    for start in starts:
        await hub.start_instance(
            str(start["FunctionName"]),
            instance_id=start.get("InstanceId") or None,
            input_text=None if start.get("Input") is None else events.dump(start["Input"]),
        )


def _timer_functions(
    functions: Sequence[FunctionInfo], environment: Mapping[str, str]
) -> tuple[list[TimerFunction], list[tuple[str, str]]]:
    """Returns the timer functions, also disabled ones: `durable invoke` can run these."""
    if not any(function.kind == TIMER_TRIGGER for function in functions):
        return [], []
    # The calendar library takes long to import.
    from azure.durable_functions.local.timer_triggers.timer_functions import timer_functions

    return timer_functions(functions, environment)


def _version() -> str:
    return importlib.metadata.version(DISTRIBUTION)
