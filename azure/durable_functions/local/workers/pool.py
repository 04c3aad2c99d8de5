"""Hands out invocations to the workers of an app, replaces the lost, renews them all.

Everything that runs a function of the app goes through here.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.invoker import (
    OPEN,
    ActivityCall,
    Continuation,
    Continued,
    Failure,
    Gate,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
    WorkerRetired,
)
from azure.durable_functions.local.worker.binding_types import MOST_SESSIONS
from azure.durable_functions.local.worker.continuations import put_behind
from azure.durable_functions.local.worker.link import Frame

from .app_info import AppInfo, FunctionInfo
from .invocation_log import (
    NO_REASON,
    REASON_BY_HAND,
    InvocationLog,
    problem_of,
)
from .process import WorkerProcess
from .responses import Response, Rest
from .staff import Staff
from .time_limit import TimeLimit
from .worker import Worker

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import (
        EarlyEpisode,
        HttpRequest,
        Invoke,
        RetryState,
    )

logger = logging.getLogger("azure.durable_functions.local")


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
        self._staff = Staff(start, count, has_exclusive_start=has_exclusive_start)
        self._time_limit = None if timeout is None else TimeLimit(timeout)
        self._sessions: OrderedDict[str, Worker] = OrderedDict()
        """Which worker has kept which orchestration, as far as is known."""
        self._durable_functions: dict[tuple[str, str], FunctionInfo] = {}
        self.app: AppInfo
        self.client_texts: Callable[[FunctionInfo], dict[str, str]] = _no_clients
        """Texts of a function's durable client bindings, by parameter."""
        self.start_instances: Callable[[list[dict[str, Any]]], Awaitable[None]] = _no_starts
        """Starts what functions ask for through outputs of type durableClient."""

    async def start(self) -> AppInfo:
        """Start the workers: what the app holds.

        Raises:
            WorkerFailed: One of them cannot be started.
        """
        return self._use(await self._staff.start())

    async def reload(self) -> AppInfo:
        """Replace all workers by ones that have loaded the app again: what it holds now.

        What the old ones are doing may finish, for a while; after that it is lost with them, as if
        they had crashed.

        Raises:
            WorkerFailed: One of the new ones cannot be started; the old ones stay, unless starts
                are exclusive.
        """
        return self._use(await self._staff.reload())

    async def stop(self) -> None:
        """End all workers."""
        await self._staff.stop()

    @property
    def workers(self) -> Sequence[Worker]:
        """Those that get work."""
        return self._staff.workers

    @property
    def has_workers(self) -> bool:
        """Whether anything can run."""
        return bool(self._staff.workers)

    def _use(self, app: AppInfo) -> AppInfo:
        self.app = app
        self._durable_functions = {
            (function.kind, function.durable_name.lower()): function
            for function in self.app.enabled
        }
        return app

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        """Run one episode; with a session's name its worker may keep the orchestration."""
        function = self._durable(name, "orchestrationTrigger")
        header = self._header(function, _instance_of(trigger))
        if session is None:
            return _outcome(
                await self._call(function, header, trigger.encode("utf-8"), NO_REASON, alone=alone)
            )
        worker = await (self._staff.reserve() if alone else self._staff.pick())
        header["session"] = session
        frame = await self._call(
            function, header, trigger.encode("utf-8"), NO_REASON, worker=worker
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
        header = self._header(function, instance_id)
        header["session"], header["state"] = session, state
        frame = await self._call(function, header, events.encode("utf-8"), NO_REASON, worker=worker)
        if frame.header.get("noSession"):
            return None
        return self._note_session(session, worker, frame, is_increment=True)

    def _keeper(self, session: str) -> Worker | None:
        """The worker that has kept an orchestration, if it may be given work."""
        worker = self._sessions.get(session)
        return worker if worker is not None and self._staff.may_use(worker) else None

    def _note_session(
        self, session: str, worker: Worker, frame: Frame, *, is_increment: bool = False
    ) -> Outcome:
        """Remember which worker has it, if it was kept."""
        self._sessions.pop(session, None)
        state = frame.header.get("state")
        if state is not None:
            self._sessions[session] = worker
            if len(self._sessions) > MOST_SESSIONS * len(self._staff.workers):
                self._sessions.popitem(last=False)
        outcome = _outcome(frame)
        return Outcome(outcome.value, outcome.failure, state, is_increment)

    async def explain(self, name: str, trigger: str) -> str | None:
        """Where an orchestrator asks for its actions; None if its SDK cannot tell."""
        function = self._durable(name, "orchestrationTrigger")
        header = self._header(function)
        header["explain"] = True
        frame = await self._send(function, header, trigger.encode("utf-8"), alone=False)
        return None if "error" in frame.header else frame.payload.decode("utf-8")

    def _worker_for(self, then: Continuation) -> Worker | None:
        """The worker that can run an activity and the episode after it, if one can."""
        if then.session is None:
            return self._staff.free_worker()
        return self._keeper(then.session[0])

    async def run_activity(self, call: ActivityCall) -> Outcome:
        """Run an activity, and behind it what is to follow if its worker can."""
        function = self._durable(call.name, "activityTrigger")
        text = "null" if call.input is None else call.input
        header = self._header(function, call.instance_id)
        header["activity"] = {"instanceId": call.instance_id, "name": function.durable_name}
        payload = text.encode("utf-8")
        then = call.then
        worker = next_function = None
        if then is not None and not call.alone:
            # None while the engine does not know yet that a reload has removed it.
            next_function = self._durable_functions.get(("orchestrationTrigger", then.name.lower()))
            worker = self._worker_for(then)
        if (
            then is None
            or next_function is None
            or worker is None
            or worker.load > min(w.load for w in self._staff.workers)
        ):
            frame = await self._call(
                function, header, payload, NO_REASON, alone=call.alone, after=call.after
            )
            return _outcome(frame)
        number, answer = worker.expect()
        payload, around = put_behind(payload, then.around)
        following: EarlyEpisode = {
            **self._header(next_function, call.instance_id),
            "id": number,
            "since": then.since,
            "events": then.events,
            "around": around,
        }
        header["then"] = following
        if then.session is not None:
            following["session"], following["state"] = then.session
        worker.load += 2  # one for each of the two
        goes_on = False
        try:
            frame = await self._call(
                function, header, payload, NO_REASON, worker=worker, after=call.after
            )
            goes_on = "goesOn" in frame.header
        finally:
            if not goes_on:
                worker.forget(number)
                await self._staff.hand_back(worker)
        if not goes_on:
            return _outcome(frame)
        return Outcome(
            frame.payload.decode("utf-8"),
            continued=self._continue(
                next_function, following, worker, answer, InvocationLog(next_function, following)
            ),
        )

    async def _continue(
        self,
        function: FunctionInfo,
        header: EarlyEpisode,
        worker: Worker,
        answer: Awaitable[Frame],
        told: InvocationLog,
    ) -> Continued | None:
        """Wait for what a worker runs behind an activity."""
        try:
            frame = await self._logged(told, self._limited(function, worker, answer))
        except (WorkerLost, TimedOut):
            return None  # who runs the episode then will see whether it happens again
        finally:
            worker.forget(header["id"])
            await self._staff.hand_back(worker)
        if frame.header.get("noSession") or worker not in self._staff.workers:
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
        return _outcome(await self._call(function, header, payload, NO_REASON, alone=alone))

    async def answer_http(
        self, function: FunctionInfo, request: HttpRequest, body: bytes, trace_parent: str
    ) -> Response | Failure:
        """Run an HTTP function: its response, or how it has failed, which the log tells too.

        Args:
            function: Which one.
            request: Method, URL, headers, parameters as `bindings.decode_http` reads them.
            body: Of the request.
            trace_parent: W3C trace context.
        """
        header = self._header(function)
        header["request"], header["traceParent"] = request, trace_parent
        worker = await self._staff.pick()
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
            rest = Rest(worker.stream(frame.header["id"]), partial(self._staff.hand_back, worker))
        return Response(response["status"], headers, frame.payload, rest)

    async def run_function(
        self,
        function: FunctionInfo,
        text: str,
        *,
        reason: str = REASON_BY_HAND,
        retry: RetryState | None = None,
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
        header: Invoke,
        payload: bytes,
        reason: str = REASON_BY_HAND,
        *,
        alone: bool = False,
        worker: Worker | None = None,
        after: Gate = OPEN,
    ) -> Awaitable[Frame]:
        sent = self._send(function, header, payload, alone=alone, worker=worker, after=after)
        return self._logged(InvocationLog(function, header, reason, after), sent)

    async def _logged(self, told: InvocationLog, invocation: Awaitable[Frame]) -> Frame:
        """Wait for an invocation, and tell the log how it has ended."""
        problem = "cancelled"
        try:
            frame = await invocation
            if "starts" in frame.header:
                frame = await self._start_instances(frame)
            problem = problem_of(frame)
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
        header: Invoke,
        payload: bytes,
        *,
        alone: bool,
        worker: Worker | None = None,
        after: Gate = OPEN,
    ) -> Frame:
        """Send an invocation to a worker that was chosen and counted already, or choose one."""
        if worker is None:
            worker = await (self._staff.reserve() if alone else self._staff.pick())
        try:
            answer = worker.call(header, payload, after)
            return await self._limited(function, worker, answer, after)
        finally:
            await self._staff.hand_back(worker)

    async def _limited(
        self,
        function: FunctionInfo,
        worker: Worker,
        answer: Awaitable[Frame],
        after: Gate = OPEN,
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

    def _header(self, function: FunctionInfo, instance_id: str | None = None) -> Invoke:
        return {
            "function": function.name,
            "invocationId": str(uuid.uuid4()),
            "client": self.client_texts(function),
            "instanceId": instance_id,
        }


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


def _outcome(frame: Frame) -> Outcome:
    if "error" in frame.header:
        return Outcome(failure=_failure(frame.header["error"]))
    return Outcome(value=frame.payload.decode("utf-8"))


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(error["typeName"], error["message"], error["stack"], error["details"])
