"""Sends responses that functions produce in pieces."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from azure.durable_functions.local.engine.invoker import WorkerLost
from azure.durable_functions.local.workers.responses import Response, Rest, StreamBroken

logger = logging.getLogger("azure.durable_functions.local")

_LOOK_AT_CLIENT_SECONDS = 1.0
"""How often to check that the client is still there while a function makes the next piece."""


class StreamedResponse(web.StreamResponse):
    """A response that a function produces in pieces, each of which is sent at once."""

    def __init__(self, response: Response, rest: Rest) -> None:
        super().__init__(status=response.status)
        self._first = response.body
        self._rest = rest

    async def send(self, request: web.Request) -> None:
        """Sends all pieces; cuts the connection if the function raises before the end."""
        try:
            await self.prepare(request)
            await self.write(self._first)
            pieces = aiter(self._rest)
            while (piece := await self._next(pieces, request)) is not None:
                await self.write(piece)
            await self.write_eof()
        except ConnectionError:
            logger.debug("A client has closed the connection before its response had ended")
        except (WorkerLost, StreamBroken) as error:
            logger.error("A response was cut off: %s", error)
            if request.transport is not None:
                request.transport.abort()
        finally:
            await self._rest.close()

    @staticmethod
    async def _next(pieces: AsyncIterator[bytes], request: web.Request) -> bytes | None:
        """Returns the next piece, None at the end; notices meanwhile if the client has gone."""
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while not coming.done():
                await asyncio.wait({coming}, timeout=_LOOK_AT_CLIENT_SECONDS)
                if request.transport is None or request.transport.is_closing():
                    raise ConnectionResetError
            return coming.result()
        finally:
            coming.cancel()
