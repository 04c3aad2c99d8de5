"""Timers that are set: wakes their instances when they fall due."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable

from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.store import messages
from azure.durable_functions.local.store.database import Database

from .tasks import Tasks

_FEW_TIMERS = 1000


class DueTimes:
    """Due times of an engine's instances, the earliest first."""

    def __init__(
        self, database: Database, time: Clock, tasks: Tasks, wake: Callable[[str], None]
    ) -> None:
        self._database = database
        self._clock = time
        self._tasks = tasks
        self._wake = wake
        """Called with the id of an instance whose timer is due."""
        self._heap: list[tuple[str, str]] = []
        """Due time, as the store writes it, and instance. Cancelled timers stay until they are due
        or the heap is read again: taking one out would cost a search."""
        self._changed = asyncio.Event()
        """Set when the wait for the earliest due time must be thought over."""
        self._most = _FEW_TIMERS
        """The size at which the heap is read again from the store."""

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> str | None:
        """When the next timer falls due, as the store writes it."""
        return self._heap[0][0] if self._heap else None

    @property
    def is_due(self) -> bool:
        """Whether a timer is due whose instance has not been woken yet."""
        return bool(self._heap) and self._heap[0][0] <= clock.stored(self._clock.now())

    def add(self, due: Iterable[tuple[str, str]]) -> None:
        """Take timers over that are on disk."""
        is_empty = True
        for entry in due:
            is_empty = False
            heapq.heappush(self._heap, entry)
        if is_empty:
            return
        self._changed.set()
        if len(self._heap) > self._most:
            self._tasks.spawn(self._read_again())

    def stop(self) -> None:
        """Let `watch` look whether the engine is stopping."""
        self._changed.set()

    async def watch(self) -> None:
        """Wake instances as their timers fall due, until the engine stops."""
        while not self._tasks.is_stopping:
            self._changed.clear()
            now = clock.stored(self._clock.now())
            while self._heap and self._heap[0][0] <= now:
                _, instance_id = heapq.heappop(self._heap)
                self._wake(instance_id)
            until = clock.from_stored(self._heap[0][0]) if self._heap else None
            await self._clock.wait(until, self._changed)

    async def _read_again(self) -> None:
        """Get rid of the timers that were cancelled."""
        self._most = 2 * len(self._heap)
        self._heap = await self._database.read(messages.planned)
        heapq.heapify(self._heap)
        self._most = max(_FEW_TIMERS, 2 * len(self._heap))
        self._changed.set()
