"""The next episode, run early: by the worker of an activity, before the host asks for it.

It saves a call of the worker, and storing a result that the next commit would delete again. It only
counts if nothing else happens to the instance first. The worker's side is `worker.continuations`.
"""

from __future__ import annotations

from azure.durable_functions.local.engine.invoker import Continuation
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import events, triggers
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.messages import Activity

from .memory import Memory, Remembered
from .running import Running, session_of

_SHORT_HISTORY_EVENTS = 200
_SHORT_HISTORY_CHARACTERS = 64 * 1024
"""Above these limits, sending the history with every activity costs more than the call it saves."""


class EarlyEpisodes:
    """Decides whether the next episode may be run early, and what is sent along for it."""

    def __init__(
        self, memory: Memory, running: Running, limits: Limits, result_patience_seconds: float
    ) -> None:
        self._memory = memory
        self._running = running
        self._limits = limits
        self._result_patience = result_patience_seconds

    def after(self, activity: Activity, commit: Commit, registry: Registry) -> Continuation | None:
        """The episode that a worker may run right after an activity.

        Args:
            activity: That will run.
            commit: That it will wait for.
            registry: Names of the app's functions.

        Returns:
            None unless the instance waits for this activity alone.
        """
        remembered = self._memory.peek(activity.instance_id)
        if remembered is None or not self._may_be_sent(remembered):
            return None
        if remembered.commit is not commit and not remembered.commit.is_kept:
            return None  # a later turn is on its way to the disk
        instance = remembered.instance
        name = registry.find("orchestrator", instance.name)
        if (
            name is None
            or not self._is_awaited_alone(activity, remembered)
            or instance.execution_id != activity.execution_id
            or instance.status != "Running"
            or self._running.must_run_alone(instance)
        ):
            return None
        session = remembered.session
        seen = 0 if session is None else session.seen
        begin, end = "[", "]"
        if session is None:
            begin, end = triggers.around(instance, self._limits, remembered.history[1])
        return Continuation(
            name,
            instance.updated_at,
            (f"{begin}{','.join(remembered.history[seen:])}", end),
            events.completion_to_be(activity.task_id),
            None if session is None else (session_of(instance), session.state),
        )

    @staticmethod
    def _is_awaited_alone(activity: Activity, remembered: Remembered) -> bool:
        task = remembered.open_tasks.get(activity.task_id)
        return (
            task is not None
            and task.kind == "activity"
            and task.retry is None
            and len(remembered.open_tasks) == 1
        )

    def _may_be_sent(self, remembered: Remembered) -> bool:
        if self._running.keeps_sessions:
            return remembered.session is not None
        history = remembered.history
        return (
            self.is_quick(remembered)
            and len(history) <= _SHORT_HISTORY_EVENTS
            and sum(map(len, history)) <= _SHORT_HISTORY_CHARACTERS
        )

    def is_next_turn_quick(self, activity: Activity) -> bool:
        """Whether the turn of an activity's result is likely to count, and not to take long."""
        remembered = self._memory.peek(activity.instance_id)
        return remembered is not None and self.is_quick(remembered)

    def is_quick(self, remembered: Remembered) -> bool:
        """Whether a result may wait for the next turn, which may take twice as long as the last."""
        return remembered.seconds < self._result_patience / 2
