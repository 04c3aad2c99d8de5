"""What this package raises of its own.

    Exception
    ├─ TaskFailedError            thrown into an orchestrator for a failed task        (_replay)
    └─ DurableFunctionsError      base of everything else of ours
       ├─ NonDurableAwaitError    an async orchestrator awaits what is no task        (_replay)
       ├─ InternalError           an invariant of ours is broken: our bug              (anywhere)
       └─ SettingsError           the app folder or its settings cannot be used        (local)

Where the official package names a class (``ValueError``, ``TypeError``, plain ``Exception``) that
class, or one of these below it, is raised.
"""

from __future__ import annotations


class TaskFailedError(Exception):
    """A task of an orchestration failed; its text is what the official package gives.

    ``str(error)`` and ``error.args`` are those of the plain ``Exception`` that release 1.7.0
    throws. Source: protocol.md 6.3, sdk.md Q39.
    """

    def __init__(
        self,
        message: object,
        *,
        task_id: int | str | None = None,
        task_name: str | None = None,
        reason: str | None = None,
        details: str | None = None,
    ) -> None:
        super().__init__(message)
        self.task_id = task_id
        """The id that links the task to the history; None when it is not known."""
        self.task_name = task_name
        """Name of the activity, orchestrator or entity operation that was called."""
        self.reason = reason
        """First half of the text: which function failed, and how."""
        self.details = details
        """Second half: the host's description, often with a stack trace."""

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.args, self.__dict__)


class DurableFunctionsError(Exception):
    """Base of the errors that only this package raises."""


class NonDurableAwaitError(DurableFunctionsError, TypeError):
    """An async orchestrator awaits something that no replay can repeat; says what and where."""


class InternalError(DurableFunctionsError):
    """Something that cannot be has happened; this is our bug, please report it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} (this is a bug of azure-functions-durable, please report it)")


class SettingsError(DurableFunctionsError):
    """The app folder or one of its settings cannot be used; says which, and how to mend it."""
