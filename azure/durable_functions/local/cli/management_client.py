"""The management API for the command line: of a running host, or on the store of a stopped app.

Both speak http-api.md. If no host is running, the API answers in this process, and what it stores
takes effect at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions._wire import shapes
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.engine.clock import SystemClock
from azure.durable_functions.local.engine.hub import TaskHub
from azure.durable_functions.local.engine.registry import Kind, Registry
from azure.durable_functions.local.options import AppFailed
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.web.exchange import Request
from azure.durable_functions.local.web.links import WEBHOOK_PATH, Links
from azure.durable_functions.local.web.management_api import ManagementApi
from azure.durable_functions.local.workers.app_info import registry_of
from azure.durable_functions.local.workers.starting import load_app

_JSON = "application/json"
_ORIGIN = "http://localhost"
_ANSWER_SECONDS = 300.0


class HostUnreachable(DurableFunctionsError):
    """No host answers at an address; the message names it."""


class NeedsHost(DurableFunctionsError):
    """Only a running host can do what was requested."""


@dataclass(frozen=True)
class Reply:
    """The API's answer to a request."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The value of the body; None if it is empty.

        Raises:
            HostUnreachable: It is not JSON, so the answer is not from a host.
        """
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            raise HostUnreachable(
                "the server at that address is not a Durable Functions host"
            ) from None

    @property
    def problem(self) -> str:
        """The message of an error body."""
        body = self.json
        if shapes.is_object(body):
            return str(body.get("ExceptionMessage") or body.get("Message") or body)
        return str(body) if body else f"the host answered with status {self.status}"


class Management(Protocol):
    """The management API, of a running host or a stopped app."""

    is_running: bool
    """Whether a host answers, which also executes what it accepts."""

    async def call(
        self,
        method: str,
        path: str,
        body: str | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends a request; the path is below the management API's base, the body is JSON text."""
        ...

    async def invoke(self, name: str, text: str) -> Reply:
        """Runs a function, and waits until it has ended if the host reports that.

        Raises:
            NeedsHost: No host is running.
        """
        ...

    async def unknown(self, kind: Kind, name: str) -> str | None:
        """Returns an error if the app has no such function; None if it has, or it is unknown."""
        ...


class RunningHost:
    """A running host, over HTTP."""

    is_running = True

    def __init__(self, url: str, key: str, session: Any) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        body: str | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends a request to the host."""
        return await self._send(method, f"{WEBHOOK_PATH}/{path}", body, query, headers)

    async def invoke(self, name: str, text: str) -> Reply:
        """Runs a function and waits until it has ended."""
        body = json.dumps({"input": text})
        path = f"/admin/functions/{quote(name, safe='')}"
        return await self._send("POST", path, body, {"wait": "true"}, None, is_patient=True)

    async def unknown(self, kind: Kind, name: str) -> str | None:
        """Asks the host for its functions; one on Azure may not list them."""
        reply = await self._send("GET", "/admin/functions", None, None, None)
        listed = reply.json if reply.status == 200 else None
        if not shapes.is_array(listed):
            return None
        return _unknown(_registry_listed(listed), kind, name)

    async def _send(
        self,
        method: str,
        path: str,
        body: str | None,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str] | None,
        *,
        is_patient: bool = False,
    ) -> Reply:
        import aiohttp
        import yarl

        sent = {"x-functions-key": self._key, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = _JSON
        url = f"{self._url}{path}"
        if query:
            url += f"?{urlencode(query)}"
        try:
            async with self._session.request(
                method,
                yarl.URL(url, encoded=True),
                data=body,
                headers=sent,
                timeout=aiohttp.ClientTimeout(total=None if is_patient else _ANSWER_SECONDS),
            ) as answer:
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status, found, await answer.read())
        except (OSError, asyncio.TimeoutError, aiohttp.ClientError) as error:
            raise HostUnreachable(
                f"no host answers at {self._url}: {error or type(error).__name__}"
            ) from None


class StoppedHost:
    """A stopped app: its store, and the management API in this process."""

    is_running = False

    def __init__(self, api: ManagementApi, registry: Registry) -> None:
        self._api = api
        self._registry = registry

    async def call(
        self,
        method: str,
        path: str,
        body: str | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Answers a request in this process."""
        text = urlencode(query or {})
        content = b"" if body is None else body.encode("utf-8")
        answer = await self._api.answer(
            Request(
                method=method,
                url=f"{_ORIGIN}{WEBHOOK_PATH}/{path}" + (f"?{text}" if text else ""),
                path=f"/{path}",
                query_text=text,
                headers={
                    "content-type": _JSON,
                    **{name.lower(): value for name, value in (headers or {}).items()},
                },
                body=content,
                has_body=bool(content),
            )
        )
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, found, answer.body)

    async def invoke(self, name: str, text: str) -> Reply:
        """Raises NeedsHost: only a host has workers."""
        raise NeedsHost(f"only a running host can run {name}; start it with: durable start FOLDER")

    async def unknown(self, kind: Kind, name: str) -> str | None:
        """Checks the names of the app's functions, if they were loaded."""
        return _unknown(self._registry, kind, name)


