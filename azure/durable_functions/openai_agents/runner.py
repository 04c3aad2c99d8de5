"""How `agents.Runner` runs within an orchestration. Source: openai-agents.md 7, OA2, OA3, OA10."""

from __future__ import annotations

import json as json
import threading
from dataclasses import replace
from typing import Any

from agents import Agent, Handoff, Model, ModelProvider, RunConfig, RunResult, RunResultStreaming
from agents.items import TResponseInputItem
from agents.run import (
    DEFAULT_AGENT_RUNNER,
    DEFAULT_MAX_TURNS,
    AgentRunner,
    get_default_agent_runner,
    set_default_agent_runner,
)
from agents.run_context import TContext
from pydantic_core import to_json

from azure.durable_functions._wire import shapes

from ._live import LiveTaskTracker, current_runner
from .context import DurableAIAgentContext
from .model_invocation_activity import DurableActivityModel

_OPTIONS = ("context", "max_turns", "hooks", "previous_response_id", "session")
_install_lock = threading.Lock()


class DurableOpenAIRunner:
    """Runs agents of one orchestration: their models are asked by an activity."""

    def __init__(self, context: DurableAIAgentContext, activity_name: str) -> None:
        self.context = context
        self.activity_name = activity_name

    def _prepare_run_config(
        self, starting_agent: Agent[Any], input: Any, **kwargs: Any
    ) -> tuple[Any, RunConfig, dict[str, Any]]:
        """Input as plain JSON, the configuration for the real runner, and its other arguments.

        Raises:
            ValueError: A model is an object, and not a name: it would be asked right here.
        """
        # A run that was interrupted for an approval goes on with its state, which is an object.
        plain = json.loads(to_json(input)) if isinstance(input, (str, list)) else input
        given: Any = kwargs.get("run_config")
        if given is None:
            # Traces would be told again at every replay: there are none unless they are asked for.
            given = RunConfig(tracing_disabled=True)
        config: RunConfig = RunConfig(**given) if shapes.is_object(given) else given
        _refuse_objects("run config", config.model)
        _refuse_objects_of(starting_agent, set())
        provider = _DurableModelProvider(self.context, self.activity_name)
        config = replace(config, model_provider=provider)
        options = {"max_turns": DEFAULT_MAX_TURNS, **kwargs, "run_config": config}
        # Newer runners have more options; what was not given they need not be told.
        options = {k: v for k, v in options.items() if k in _OPTIONS or v not in (None, False)}
        return plain, config, options

    def run_sync(
        self, starting_agent: Agent[TContext], input: str | list[TResponseInputItem], **kwargs: Any
    ) -> RunResult:
        """Run agents to their end; within it the orchestration waits.

        Raises:
            ValueError: A model is an object, and not a name.
            Exception: A model's activity or a tool's has failed, or the agents have.
        """
        plain, _, options = self._prepare_run_config(starting_agent, input, **kwargs)
        result: RunResult = _original().run_sync(starting_agent, plain, **options)
        return result

    async def run(
        self, starting_agent: Agent[TContext], input: str | list[TResponseInputItem], **kwargs: Any
    ) -> RunResult:
        """Possible only within another run, as of an agent that is a tool.

        Raises:
            RuntimeError: Called by the orchestrator.
        """
        tracker = self.context._task_tracker
        if not (isinstance(tracker, LiveTaskTracker) and tracker.is_inside()):
            raise RuntimeError("Durable Functions do not support asynchronous runs.")
        plain, _, options = self._prepare_run_config(starting_agent, input, **kwargs)
        result: RunResult = await _original().run(starting_agent, plain, **options)
        return result

    def run_streamed(
        self, starting_agent: Agent[TContext], input: str | list[TResponseInputItem], **kwargs: Any
    ) -> RunResultStreaming:
        """Not possible.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("Durable Functions do not support streaming.")


class DispatchingRunner(AgentRunner):
    """The process' default runner: durable inside an orchestration, as it was outside of any."""

    def __init__(self, original: AgentRunner) -> None:
        self.original = original

    def _chosen(self) -> Any:
        return current_runner.get() or self.original

    async def run(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:
        """Run agents."""
        return await self._chosen().run(starting_agent, input, **kwargs)

    def run_sync(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:
        """Run agents to their end."""
        return self._chosen().run_sync(starting_agent, input, **kwargs)

    def run_streamed(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:
        """Run agents and give their events."""
        return self._chosen().run_streamed(starting_agent, input, **kwargs)


def install() -> None:
    """Let the default runner serve orchestrations too; whoever was it goes on being asked."""
    with _install_lock:
        default = get_default_agent_runner()
        if not isinstance(default, DispatchingRunner):
            set_default_agent_runner(DispatchingRunner(default or DEFAULT_AGENT_RUNNER))


def _original() -> Any:
    default = get_default_agent_runner()
    return default.original if isinstance(default, DispatchingRunner) else AgentRunner()


class _DurableModelProvider(ModelProvider):
    """Every agent's model by its own name (OA10)."""

    def __init__(self, context: DurableAIAgentContext, activity_name: str) -> None:
        self._context = context
        self._activity_name = activity_name

    def get_model(self, model_name: str | None) -> Model:
        return DurableActivityModel(
            model_name,
            self._context._task_tracker,
            self._context._model_retry_options,
            self._activity_name,
        )


def _refuse_objects(owner: str, model: object) -> None:
    if model is not None and not isinstance(model, str):
        raise ValueError(
            f"For agents in Durable Functions the model of the {owner} must be a string or None, "
            f"got {type(model).__name__}; give the object to the decorator by model_provider="
        )


def _refuse_objects_of(agent: Any, seen: set[int]) -> None:
    """The same for the models of an agent and of all that it may hand over to."""
    if id(agent) in seen:
        return
    seen.add(id(agent))
    _refuse_objects(f"agent {getattr(agent, 'name', agent)!r}", getattr(agent, "model", None))
    targets: Any = getattr(agent, "handoffs", ())
    for target in targets:
        if issubclass(type(target), Handoff):
            reference = getattr(target, "_agent_ref", None)  # since 0.3
            target = None if reference is None else reference()
        if target is not None:
            _refuse_objects_of(target, seen)
