"""A worker in this process, for debuggers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.durable_functions.local.engine.invoker import OPEN, Gate, WorkerRetired
from azure.durable_functions.local.worker.continuations import NO_LIMIT
from azure.durable_functions.local.worker.link import Frame

from .app_info import AppInfo
from .worker import END_SECONDS, LogSink, PendingAnswers

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import Invoke


class InProcessWorker(PendingAnswers):
    """A worker in this process, for debuggers: user code has a thread and a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.app: AppInfo
        self.lost = asyncio.Event()
        self.load = 0
        self.is_retired = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="durable-worker", daemon=True
        )
        self._functions: Any = None
        self._end_logging: Callable[[], None]

    @classmethod
    async def start(
        cls,
        root: Path,
        on_log: LogSink,
        only: Sequence[str] = (),
        places: tuple[int, int] = NO_LIMIT,
    ) -> InProcessWorker:
        """Load the app in this process, anew if it was loaded before."""
        from azure.durable_functions.local.worker import app_loader, runtime
        from azure.durable_functions.local.worker.functions import Functions

        worker = cls()
        worker._thread.start()
        handler = runtime.forward_logs(on_log)
        worker._end_logging = lambda: logging.getLogger().removeHandler(handler)

        async def load() -> Frame:
            app_loader.unload(root)
            app = app_loader.load(root, only)
            worker._functions = Functions(app.functions, places)
            return runtime.describe(app)

        worker.app = AppInfo.from_frame(await worker._run(load()))
        return worker

    async def call(self, header: Invoke, payload: bytes, after: Gate = OPEN) -> Frame:
        """Invoke a function; raises WorkerRetired when the worker is stopped before it ends."""
        if self.lost.is_set():
            raise WorkerRetired("the app was loaded anew meanwhile")
        loop = asyncio.get_running_loop()

        def tell(frame: Frame) -> None:
            loop.call_soon_threadsafe(self._take, frame)

        number, answer = self.expect()
        begin = partial(self._functions.begin, {**header, "id": number}, payload, tell)
        try:
            after.then(lambda: answer.done() or begin())  # if somebody still waits for it
            return await answer
        finally:
            self.forget(number)

    async def stop(self) -> None:
        """End the loop and the idle threads; what still runs is left to its thread."""
        self.lost.set()
        self._break(lambda: WorkerRetired("the app was loaded anew meanwhile"))
        self._end_logging()
        self._functions.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._thread.join, END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _steer(self, header: dict[str, Any]) -> None:
        if not self.lost.is_set():
            self._functions.steer(header)

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
