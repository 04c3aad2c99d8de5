"""What the decorator makes of a function, and the activity that asks models. Source: 4."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial, wraps
from typing import Any

from agents import ModelProvider, ModelResponse
from agents.run import set_default_agent_runner as set_default_agent_runner  # an official name here
from pydantic import TypeAdapter

from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.tasks import TaskBase
from azure.durable_functions._wire.retry_options import RetryOptions

from ._live import LiveTaskTracker
from .context import DurableAIAgentContext
from .event_loop import ensure_event_loop as ensure_event_loop  # as is this, and TaskTracker
from .model_invocation_activity import DurableModelActivityInput, ModelInvoker
from .runner import DurableOpenAIRunner, install
from .task_tracker import TaskTracker as TaskTracker
from .usage_telemetry import UsageTelemetry


def check_model_provider(model_provider: object) -> None:
    """Refuse what is no provider.

    Raises:
        TypeError: It is neither a `ModelProvider` nor None.
    """
    if model_provider is not None and not isinstance(model_provider, ModelProvider):
        raise TypeError("Provided model provider must be of type ModelProvider")


def orchestrator_of(
    func: Callable[..., Any], model_retry_options: RetryOptions | None, activity_name: str
) -> Callable[[DurableOrchestrationContext], Generator[TaskBase, Any, str | None]]:
    """An orchestrator around a user's function; arguments as of the generator below."""

    @wraps(func)
    def orchestrator(
        context: DurableOrchestrationContext,
    ) -> Generator[TaskBase, Any, str | None]:
        return durable_openai_agent_orchestrator_generator(
            func, context, model_retry_options, activity_name
        )

    return orchestrator


async def durable_openai_agent_activity(input: str, model_provider: ModelProvider | None) -> str:
    """Ask a model.

    Args:
        input: Text of a `DurableModelActivityInput`.
        model_provider: Where the model comes from; None stands for OpenAI's.

    Returns:
        JSON text of the model's answer.
    """
    asked = DurableModelActivityInput.from_json(input)
    answer: Any = await ModelInvoker(model_provider).invoke_model_activity(asked)
    if hasattr(answer, "model_dump_json"):
        answer = answer.model_dump_json()
    if not isinstance(answer, (str, bytes)):
        # What the service did not send must not be sent back to it as null, nor under another name.
        answer = TypeAdapter(ModelResponse).dump_json(
            answer, by_alias=True, exclude_unset=True, warnings=False
        )
    return answer.decode() if isinstance(answer, bytes) else answer


def durable_openai_agent_orchestrator_generator(
    func: Callable[..., Any],
    durable_orchestration_context: DurableOrchestrationContext,
    model_retry_options: RetryOptions | None,
    activity_name: str,
) -> Generator[TaskBase, Any, str | None]:
    """The generator that the executor drives in place of a user's function.

    Args:
        func: Takes a `DurableAIAgentContext`; plain, generator or async.
        durable_orchestration_context: Of this replay.
        model_retry_options: How calls of models are retried; None does not.
        activity_name: Of the activity that asks models.
    """
    UsageTelemetry.log_usage_once()
    install()
    tracker = LiveTaskTracker(durable_orchestration_context)
    context = DurableAIAgentContext(durable_orchestration_context, tracker, model_retry_options)
    tracker.runner = DurableOpenAIRunner(context, activity_name)
    return tracker.execute_orchestrator_function(partial(func, context))
