"""Invokes functions: sync ones on threads, async ones on the event loop. Source: host.md 5."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from . import conversions, extensions
from .binding_types import (
    DURABLE_CLIENTS,
    DURABLE_TRIGGERS,
    EPISODE_TRIGGERS,
    HTTP_TRIGGER,
    ORCHESTRATION_TRIGGER,
)
from .continuations import NO_LIMIT, Places, following, own
from .function_checks import LoadedFunction
from .invocation_context import (
    InvocationContext,
    current_activity,
    current_invocation,
    running,
    thread_storage,
)
from .link import Frame
from .raised import describe
from .sessions import Sessions
from .streams import Stream

if TYPE_CHECKING:
    from .frames import Cancel, EarlyEpisode, Invoke, More


class Functions:
    """The functions of a loaded app."""

    def __init__(self, functions: list[LoadedFunction], places: tuple[int, int] = NO_LIMIT) -> None:
        """Prepare to run them.

        Args:
            functions: All there are.
            places: As for `Places`.
        """
        self._functions = {function.name: function for function in functions}
        size = _pool_size()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="functions")
        # Orchestrators and entities have threads of their own, so that activities never keep
        # them from going on (host.md 9.3).
        self._episode_threads = ThreadPoolExecutor(size, thread_name_prefix="episodes")
        # Those behind async activities wait neither for activities nor for entities.
        self._following_threads = ThreadPoolExecutor(size, thread_name_prefix="following")
        self._places = Places(*places)
        self._sessions = Sessions()
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: dict[int, Stream] = {}
        """Responses that are being sent in pieces, by the numbers of their invocations."""
        self._context = contextvars.copy_context()
        """With what the app has set while it was loaded; every invocation has a copy."""

    def begin(self, header: Invoke, payload: bytes, answer: Callable[[Frame], object]) -> None:
        """Run a function: an async one on the event loop, any other on a thread.

        Args:
            header: Of the invocation's frame.
            payload: Of the same.
            answer: Is given the frame that answers, by the thread that has run the function. What
                the function raises is part of it.
        """
        function = self._functions.get(header["function"])
        if function is None:
            missing = LookupError(f"this worker has no function {header['function']!r}")
            answer(_failed(header, missing))
        elif self._is_awaited(function, header):
            if threading.get_ident() == self._loop_thread:
                self._begin_task(function, header, payload, answer)
            else:
                begin = self._loop.call_soon_threadsafe
                begin(self._begin_task, function, header, payload, answer)
        elif function.trigger["type"] == ORCHESTRATION_TRIGGER:
            run = partial(self._run_orchestrator, function, header, payload, answer)
            self._places.begin(partial(self._episode_threads.submit, run))
        else:
            is_episode = function.trigger["type"] in EPISODE_TRIGGERS
            pool = self._episode_threads if is_episode else self._threads
            pool.submit(self._run_on_thread, function, header, payload, answer)

    def steer(self, header: More | Cancel) -> None:
        """Let a stream continue, or end, as the host says; from any thread."""
        self._loop.call_soon_threadsafe(self._steer, header)

    def _steer(self, header: More | Cancel) -> None:
        stream = self._streams.get(header["id"])
        if stream is None:  # it has ended meanwhile
            return
        if header["type"] == "more":
            stream.more(header["bytes"])
        else:
            stream.cut()

    def close(self) -> None:
        """End the threads that are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._episode_threads.shutdown(wait=False, cancel_futures=True)
        self._following_threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _is_awaited(function: LoadedFunction, header: Invoke) -> bool:
        return (
            (function.is_async or function.web_request is not None)
            and not header.get("explain")
            and not _goes_to_session(function, header)
        )

    def _begin_task(
        self,
        function: LoadedFunction,
        header: Invoke,
        payload: bytes,
        answer: Callable[[Frame], object],
    ) -> None:
        async def run() -> None:
            frame = await self._run_async(function, header, own(header, payload), answer)
            if frame is None:
                return  # a stream has sent it
            goes_on = self._take_next(header, frame)
            _tell_result(frame, answer, goes_on=goes_on)  # first, as what follows may log
            if goes_on:
                self._following_threads.submit(self._go_on, header["then"], payload, frame, answer)

        task = self._context.copy().run(self._loop.create_task, run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run_on_thread(
        self,
        function: LoadedFunction,
        header: Invoke,
        payload: bytes,
        answer: Callable[[Frame], object],
    ) -> None:
        frame = self._run_in_context(function, header, own(header, payload))
        goes_on = self._take_next(header, frame)
        _tell_result(frame, answer, goes_on=goes_on)
        if goes_on:
            self._go_on(header["then"], payload, frame, answer)

    def _run_orchestrator(
        self,
        function: LoadedFunction,
        header: Invoke,
        payload: bytes,
        answer: Callable[[Frame], object],
    ) -> None:
        try:
            frame = self._run_in_context(function, header, payload)
        finally:
            self._places.give_back()
        answer(frame)

    def _take_next(self, header: Invoke, result: Frame) -> bool:
        """Take a place for the episode that is to follow on what was run; False if none can."""
        then = header.get("then")
        if then is None or result.header.keys() & {"error", "starts"}:
            return False  # what starts instances needs the host first
        function = self._functions.get(then["function"])
        if function is None or self._is_awaited(function, then):
            return False
        if "session" in then and not self._sessions.is_in(then["session"], then["state"]):
            return False
        return self._places.take()

    def _go_on(
        self,
        then: EarlyEpisode,
        payload: bytes,
        result: Frame,
        answer: Callable[[Frame], object],
    ) -> None:
        """Behind an activity, run the episode that waits for nothing else."""
        try:
            now = datetime.now(timezone.utc).replace(tzinfo=None)
            moment, told = following(then, payload, now, result.payload.decode("utf-8"))
            frame = self._run_in_context(self._functions[then["function"]], then, told)
        finally:
            self._places.give_back()
        answer(Frame({**frame.header, "now": moment}, frame.payload))

    def _run_in_context(self, function: LoadedFunction, header: Invoke, payload: bytes) -> Frame:
        """As `_run`, on a thread of this invocation's own."""
        thread_storage.invocation_id = header["invocationId"]
        return self._context.copy().run(self._run, function, header, payload)

    def _run(self, function: LoadedFunction, header: Invoke, payload: bytes) -> Frame:
        """Run a function that need not be awaited; its context is to be this invocation's own."""
        try:
            _enter(function, header)
            if header.get("explain"):
                result = _explain(function, payload.decode("utf-8"))
            elif _goes_to_session(function, header):
                result = self._sessions.answer(function.call, header, payload.decode("utf-8"))
            else:
                arguments, outputs = self._arguments(function, header, payload)
                result = self._answer(function, function.call(**arguments), outputs)
        except StopIteration as error:  # which Azure's worker could not pass on
            raised = RuntimeError(f"the function raised StopIteration: {error}")
            return _failed(header, raised)
        except BaseException as error:  # SystemExit of user code is a failure too
            return _failed(header, error)
        finally:
            running.pop(header["invocationId"], None)
        return _succeeded(header, result)

    async def _run_async(
        self,
        function: LoadedFunction,
        header: Invoke,
        payload: bytes,
        answer: Callable[[Frame], object] | None = None,
    ) -> Frame | None:
        """As `_run`, for a function that must be awaited.

        Args:
            function: Which one.
            header: Of the invocation.
            payload: Of the same.
            answer: Sends a response in pieces as the function makes it; without it, it is whole.

        Returns:
            None if `answer` has been given everything.
        """
        try:
            _enter(function, header)
            arguments, outputs = self._arguments(function, header, payload)
            if function.web_request is None:
                result = self._answer(function, await function.call(**arguments), outputs)
            else:
                web = await self._answer_web(function, header, payload, arguments, outputs, answer)
                if web is None:
                    return None
                result = web
        except BaseException as error:  # CancelledError and SystemExit of user code as well
            return _failed(header, error)
        finally:
            running.pop(header["invocationId"], None)
        return _succeeded(header, result)

    async def _answer_web(
        self,
        function: LoadedFunction,
        header: Invoke,
        payload: bytes,
        arguments: dict[str, Any],
        outputs: dict[str, conversions.Out],
        answer: Callable[[Frame], object] | None,
    ) -> Frame | None:
        """Run a function that takes the request of an HTTP extension, and has it answer.

        Returns:
            None if the answer went out in pieces.
        """

        async def run(request: Any) -> Any:
            given = {**arguments, str(function.web_request): request}
            if function.is_async:
                return await function.call(**given)
            in_context = partial(contextvars.copy_context().run, function.call, **given)
            return await self._loop.run_in_executor(self._threads, in_context)

        number: int = header["id"]
        stream = None if answer is None else Stream(number, answer)
        responder = extensions.Responder(stream, lambda: _starts(function, outputs))
        if stream is not None:
            self._streams[number] = stream
        try:
            await extensions.answer(run, header["request"], payload, responder)
        except BaseException as error:
            if stream is None or not responder.is_streaming:
                raise
            # The client has a part of the response, so it cannot get another one.
            stream.end(None if stream.is_cut.is_set() else describe(error))
        finally:
            self._streams.pop(number, None)
        if responder.is_streaming:
            return None
        return Frame({**_starts(function, outputs), "response": responder.response}, responder.body)

    def _arguments(
        self, function: LoadedFunction, header: Invoke, payload: bytes
    ) -> tuple[dict[str, Any], dict[str, conversions.Out]]:
        arguments: dict[str, Any] = {}
        outputs: dict[str, conversions.Out] = {}
        for binding in function.bindings:
            name, kind = binding["name"], binding["type"]
            if name == "$return":
                continue
            if str(binding.get("direction")).lower() == "out":
                outputs[name] = arguments[name] = conversions.Out()
            elif name == function.web_request:
                pass  # made by the extension, see `_answer_web`
            elif binding is function.trigger and name in function.service_clients:
                raise NotImplementedError(
                    f"{kind} is not emulated here, so there is nothing that the parameter {name!r} "
                    "could be a client of; test what the function does by calling it"
                )
            elif kind == HTTP_TRIGGER:
                arguments[name] = conversions.decode_http(header["request"], payload)
            elif kind in DURABLE_CLIENTS:
                arguments[name] = header["client"][name]
            elif binding is function.trigger:
                arguments[name] = conversions.decode_trigger(kind, payload.decode("utf-8"))
            else:
                arguments[name] = None
        if function.wants_context:
            arguments["context"] = InvocationContext(function, header)
        return arguments, outputs

    def _answer(
        self, function: LoadedFunction, returned: Any, outputs: dict[str, conversions.Out]
    ) -> Frame:
        trigger = function.trigger["type"]
        if trigger in DURABLE_TRIGGERS:
            text = conversions.encode_result(trigger, returned)
            return Frame(_starts(function, outputs), text.encode("utf-8"))
        has_return = any(binding["name"] == "$return" for binding in function.bindings)
        if returned is not None and function.promises_value and not has_return:
            raise RuntimeError(
                f"function {function.name!r} without a $return binding returned a value that is "
                "not None"
            )
        header = _starts(function, outputs)
        if trigger != HTTP_TRIGGER:
            return Frame(header)
        http_output = next((b["name"] for b in function.bindings if b["type"] == "http"), None)
        if http_output is None:
            return Frame({**header, "response": {"status": 204, "headers": []}})
        if http_output != "$return" and outputs[http_output].value is not None:
            returned = outputs[http_output].value
        response, body = conversions.encode_http(returned)
        return Frame({**header, "response": response}, body)


def _tell_result(result: Frame, answer: Callable[[Frame], object], *, goes_on: bool) -> None:
    """Answer, and say whether an episode follows that will be answered too."""
    answer(Frame({**result.header, "goesOn": True}, result.payload) if goes_on else result)


def _starts(function: LoadedFunction, outputs: dict[str, conversions.Out]) -> dict[str, Any]:
    """Orchestrations that outputs of type durableClient ask for; others go nowhere here."""
    starts: list[dict[str, Any]] = []
    for binding in function.bindings:
        output = outputs.get(binding["name"])
        if output is None or output.value is None:
            continue
        if binding["type"] in DURABLE_CLIENTS:
            starts += conversions.encode_starts(output.value)
    return {"starts": starts} if starts else {}


def _goes_to_session(function: LoadedFunction, header: Invoke) -> bool:
    """Whether an episode is one of a session, new or kept; what has none just replays."""
    return "session" in header and (function.has_short_ways or header.get("state") is not None)


def _explain(function: LoadedFunction, trigger: str) -> Frame:
    """Where the code asks for its actions, if the app's SDK can tell; else JSON's null."""
    handle: Any = getattr(function.call, "_df_handle", None)
    told = None
    if handle is not None:  # asked through whatever stands around it
        told = handle.ask(function.call, trigger, partial(_explained, trigger))
    text = json.dumps(told)
    return Frame({}, text.encode("utf-8"))


def _explained(trigger: str, handle: Any) -> Any:
    return handle.explain(trigger)


def _enter(function: LoadedFunction, header: Invoke) -> None:
    """Let the code that runs in this context know what it runs for."""
    current = function.name, header["invocationId"], header.get("instanceId")
    current_invocation.set(current)
    current_activity.set(header.get("activity"))
    running[header["invocationId"]] = current


def _succeeded(header: Invoke, result: Frame) -> Frame:
    return Frame({"type": "result", "id": header["id"], **result.header}, result.payload)


def _failed(header: Invoke, error: BaseException) -> Frame:
    return Frame({"type": "result", "id": header["id"], "error": describe(error)})


def _pool_size() -> int | None:
    """``PYTHON_THREADPOOL_THREAD_COUNT``, if it is a whole number from 1 on."""
    text = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
    if text is None:
        return None
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        logging.warning(
            "PYTHON_THREADPOOL_THREAD_COUNT must be a whole number from 1 on, got %r", text
        )
        return None
    return size
