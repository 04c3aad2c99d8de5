"""A worker in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.durable_functions.local import operating_system
from azure.durable_functions.local.engine.invoker import OPEN, Gate, WorkerLost, WorkerRetired
from azure.durable_functions.local.worker.continuations import NO_LIMIT
from azure.durable_functions.local.worker.link import Frame, Link

from .app_info import AppInfo
from .worker import (
    END_SECONDS,
    LogSink,
    PendingAnswers,
    WorkerFailed,
)

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import Invoke

logger = logging.getLogger("azure.durable_functions.local")


class WorkerProcess(PendingAnswers):
    """A worker in a process of its own."""

    def __init__(self, started: operating_system.StartedProcess, on_log: LogSink) -> None:
        super().__init__()
        self.app: AppInfo
        self.lost = asyncio.Event()
        self.load = 0
        self.is_retired = False
        self._started = started
        self._on_log = on_log
        self._link: Link | None = None
        self._has_gone_on = False
        """The last result was one behind which the worker runs an episode."""
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[Frame | None] = loop.create_future()
        threading.Thread(target=self._watch, args=(loop,), daemon=True).start()

    @classmethod
    async def start(
        cls,
        python: Sequence[str],
        root: Path,
        environment: Mapping[str, str],
        on_log: LogSink,
        *,
        only: Sequence[str] = (),
        places: tuple[int, int] = NO_LIMIT,
        patience_seconds: float | None = None,
    ) -> WorkerProcess:
        """Start a process and wait until it has loaded the app.

        Args:
            python: The interpreter and its arguments.
            root: The app folder.
            environment: Of the process.
            on_log: Receives the log records of user code.
            only: Names of the functions to load; without any, all are.
            places: As for `continuations.Places`.
            patience_seconds: How long loading may take; None for ever.

        Raises:
            WorkerFailed: It cannot be started, ends before that, or takes too long.
        """
        try:
            started = operating_system.start_worker(python, root, environment, only, places)
        except (OSError, ValueError) as error:  # ValueError: an environment that cannot be
            raise WorkerFailed(f"cannot start the worker's Python {python[0]}: {error}") from error
        worker = cls(started, on_log)
        try:
            await asyncio.wait_for(worker._load(" ".join(python)), patience_seconds)
        except BaseException as error:
            started.process.kill()
            worker._close()
            if isinstance(error, asyncio.TimeoutError):
                raise WorkerFailed(
                    f"the app in {root} has not loaded within {patience_seconds:g} s; 'durable "
                    "start --timeout SECONDS' gives it more"
                ) from None
            raise
        return worker

    async def _load(self, python: str) -> None:
        self._link = Link(
            self._started.connection, self._receive, self._tell_lost, self._receive_nonsense
        )
        frame = await self._loaded
        if frame is None:
            await self._ended.wait()
            raise WorkerFailed(
                f"the worker process ({python}) ended with status "
                f"{self._started.process.returncode} while loading the app; see its "
                "output above"
            )
        self.app = AppInfo.from_frame(frame)

    @property
    def process_id(self) -> int:
        """Of the worker process."""
        return self._started.process.pid

    async def call(self, header: Invoke, payload: bytes, after: Gate = OPEN) -> Frame:
        """Invoke a function.

        Raises:
            WorkerLost: The process has ended before it answered.
        """
        if self.lost.is_set() or self._link is None:
            raise self._loss()
        number, answer = self.expect()
        send = self._link.prepare(Frame({**header, "type": "invoke", "id": number}, payload))
        after.then(lambda: answer.done() or send())  # if somebody still waits for it
        try:
            return await answer
        finally:
            self.forget(number)

    def kill(self) -> None:
        """End it at once, with all that it is working on."""
        self._started.process.kill()

    async def stop(self) -> None:
        """End the process: it sees its lifeline end; one that does not is killed."""
        self._close()
        try:
            await asyncio.wait_for(self._ended.wait(), END_SECONDS)
        except asyncio.TimeoutError:
            self._started.process.kill()
            await self._ended.wait()

    def _steer(self, header: dict[str, Any]) -> None:
        if self._link is not None and not self.lost.is_set():
            self._link.send(Frame(header))

    def _receive(self, frame: Frame) -> bool:
        """Take a frame; True if that is too early."""
        kind = frame.header["type"]
        if kind == "log":
            if self._has_gone_on:  # who waits for that result has two lines to log before this one
                self._has_gone_on = False
                return True
            self._on_log(frame)
        elif kind == "loaded":
            self._loaded.set_result(frame)
        elif kind == "result":
            self._has_gone_on = "goesOn" in frame.header
            self._take(frame)
        elif kind == "chunk":
            self._take(frame)
        else:
            raise ValueError(f"a message of the type {kind!r}")
        return False

    def _receive_nonsense(self, reason: Exception) -> None:
        """Give the worker up: where one frame is no frame, the next cannot be found."""
        logger.error(
            "A worker process (%s) sent something that is not a valid message: %s. Did the app "
            "write to a file descriptor that is not its own? The process is killed and replaced, "
            "and its work runs again",
            self._started.process.pid,
            reason if isinstance(reason, ValueError) else type(reason).__name__,
        )
        self._started.process.kill()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """A child that user code has forked keeps the socket open, so the process counts too."""
        self._started.process.wait()
        try:
            loop.call_soon_threadsafe(self._process_ended)
        except RuntimeError:  # the host's loop has ended before
            return

    def _process_ended(self) -> None:
        self._ended.set()
        # Its last answers may still be on their way through the socket.
        asyncio.get_running_loop().call_later(0.2, self._tell_lost)

    def _tell_lost(self) -> None:
        self.lost.set()
        if not self._loaded.done():
            self._loaded.set_result(None)
        self._break(self._loss)

    def _loss(self) -> WorkerLost:
        if self.is_retired:
            return WorkerRetired("the app was loaded anew meanwhile")
        return WorkerLost("the worker process has ended")

    def _close(self) -> None:
        self._started.lifeline.close()
        if self._link is not None:
            self._link.close()
        else:
            self._started.connection.close()
