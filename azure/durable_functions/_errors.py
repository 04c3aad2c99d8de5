"""What this package raises of its own.

    Exception
    ├─ TaskFailedError            thrown into an orchestrator for a failed task        (_replay)
    ├─ TaskTimeoutError           a TimeoutError: a task took too long                 (_replay)
    └─ DurableFunctionsError      base of everything else of ours
       ├─ NonDurableAwaitError    an async orchestrator awaits what is no task        (_replay)
       ├─ OrchestrationAlreadyExistsError   an id that was to be started is taken     (_client)
       ├─ InternalError           an invariant of ours is broken: our bug              (anywhere)
       └─ SettingsError           the app folder or its settings cannot be used        (local)

Where the official package names a class (``ValueError``, ``TypeError``, plain ``Exception``) that
class, or one of these below it, is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class FailureDetails:
    """What is known of the exception that has failed a task."""

    error_type: str
    """``ValueError`` for Python's own classes, else ``module.Class`` or only ``Class``."""
    error_message: str
    stack_trace: str | None = None
    """Python's traceback, where the host sends it."""
    inner_failure: FailureDetails | None = None
    """Of the exception that was its cause."""
    properties: Mapping[str, Any] | None = field(default=None, hash=False)
    """What its ``failure_properties`` held, as JSON has it."""
    is_non_retriable: bool = False
    """Whether it, or a cause of it, was raised as a `NonRetryableError`: no retry is of use."""

    def is_caused_by(self, error_type: type[BaseException] | str) -> bool:
        """Whether it, or a cause of it, is of a type: a class, or its name with or without module.

        Base classes are not looked at: of the failure only the name is known.
        """
        if isinstance(error_type, str):
            wanted = {error_type}
        else:
            module, name = error_type.__module__, error_type.__qualname__
            wanted = {f"{module}.{name}", name}
        failure: FailureDetails | None = self
        while failure is not None:
            if failure.error_type in wanted or failure.error_type.rpartition(".")[2] in wanted:
                return True
            failure = failure.inner_failure
        return False


class TaskFailedError(Exception):
    """A task of an orchestration failed; its text is what the official package gives.

    ``str(error)`` and ``error.args`` are those of the plain ``Exception`` that release 1.7.0
    throws. Where the failure's own class is known to the orchestrator, the object is an instance of
    it too. Source: protocol.md 6.3, sdk.md Q39.
    """

    _ends_retries = False
    """Whether the host knows that it is final: it tries no more, and sets no timer either."""

    def __init__(
        self,
        message: object,
        *,
        task_id: int | str | None = None,
        task_name: str | None = None,
        reason: str | None = None,
        details: str | None = None,
        failure: FailureDetails | None = None,
    ) -> None:
        Exception.__init__(self, message)
        self.task_id = task_id
        """The id that links the task to the history; None when it is not known."""
        self.task_name = task_name
        """Name of the activity, orchestrator or entity operation that was called."""
        self.reason = reason
        """First half of the text: which function failed, and how."""
        self.details = details
        """Second half: the host's description, often with a stack trace."""
        self.failure = failure or FailureDetails("Exception", str(message))
        """Type, message and traceback of what the called function has raised."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a joined class such as KeyError has another one

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (self.args[0], self.__dict__))


def _again(message: object, fields: dict[str, object]) -> TaskFailedError:
    """A copy of a failure: its class is made where it is raised, so it is left behind."""
    error = TaskFailedError(message)
    error.__dict__.update(fields)
    return error


class NonRetryableError(Exception):
    """Raised by an activity or sub-orchestration that is not to be tried again."""


class RetryAfter(Exception):  # says what to do, like the HTTP header
    """Raised by an activity that a `RetryPolicy` is to try again, but not before a time."""

    def __init__(self, delay: timedelta | float, reason: str = "") -> None:
        """Say how long to wait; a number is seconds."""
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        super().__init__(f"{seconds:g} s{': ' if reason else ''}{reason}")
        self.delay = timedelta(seconds=seconds)


class TaskTimeoutError(TimeoutError):
    """A task of an orchestration has not ended in the time it was given."""


class DurableFunctionsError(Exception):
    """Base of the errors that only this package raises."""


class NonDurableAwaitError(DurableFunctionsError, TypeError):
    """An async orchestrator awaits something that no replay can repeat; says what and where."""


class OrchestrationAlreadyExistsError(DurableFunctionsError):
    """There is an instance of the id that was to be started; the text is the extension's.

    It names the status that the instance has, as in ``An Orchestration instance with the status
    Running already exists.``
    """

    instance_id: str | None = None
    """The id."""
    reason: str | None = None
    """What the host has said; None where the client has found the instance itself."""


class InternalError(DurableFunctionsError):
    """Something that cannot be has happened; this is our bug, please report it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} (this is a bug of azure-functions-durable, please report it)")


class SettingsError(DurableFunctionsError):
    """The app folder or one of its settings cannot be used; says which, and how to mend it."""
