"""Pauses before a turn or an activity is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .tasks import Tasks

_LONGEST = 30
"""The longest pause, as a multiple of the first."""


class Backoff:
    """Instances whose turn has failed, and how long each waits before the next try."""

    def __init__(self, tasks: Tasks, first_pause_seconds: float) -> None:
        self._tasks = tasks
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        """Waits for some seconds; a test may put in something else."""
        self._first_pause = first_pause_seconds
        """Seconds before the first new try; each further one waits twice as long, up to a limit."""
        self._pauses: dict[str, float] = {}
        """The last pause of each instance whose last turn has failed."""
        self._pausing: set[str] = set()
        """Instances in a pause."""

    def __len__(self) -> int:
        return len(self._pausing)

    def holds(self, instance_id: str) -> bool:
        """Whether an instance is in a pause."""
        return instance_id in self._pausing

    def forget(self, instance_id: str) -> None:
        """A turn of the instance has not failed."""
        self._pauses.pop(instance_id, None)

    async def pause(self, instance_id: str) -> None:
        """Hold an instance for as long as it is its turn to wait."""
        pause = self._pauses.get(instance_id, self._first_pause / 2) * 2
        self._pauses[instance_id] = min(pause, self._first_pause * _LONGEST)
        self._pausing.add(instance_id)
        await self._sleep(self._pauses[instance_id])
        self._pausing.discard(instance_id)

    async def pause_once(self, *, is_long: bool = False) -> None:
        """Wait before an activity is tried again."""
        await self._sleep(self._first_pause * (_LONGEST if is_long else 1))

    async def _sleep(self, seconds: float) -> None:
        if not self._tasks.is_stopping:
            await self.sleep(seconds)
