"""What an invocation knows of itself, and which one the running code belongs to."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.functions as func

from .function_checks import LoadedFunction

if TYPE_CHECKING:
    from .frames import ActivityFacts, Invoke

Invocation = tuple[str, str, "str | None"]
"""Function name, invocation id and, if it is run for one, instance id."""


current_invocation: contextvars.ContextVar[Invocation | None] = contextvars.ContextVar(
    "current_invocation", default=None
)
"""Of the code that is running."""


current_activity: contextvars.ContextVar[ActivityFacts | None] = contextvars.ContextVar(
    "durable_activity", default=None
)
"""Instance id and name of the activity that is running; SDKs find it by the variable's name."""


thread_storage = threading.local()
"""What ``context.thread_local_storage`` is: a thread of user code that sets ``invocation_id`` there
has its log records attributed (host.md 5.3)."""


running: dict[str, Invocation] = {}
"""By the ids of the invocations that run."""


@dataclass
class _TraceContext:
    trace_parent: str
    trace_state: str
    attributes: dict[str, str]


@dataclass
class _RetryException:
    """What the try before has raised."""

    message: str
    source: str
    stack_trace: str


@dataclass
class _RetryContext:
    """Filled from the second try on."""

    retry_count: int | None = None
    max_retry_count: int | None = None
    exception: _RetryException | None = None


def invocation() -> Invocation | tuple[None, None, None]:
    """What the code that calls this is run for; None each outside of any invocation."""
    current = current_invocation.get()
    if current is not None:
        return current
    invocation_id = getattr(thread_storage, "invocation_id", None)
    found = running.get(invocation_id) if isinstance(invocation_id, str) else None
    return (None, None, None) if found is None else found


class InvocationContext(func.Context):
    """What a parameter named ``context`` receives (host.md 5.3)."""

    def __init__(self, function: LoadedFunction, header: Invoke) -> None:
        self._function = function
        self._header = header

    @property
    def invocation_id(self) -> str:
        """GUID of this invocation."""
        return str(self._header["invocationId"])

    @property
    def thread_local_storage(self) -> Any:
        """Thread-local with the invocation id."""
        return thread_storage

    @property
    def function_name(self) -> str:
        """Name of the function."""
        return self._function.name

    @property
    def function_directory(self) -> str:
        """Folder of the function."""
        return self._function.directory

    @property
    def trace_context(self) -> Any:
        """W3C trace context."""
        return _TraceContext(self._header.get("traceParent", ""), "", {})

    @property
    def retry_context(self) -> Any:
        """Retry state of function-level retries."""
        retry = self._header.get("retry")
        if retry is None:
            return _RetryContext()
        failed = _RetryException(retry["message"], retry["source"], retry["stack"])
        return _RetryContext(retry["count"], retry["max"], failed)
