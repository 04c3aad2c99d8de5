"""Whether new work may start, and the asyncio tasks that do it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """What the scheduling of one engine runs."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        """Those that have not ended; asyncio itself keeps only weak references."""
        self._is_started = False
        """Work that arrives before the start stays where it is."""
        self.is_paused = False
        """Set while the app is loaded again: running functions go on, new ones wait."""
        self.is_stopping = False
        """Set for good when the engine stops; what waits stays in the store."""

    @property
    def may_start(self) -> bool:
        """Whether new turns and activities may start."""
        return self._is_started and not self.is_stopping and not self.is_paused

    def open(self) -> None:
        """Let work start."""
        self._is_started = True

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, patience_seconds: float) -> None:
        """Wait for what runs, and cancel what has not ended in time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_seconds
        while running := [task for task in self._tasks if not task.done()]:  # they start others
            seconds_left = end - loop.time()
            if seconds_left > 0:
                await asyncio.wait(running, timeout=seconds_left)
            else:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
