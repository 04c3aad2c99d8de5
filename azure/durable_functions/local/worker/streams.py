"""Responses that are sent in pieces as a function makes them.

A result frame with ``streams`` brings status, headers and the first piece; frames of type ``chunk``
bring the rest. The host says how much it has passed on (``more``), so a slow client slows the
function and not the host's memory grows; or that the client is gone (``cancel``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .link import Frame

if TYPE_CHECKING:
    from .frames import Raised

WINDOW_BYTES = 256 * 1024
"""How much may be on its way to the client before the function has to wait."""


class Stream:
    """One response; belongs to the event loop of the functions."""

    def __init__(self, number: int, answer: Callable[[Frame], object]) -> None:
        """Prepare a response.

        Args:
            number: Of the invocation.
            answer: Sends a frame to the host.
        """
        self._number = number
        self._answer = answer
        self._on_its_way = 0
        """Bytes that the host has not passed on yet."""
        self._moved = asyncio.Event()
        """Set when the host has passed something on."""
        self.is_cut = asyncio.Event()
        """Set when the client is gone."""

    async def start(self, header: dict[str, Any], first: bytes) -> None:
        """Send the response's status and headers with its first piece."""
        header = {"type": "result", "id": self._number, **header, "streams": True}
        self._answer(Frame(header, first))
        await self._wait_for_space(len(first))

    async def send(self, piece: bytes) -> None:
        """Send a further piece.

        Raises:
            OSError: The client is gone.
        """
        self._answer(Frame({"type": "chunk", "id": self._number}, piece))
        await self._wait_for_space(len(piece))

    def end(self, error: Raised | None = None) -> None:
        """Nothing follows, either because that was all or because the function has raised."""
        header = {"type": "chunk", "id": self._number, "last": True}
        self._answer(Frame(header if error is None else {**header, "error": error}))

    def more(self, count: int) -> None:
        """The host has passed this many bytes on."""
        self._on_its_way -= count
        self._moved.set()

    def cut(self) -> None:
        """The client is gone."""
        self.is_cut.set()
        self._moved.set()

    async def _wait_for_space(self, added: int) -> None:
        self._on_its_way += added
        while self._on_its_way > WINDOW_BYTES and not self.is_cut.is_set():
            self._moved.clear()
            await self._moved.wait()
        if self.is_cut.is_set():
            raise OSError("the client has closed the connection")
