"""A replay that is kept between episodes. Source: architecture.md, "Two doors into a function".

It saves replaying what the process still holds; it may never change a result, so any doubt means
to throw it away and to open a new one with the whole history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, ReplaySchema

from . import logs
from .context import DurableOrchestrationContext
from .executor import TaskOrchestrationExecutor, UserFunction
from .tasks import TimerTask


class OrchestrationSession:
    """One suspended orchestrator function and how much of its history it has seen."""

    def __init__(self, context: DurableOrchestrationContext, fn: UserFunction) -> None:
        """Open a session; `context` is made from a trigger, whose history is not yet processed.

        Raises:
            ValueError: The trigger asks for schema V1, whose lists cannot be told apart.
        """
        if context._replay_schema is ReplaySchema.V1:
            raise ValueError("A session needs a host that offers schema V2 or V3")
        self._context = context
        self._executor = TaskOrchestrationExecutor()
        self.seen = 0
        """How many events of the history it has processed."""
        self._listed_actions = 0
        self._told_cancelled: set[int] = set()
        self._executor.begin(context, fn)

    def advance(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Process further history events and tell what is new.

        Args:
            events: The next events of the history, in order: whole episodes.

        Returns:
            The result of protocol.md 3 as an object, with these differences: ``actions`` lists
            only actions that no earlier call listed, and ``canceledTimers`` holds the ids of the
            timers that were cancelled since. ``error`` stands for the failure envelope.
        """
        self._advance(events)
        state, _ = self._executor.final_state(first_action=self._take_new())
        return {**state.to_json(), "canceledTimers": self._newly_cancelled()}

    def answer(self, events: str | None) -> str:
        """As `advance`, in JSON texts; a failure is raised as the text door raises it.

        Args:
            events: The next events, an array; None stands for the history of the trigger.

        Raises:
            Exception: The function raised (protocol.md 6.1).
        """
        self._advance(self._context._events if events is None else json.loads(events))
        text, error = self._executor.final_text(first_action=self._take_new())
        cancelled = ", ".join(map(str, self._newly_cancelled()))
        text = f'{text[:-1]}, "canceledTimers": [{cancelled}]}}'
        if error is not None:
            raise Exception(f"{error}{FAILURE_LABEL}{text}") from error
        return text

    def _advance(self, events: Sequence[Mapping[str, Any]]) -> None:
        if self.seen:
            self._context._extend_history(events)
        self.seen += len(events)
        logs.install()
        token = logs.current.set(self._context)
        try:
            self._executor.advance(events)
        finally:
            logs.current.reset(token)
        if self._context._unyielded > 0:
            self._executor.warn_of_forgotten()

    def _take_new(self) -> int:
        """Where the actions begin that no earlier call has listed; now they count as listed."""
        first = self._listed_actions
        self._listed_actions = len(self._context._action_payload_v2)
        return first

    @property
    def is_finished(self) -> bool:
        """Whether the function has returned, raised or continued as new."""
        return self._executor.has_execution_completed

    def close(self) -> None:
        """End the user's function as at the end of an episode: its ``finally`` blocks run."""
        if self._executor.generator is not None:
            self._executor.generator.close()

    def _newly_cancelled(self) -> list[int]:
        cancelled = [
            key
            for key, task in self._context.open_tasks.items()
            if isinstance(key, int)
            and isinstance(task, TimerTask)
            and task.is_cancelled
            and key not in self._told_cancelled
        ]
        self._told_cancelled.update(cancelled)
        return cancelled
