"""The host's side of the workers: starts them, hands out invocations, replaces the lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import operating_system
from azure.durable_functions.local.engine.functions import (
    Failure,
    Outcome,
    WorkerLost,
)
from azure.durable_functions.local.worker import link
from azure.durable_functions.local.worker.link import Frame

logger = logging.getLogger("azure.durable_functions.local")


class WorkerFailed(DurableFunctionsError):
    """A worker process could not be started; says why."""


@dataclass(frozen=True)
class FunctionInfo:
    """A function of the app, as the host knows it."""

    name: str
    bindings: list[dict[str, Any]]
    function_id: str
    script_file: str
    warnings: list[str] = field(default_factory=list)

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

    async def call(self, header: dict[str, Any], payload: bytes) -> Frame:
        """Invoke a function; ``header`` lacks only the number. Raises WorkerLost."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, started: operating_system.StartedProcess, on_log: LogSink) -> None:
        self.app: AppInfo
        self._started = started
        self._on_log = on_log
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]
        self.lost = asyncio.Event()

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
        reader, worker._writer = await asyncio.open_connection(sock=started.connection, limit=2**30)
        while True:
            frame = await link.read(reader)
            if frame is None:
                code = await asyncio.get_running_loop().run_in_executor(None, started.process.wait)
                worker._close()
                raise WorkerFailed(
                    f"the worker process ({python}) ended with status {code} while it loaded the "
                    "app; what it printed stands above. It needs azure-functions: is it installed "
                    "for that interpreter?"
                )
            if frame.header["type"] == "loaded":
                break
            on_log(frame)
        worker.app = AppInfo.from_frame(frame)
        worker._reading = asyncio.get_running_loop().create_task(worker._read(reader))
        return worker

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

    async def stop(self) -> None:
        """End the process: it sees its lifeline end."""
        self._close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._started.process.wait)
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (frame := await link.read(reader)) is not None:
            if frame.header["type"] == "log":
                self._on_log(frame)
                continue
            waiting = self._waiting.get(frame.header["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
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

    def __init__(self, on_log: LogSink) -> None:
        self.app: AppInfo
        self._on_log = on_log
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="durable-worker", daemon=True
        )
        self._functions: Any = None

    @classmethod
    async def start(cls, root: Path, on_log: LogSink) -> InProcessWorker:
        """Load the app in this process."""
        from azure.durable_functions.local.worker import app_loader, runtime
        from azure.durable_functions.local.worker.functions import Functions

        worker = cls(on_log)
        worker._thread.start()

        async def load() -> Frame:
            app = app_loader.load(root)
            worker._functions = Functions(app.functions)
            return runtime.describe(app)

        frame = await worker._run(load())
        worker.app = AppInfo.from_frame(frame)
        return worker

    async def call(self, header: dict[str, Any], payload: bytes) -> Frame:
        """Invoke a function."""
        frame: Frame = await self._run(self._functions.invoke({**header, "id": 0}, payload))
        return frame

    async def stop(self) -> None:
        """End the loop and the idle threads."""
        self._functions.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._loop.close()

    async def _run(self, work: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class WorkerPool:
    """The workers of one app; the engine and the web rooms invoke functions through it."""

    def __init__(self, start: Callable[[], Any], count: int) -> None:
        """Prepare a pool.

        Args:
            start: Coroutine function that starts one worker.
            count: How many to keep.
        """
        self._start = start
        self._count = count
        self._workers: list[Any] = []
        self._watching: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._available = asyncio.Event()
        self.app: AppInfo

    async def start(self) -> AppInfo:
        """Start the workers and tell what the app holds.

        Raises:
            WorkerFailed: One of them cannot be started.
        """
        self._workers = list(await asyncio.gather(*(self._start() for _ in range(self._count))))
        for worker in self._workers:
            self._watch(worker)
        self._available.set()
        self.app = self._workers[0].app
        return self.app

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._workers), return_exceptions=True)
        self._workers = []

    async def orchestrate(self, name: str, trigger: str) -> Outcome:
        """Run one episode."""
        return await self._invoke(self._durable(name, "orchestrationTrigger"), trigger)

    async def run_activity(self, name: str, input_text: str | None, instance_id: str) -> Outcome:
        """Run an activity."""
        function = self._durable(name, "activityTrigger")
        return await self._invoke(function, "null" if input_text is None else input_text)

    async def answer_http(
        self,
        function: FunctionInfo,
        request: dict[str, Any],
        body: bytes,
        clients: dict[str, str],
        trace_parent: str,
    ) -> tuple[Response | None, Failure | None]:
        """Run an HTTP function: its response, or what it raised.

        Args:
            function: Which one.
            request: Method, URL, headers, parameters as `bindings.decode_http` reads them.
            body: Of the request.
            clients: Texts of the durable client bindings, by parameter.
            trace_parent: W3C trace context.

        Raises:
            WorkerLost: The process has ended before it answered.
        """
        header = self._header(function)
        header.update(request=request, client=clients, traceParent=trace_parent)
        frame = await (await self._pick()).call(header, body)
        if "error" in frame.header:
            return None, _failure(frame.header["error"])
        response = frame.header["response"]
        headers = [(name, value) for name, value in response["headers"]]
        return Response(response["status"], headers, frame.payload), None

    async def _invoke(self, function: FunctionInfo, text: str) -> Outcome:
        worker = await self._pick()
        frame = await worker.call(self._header(function), text.encode("utf-8"))
        if "error" in frame.header:
            return Outcome(failure=_failure(frame.header["error"]))
        return Outcome(value=frame.payload.decode("utf-8"))

    def _durable(self, name: str, trigger: str) -> FunctionInfo:
        wanted = name.lower()
        for function in self.app.functions:
            if function.trigger["type"] == trigger and function.durable_name.lower() == wanted:
                return function
        raise LookupError(f"no function {name!r} with trigger {trigger}")

    @staticmethod
    def _header(function: FunctionInfo) -> dict[str, Any]:
        return {"function": function.name, "invocationId": str(uuid.uuid4())}

    async def _pick(self) -> Any:
        await self._available.wait()
        return min(self._workers, key=lambda worker: getattr(worker, "load", 0))

    def _watch(self, worker: Any) -> None:
        if isinstance(worker, WorkerProcess):
            task = asyncio.get_running_loop().create_task(self._replace(worker))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _replace(self, worker: WorkerProcess) -> None:
        """When a worker is lost, start another one; a broken app is tried again and again."""
        await worker.lost.wait()
        if self._stopping:
            return
        logger.error("Worker process %s has ended; starting another one", worker.process_id)
        self._workers.remove(worker)
        if not self._workers:
            self._available.clear()
        await worker.stop()
        pause = 0.5
        while not self._stopping:
            try:
                fresh = await self._start()
            except WorkerFailed as error:
                logger.error("Worker failed to load: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)
                continue
            self._workers.append(fresh)
            self._watch(fresh)
            self._available.set()
            return


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(error["typeName"], error["message"], error["stack"], error["details"])
