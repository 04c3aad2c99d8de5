"""Closes silent connections, so that no client can occupy the host by sending nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl

from aiohttp import web

FIRST_REQUEST_SECONDS = 30.0
"""How long a new connection may take to send the head of its first request."""
NEXT_REQUEST_SECONDS = 75.0
"""How long a connection may be idle between two requests."""
BODY_SECONDS = 30.0
"""How long a body may pause."""
_SWEEP_SECONDS = 5.0
_BACKLOG = 4096
"""How many connections may wait to be accepted; further clients retry after a second."""
_TAKEN_AT_ONCE = 128
"""How many connections asyncio accepts in one go; it tries all even without descriptors."""
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 120_000}
"""When the system gives up a lost peer; connections inherit this from the listening socket."""


class Connections:
    """Accepts the connections of one port and closes those on which no request arrives.

    The HTTP library limits the time between two requests, but older releases of it wait for ever
    for the first one.
    """

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._listening: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._silent: dict[web.RequestHandler, float] = {}
        """Connections without a request yet, and when each was accepted, by the loop's clock."""

    async def open(self, reserved: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Begins to accept connections.

        Raises:
            OSError: The port cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            self._accept,
            sock=reserved,
            ssl=tls,
            backlog=_TAKEN_AT_ONCE,
            ssl_handshake_timeout=None if tls is None else FIRST_REQUEST_SECONDS,
        )
        reserved.listen(_BACKLOG)
        for name, value in _PROBES.items():
            option: int | None = getattr(socket, name, None)
            if option is not None:
                reserved.setsockopt(socket.IPPROTO_TCP, option, value)
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._close_silent)

    def close(self) -> None:
        """Accepts no more connections; open ones stay."""
        if self._listening is not None:
            self._listening.close()
        if self._sweep is not None:
            self._sweep.cancel()

    def heard(self, request: web.Request) -> None:
        """Notes that a request has arrived on its connection."""
        self._silent.pop(request.protocol, None)

    def _accept(self) -> web.RequestHandler:
        connection = self._server()
        self._silent[connection] = asyncio.get_running_loop().time()
        return connection

    def _close_silent(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() - FIRST_REQUEST_SECONDS
        for connection, accepted_at in list(self._silent.items()):
            if accepted_at > latest:
                break  # all later ones are younger
            del self._silent[connection]
            connection.force_close()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._close_silent)


async def body_of(request: web.Request, most_bytes: int) -> bytes:
    """Returns a request's body; one that has arrived completely, like most, needs no timer.

    Raises:
        web.HTTPRequestTimeout: The body pauses for longer than `BODY_SECONDS`.
        web.HTTPRequestEntityTooLarge: The body is longer than `most_bytes`.
    """
    content = request.content
    body = bytearray()
    while not content.at_eof():
        try:
            part = (
                content.read_nowait()
                if content.is_eof()
                else await asyncio.wait_for(content.readany(), BODY_SECONDS)
            )
        except asyncio.TimeoutError:
            late = web.HTTPRequestTimeout()
            late.force_close()
            raise late from None
        body += part
        if len(body) > most_bytes:
            raise web.HTTPRequestEntityTooLarge(most_bytes, len(body))
    return bytes(body)
