"""The task tracker of orchestrations that run: results are those of the tasks, failures too."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from functools import partial
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.tasks import TaskBase

from ._fibers import Fiber
from .task_tracker import TaskTracker

if TYPE_CHECKING:
    from .runner import DurableOpenAIRunner

current_runner: contextvars.ContextVar[DurableOpenAIRunner | None] = contextvars.ContextVar(
    "durable_agent_runner", default=None
)
"""Of the orchestration whose function the caller is in; None outside of any."""


class LiveTaskTracker(TaskTracker):
    """Runs the user's function on a fiber, once an episode."""

    def __init__(self, context: DurableOrchestrationContext) -> None:
        super().__init__(context)
        self.runner: DurableOpenAIRunner | None = None
        """What `agents.Runner` is to use within the function."""
        self._fiber: Fiber | None = None

    def is_inside(self) -> bool:
        """Whether the caller runs inside the event loop of the function."""
        return self._fiber is not None and self._fiber.is_loop_running()

    def _result_of(self, task: TaskBase) -> Any:
        if self._fiber is None:
            raise RuntimeError("an agent's activities are called while its orchestrator runs")
        return self._fiber.result_of(task)

    def execute_orchestrator_function(
        self, func: Callable[[], Any]
    ) -> Generator[TaskBase, Any, str | None]:
        """Run a plain, generator or async function; yields what it waits for.

        Returns:
            What the function has returned, as text.
        """
        # Release 1.7.0 schedules the calls of one answer in turn (OA5).
        join = None if self._context._as_official else self._join
        self._fiber = fiber = Fiber(lambda: self._run(func), join)
        value = yield from fiber.steps()
        return self._durable_serializer(value)

    def _run(self, func: Callable[[], Any]) -> Any:
        assert self._fiber is not None  # whose function this is
        current_runner.set(self.runner)
        returned: Any = func()
        if not issubclass(type(returned), (GeneratorType, CoroutineType)):
            return returned
        generator: Generator[Any, Any, Any] = returned  # a coroutine has the same methods
        send = partial(generator.send, None)
        try:
            while True:
                yielded = send()
                try:
                    sent = self._fiber.wait_for(yielded)
                except Exception as error:
                    send = partial(generator.throw, error)
                else:
                    send = partial(generator.send, sent)
        except StopIteration as stop:
            return stop.value
        finally:
            generator.close()

    def _join(self, tasks: list[TaskBase]) -> TaskBase:
        return self._context.task_all(tasks, return_exceptions=True)


async def value_of(result: Any) -> Any:
    """What a tracker gives: the value itself, or a future of it."""
    return await result if asyncio.isfuture(result) else result
