"""One worker, seen from the host: a process of its own, or a thread of the host."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import operating_system
from azure.durable_functions.local.engine.invoker import WorkerLost, WorkerRetired
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.worker.continuations import NO_LIMIT
from azure.durable_functions.local.worker.link import Frame, Link
from azure.durable_functions.local.workers.app_info import AppInfo

logger = logging.getLogger("azure.durable_functions.local")

_END_SECONDS = 3.0
"""How long a worker may take to end by itself."""


class WorkerFailed(DurableFunctionsError):
    """A worker process could not be started; says why."""


LogSink = Callable[[Frame], None]


class Worker(Protocol):
    """Something that runs the functions of one app."""

    app: AppInfo
    lost: asyncio.Event
    """Set when it is gone."""
    load: int
    """How many invocations it has; the pool counts them."""
    is_retired: bool
    """The host ends it, as its code is out of date."""

    async def call(self, header: dict[str, Any], payload: bytes, after: Commit = KEPT) -> Frame:
        """Invoke a function, after a commit; ``header`` lacks only the number.

        Raises WorkerLost.
        """
        ...

    def expect(self) -> tuple[int, Awaitable[Frame]]:
        """The number for an invocation that the worker may begin by itself, and its answer.

        It raises WorkerLost; `forget` is to follow.
        """
        ...

    def forget(self, number: int) -> None:
        """Nobody waits for an answer any more."""
        ...

    def stream(self, number: int) -> ResponseStream:
        """The rest of a response that is sent in pieces; to be closed."""
        ...

    async def stop(self) -> None:
        """End it, at once if it does not end by itself."""
        ...


class StreamBroken(Exception):
    """A function has raised after a part of its response was sent; the text says what."""


class ResponseStream:
    """The pieces of one response, as they arrive from a worker."""

    def __init__(
        self,
        number: int,
        arrived: asyncio.Queue[Frame | WorkerLost],
        steer: Callable[[dict[str, Any]], None],
        on_close: Callable[[int], object],
    ) -> None:
        self._number = number
        self._arrived = arrived
        self._steer = steer
        """Tells the worker that more may come, or that nobody wants more."""
        self._on_close = on_close
        self._has_ended = False
        """Whether the worker has nothing more to send."""
        self._unconfirmed = 0
        """Bytes given to the caller, who has them when he asks for the next."""

    def __aiter__(self) -> ResponseStream:
        return self

    async def __anext__(self) -> bytes:
        """The next piece.

        Raises:
            WorkerLost: The worker has ended before the response.
            StreamBroken: The function has raised.
        """
        if self._unconfirmed:
            self._steer({"type": "more", "id": self._number, "bytes": self._unconfirmed})
            self._unconfirmed = 0
        while not self._has_ended:
            piece = await self._arrived.get()
            if isinstance(piece, WorkerLost):
                self._has_ended = True
                raise piece
            self._has_ended = "last" in piece.header
            if "error" in piece.header:
                error = piece.header["error"]
                raise StreamBroken(f"{error['typeName']}: {error['message']}")
            if piece.payload:
                self._unconfirmed = len(piece.payload)
                return piece.payload
        raise StopAsyncIteration

    def close(self) -> None:
        """Take nothing more; the function is told if it has not ended."""
        if not self._has_ended:
            self._has_ended = True
            self._steer({"type": "cancel", "id": self._number})
        self._on_close(self._number)


class Answers:
    """What a worker still owes to the host."""

    def __init__(self) -> None:
        self._streams: dict[int, asyncio.Queue[Frame | WorkerLost]] = {}
        """Pieces of responses that have arrived, by the numbers of their invocations."""
        self._numbers = itertools.count(1)
        self._last_number = 0
        self._waiting: dict[int, asyncio.Future[Frame]] = {}

    def expect(self) -> tuple[int, asyncio.Future[Frame]]:
        """A number for an invocation, and its answer to be; `forget` is to follow."""
        number = self._last_number = next(self._numbers)
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        return number, answer

    def forget(self, number: int) -> None:
        """Nobody waits for an answer any more."""
        answer = self._waiting.pop(number, None)
        if answer is not None and answer.done() and not answer.cancelled():
            answer.exception()  # else asyncio would complain that nobody has looked

    def stream(self, number: int) -> ResponseStream:
        """The rest of a response that is sent in pieces; to be closed."""
        return ResponseStream(number, self._streams[number], self._steer, self._streams.pop)

    def _steer(self, header: dict[str, Any]) -> None:
        """Tell the worker how a stream goes on."""
        raise NotImplementedError

    def _take(self, frame: Frame) -> None:
        number = frame.header["id"]
        if type(number) is not int or not 0 < number <= self._last_number:
            raise ValueError(f"an answer to {number!r}, which nobody has asked")
        if frame.header.get("type") == "chunk":
            arrived = self._streams.get(number)
            if arrived is not None:  # else the client is gone
                arrived.put_nowait(frame)
            return
        if "streams" in frame.header:  # pieces may follow before anybody looks at this one
            self._streams[number] = asyncio.Queue()
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _break(self, reason: Callable[[], WorkerLost]) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(reason())
        for arrived in self._streams.values():
            arrived.put_nowait(reason())


class WorkerProcess(Answers):
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
                f"{self._started.process.returncode} while it loaded the app; what it printed "
                "stands above"
            )
        self.app = AppInfo.from_frame(frame)

    @property
    def process_id(self) -> int:
        """Of the worker process."""
        return self._started.process.pid

    async def call(self, header: dict[str, Any], payload: bytes, after: Commit = KEPT) -> Frame:
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
            await asyncio.wait_for(self._ended.wait(), _END_SECONDS)
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
            "A worker process (%s) has sent what is no message of a worker: %s. Did the app write "
            "to a file descriptor that is not its own? The process is killed and replaced, and "
            "what it was doing runs again",
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


class InProcessWorker(Answers):
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

    async def call(self, header: dict[str, Any], payload: bytes, after: Commit = KEPT) -> Frame:
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
        await loop.run_in_executor(None, self._thread.join, _END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _steer(self, header: dict[str, Any]) -> None:
        if not self.lost.is_set():
            self._functions.steer(header)

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
