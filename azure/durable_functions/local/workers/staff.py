"""The workers of an app: starts, chooses, replaces and renews them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .app_info import AppInfo
from .worker import Worker, WorkerFailed

logger = logging.getLogger("azure.durable_functions.local")

_LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries to start a worker that does not load."""
_RETIRING_SECONDS = 10.0
"""How long a worker whose code is out of date may finish what it does."""


class Staff:
    """Which workers there are, which are free, and who waits for one."""

    def __init__(
        self, start: Callable[[], Awaitable[Worker]], count: int, *, has_exclusive_start: bool
    ) -> None:
        """Prepare; `start` begins.

        Args:
            start: Coroutine function that starts one worker.
            count: How many to keep.
            has_exclusive_start: Old workers must end before new ones start, as with a debugger
                that listens on a port.
        """
        self._start = start
        self._count = count
        self._has_exclusive_start = has_exclusive_start
        self.workers: list[Worker] = []
        """Those that get work; workers that are being retired are not among them."""
        self._reserved: Worker | None = None
        """The worker that does one thing alone."""
        self._waiting_alone = 0
        """How many invocations wait for a worker of their own."""
        self._changed = asyncio.Condition()
        """Notified when a worker has come, or has become free."""
        self._watching: set[asyncio.Task[None]] = set()
        """One for each worker: replaces it when it is lost."""
        self._retiring: set[asyncio.Task[None]] = set()
        """One for each worker that gets nothing new."""
        self._stopping = False

    async def start(self) -> AppInfo:
        """Start the workers: what the app holds.

        Raises:
            WorkerFailed: One of them cannot be started.
        """
        began = time.monotonic()
        app = self._use(await self._start_all())
        logger.debug(
            "%d worker(s) with Python %s have loaded %d functions in %d ms",
            self._count,
            app.python or "of the host",
            len(app.functions),
            round(1000 * (time.monotonic() - began)),
        )
        return app

    async def reload(self) -> AppInfo:
        """Put workers that have loaded the app anew in the place of all; tell what it holds now.

        What the old ones are doing may end, for a while; what they have not finished then is lost
        with them, as if they had crashed.

        Raises:
            WorkerFailed: One of the new ones cannot be started; the old ones stay, unless starts
                are exclusive.
        """
        old = self.workers
        if self._has_exclusive_start:
            self.workers = []
            await asyncio.gather(*(self._retire(worker) for worker in old))
            old = []
        app = self._use(await self._start_all())
        async with self._changed:
            self._changed.notify_all()
        for worker in old:
            task = asyncio.create_task(self._retire(worker))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return app

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in (*self._watching, *self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self.workers), return_exceptions=True)
        self.workers = []

    def may_use(self, worker: Worker) -> bool:
        """Whether a certain worker may be given work: not if another one waits to run alone."""
        return worker in self.workers and worker is not self._reserved and not self._waiting_alone

    async def pick(self) -> Worker:
        """The worker that has least to do."""
        chosen = self.free_worker()
        if chosen is None:
            async with self._changed:
                while (chosen := self.free_worker()) is None:
                    await self._changed.wait()
        chosen.load += 1
        return chosen

    def free_worker(self) -> Worker | None:
        """The worker that has least to do and may be given work; None if there is none."""
        free = [worker for worker in self.workers if worker is not self._reserved]
        # With one worker, an invocation that must run alone goes first.
        if not free or (self._waiting_alone and len(self.workers) == 1):
            return None
        return min(free, key=lambda worker: worker.load)

    async def reserve(self) -> Worker:
        """A worker that does nothing else meanwhile."""
        async with self._changed:
            self._waiting_alone += 1
            try:
                while True:
                    idle = [worker for worker in self.workers if worker.load == 0]
                    if idle and self._reserved is None:
                        self._reserved = idle[0]
                        idle[0].load += 1
                        return idle[0]
                    await self._changed.wait()
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()  # those that wait behind this one, if it was cancelled

    async def hand_back(self, worker: Worker) -> None:
        """An invocation has left a worker."""
        worker.load -= 1
        if self._reserved is worker:
            self._reserved = None
        elif not self._waiting_alone:
            return  # nobody waits for a worker that is idle
        async with self._changed:
            self._changed.notify_all()

    async def _start_all(self) -> list[Worker]:
        starting = [asyncio.ensure_future(self._start()) for _ in range(self._count)]
        try:
            return list(await asyncio.gather(*starting))
        except BaseException:
            for task in starting:
                task.cancel()
            ended = await asyncio.gather(*starting, return_exceptions=True)
            for worker in ended:
                if not isinstance(worker, BaseException):
                    await worker.stop()
            raise

    def _use(self, workers: list[Worker]) -> AppInfo:
        self.workers = workers
        for worker in workers:
            self._watch(worker)
        return workers[0].app

    async def _retire(self, worker: Worker) -> None:
        """End a worker that gets nothing new, when it has nothing left to do."""
        end = time.monotonic() + _RETIRING_SECONDS
        try:
            while worker.load and time.monotonic() < end:
                await asyncio.sleep(0.05)
        finally:
            worker.is_retired = True
            await worker.stop()

    def _watch(self, worker: Worker) -> None:
        task = asyncio.get_running_loop().create_task(self._replace(worker))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _replace(self, worker: Worker) -> None:
        """When a worker is lost, start another one; what does not load is tried again and again."""
        await worker.lost.wait()
        if self._stopping or worker not in self.workers:
            return  # it was meant to end
        logger.error("A worker process exited unexpectedly; starting a replacement")
        self.workers.remove(worker)
        if self._reserved is worker:
            self._reserved = None
        await worker.stop()
        pause = 0.5
        while not self._stopping:
            try:
                fresh = await self._start()
                if fresh.app.failure is not None:
                    await fresh.stop()
                    raise WorkerFailed(fresh.app.failure)
            except (WorkerFailed, OSError) as error:
                logger.error("Worker failed to load: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            if len(self.workers) >= self._count:  # all were replaced meanwhile
                await fresh.stop()
                return
            self.workers.append(fresh)
            self._watch(fresh)
            async with self._changed:
                self._changed.notify_all()
            return
