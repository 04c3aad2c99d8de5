"""The host's side of the workers: starts them, hands out invocations, replaces the lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import operating_system
from azure.durable_functions.local.engine.functions import (
    Failure,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
)
from azure.durable_functions.local.worker import link
from azure.durable_functions.local.worker.link import Frame

logger = logging.getLogger("azure.durable_functions.local")

_END_SECONDS = 3.0
"""How long a worker may take to end by itself."""
_LONGEST_PAUSE_SECONDS = 30.0


class WorkerFailed(DurableFunctionsError):
    """A worker process could not be started; says why."""


@dataclass(frozen=True)
class FunctionInfo:
    """A function of the app, as the host knows it."""

    name: str
    bindings: list[dict[str, Any]]
    function_id: str
    script_file: str
    warnings: list[str] = field(default_factory=list[str])

    @property
    def trigger(self) -> dict[str, Any]:
        """The binding that starts it."""
        return next(b for b in self.bindings if str(b["type"]).lower().endswith("trigger"))

    @property
    def durable_name(self) -> str:
        """The name that starts and calls use."""
        trigger = self.trigger
        renamed = (
            trigger.get("orchestration") or trigger.get("activity") or trigger.get("entityName")
        )
        return str(renamed or self.name)


@dataclass(frozen=True)
class AppInfo:
    """What a worker found in the app folder."""

    functions: list[FunctionInfo]
    errors: list[tuple[str, str]]
    failure: str | None
    mixed_folders: list[str]
    python: str

    @staticmethod
    def from_frame(frame: Frame) -> AppInfo:
        """Read the worker's ``loaded`` frame."""
        header = frame.header
        functions = [
            FunctionInfo(
                name=item["name"],
                bindings=item["bindings"],
                function_id=item["id"],
                script_file=item["scriptFile"],
                warnings=item["warnings"],
            )
            for item in header["functions"]
        ]
        errors = [(name, reason) for name, reason in header["errors"]]
        return AppInfo(
            functions, errors, header["failure"], header["mixedFolders"], header["python"]
        )


