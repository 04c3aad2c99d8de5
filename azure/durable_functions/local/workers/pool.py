"""Hands out invocations to the workers of an app, replaces the lost, renews them all.

Everything that runs a function of the app goes through here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local import failure_texts
from azure.durable_functions.local.config import time_spans
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Continued,
    Failure,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
    WorkerRetired,
)
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.worker.binding_types import MOST_SESSIONS
from azure.durable_functions.local.worker.continuations import put_behind
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.workers.workers import (
    ResponseStream,
    Worker,
    WorkerFailed,
    WorkerProcess,
)

logger = logging.getLogger("azure.durable_functions.local")

_LONGEST_PAUSE_SECONDS = 30.0
_RETIRING_SECONDS = 10.0
"""How long a worker whose code is out of date may go on with what it is doing."""

REASON_BY_HAND = "This function was programmatically called via the host APIs."
_NO_REASON = "(null)"


class Rest:
    """The pieces of a response that follow the first one."""

    def __init__(self, stream: ResponseStream, hand_back: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._hand_back = hand_back
        """Lets the worker have other work, or end."""

    def __aiter__(self) -> ResponseStream:
        return self._stream

    async def close(self) -> None:
        """Take nothing more."""
        self._stream.close()
        await self._hand_back()


@dataclass(frozen=True)
class Response:
    """What an HTTP function answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    """All of it, or the first piece."""
    rest: Rest | None = None
    """Further pieces, for a response that the function makes bit by bit; to be closed."""

    async def whole(self) -> bytes:
        """The body with all its pieces.

        Raises:
            WorkerLost, StreamBroken: The response has no end.
        """
        if self.rest is None:
            return self.body
        try:
            return self.body + b"".join([piece async for piece in self.rest])
        finally:
            await self.rest.close()


class _Limited:
    """An invocation that may take so long and no longer."""

    def __init__(self, worker: WorkerProcess, after: Commit) -> None:
        self.worker = worker
        self.was_exceeded = False
        self._after = after
        self._called_at = time.monotonic()

    def age(self) -> float:
        """Seconds for which the function may have been running."""
        return _seconds_since(self._called_at, self._after)


