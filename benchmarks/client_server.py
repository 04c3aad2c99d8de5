"""Answers a client's start and status requests, always the same; prints its URL."""

from __future__ import annotations

import asyncio

from aiohttp import web

STATUS = {
    "name": "chain",
    "instanceId": "abc",
    "runtimeStatus": "Completed",
    "input": {"n": 5},
    "customStatus": None,
    "output": [1, 2, 3],
    "createdTime": "2026-01-15T10:00:00Z",
    "lastUpdatedTime": "2026-01-15T10:00:01Z",
}


async def start(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"id": "abc"}, status=202)


async def status(request: web.Request) -> web.Response:
    return web.json_response(STATUS)


async def main() -> None:
    app = web.Application()
    app.router.add_post("/durabletask/orchestrators/{name}", start)
    app.router.add_get("/durabletask/instances/{id}", status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
