"""Limits on the requests that functions handle in parallel. Source: host.md 9.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class TooManyRequests(Exception):
    """Too many requests are waiting: the response is 429."""


class Throttle:
    """Lets at most N requests run, and at most M run or wait."""

    def __init__(
        self, most_running: int | None = None, most_outstanding: int | None = None
    ) -> None:
        """Takes the limits; None means no limit. Outstanding requests run or wait."""
        self._free = None if most_running is None else asyncio.Semaphore(most_running)
        self._most_outstanding = most_outstanding
        self._outstanding = 0

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None, None]:
        """Waits until a request may run; counts it until the block ends.

        Raises:
            TooManyRequests: Too many requests are running or waiting.
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
