"""What an orchestrator with agents is given. Source: openai-agents.md 6."""

from __future__ import annotations

import inspect
import json as json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, RunContextWrapper, Tool
from agents.function_schema import function_schema

from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.tasks import TaskBase
from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.retry_options import RetryOptions

from ._live import value_of
from .task_tracker import TaskTracker

if TYPE_CHECKING:
    _BaseDurableContext = DurableOrchestrationContext
else:
    _BaseDurableContext = object

_DEFAULT_RETRIES = RetryOptions(first_retry_interval_in_milliseconds=2000, max_number_of_attempts=5)


class DurableAIAgentContext(_BaseDurableContext):
    """The orchestration context, and what agents need besides.

    Everything that is not here is the orchestration context's.
    """

    def __init__(
        self,
        context: DurableOrchestrationContext,
        task_tracker: TaskTracker,
        model_retry_options: RetryOptions | None,
    ) -> None:
        self._context = context
        self._task_tracker = task_tracker
        self._model_retry_options = model_retry_options

    if not TYPE_CHECKING:  # checkers know the orchestration context's own signatures

        def call_activity(self, name, input_=None, *args, **options) -> TaskBase:
            """As the orchestration context's."""
            task = self._context.call_activity(name, input_, *args, **options)
            self._task_tracker.record_activity_call()
            return task

        def call_activity_with_retry(
            self, name, retry_options, input_=None, *args, **options
        ) -> TaskBase:
            """As the orchestration context's."""
            task = self._context.call_activity_with_retry(
                name, retry_options, input_, *args, **options
            )
            self._task_tracker.record_activity_call()
            return task

    def create_activity_tool(
        self,
        activity_func: Callable[..., Any],
        *,
        description: str | None = None,
        retry_options: RetryOptions | None = _DEFAULT_RETRIES,
    ) -> Tool:
        """Make a tool of an activity: the agent's model calls it, the host runs it.

        Args:
            activity_func: The decorated function. Its signature and docstring tell the model what
                it takes.
            description: For the model, in place of the docstring's.
            retry_options: None lets a failure surface at once.

        Raises:
            ValueError: Not a decorated activity.
        """
        decorated: Any = activity_func
        if decorated._function is None:
            raise ValueError("The provided function is not a valid Azure Function.")
        function = decorated._function._func
        if inspect.isfunction(function):  # the user's own, inside of ours that decodes
            function = getattr(function, "activity_function", function)
        trigger = decorated._function._trigger
        activity = getattr(trigger, "activity", None)
        activity_name: str = decorated._function._name if activity is None else activity
        input_name: str | None = getattr(trigger, "name", None)
        schema = function_schema(
            func=function,
            docstring_style=None,
            description_override=description,
            use_docstring_info=True,
            strict_json_schema=True,
        )

        async def run_activity(ctx: RunContextWrapper[Any], input: str) -> Any:
            given = _only_argument(input, input_name)
            if retry_options:
                result = self._task_tracker.get_activity_call_result_with_retry(
                    activity_name, retry_options, given
                )
            else:
                result = self._task_tracker.get_activity_call_result(activity_name, given)
            return await value_of(result)

        return FunctionTool(
            name=schema.name,
            description=schema.description or "",
            params_json_schema=schema.params_json_schema,
            on_invoke_tool=run_activity,
            strict_json_schema=True,
        )

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._context, name)
        except AttributeError:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__, *dir(self._context)})


def _only_argument(text: str, name: str | None) -> Any:
    """The activity's input among the arguments that a model gives; the whole text in any doubt."""
    if name is None:
        return text
    try:
        arguments: Any = json.loads(text)
    except ValueError:
        return text
    return arguments[name] if shapes.is_object(arguments) and name in arguments else text
