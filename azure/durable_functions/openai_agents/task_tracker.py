"""Results of activities for code that cannot yield. Source: openai-agents.md 5."""

from __future__ import annotations

import functools
import inspect as inspect
import json as json
from collections.abc import Callable, Generator
from typing import Any

from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.tasks import TaskBase
from azure.durable_functions._wire.retry_options import RetryOptions
from azure.durable_functions._wire.vocabulary import HistoryEventType

from .exceptions import YieldException


class TaskTracker:
    """Runs a function anew in each episode, and looks results up in the history by their order.

    This is the official class, for whoever builds upon it or stands in for it in tests;
    orchestrations run with `_live.LiveTaskTracker`, which matches results by task.
    """

    def __init__(self, context: DurableOrchestrationContext) -> None:
        self._context = context
        self._activities_called = 0
        self._tasks_to_yield: list[TaskBase] = []

    def record_activity_call(self) -> None:
        """Count a call that somebody else has made."""
        self._activities_called += 1

    def get_activity_call_result(self, activity_name: str, input: Any) -> Any:
        """Result of an activity, called here.

        Raises:
            YieldException: It has none yet.
        """
        return self._result_of(self._context.call_activity(activity_name, input))

    def get_activity_call_result_with_retry(
        self, activity_name: str, retry_options: RetryOptions, input: Any
    ) -> Any:
        """As `get_activity_call_result`, of one that is tried again when it fails."""
        return self._result_of(
            self._context.call_activity_with_retry(activity_name, retry_options, input)
        )

    def _result_of(self, task: TaskBase) -> Any:
        self.record_activity_call()
        results = [
            event
            for event in self._context.histories
            if event.event_type == HistoryEventType.TASK_COMPLETED
        ]
        if len(results) < self._activities_called:
            raise YieldException(task)
        self._tasks_to_yield.append(task)
        event: Any = results[self._activities_called - 1]
        return json.loads(event.Result)

    def execute_orchestrator_function(
        self, func: Callable[[], Any]
    ) -> Generator[TaskBase, Any, str | None]:
        """Run a plain or generator function; yields what it has waited for, in order.

        Returns:
            What the function has returned, as text; None if it waits.
        """
        try:
            if is_generator_function(func):
                value = yield from self._drive(func())
            else:
                value = func()
        except YieldException as pending:
            yield from self._flush()
            yield pending.task
            return None
        yield from self._flush()
        return self._durable_serializer(value)

    def _drive(self, generator: Generator[TaskBase, Any, Any]) -> Generator[TaskBase, Any, Any]:
        resume: Callable[[], TaskBase] = functools.partial(next, generator)
        while True:
            try:
                yielded = resume()
            except StopIteration as stop:
                return stop.value
            yield from self._flush()
            try:
                sent = yield yielded
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                resume = functools.partial(generator.throw, error)
            else:
                resume = functools.partial(generator.send, sent)

    def _flush(self) -> Generator[TaskBase, Any, None]:
        while self._tasks_to_yield:
            yield self._tasks_to_yield.pop(0)

    @staticmethod
    def _durable_serializer(obj: Any) -> str:
        if isinstance(obj, str) and type(obj) is str:
            return obj
        for method in ("to_json", "model_dump_json"):
            serialize: Any = getattr(obj, method, None)
            if callable(serialize):
                text: Any = serialize()
                return str(text)
        return json.dumps(obj)


def is_generator_function(func: Callable[..., Any]) -> bool:
    """Whether a function, or the one in a partial, yields."""
    while isinstance(func, functools.partial):
        func = func.func
    return inspect.isgeneratorfunction(func)
