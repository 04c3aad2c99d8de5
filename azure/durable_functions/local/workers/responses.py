"""Responses of HTTP functions, whole or in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from azure.durable_functions.local.engine.invoker import WorkerLost
from azure.durable_functions.local.worker.link import Frame


class StreamBroken(Exception):
    """A function has raised after a part of its response was sent; the text says what."""


class ResponseStream:
    """The pieces of one response, as they arrive from a worker."""

    def __init__(
        self,
        number: int,
        arrived: asyncio.Queue[Frame | WorkerLost],
        steer: Callable[[dict[str, Any]], None],
        on_close: Callable[[int], object],
    ) -> None:
        self._number = number
        self._arrived = arrived
        self._steer = steer
        """Tells the worker that more may come, or that nobody wants more."""
        self._on_close = on_close
        self._has_ended = False
        """Whether the worker has nothing more to send."""
        self._unconfirmed = 0
        """Bytes given to the caller, who has them when he asks for the next."""

    def __aiter__(self) -> ResponseStream:
        return self

    async def __anext__(self) -> bytes:
        """The next piece.

        Raises:
            WorkerLost: The worker has ended before the response.
            StreamBroken: The function has raised.
        """
        if self._unconfirmed:
            self._steer({"type": "more", "id": self._number, "bytes": self._unconfirmed})
            self._unconfirmed = 0
        while not self._has_ended:
            piece = await self._arrived.get()
            if isinstance(piece, WorkerLost):
                self._has_ended = True
                raise piece
            self._has_ended = "last" in piece.header
            if "error" in piece.header:
                error = piece.header["error"]
                raise StreamBroken(f"{error['typeName']}: {error['message']}")
            if piece.payload:
                self._unconfirmed = len(piece.payload)
                return piece.payload
        raise StopAsyncIteration

    def close(self) -> None:
        """Take nothing more; the function is told if it has not ended."""
        if not self._has_ended:
            self._has_ended = True
            self._steer({"type": "cancel", "id": self._number})
        self._on_close(self._number)


class Rest:
    """The pieces of a response that follow the first one."""

    def __init__(self, stream: ResponseStream, hand_back: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._hand_back = hand_back
        """Lets the worker have other work, or end."""

    def __aiter__(self) -> ResponseStream:
        return self._stream

    async def close(self) -> None:
        """Take nothing more."""
        self._stream.close()
        await self._hand_back()


@dataclass(frozen=True)
class Response:
    """What an HTTP function answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    """All of it, or the first piece."""
    rest: Rest | None = None
    """Further pieces, for a response that the function makes bit by bit; to be closed."""

    async def whole(self) -> bytes:
        """The body with all its pieces.

        Raises:
            WorkerLost, StreamBroken: The response has no end.
        """
        if self.rest is None:
            return self.body
        try:
            return self.body + b"".join([piece async for piece in self.rest])
        finally:
            await self.rest.close()
