"""One worker, as the host sees it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.engine.invoker import OPEN, Gate, WorkerLost
from azure.durable_functions.local.worker.link import Frame

from .app_info import AppInfo
from .responses import ResponseStream

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import Invoke

END_SECONDS = 3.0
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

    async def call(self, header: Invoke, payload: bytes, after: Gate = OPEN) -> Frame:
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


class PendingAnswers:
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