@contextlib.asynccontextmanager
async def of_url(url: str, key: str, *, is_here: bool = False) -> AsyncGenerator[Management, None]:
    """Connects to the management API of a host.

    Args:
        url: Scheme and authority.
        key: The host's access key.
        is_here: The host runs on this machine, so its certificate is not checked.

    Raises:
        HostUnreachable: The URL cannot be that of a host.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise HostUnreachable(f"{url!r} is not a URL such as http://localhost:7071")
    import aiohttp

    connector = aiohttp.TCPConnector(ssl=not is_here)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield RunningHost(url, key, session)


@contextlib.asynccontextmanager
async def of_folder(folder: Path, *, needs_names: bool = False) -> AsyncGenerator[Management, None]:
    """Connects to the management API of an app, whether its host is running or not.

    Args:
        folder: The app's folder.
        needs_names: Whether the names of the app's functions are needed; if no host is running, a
            worker loads the app to learn them.

    Raises:
        SettingsError, StoreError: The folder, its settings or its store cannot be used.
    """
    setup = Setup.read(folder)
    host_json = setup.read_host_json()
    state = StateFolder(setup.root, host_json.hub_name)
    if not state.try_acquire():
        url, key = _address_of(state.store)
        async with of_url(url, key, is_here=True) as running:
            yield running
        return
    try:
        registry = await _registry(setup) if needs_names else Registry()
        database = Database(state.store)
        database.open()
        try:
            # A killed host may have left its URL, where another server may listen now.
            await database.write(lambda c: stored_settings.remove(c, stored_settings.URL))
            hub = TaskHub(database, SystemClock(), registry, host_json.hub)
            links = Links(_ORIGIN, host_json.hub_name, host_json.connection_name, "", None)
            yield StoppedHost(ManagementApi(hub, links), registry)
        finally:
            await database.close()
    finally:
        state.release()


def _registry_listed(listed: list[Any]) -> Registry:
    """Returns the names of the durable functions in a list from the admin API."""
    names: dict[str, list[str]] = {}
    for function in listed:
        if not function["isDisabled"]:
            for binding in function["config"]["bindings"]:
                renamed = (
                    binding.get("orchestration")
                    or binding.get("activity")
                    or binding.get("entityName")
                )
                names.setdefault(binding["type"], []).append(str(renamed or function["name"]))
    return Registry(
        names.get("orchestrationTrigger", ()),
        names.get("activityTrigger", ()),
        names.get("entityTrigger", ()),
    )


def _unknown(registry: Registry, kind: Kind, name: str) -> str | None:
    return registry.explained(kind, name) if registry.find(kind, name) is None else None


def _address_of(store: Path) -> tuple[str, str]:
    """Returns the URL and key that a running host has put into its store."""
    url, key = stored_settings.peek(store, stored_settings.URL, stored_settings.KEY)
    if url is None:
        raise HostUnreachable(f"the host that uses {store} is still starting; try again")
    return url, key or ""


async def _registry(setup: Setup) -> Registry:
    """Loads an app in a worker and returns the names of its durable functions."""
    app = await load_app(setup)
    if app.failure is not None:
        raise AppFailed(f"the app cannot be loaded:\n{app.failure}")
    return registry_of(app)