class _TimeLimit:
    """Kills workers that take too long: nothing else ends user code that does not return.

    One timer stands for all invocations; one for each is a thirtieth of what a call costs the host.
    """

    def __init__(self, timeout: timedelta) -> None:
        self._text = time_spans.written(timeout)
        self._seconds = timeout.total_seconds()
        self._running: dict[_Limited, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return self._text

    def begin(self, worker: WorkerProcess, after: Commit) -> _Limited:
        """An invocation begins when the commit is on disk; `end` is to follow."""
        invocation = _Limited(worker, after)
        self._running[invocation] = None
        if self._timer is None:
            self._look_in(self._seconds)
        return invocation

    def end(self, invocation: _Limited) -> None:
        """It has ended, one way or the other."""
        self._running.pop(invocation, None)

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Kill the worker of each whose time is over; come again when the next one's may be."""
        self._timer = None
        ages = {invocation: invocation.age() for invocation in self._running}
        late = [invocation for invocation, age in ages.items() if age >= self._seconds]
        for invocation in late:
            self.end(invocation)
        if self._running:
            self._look_in(self._seconds - max(ages[invocation] for invocation in self._running))
        for invocation in late:
            invocation.was_exceeded = True
            invocation.worker.kill()


class _Told:
    """What the log is told of one invocation: a line when it begins, one when it has ended."""

    def __init__(
        self,
        function: FunctionInfo,
        header: Mapping[str, Any],
        reason: str = _NO_REASON,
        after: Commit = KEPT,
    ) -> None:
        """It begins now, or when the commit is on disk."""
        self._name = function.name
        self._id = header["invocationId"]
        self._about = {
            "function_name": function.name,
            "invocation_id": self._id,
            "instance_id": header.get("instanceId"),
        }
        self._reason = reason
        self._after = after
        self._log = logging.getLogger(f"Function.{function.name}")
        self._is_over = False
        self._called_at = time.monotonic()
        if after.is_kept:
            self._begin()
        elif self._log.isEnabledFor(logging.INFO):
            after.when_told(self._begin)

    def _begin(self) -> None:
        if not self._is_over:
            text = "Executing 'Functions.%s' (Reason='%s', Id=%s)"
            self._log.info(text, self._name, self._reason, self._id, extra=self._about)

    def seconds(self) -> float:
        """For how long it has been running."""
        return _seconds_since(self._called_at, self._after)

    def end(self, problem: str) -> None:
        """It has ended, with or without a problem; or it never begins."""
        self._is_over = True
        if not self._after.is_kept:
            return
        ended = f"Id={self._id}, Duration={round(1000 * self.seconds())}ms"
        if problem:
            text = f"Executed 'Functions.{self._name}' (Failed, {ended})\n{problem}"
            self._log.error("%s", text, extra=self._about)
        else:
            text = "Executed 'Functions.%s' (Succeeded, %s)"
            self._log.info(text, self._name, ended, extra=self._about)


def _seconds_since(called_at: float, after: Commit) -> float:
    """How long ago a function has been called, which does not begin before the commit."""
    return 0.0 if after.kept_at is None else time.monotonic() - max(called_at, after.kept_at)


class WorkerPool:
    """The workers of one app; the engine and the web rooms invoke functions through it."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Worker]],
        count: int,
        *,
        timeout: timedelta | None = None,
        has_exclusive_start: bool = False,
    ) -> None:
        """Prepare a pool.

        Args:
            start: Coroutine function that starts one worker.
            count: How many to keep.
            timeout: How long one invocation may take; None for ever.
            has_exclusive_start: Old workers must end before new ones start, as with a debugger
                that listens on a port.
        """
        self._has_exclusive_start = has_exclusive_start
        self._start = start
        self._count = count
        self._time_limit = None if timeout is None else _TimeLimit(timeout)
        self._workers: list[Worker] = []
        self._reserved: Worker | None = None
        self._waiting_alone = 0
        self._changed = asyncio.Condition()
        self._sessions: OrderedDict[str, Worker] = OrderedDict()
        """Which worker has kept which orchestration, as far as is known."""
        self._watching: set[asyncio.Task[None]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._durable_functions: dict[tuple[str, str], FunctionInfo] = {}
        self.app: AppInfo
        self.client_texts: Callable[[FunctionInfo], dict[str, str]] = _no_clients
        """Texts of a function's durable client bindings, by parameter."""
        self.start_instances: Callable[[list[dict[str, Any]]], Awaitable[None]] = _no_starts
        """Starts what functions ask for through outputs of type durableClient."""

    async def start(self) -> AppInfo:
        """Start the workers and tell what the app holds.

        Raises:
            WorkerFailed: One of them cannot be started.
        """
        began = time.monotonic()
        self._use(await self._start_all())
        logger.debug(
            "%d worker(s) with Python %s have loaded %d functions in %d ms",
            self._count,
            self.app.python or "of the host",
            len(self.app.functions),
            round(1000 * (time.monotonic() - began)),
        )
        return self.app

    async def reload(self) -> AppInfo:
        """Put workers that have loaded the app anew in the place of all; tell what it holds now.

        What the old ones are doing may end, for a while; what they have not finished then is lost
        with them, as if they had crashed.

        Raises:
            WorkerFailed: One of the new ones cannot be started; the old ones stay, unless starts
                are exclusive.
        """
        old = self._workers
        if self._has_exclusive_start:
            self._workers = []
            await asyncio.gather(*(self._retire(worker) for worker in old))
            old = []
        self._use(await self._start_all())
        async with self._changed:
            self._changed.notify_all()
        for worker in old:
            task = asyncio.create_task(self._retire(worker))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return self.app

    @property
    def has_workers(self) -> bool:
        """Whether anything can run."""
        return bool(self._workers)

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in (*self._watching, *self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers), return_exceptions=True)
        self._workers = []

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

    def _use(self, workers: list[Worker]) -> None:
        self._workers = workers
        for worker in workers:
            self._watch(worker)
        self.app = workers[0].app
        self._durable_functions = {
            (function.kind, function.durable_name.lower()): function
            for function in self.app.enabled
        }

    async def _retire(self, worker: Worker) -> None:
        """End a worker that gets nothing new, when it has nothing left to do."""
        end = time.monotonic() + _RETIRING_SECONDS
        try:
            while worker.load and time.monotonic() < end:
                await asyncio.sleep(0.05)
        finally:
            worker.is_retired = True
            await worker.stop()

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        """Run one episode; with a session's name its worker may keep the orchestration."""
        function = self._durable(name, "orchestrationTrigger")
        header = self._header(function, _instance_of(trigger))
        if session is None:
            return _outcome(
                await self._call(function, header, trigger.encode("utf-8"), _NO_REASON, alone=alone)
            )
        worker = await (self._reserve() if alone else self._pick())
        header["session"] = session
        frame = await self._call(
            function, header, trigger.encode("utf-8"), _NO_REASON, worker=worker
        )
        return self._note_session(session, worker, frame)

    async def advance(self, name: str, session: str, state: str, events: str) -> Outcome | None:
        """Run one episode in the worker that has kept the orchestration; None if none has."""
        function = self._durable(name, "orchestrationTrigger")
        worker = self._keeper(session)
        self._sessions.pop(session, None)
        if worker is None:
            return None
        worker.load += 1
        instance_id = session.rpartition("/")[0]
        header = {**self._header(function, instance_id), "session": session, "state": state}
        frame = await self._call(
            function, header, events.encode("utf-8"), _NO_REASON, worker=worker
        )
        if frame.header.get("noSession"):
            return None
        return self._note_session(session, worker, frame, is_increment=True)

    def _keeper(self, session: str) -> Worker | None:
        """The worker that has kept an orchestration, if it may be given work."""
        worker = self._sessions.get(session)
        if worker not in self._workers or worker is self._reserved or self._waiting_alone:
            return None  # gone, or somebody wants a worker without work
        return worker

    def _note_session(
        self, session: str, worker: Worker, frame: Frame, *, is_increment: bool = False
    ) -> Outcome:
        """Remember which worker has it, if it was kept."""
        self._sessions.pop(session, None)
        state = frame.header.get("state")
        if state is not None:
            self._sessions[session] = worker
            if len(self._sessions) > MOST_SESSIONS * len(self._workers):
                self._sessions.popitem(last=False)
        outcome = _outcome(frame)
        return Outcome(outcome.value, outcome.failure, state, is_increment)

    async def explain(self, name: str, trigger: str) -> str | None:
        """Where an orchestrator asks for its actions; None if its SDK cannot tell."""
        function = self._durable(name, "orchestrationTrigger")
        header = {**self._header(function), "explain": True}
        frame = await self._send(function, header, trigger.encode("utf-8"), alone=False)
        return None if "error" in frame.header else frame.payload.decode("utf-8")

    async def run_activity(self, call: ActivityCall) -> Outcome:
        """Run an activity, and behind it what is to follow if its worker can."""
        function = self._durable(call.name, "activityTrigger")
        text = "null" if call.input is None else call.input
        told = {"instanceId": call.instance_id, "name": function.durable_name}
        header = {**self._header(function, call.instance_id), "activity": told}
        payload = text.encode("utf-8")
        then = call.then
        worker = next_function = None
        if then is not None and not call.alone:
            # None while the engine does not know yet that a reload has removed it.
            next_function = self._durable_functions.get(("orchestrationTrigger", then.name.lower()))
            worker = self._free_worker() if then.session is None else self._keeper(then.session[0])
        if (
            then is None
            or next_function is None
            or worker is None
            or worker.load > min(w.load for w in self._workers)
        ):
            frame = await self._call(
                function, header, payload, _NO_REASON, alone=call.alone, after=call.after
            )
            return _outcome(frame)
        number, answer = worker.expect()
        payload, around = put_behind(payload, then.around)
        following = header["then"] = {
            **self._header(next_function, call.instance_id),
            "id": number,
            "since": then.since,
            "events": then.events,
            "around": around,
        }
        if then.session is not None:
            following["session"], following["state"] = then.session
        worker.load += 2  # one for each of the two
        goes_on = False
        try:
            frame = await self._call(
                function, header, payload, _NO_REASON, worker=worker, after=call.after
            )
            goes_on = "goesOn" in frame.header
        finally:
            if not goes_on:
                worker.forget(number)
                await self._hand_back(worker)
        if not goes_on:
            return _outcome(frame)
        return Outcome(
            frame.payload.decode("utf-8"),
            continued=self._continue(
                next_function, following, worker, answer, _Told(next_function, following)
            ),
        )

    async def _continue(
        self,
        function: FunctionInfo,
        header: dict[str, Any],
        worker: Worker,
        answer: Awaitable[Frame],
        told: _Told,
    ) -> Continued | None:
        """Wait for what a worker runs behind an activity."""
        try:
            frame = await self._logged(told, self._limited(function, worker, answer))
        except (WorkerLost, TimedOut):
            return None  # who runs the episode then will see whether it happens again
        finally:
            worker.forget(header["id"])
            await self._hand_back(worker)
        if frame.header.get("noSession") or worker not in self._workers:
            return None  # the app has been loaded anew meanwhile: it was the old code
        now, seconds = clock.from_stored(frame.header["now"]), told.seconds()
        if "session" not in header:
            return Continued(now, _outcome(frame), seconds)
        outcome = self._note_session(header["session"], worker, frame, is_increment=True)
        return Continued(now, outcome, seconds)

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        """Run a batch of operations."""
        function = self._durable(name, "entityTrigger")
        header = self._header(function, _entity_of(trigger))
        payload = trigger.encode("utf-8")
        return _outcome(await self._call(function, header, payload, _NO_REASON, alone=alone))

    async def answer_http(
        self, function: FunctionInfo, request: dict[str, Any], body: bytes, trace_parent: str
    ) -> Response | Failure:
        """Run an HTTP function: its response, or how it has failed, which the log tells too.

        Args:
            function: Which one.
            request: Method, URL, headers, parameters as `bindings.decode_http` reads them.
            body: Of the request.
            trace_parent: W3C trace context.
        """
        header = self._header(function)
        header.update(request=request, traceParent=trace_parent)
        worker = await self._pick()
        try:
            frame = await self._call(function, header, body, worker=worker)
        except (WorkerLost, TimedOut) as error:
            return Failure(type(error).__name__, str(error), "")
        if "error" in frame.header:
            if "streams" in frame.header:
                worker.stream(frame.header["id"]).close()
            return _failure(frame.header["error"])
        response = frame.header["response"]
        headers = [(name, value) for name, value in response["headers"]]
        rest = None
        if "streams" in frame.header:
            worker.load += 1  # until the response has ended
            rest = Rest(worker.stream(frame.header["id"]), partial(self._hand_back, worker))
        return Response(response["status"], headers, frame.payload, rest)

    async def run_function(
        self,
        function: FunctionInfo,
        text: str,
        *,
        reason: str = REASON_BY_HAND,
        retry: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Run a function with the text of its trigger.

        Args:
            function: Which one; none with an HTTP trigger.
            text: As the trigger's converter reads it.
            reason: What the log says about why it runs.
            retry: Retry state for its context: ``count``, ``max``, ``message``, ``source``,
                ``stack``.

        Raises:
            WorkerLost, TimedOut
        """
        header = self._header(function)
        if retry is not None:
            header["retry"] = retry
        return _outcome(await self._call(function, header, text.encode("utf-8"), reason))

    def _call(
        self,
        function: FunctionInfo,
        header: dict[str, Any],
        payload: bytes,
        reason: str = REASON_BY_HAND,
        *,
        alone: bool = False,
        worker: Worker | None = None,
        after: Commit = KEPT,
    ) -> Awaitable[Frame]:
        sent = self._send(function, header, payload, alone=alone, worker=worker, after=after)
        return self._logged(_Told(function, header, reason, after), sent)

    async def _logged(self, told: _Told, invocation: Awaitable[Frame]) -> Frame:
        """Wait for an invocation, and tell the log how it has ended."""
        problem = "cancelled"
        try:
            frame = await invocation
            if "starts" in frame.header:
                frame = await self._start_instances(frame)
            problem = _problem(frame)
            return frame
        except (WorkerLost, TimedOut) as error:
            problem = str(error)
            raise
        finally:
            told.end(problem)

    async def _start_instances(self, frame: Frame) -> Frame:
        try:
            await self.start_instances(frame.header["starts"])
        except Exception as error:  # as user code that raises: it fails the invocation
            described = {"typeName": type(error).__name__, "message": str(error)}
            return Frame({**frame.header, "error": {**described, "stack": "", "details": {}}})
        return frame

    async def _send(
        self,
        function: FunctionInfo,
        header: dict[str, Any],
        payload: bytes,
        *,
        alone: bool,
        worker: Worker | None = None,
        after: Commit = KEPT,
    ) -> Frame:
        """Send an invocation to a worker that was chosen and counted already, or choose one."""
        if worker is None:
            worker = await (self._reserve() if alone else self._pick())
        try:
            answer = worker.call(header, payload, after)
            return await self._limited(function, worker, answer, after)
        finally:
            await self._hand_back(worker)

    async def _limited(
        self,
        function: FunctionInfo,
        worker: Worker,
        answer: Awaitable[Frame],
        after: Commit = KEPT,
    ) -> Frame:
        """Wait for an answer as long as a function may run."""
        limit = self._time_limit
        if limit is None or not isinstance(worker, WorkerProcess):
            return await answer
        invocation = limit.begin(worker, after)
        try:
            return await answer
        except WorkerLost:
            if not invocation.was_exceeded:
                raise
            raise TimedOut(
                f"Timeout value of {limit} was exceeded by function: Functions.{function.name}"
            ) from None
        finally:
            limit.end(invocation)

    def _durable(self, name: str, trigger: str) -> FunctionInfo:
        if self.app.failure is not None:
            raise WorkerRetired("the app cannot be loaded just now")
        function = self._durable_functions.get((trigger, name.lower()))
        if function is None:
            raise UnknownFunction(f"no function {name!r} with trigger {trigger}")
        return function

    def _header(self, function: FunctionInfo, instance_id: str | None = None) -> dict[str, Any]:
        return {
            "function": function.name,
            "invocationId": str(uuid.uuid4()),
            "client": self.client_texts(function),
            "instanceId": instance_id,
        }

    async def _pick(self) -> Worker:
        """The worker that has least to do."""
        chosen = self._free_worker()
        if chosen is None:
            async with self._changed:
                while (chosen := self._free_worker()) is None:
                    await self._changed.wait()
        chosen.load += 1
        return chosen

    def _free_worker(self) -> Worker | None:
        free = [worker for worker in self._workers if worker is not self._reserved]
        # A pool of one lets who waits for a worker of his own go first.
        if not free or (self._waiting_alone and len(self._workers) == 1):
            return None
        return min(free, key=lambda worker: worker.load)

    async def _reserve(self) -> Worker:
        """A worker that does nothing else meanwhile."""
        async with self._changed:
            self._waiting_alone += 1
            try:
                while True:
                    idle = [worker for worker in self._workers if worker.load == 0]
                    if idle and self._reserved is None:
                        self._reserved = idle[0]
                        idle[0].load += 1
                        return idle[0]
                    await self._changed.wait()
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()  # those who let this one go first, if it was cancelled

    async def _hand_back(self, worker: Worker) -> None:
        worker.load -= 1
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
        if self._stopping or worker not in self._workers:
            return  # it was meant to end
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
            if len(self._workers) >= self._count:  # all were replaced meanwhile
                await fresh.stop()
                return
            self._workers.append(fresh)
            self._watch(fresh)
            async with self._changed:
                self._changed.notify_all()
            return


def _no_clients(function: FunctionInfo) -> dict[str, str]:
    return {}


async def _no_starts(starts: list[dict[str, Any]]) -> None:
    raise DurableFunctionsError("nothing starts instances here")


_INSTANCE = ',"instanceId":'
_ENTITY = '{"self":'
_read_json = json.JSONDecoder().raw_decode


def _instance_of(trigger: str) -> str | None:
    """Which instance an orchestration trigger is for, for the log.

    It stands behind the input, the only text of users' that could hold the same key.
    """
    place = trigger.rfind(_INSTANCE)
    return None if place < 0 else str(_read_json(trigger[place + len(_INSTANCE) :].lstrip())[0])


def _entity_of(trigger: str) -> str | None:
    """Which entity an entity trigger is for: its id as an instance."""
    if not trigger.startswith(_ENTITY):
        return None
    entity, _ = _read_json(trigger[len(_ENTITY) :].lstrip())
    return f"@{str(entity['name']).lower()}@{entity['key']}"


def _problem(frame: Frame) -> str:
    """What the log says of an invocation that has raised; empty if it has not."""
    error = frame.header.get("error")
    if error is None:
        return ""
    told = failure_texts.told(failure_texts.of_worker(error), first="\nStack: ")
    return f"Result: Failure\nException: {told}"


def _outcome(frame: Frame) -> Outcome:
    if "error" in frame.header:
        return Outcome(failure=_failure(frame.header["error"]))
    return Outcome(value=frame.payload.decode("utf-8"))


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(error["typeName"], error["message"], error["stack"], error["details"])
