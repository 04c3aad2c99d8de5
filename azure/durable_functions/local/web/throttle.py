"""Limits on the requests that functions answer at once. Source: host.md 9.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class TooManyRequests(Exception):
    """More requests wait than may: answered with 429."""


class Throttle:
    """Lets some requests through at a time and some more wait."""

    def __init__(
        self, most_running: int | None = None, most_outstanding: int | None = None
    ) -> None:
        """Prepare; None means without limit. Outstanding are those that run and those that wait."""
        self._free = None if most_running is None else asyncio.Semaphore(most_running)
        self._most_outstanding = most_outstanding
        self._outstanding = 0

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None, None]:
        """Around the answering of a request.

        Raises:
            TooManyRequests: It must not even wait.
        """
        if self._most_outstanding is not None and self._outstanding >= self._most_outstanding:
            raise TooManyRequests
        self._outstanding += 1
        try:
            if self._free is None:
                yield
            else:
                async with self._free:
                    yield
        finally:
            self._outstanding -= 1
