"""A host that only remembers what it was asked, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web

import azure.durable_functions as df
from azure.durable_functions._client import http

Result = TypeVar("Result")


@dataclass
class Asked:
    method: str
    target: str
    """Path and query as they came over the wire."""
    body: str | None
    headers: dict[str, str]


@dataclass
class RecordingServer:
    """Gives the same answer to everything, or the answers of a list in turn."""

    status: int = 202
    answer: Any = None
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    raw: bytes | None = None

    async def __aenter__(self) -> RecordingServer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/durabletask/"
        return self

    async def __aexit__(self, *exception: object) -> None:
        await http._close_session()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append(
            Asked(
                request.method,
                request.raw_path,
                body if request.body_exists else None,
                {name.lower(): value for name, value in request.headers.items()},
            )
        )
        status, answer, headers = self.status, self.answer, dict[str, str]()
        if self.answers:
            status, answer, headers = self.answers.pop(0)
        if self.raw is not None:
            return web.Response(status=status, body=self.raw)
        text = None if answer is None else json.dumps(answer)
        if "Content-Type" in headers:
            return web.Response(status=status, body=(text or "").encode(), headers=headers)
        return web.Response(
            status=status, text=text, content_type="application/json", headers=headers
        )


def binding(base_url: str | None) -> str:
    """Text of a durable client binding."""
    origin = "http://localhost:7071/runtime/webhooks/durabletask"
    suffix = "taskHub=Hub&connection=Storage&code=KEY"
    urls = {
        "id": "INSTANCEID",
        "statusQueryGetUri": f"{origin}/instances/INSTANCEID?{suffix}",
        "terminatePostUri": f"{origin}/instances/INSTANCEID/terminate?reason={{text}}&{suffix}",
    }
    return json.dumps(
        {
            "taskHubName": "Hub",
            "creationUrls": {},
            "managementUrls": urls,
            "rpcBaseUrl": base_url,
            "baseUrl": origin,
        }
    )


def talk(
    server: RecordingServer, call: Callable[[df.DurableOrchestrationClient], Awaitable[Result]]
) -> Result:
    """Let a client talk to the server once; what it raises is raised."""

    async def scenario() -> Result:
        async with server:
            return await call(df.DurableOrchestrationClient(binding(server.base_url)))

    return asyncio.run(scenario())
