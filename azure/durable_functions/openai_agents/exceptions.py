"""How a pending call leaves an agent's run."""

from __future__ import annotations

from azure.durable_functions._replay.tasks import TaskBase


class YieldException(BaseException):
    """The orchestrator must yield a task before the user's function can go on.

    No `Exception`, so that code which catches everything does not swallow it.
    """

    def __init__(self, task: TaskBase) -> None:
        super().__init__("Orchestrator should yield.")
        self.task = task
