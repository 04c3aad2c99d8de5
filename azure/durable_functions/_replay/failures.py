"""What an orchestrator catches when a task fails. Source: protocol.md 6.3, host.md 8.9.

A failed task raises `TaskFailedError`; where the recorded type is a class that the orchestrator's
own code can see, the object is an instance of that class too, so that ``except ValueError:`` works.
The class is looked up by its name among Python's built-in exceptions, those given by ``raises=``,
and the module globals of the orchestrator and of the called function. Nothing is imported and no
loaded module is searched: the same history must take the same branch in every worker.
"""

from __future__ import annotations

import builtins
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from azure.durable_functions._errors import (
    FailureDetails,
    NonRetryableError,
    RetryAfter,
    TaskFailedError,
    TaskTimeoutError,
)
from azure.durable_functions._wire import failure_details, shapes
from azure.durable_functions._wire.envelopes import without_envelopes

_WORKER_TEXT = re.compile(
    r"(?:^|\n)Exception: (?P<type>[\w.]+): (?P<message>.*?)(?:\nStack: (?P<stack>.*))?$", re.DOTALL
)
"""How the worker reports an exception: protocol.md 6.2."""
_REASON = re.compile(r"failed: +(?P<type>[A-Za-z_]\w*(?:\.\w+)*): (?P<message>.*)", re.DOTALL)
_NEVER = ("StopIteration", "StopAsyncIteration", "ExceptionGroup", "BaseExceptionGroup")


def of_event(
    event: Mapping[str, Any],
    *,
    task_id: int | str | None,
    task_name: str | None,
    known: Iterable[Any] = (),
) -> TaskFailedError:
    """The exception of a TaskFailed or SubOrchestrationInstanceFailed event.

    Args:
        event: As JSON gave it.
        task_id: Of the task.
        task_name: Of the function that was called.
        known: Classes, and mappings of module globals, that the recorded type may be among.
    """
    reason, details = event.get("Reason"), event.get("Details")
    recorded = event.get("FailureDetails")
    failure = _recorded(recorded)
    if failure is None:
        failure = _parsed(reason, details)
        is_structured = failure.error_type == failure_details.STRUCTURED
        if is_structured and (told := failure_details.of_activity_text(failure.error_message)):
            failure = failure_details.failure_of(told) or failure
            reason, details = _as_plain(reason, details, failure)
    elif details is None and isinstance(reason, str) and reason.endswith(_UNTOLD):
        reason, details = _as_plain(reason, details, failure)
    error = make(
        f"{reason} \n {details}",
        failure,
        known,
        task_id=task_id,
        task_name=task_name,
        reason=reason,
        details=details,
    )
    # Of the failure itself: what the host looks at is this, and not the text.
    error._ends_retries = shapes.is_object(recorded) and recorded.get("IsNonRetriable") is True
    return error


_UNTOLD = " failed with an unhandled exception."
"""How the reason of a structured failure ends, which tells nothing."""


def _as_plain(reason: Any, details: Any, failure: FailureDetails) -> tuple[Any, Any]:
    """Reason and details of a structured failure, worded as those of a plain one."""
    found = _FUNCTION.match(str(reason))
    if found is None:
        return reason, details
    kind = failure.error_type.rpartition(".")[2]
    return f"{found[0]} failed:  {kind}: {failure.error_message}", failure.stack_trace


_FUNCTION = re.compile(r"Activity function '[^']*'(?= failed)")


def make(
    text: object, failure: FailureDetails, known: Iterable[Any], **fields: Any
) -> TaskFailedError:
    """A `TaskFailedError` that is also of the recorded type, where that is known."""
    kind = _class_of(failure.error_type, known)
    if kind is not None:
        try:
            alike = kind(failure.error_message)  # a class that needs other arguments is left out
            error = _joined(kind)(text, failure=failure, **fields)  # type: ignore[arg-type]
            error.__dict__.update({**alike.__dict__, **error.__dict__})
            if hasattr(error, "failure_properties"):
                error.__dict__["failure_properties"] = failure.properties
            return error
        except Exception:  # its class does with its arguments what it likes
            pass
    return TaskFailedError(text, failure=failure, **fields)


def _recorded(fields: Any) -> FailureDetails | None:
    """What the host sends beside the text."""
    failure = failure_details.failure_of(fields)
    is_final = failure is not None and failure.is_non_retriable
    while failure is not None and failure.inner_failure is not None:
        if not failure.error_type.startswith(_WRAPPERS):
            break
        failure = failure.inner_failure  # the host's own wrapping, and ours, is of no interest
    if failure is not None and is_final and not failure.is_non_retriable:
        return replace(failure, is_non_retriable=True)
    return failure


_WRAPPERS = (
    *("System.", "Microsoft.", "DurableTask."),
    *(f"{__name__}.TaskFailed", f"{TaskFailedError.__module__}.{TaskFailedError.__qualname__}"),
)


def _parsed(reason: Any, details: Any) -> FailureDetails:
    """What the worker's text tells, as old hosts send nothing else."""
    found = _WORKER_TEXT.search(_unescaped(details)) if isinstance(details, str) else None
    if found is not None:
        return FailureDetails(found["type"], found["message"], found["stack"])
    found = _REASON.search(reason) if isinstance(reason, str) else None
    if found is not None:
        return FailureDetails(found["type"], without_envelopes(found["message"]).strip())
    return FailureDetails("Exception", "" if reason is None else str(reason))


def _unescaped(details: str) -> str:
    """The worker's text within the JSON of a .NET exception, or the text itself."""
    try:
        fields: Any = json.loads(details)
    except ValueError:
        return details
    while shapes.is_object(fields):
        message = fields.get("Message")
        if isinstance(message, str) and "Exception: " in message:
            return message
        fields = fields.get("InnerException")
    return details


def _class_of(error_type: str, known: Iterable[Any]) -> type[Exception] | None:
    """The one class of that name; None where there is none, or where two differ."""
    found: set[type[Exception]] = set()
    short = error_type.rpartition(".")[2]
    candidates: list[Any] = []
    if error_type == short or error_type.startswith("builtins."):
        candidates.append(getattr(builtins, short, None))
    for source in (NonRetryableError, RetryAfter, TaskTimeoutError, *known):
        if isinstance(source, type):
            candidates.append(source)
        else:
            candidates += [v for v in source.values() if isinstance(v, type)]
    for candidate in candidates:
        if not isinstance(candidate, type) or not issubclass(candidate, Exception):
            continue
        if error_type in (
            candidate.__name__,
            candidate.__qualname__,
            f"{candidate.__module__}.{candidate.__qualname__}",
            f"{candidate.__module__}.{candidate.__name__}",
        ):
            found.add(candidate)
    if len(found) != 1:
        return None
    [kind] = found
    never = any(base.__name__ in _NEVER for base in kind.__mro__)
    return None if never or issubclass(kind, TaskFailedError) else kind


@functools.cache
def _joined(kind: type[Exception]) -> type[TaskFailedError]:
    """A class that is both; making it fails where the two cannot be joined."""
    if kind is Exception:
        return TaskFailedError
    return type(f"TaskFailed{kind.__name__}", (TaskFailedError, kind), {"__module__": __name__})