@dataclass(frozen=True)
class Response:
    """What an HTTP function answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


LogSink = Callable[[Frame], None]


class Worker(Protocol):
    """Something that runs the functions of one app."""

    app: AppInfo
    lost: asyncio.Event
    """Set when it is gone."""

    @property
    def load(self) -> int:
        """How many invocations it is working on."""
        ...

    async def call(self, header: dict[str, Any], payload: bytes) -> Frame:
        """Invoke a function; ``header`` lacks only the number. Raises WorkerLost."""
        ...

    async def stop(self) -> None:
        """End it, at once if it does not end by itself."""
        ...


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, started: operating_system.StartedProcess, on_log: LogSink) -> None:
        self.app: AppInfo
        self.lost = asyncio.Event()
        self._started = started
        self._on_log = on_log
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, args=(loop,), daemon=True).start()

    @classmethod
    async def start(
        cls, python: str, root: Path, environment: Mapping[str, str], on_log: LogSink
    ) -> WorkerProcess:
        """Start a process and wait until it has loaded the app.

        Raises:
            WorkerFailed: It cannot be started or ends before that.
        """
        try:
            started = operating_system.start_worker(python, root, environment)
        except OSError as error:
            raise WorkerFailed(f"cannot start the worker's Python {python}: {error}") from error
        worker = cls(started, on_log)
        try:
            await worker._load(python)
        except BaseException:
            started.process.kill()
            worker._close()
            raise
        return worker

    async def _load(self, python: str) -> None:
        reader, self._writer = await asyncio.open_connection(
            sock=self._started.connection, limit=2**30
        )
        while True:
            frame = await link.read(reader)
            if frame is None:
                await self._ended.wait()
                raise WorkerFailed(
                    f"the worker process ({python}) ended with status "
                    f"{self._started.process.returncode} while it loaded the app; what it printed "
                    "stands above. It needs azure-functions: is it installed for that interpreter?"
                )
            if frame.header["type"] == "loaded":
                break
            self._on_log(frame)
        self.app = AppInfo.from_frame(frame)
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    @property
    def process_id(self) -> int:
        """Of the worker process."""
        return self._started.process.pid

    @property
    def load(self) -> int:
        """How many invocations it is working on."""
        return len(self._waiting)

    async def call(self, header: dict[str, Any], payload: bytes) -> Frame:
        """Invoke a function.

        Raises:
            WorkerLost: The process has ended before it answered.
        """
        if self.lost.is_set():
            raise WorkerLost("the worker process has ended")
        number = next(self._numbers)
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._writer.write(link.encode(Frame({**header, "type": "invoke", "id": number}, payload)))
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

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
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (frame := await link.read(reader)) is not None:
                if frame.header["type"] == "log":
                    self._on_log(frame)
                    continue
                waiting = self._waiting.get(frame.header["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
        finally:
            self._tell_lost()

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
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(WorkerLost("the worker process has ended"))

    def _close(self) -> None:
        self._started.lifeline.close()
        if hasattr(self, "_writer"):
            self._writer.close()
        else:
            self._started.connection.close()


class InProcessWorker:
    """A worker in this process, for debuggers: user code has a thread and a loop of its own."""

    def __init__(self) -> None:
        self.app: AppInfo
        self.lost = asyncio.Event()
        self.load = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="durable-worker", daemon=True
        )
        self._functions: Any = None

    @classmethod
    async def start(cls, root: Path) -> InProcessWorker:
        """Load the app in this process."""
        from azure.durable_functions.local.worker import app_loader, runtime
        from azure.durable_functions.local.worker.functions import Functions

        worker = cls()
        worker._thread.start()

        async def load() -> Frame:
            app = app_loader.load(root)
            worker._functions = Functions(app.functions)
            return runtime.describe(app)

        worker.app = AppInfo.from_frame(await worker._run(load()))
        return worker

    async def call(self, header: dict[str, Any], payload: bytes) -> Frame:
        """Invoke a function."""
        self.load += 1
        try:
            frame: Frame = await self._run(self._functions.invoke({**header, "id": 0}, payload))
        finally:
            self.load -= 1
        return frame

    async def stop(self) -> None:
        """End the loop and the idle threads; what still runs is left to its thread."""
        self._functions.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._thread.join, _END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class WorkerPool:
    """The workers of one app; the engine and the web rooms invoke functions through it."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Worker]],
        count: int,
        *,
        timeout: timedelta | None = None,
    ) -> None:
        """Prepare a pool.

        Args:
            start: Coroutine function that starts one worker.
            count: How many to keep.
            timeout: How long one invocation may take; None for ever.
        """
        self._start = start
        self._count = count
        self._timeout = timeout
        self._workers: list[Worker] = []
        self._reserved: Worker | None = None
        self._waiting_alone = 0
        self._changed = asyncio.Condition()
        self._watching: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.app: AppInfo
        self.client_texts: Callable[[FunctionInfo], dict[str, str]] = _no_clients
        """Texts of a function's durable client bindings, by parameter."""

    async def start(self) -> AppInfo:
        """Start the workers and tell what the app holds.

        Raises:
            WorkerFailed: One of them cannot be started.
        """
        starting = [asyncio.ensure_future(self._start()) for _ in range(self._count)]
        try:
            self._workers = list(await asyncio.gather(*starting))
        except BaseException:
            for task in starting:
                task.cancel()
            ended = await asyncio.gather(*starting, return_exceptions=True)
            for worker in ended:
                if not isinstance(worker, BaseException):
                    await worker.stop()
            raise
        for worker in self._workers:
            self._watch(worker)
        self.app = self._workers[0].app
        return self.app

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._workers), return_exceptions=True)
        self._workers = []

    async def orchestrate(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        """Run one episode."""
        return await self._invoke(self._durable(name, "orchestrationTrigger"), trigger, alone)

    async def explain(self, name: str, trigger: str) -> str | None:
        """Where an orchestrator asks for its actions; None if its SDK cannot tell."""
        function = self._durable(name, "orchestrationTrigger")
        header = {**self._header(function), "explain": True}
        frame = await self._call(function, header, trigger.encode("utf-8"), alone=False)
        return None if "error" in frame.header else frame.payload.decode("utf-8")

    async def run_activity(
        self, name: str, input_text: str | None, instance_id: str, *, alone: bool = False
    ) -> Outcome:
        """Run an activity."""
        function = self._durable(name, "activityTrigger")
        return await self._invoke(function, "null" if input_text is None else input_text, alone)

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        """Run a batch of operations."""
        return await self._invoke(self._durable(name, "entityTrigger"), trigger, alone)

    async def answer_http(
        self, function: FunctionInfo, request: dict[str, Any], body: bytes, trace_parent: str
    ) -> tuple[Response | None, Failure | None]:
        """Run an HTTP function: its response, or what it raised.

        Args:
            function: Which one.
            request: Method, URL, headers, parameters as `bindings.decode_http` reads them.
            body: Of the request.
            trace_parent: W3C trace context.

        Raises:
            WorkerLost: The process has ended before it answered.
            TimedOut: It took too long.
        """
        header = self._header(function)
        header.update(request=request, traceParent=trace_parent)
        frame = await self._call(function, header, body, alone=False)
        if "error" in frame.header:
            return None, _failure(frame.header["error"])
        response = frame.header["response"]
        headers = [(name, value) for name, value in response["headers"]]
        return Response(response["status"], headers, frame.payload), None

    async def _invoke(self, function: FunctionInfo, text: str, alone: bool) -> Outcome:
        header = self._header(function)
        frame = await self._call(function, header, text.encode("utf-8"), alone=alone)
        if "error" in frame.header:
            return Outcome(failure=_failure(frame.header["error"]))
        return Outcome(value=frame.payload.decode("utf-8"))

    async def _call(
        self, function: FunctionInfo, header: dict[str, Any], payload: bytes, *, alone: bool
    ) -> Frame:
        worker = await (self._reserve() if alone else self._pick())
        try:
            call = worker.call(header, payload)
            if self._timeout is None or not isinstance(worker, WorkerProcess):
                return await call
            try:
                return await asyncio.wait_for(call, self._timeout.total_seconds())
            except asyncio.TimeoutError:
                worker.kill()  # nothing else ends user code that does not return
                raise TimedOut(
                    f"Timeout value of {_span(self._timeout)} was exceeded by function: "
                    f"Functions.{function.name}"
                ) from None
        finally:
            await self._hand_back(worker)

    def _durable(self, name: str, trigger: str) -> FunctionInfo:
        wanted = name.lower()
        for function in self.app.functions:
            if function.trigger["type"] == trigger and function.durable_name.lower() == wanted:
                return function
        raise UnknownFunction(f"no function {name!r} with trigger {trigger}")

    def _header(self, function: FunctionInfo) -> dict[str, Any]:
        return {
            "function": function.name,
            "invocationId": str(uuid.uuid4()),
            "client": self.client_texts(function),
        }

    async def _pick(self) -> Worker:
        """The worker that has least to do."""
        async with self._changed:
            while True:
                free = [worker for worker in self._workers if worker is not self._reserved]
                # A pool of one lets who waits for a worker of his own go first.
                if free and not (self._waiting_alone and len(self._workers) == 1):
                    return min(free, key=lambda worker: worker.load)
                await self._changed.wait()

    async def _reserve(self) -> Worker:
        """A worker that does nothing else meanwhile."""
        async with self._changed:
            self._waiting_alone += 1
            try:
                while True:
                    idle = [worker for worker in self._workers if worker.load == 0]
                    if idle and self._reserved is None:
                        self._reserved = idle[0]
                        return idle[0]
                    await self._changed.wait()
            finally:
                self._waiting_alone -= 1

    async def _hand_back(self, worker: Worker) -> None:
        if self._reserved is worker:
            self._reserved = None
        elif not self._waiting_alone:
            return  # nobody waits for a worker that is idle
        async with self._changed:
            self._changed.notify_all()

    def _watch(self, worker: Worker) -> None:
        task = asyncio.get_running_loop().create_task(self._replace(worker))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _replace(self, worker: Worker) -> None:
        """When a worker is lost, start another one; what does not load is tried again and again."""
        await worker.lost.wait()
        if self._stopping:
            return
        logger.error("A worker process has ended; starting another one")
        self._workers.remove(worker)
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
            self._workers.append(fresh)
            self._watch(fresh)
            async with self._changed:
                self._changed.notify_all()
            return


def _no_clients(function: FunctionInfo) -> dict[str, str]:
    return {}


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(error["typeName"], error["message"], error["stack"], error["details"])


def _span(timeout: timedelta) -> str:
    """``hh:mm:ss``, as host.json writes it."""
    seconds = int(timeout.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
