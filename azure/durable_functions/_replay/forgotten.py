"""Tells of tasks that an orchestrator has made and never waited for: a ``yield`` is missing."""

from __future__ import annotations

import inspect
import logging
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import DurableOrchestrationContext


logger = logging.getLogger("azure.durable_functions")


class TaskNeverYieldedWarning(UserWarning):
    """A task was made, but neither yielded nor awaited, so what it stands for has not run."""


def warn(context: DurableOrchestrationContext, fn: Any) -> None:
    """Warn at the place of each such task of a function that has returned.

    Places cost time, so they are found by one more replay, and only when there is a reason.
    """
    from . import explanation, mistakes

    trigger: dict[str, Any] = {
        "history": [*context._events],
        "instanceId": context.instance_id,
        "isReplaying": True,
        "parentInstanceId": context.parent_instance_id,
        "input": context._input,
        "upperSchemaVersion": context._replay_schema.value,
    }
    for made in explanation.forgotten(
        trigger, fn, context._input_expected_type, context._converter
    ):
        word = "await" if inspect.iscoroutinefunction(inspect.unwrap(fn)) else "yield"
        text = (
            f"{mistakes.made(made['action'])} was made and never yielded or awaited, so it does "
            f"not run: write '{word}' in front of it"
        )
        file, line = made["file"] or "<unknown>", made["line"] or 0
        try:
            warnings.warn_explicit(text, TaskNeverYieldedWarning, file, line)
        except TaskNeverYieldedWarning:  # warnings are errors here; what was decided stands
            logger.warning("%s, line %d: %s", file, line, text)
