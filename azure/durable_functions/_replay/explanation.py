"""Where in the user's code each action was asked for. Source: architecture.md, "Two doors".

A diagnostic replay: the local host asks for it when an orchestrator contradicts its history.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

from . import logs, places
from .actions import Action, CompoundAction, NoOpAction
from .context import DurableOrchestrationContext
from .executor import TaskOrchestrationExecutor
from .history import wire_events
from .tasks import TaskBase

if TYPE_CHECKING:
    from azure.durable_functions._wire.converters import DataConverter


class ExplainedAction(TypedDict):
    """An action without the compounds around it, in the order in which ids are given."""

    action: dict[str, Any]
    """The wire's object."""
    file: str | None
    """Absolute path; None if no code of the user's was there."""
    line: int | None


class _Noting(DurableOrchestrationContext):
    """Notes the place of each action as it is listed."""

    executor: TaskOrchestrationExecutor
    explained: list[ExplainedAction]
    made: list[tuple[Action, TaskBase, tuple[str, int] | None]]

    @property
    def _may_log(self) -> bool:
        return False  # the replay that counts has done so

    def _generate_task(self, action: Action, *args: Any, **kwargs: Any) -> TaskBase:
        task = super()._generate_task(action, *args, **kwargs)
        self.made.append((action, task, places.of(self.executor.generator)))
        return task

    def _add_to_actions(self, action_repr: Action | list[Action]) -> None:
        if not self._continue_as_new_flag:
            place = places.of(self.executor.generator)
            listed = action_repr if isinstance(action_repr, list) else [action_repr]
            for action in listed:
                self._note(action, place)
        super()._add_to_actions(action_repr)

    def _note(self, action: Action, place: tuple[str, int] | None) -> None:
        if isinstance(action, CompoundAction):
            for child in action.compound_tasks:
                self._note(child, place)
        elif not isinstance(action, NoOpAction):
            file, line = place or (None, None)
            self.explained.append({"action": action.to_json(), "file": file, "line": line})


def explain(
    fields: dict[str, Any],
    fn: Callable[..., Any],
    input_type: type | None = None,
    converter: DataConverter | None = None,
) -> list[ExplainedAction]:
    """Replay a function and tell where it asked for each action.

    Args:
        fields: The trigger (protocol.md 1).
        fn: The user's function.
        input_type: Class of the orchestration's input.
        converter: How the app writes and reads payloads.
    """
    return _replayed(fields, fn, input_type, converter).explained


def forgotten(
    fields: dict[str, Any],
    fn: Callable[..., Any],
    input_type: type | None = None,
    converter: DataConverter | None = None,
) -> list[ExplainedAction]:
    """Tasks that a function which has returned has made and never yielded, with their places.

    They were never asked of the host: a ``yield`` is missing. Arguments as in `explain`.
    """
    context = _replayed(fields, fn, input_type, converter)
    if not context.executor.orchestrator_returned:
        return []
    found: list[ExplainedAction] = []
    for action, task, place in context.made:
        if not task._is_scheduled:
            file, line = place or (None, None)
            found.append({"action": action.to_json(), "file": file, "line": line})
    return found


def _replayed(
    fields: dict[str, Any],
    fn: Callable[..., Any],
    input_type: type | None,
    converter: DataConverter | None,
) -> _Noting:
    context = _Noting(**fields)
    context._input_expected_type = input_type
    context._converter = converter
    context.executor = TaskOrchestrationExecutor()
    context.explained = []
    context.made = []
    token = logs.current.set(context)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told by the replay that counts
            context.executor.begin(context, fn)
            context.executor.advance(wire_events(list(context._events)))
    except Exception:  # what the function raised is told elsewhere; here only places count
        return context
    finally:
        logs.current.reset(token)
        # The context refers to the executor, so a function left in the middle would stay until
        # the garbage collector comes by.
        with contextlib.suppress(Exception):
            if context.executor.generator is not None:
                context.executor.generator.close()
    return context
