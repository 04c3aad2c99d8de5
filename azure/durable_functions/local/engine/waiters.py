"""Requests that wait for an instance to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator


class EndWaiters:
    """Who waits for which instance."""

    def __init__(self) -> None:
        self._waiters: dict[str, list[asyncio.Event]] = {}
        """One event for each request, by instance."""
        self._is_closed = False
        """Whether nobody may wait any more, because the engine stops."""

    @contextlib.contextmanager
    def waiting(self, instance_id: str) -> Generator[asyncio.Event, None, None]:
        """An event that is set when the instance ends, or when the engine stops.

        Ask for it before looking at the instance, or its end may be missed.
        """
        ended = asyncio.Event()
        if self._is_closed:
            ended.set()
        waiters = self._waiters.setdefault(instance_id, [])
        waiters.append(ended)
        try:
            yield ended
        finally:
            waiters.remove(ended)
            if not waiters:
                self._waiters.pop(instance_id, None)

    def note_end(self, instance_id: str) -> None:
        """An instance has ended."""
        for ended in self._waiters.get(instance_id, ()):
            ended.set()

    def close(self) -> None:
        """Let everybody go, now and later."""
        self._is_closed = True
        for instance_id in self._waiters:
            self.note_end(instance_id)
