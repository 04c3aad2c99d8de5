"""A synchronous function that can be suspended: on a thread that runs only while nobody else does.

An agent's run is a plain call deep inside the user's function, so there is nothing to yield from.
The official package raises through it and runs the function anew for each result. Here the
function keeps its place: its thread hands a task to the orchestrator's generator and waits until
the generator is sent the result. One of the two runs at any time, so nothing needs locks.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import selectors
import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from azure.durable_functions._replay.tasks import TaskBase

from .exceptions import YieldException

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import TypeVar

    from typing_extensions import TypeVarTuple, Unpack

    _T = TypeVar("_T")
    _Ts = TypeVarTuple("_Ts")

_LOGGER = logging.getLogger("azure.durable_functions")
_PATIENCE = 10.0
"""Seconds that a function may take to end after it was told that nobody waits for it."""

_Answer = Callable[[], Any]
"""Gives what a task has come to, or raises it."""


class Fiber:
    """Runs a function, and lets what it calls wait for tasks."""

    def __init__(
        self, function: Callable[[], Any], join: Callable[[list[TaskBase]], TaskBase] | None
    ) -> None:
        """Prepare a run.

        Args:
            function: What to run.
            join: Makes one task of several, whose result are their results and exceptions; None
                waits for one after the other.
        """
        self._function = function
        self._join = join
        self._pending: list[tuple[TaskBase, asyncio.Future[Any]]] = []
        self._to_generator: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._to_function: SimpleQueue[_Answer | None] = SimpleQueue()
        self._is_closed = False
        self._loop: _Loop | None = None
        # The function logs, and finds its runner, by the context of who runs it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="durable-agent", daemon=True
        )

    # -- the generator's side ------------------------------------------------------------------

    def steps(self) -> Generator[TaskBase, Any, Any]:
        """Yield what the function waits for; return or raise what it does."""
        self._thread.start()
        try:
            while True:
                kind, value = self._to_generator.get()
                if kind == "returned":
                    return value
                if kind == "raised":
                    raise value
                try:
                    sent = yield value
                except GeneratorExit:
                    raise
                except BaseException as error:
                    self._to_function.put(_raising(error))
                else:
                    self._to_function.put(_giving(sent))
        finally:
            self._close()

    def _close(self) -> None:
        self._is_closed = True
        self._to_function.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            _LOGGER.warning(
                "a function with agents does not end, although its orchestration waits: does it "
                "catch BaseException?"
            )

    # -- the function's side -------------------------------------------------------------------

    def result_of(self, task: TaskBase) -> Any:
        """Result of a task; where the function's event loop runs, a future of it.

        Raises:
            RuntimeError: Called on another thread.
            Exception: The task has failed.
        """
        if threading.current_thread() is not self._thread:
            raise RuntimeError(
                "activities of an agent are called from its event loop, and not from a thread: "
                "make the tool an async function"
            )
        if not self.is_loop_running():
            return self.wait_for(task)
        assert self._loop is not None  # that is what was asked
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending.append((task, future))
        return future

    def wait_for(self, task: Any) -> Any:
        """Let the generator yield something, and give or raise what it is sent."""
        if self._is_closed:
            raise YieldException(task)
        assert self._loop is not None  # the caller runs
        began = self._loop.time()
        self._to_generator.put(("yielded", task))
        answer = self._to_function.get()
        self._loop.skip(self._loop.time() - began)
        if answer is None:
            raise YieldException(task)
        return answer()

    def is_loop_running(self) -> bool:
        """Whether the caller runs inside the function's event loop."""
        return asyncio._get_running_loop() is self._loop

    def _run(self) -> None:
        self._loop = _Loop(_IdleSelector(self._settle_pending))
        asyncio.set_event_loop(self._loop)
        outcome: tuple[str, Any]
        try:
            outcome = ("returned", self._function())
        except BaseException as error:
            outcome = ("raised", error)
        finally:
            _end(self._loop)
        self._to_generator.put(outcome)

    def _settle_pending(self) -> bool:
        """Wait for everything that was asked for, because nothing else can happen.

        Calls that were made before the loop came to rest are one group: they are scheduled
        together, and go on together, so that the next group is the same at every replay.
        """
        assert self._loop is not None  # it asks
        if not self._pending or self._loop.threads:
            return False
        count = 1 if self._join is None else len(self._pending)
        pending, self._pending = self._pending[:count], self._pending[count:]
        outcomes: list[Any]
        if self._join is None or count == 1:
            try:
                outcomes = [self.wait_for(pending[0][0])]
            except Exception as error:
                outcomes = [error]
        else:
            outcomes = self.wait_for(self._join([task for task, _ in pending]))
        for (_, future), outcome in zip(pending, outcomes, strict=True):
            if future.done():
                continue  # somebody has cancelled it
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        return True


class _Loop(asyncio.SelectorEventLoop):
    """Its time stands still while a task is waited for, and it knows what runs on threads.

    Else a time-out for a model or a tool would count the time that an orchestration waits, which
    is another one at each replay.
    """

    threads = 0
    """Plain tools on threads whose results are still to come: they may end in a call."""
    _skipped = 0.0

    def time(self) -> float:
        """Seconds since some moment, without those that were skipped."""
        return super().time() - self._skipped

    def skip(self, seconds: float) -> None:
        """Let a while not have been."""
        self._skipped += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: Unpack[_Ts]
    ) -> asyncio.Future[_T]:
        """Run a function on a thread."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        # A callback of the loop's own future: what waits for the result goes on in the same turn
        # of the loop. One of the thread's may come to the loop before the result does.
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1


class _IdleSelector(selectors.DefaultSelector):
    """Tells when an event loop would go to sleep."""

    def __init__(self, on_idle: Callable[[], bool]) -> None:
        super().__init__()
        self._on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for files, or let what is pending happen first."""
        if (timeout is None or timeout > 0) and self._on_idle():
            timeout = 0
        return super().select(timeout)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Leave nothing behind of an event loop that may have been left in the middle."""
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_after_all(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except YieldException:
        pass  # something asked for a task while it was cancelled; nobody waits for that either
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _after_all(tasks: set[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _giving(value: Any) -> _Answer:
    return lambda: value


def _raising(error: BaseException) -> _Answer:
    def answer() -> Any:
        raise error

    return answer
