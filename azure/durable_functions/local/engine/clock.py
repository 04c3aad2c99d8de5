"""Time, passed in: the real one here, a jumping one in tests."""

from __future__ import annotations

import asyncio
import functools
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time and wakes who waits for it."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    async def wait(self, until: datetime | None, woken: asyncio.Event) -> None:
        """Return when the time has come or `woken` is set; without a time, wait for `woken`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(timezone.utc)

    async def wait(self, until: datetime | None, woken: asyncio.Event) -> None:
        """Return when the time has come or `woken` is set.

        The wait is cut into minutes, so that a clock that was set is noticed.
        """
        if until is None:
            await woken.wait()
            return
        seconds = (until - self.now()).total_seconds()
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(woken.wait(), min(seconds, 60.0))
        except asyncio.TimeoutError:
            return


@functools.lru_cache(maxsize=32)  # a turn has one moment, and writes it five times
def stored(moment: datetime) -> str:
    """A moment as the store keeps it: sorts as text. Always UTC, six fraction digits."""
    if moment.tzinfo is not timezone.utc:
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")]


def from_stored(text: str) -> datetime:
    """The reverse of `stored`."""
    return datetime.fromisoformat(f"{text}+00:00")
