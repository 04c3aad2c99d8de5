"""How a user's function becomes an orchestrator of the app. Source: sdk.md 2.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import azure.functions as func

from azure.durable_functions._replay import logs, triggers
from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.executor import TaskOrchestrationExecutor
from azure.durable_functions._wire import handles

if TYPE_CHECKING:
    from azure.durable_functions._replay.session import OrchestrationSession
    from azure.durable_functions._wire.converters import DataConverter

UserFunction = Callable[..., Any]
"""An orchestrator as users write it: takes the context; a generator, or a plain function."""


def is_orchestrating() -> bool:
    """Whether the code that calls this is an orchestrator's, in an episode."""
    return logs.current.get() is not None


class OrchestratorHandle(Protocol):
    """What `Orchestrator.create` returns: the worker calls it, the local host may look further."""

    orchestrator_function: UserFunction
    _df_input_type: type | None
    _df_data_converter: DataConverter | None

    def __call__(self, context: Any) -> str:
        """Replay: takes the worker's context object or the trigger's JSON text, see `create`."""
        ...

    def open_session(self, trigger: str | Mapping[str, Any]) -> OrchestrationSession:
        """Begin a replay that is kept between episodes (architecture.md, "Two doors")."""
        ...

    def explain(self, trigger: str) -> list[dict[str, Any]]:
        """Replay and tell, for each action, file and line of the code that asks for it."""
        ...


class Orchestrator:
    """Runs a user's function against the history in its context."""

    def __init__(self, activity_func: UserFunction) -> None:
        self.fn: UserFunction = activity_func
        self.task_orchestration_executor = TaskOrchestrationExecutor()
        self.durable_context: DurableOrchestrationContext | None = None

    def handle(self, context: DurableOrchestrationContext) -> str:
        """Replay one context and return the state JSON (protocol.md 3).

        Raises:
            Exception: The function raised; the text carries the state JSON (protocol.md 6.1).
        """
        self.durable_context = context
        return self.task_orchestration_executor.execute(context, context._events, self.fn)

    @classmethod
    def create(cls, fn: UserFunction) -> OrchestratorHandle:
        """Wrap an orchestrator for the worker.

        Returns:
            A function of one argument, the worker's context object (its ``body`` is the trigger's
            JSON text) or that text itself; it returns the state JSON. The user's function is its
            attribute ``orchestrator_function``.
        """

        def handle(context: Any = handles.MISSING, **renamed: Any) -> str:
            given = context
            if renamed or context is handles.MISSING:
                given = handles.only_argument(handle.__name__, context, renamed)
            if type(given) is handles.Asking:
                return given.answer(handle)
            return cls(fn).handle(_as_decorated(_context_of(given), handle))

        def open_session(trigger: str | Mapping[str, Any]) -> OrchestrationSession:
            from azure.durable_functions._replay.session import OrchestrationSession

            if isinstance(trigger, Mapping):
                opened = DurableOrchestrationContext(**trigger)
            else:
                opened = _context_of(trigger)
            return OrchestrationSession(_as_decorated(opened, handle), fn)

        def explain(trigger: str) -> list[Any]:
            from azure.durable_functions._replay import explanation  # needed by nobody else

            known: Any = handle
            fields = triggers.read(trigger)
            return list(
                explanation.explain(fields, fn, known._df_input_type, known._df_data_converter)
            )

        handle.orchestrator_function = fn  # type: ignore[attr-defined]  # functions take any
        handle._df_input_type = None  # type: ignore[attr-defined]
        handle._df_data_converter = None  # type: ignore[attr-defined]
        handle.open_session = open_session  # type: ignore[attr-defined]
        handle.explain = explain  # type: ignore[attr-defined]
        handle.ask = handles.ask  # type: ignore[attr-defined]
        handles.mark(handle)
        handles.show_parameter(handle, "context", func.OrchestrationContext)
        return handle  # type: ignore[return-value]  # the attributes were set above


def _as_decorated(context: DurableOrchestrationContext, handle: Any) -> DurableOrchestrationContext:
    """Let the context read and write payloads as decorator and app say."""
    if handle._df_input_type is not None:
        context._input_expected_type = handle._df_input_type
    if handle._df_data_converter is not None:
        context._converter = handle._df_data_converter
    return context


def _context_of(context: object) -> DurableOrchestrationContext:
    text: Any = context
    if type(context) is not str:
        body = getattr(context, "body", None)
        text = context if body is None else body
    return DurableOrchestrationContext.from_json(text)
