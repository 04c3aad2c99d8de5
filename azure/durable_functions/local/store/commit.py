"""A transaction on its way to the disk, and what waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("azure.durable_functions.local")


class Commit:
    """A transaction on its way to the disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], object]] | None = []
        """What is to be called; None when all has been and later callbacks need not wait."""
        self._told: list[Callable[[], object]] | None = []
        """The same, of those that the loop calls."""
        self.kept_at: float | None = None
        """When it was on disk, as `time.monotonic` says; None before, and for ever if it fails."""

    @property
    def is_kept(self) -> bool:
        """Whether the transaction is on disk."""
        return self.kept_at is not None

    def then(self, callback: Callable[[], object]) -> None:
        """Have something called when the transaction is on disk; never if it is not kept.

        That is at once, or later by the thread that commits, which must not be held up. Callbacks
        are called in order.
        """
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(callback)
                return
        callback()

    def when_told(self, callback: Callable[[], object]) -> None:
        """As `then`, but called on the loop, when those who wait for the transaction are told."""
        if self._told is None:
            callback()
        else:
            self._told.append(callback)

    def tell(self) -> None:
        """It is on disk, and the loop knows."""
        told, self._told = self._told or [], None
        _call(told)

    async def kept(self) -> None:
        """Wait until the transaction is on disk: for ever, if it is not kept."""
        if self.is_kept:
            return
        loop = asyncio.get_running_loop()
        on_disk = asyncio.Event()
        self.then(lambda: loop.call_soon_threadsafe(on_disk.set))
        await on_disk.wait()

    def keep(self) -> None:
        """It is on disk."""
        self.kept_at = time.monotonic()  # before anybody can answer
        while True:
            with self._lock:
                waiting = self._waiting
                self._waiting = [] if waiting else None
            if not waiting:
                return
            _call(waiting)


def _call(callbacks: list[Callable[[], object]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:  # what waits for others must go on
            logger.exception("A callback scheduled after a commit raised")


KEPT = Commit()
"""One that has been on disk from the start."""
KEPT.keep()
KEPT.tell()
