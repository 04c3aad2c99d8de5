"""Time that stands still until somebody moves it."""

from __future__ import annotations

import asyncio
from datetime import datetime


class VirtualClock:
    """The engine's clock in tests."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._moved: set[asyncio.Event] = set()

    def now(self) -> datetime:
        """Aware UTC."""
        return self._now

    async def wait(self, until: datetime | None, woken: asyncio.Event) -> None:
        """Return when time was moved that far, or `woken` is set."""
        if until is not None and until <= self._now:
            return
        moved = asyncio.Event()
        self._moved.add(moved)
        waits = [asyncio.ensure_future(event.wait()) for event in (woken, moved)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._moved.discard(moved)
            for wait in waits:
                wait.cancel()

    def move_to(self, moment: datetime) -> None:
        """Let it be that time, unless it is later already."""
        self._now = max(self._now, moment)
        for moved in self._moved:
            moved.set()
