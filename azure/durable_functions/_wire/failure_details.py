"""Failures in the structured form: more of an exception than its class and its text.

The extension takes it from activities (as JSON text of protobuf's ``TaskFailureDetails``) and from
orchestrators (as ``failureDetails`` beside ``error``), and gives it back as ``FailureDetails`` of
events 6 and 9. Fields are spelled as there. Source: extension-engine.md Y22, Y23, Y33.
"""

from __future__ import annotations

import builtins
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from azure.durable_functions._errors import FailureDetails, NonRetryableError, TaskFailedError

from . import shapes, tracebacks

SWITCH = "AZURE_FUNCTIONS_DURABLE_STRUCTURED_FAILURES"
"""App setting: ``1`` sends every failure in this form."""
STRUCTURED = "ActivityMiddleware.StructuredActivityFailure"
"""Name of the exception class behind which the extension expects this form."""

_OURS = NonRetryableError.__module__
_PROPERTIES = "failure_properties"
_DEEPEST = 30
_EXACT = 2**53
"""From here on a whole number would be rounded on its way, which knows doubles only."""


def is_asked_for(error: BaseException) -> bool:
    """Whether an exception needs this form, as the official one would lose something of ours.

    So it is if it, or a cause of it, is a `NonRetryableError` or has ``failure_properties``, and
    for every one where the app setting says so.
    """
    if os.environ.get(SWITCH) == "1":
        return True
    for link in tracebacks.chain(error):
        if isinstance(link, NonRetryableError) or getattr(link, _PROPERTIES, None):
            return True
        if isinstance(link, TaskFailedError) and _is_ours(link.failure):
            return True
    return False


def _is_ours(failure: FailureDetails | None) -> bool:
    while failure is not None:
        if failure.is_non_retriable or failure.properties:
            return True
        failure = failure.inner_failure
    return False


def of_exception(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """All that is told of an exception; of a failed task, what was told of that."""
    if isinstance(error, TaskFailedError):
        return _of_failure(error.failure)
    cause = tracebacks.cause_of(error) if depth < _DEEPEST else None
    inner = None if cause is None else of_exception(cause, depth + 1)
    return {
        "ErrorType": _sendable(name_of(type(error))),
        "ErrorMessage": _sendable(tracebacks.text_of(error)),
        "StackTrace": _sendable(tracebacks.stack_of(error)) or None,
        "InnerFailure": inner,
        "IsNonRetriable": isinstance(error, NonRetryableError)
        or bool(inner and inner["IsNonRetriable"]),
        "Properties": _properties(error),
    }


def name_of(kind: type[BaseException]) -> str:
    """``ValueError`` for a class of Python's own or of ours, else ``module.Class``."""
    is_known = getattr(builtins, kind.__name__, None) is kind or kind.__module__ == _OURS
    return kind.__name__ if is_known else f"{kind.__module__}.{kind.__qualname__}"


def _of_failure(failure: FailureDetails) -> dict[str, Any]:
    inner = failure.inner_failure
    return {
        "ErrorType": _sendable(failure.error_type),
        "ErrorMessage": _sendable(failure.error_message),
        "StackTrace": None if failure.stack_trace is None else _sendable(failure.stack_trace),
        "InnerFailure": None if inner is None else _of_failure(inner),
        "IsNonRetriable": failure.is_non_retriable,
        "Properties": None if failure.properties is None else _plain(failure.properties),
    }


def _sendable(text: str) -> str:
    """Text without halves of surrogate pairs, which nothing on the way takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _properties(error: BaseException) -> dict[str, Any] | None:
    given = getattr(error, _PROPERTIES, None)
    if not given:
        return None
    if not _is_mapping(given):
        return {_PROPERTIES: f"<must be a mapping, got {type(given).__name__}>"}
    made: dict[str, Any] = _plain(given)
    return made


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_row(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, (list, tuple))


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it; what has no place there is told by its `repr`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _sendable(value)
    if isinstance(value, int):
        return int(value) if abs(value) <= _EXACT else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if depth < _DEEPEST:
        if _is_mapping(value):
            return {_sendable(str(key)): _plain(item, depth + 1) for key, item in value.items()}
        if _is_row(value):
            return [_plain(item, depth + 1) for item in value]
        try:
            from . import payloads  # by the same rules as payloads, with what those need

            return _plain(json.loads(payloads.encode(value)), depth + 1)
        except Exception:  # the failure itself must go out, whatever hangs on it
            return _sendable(repr(value))
    return _sendable(repr(value))


_MEMBERS = (
    ("errorType", "ErrorType", str),
    ("errorMessage", "ErrorMessage", str),
    ("stackTrace", "StackTrace", str),
    ("innerFailure", "InnerFailure", dict),
    ("isNonRetriable", "IsNonRetriable", bool),
    ("properties", "Properties", dict),
)


def activity_text(fields: Mapping[str, Any]) -> str:
    """JSON text of protobuf's ``TaskFailureDetails``, one line; what is not set is left out."""
    return json.dumps(_protobuf(fields))


def _protobuf(fields: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for member, key, kind in _MEMBERS:
        value = fields[key]
        if value:
            is_inner = kind is dict and key == "InnerFailure"
            told[member] = _protobuf(value) if is_inner else value
    return told


def of_activity_text(text: str) -> dict[str, Any] | None:
    """What a worker's text of an exception tells, read as the extension does; None if it is plain.

    Args:
        text: ``Class: message``; only its first line counts.
    """
    line = text.partition("\n")[0].removeprefix(f"{STRUCTURED}: ")
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line, parse_constant=_refused)
        return _of_protobuf(found)
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return None


def _of_protobuf(found: Any) -> dict[str, Any]:
    """As protobuf's reader: strict about members and kinds; what is missing is empty.

    Raises:
        ValueError: It is not such an object.
    """
    known = {member: (key, kind) for member, key, kind in _MEMBERS}
    fields: dict[str, Any] = {
        "ErrorType": "",
        "ErrorMessage": "",
        "StackTrace": None,
        "InnerFailure": None,
        "IsNonRetriable": False,
        "Properties": None,
    }
    if not shapes.is_object(found) or not found.keys() <= known.keys():
        raise ValueError("another object")
    for member, value in found.items():
        key, kind = known[member]
        if value is None:
            continue
        if not isinstance(value, kind):
            raise ValueError(f"{member} is a {type(value).__name__}")
        if isinstance(value, str):
            value.encode("utf-8")
        if key == "InnerFailure":
            fields[key] = _of_protobuf(value)
        elif key == "Properties":
            fields[key] = _doubles(value) or None
        else:
            fields[key] = value
    return fields


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _doubles(value: Any) -> Any:
    """Every number of protobuf's values is a double."""
    if shapes.is_object(value):
        return {key: _doubles(item) for key, item in value.items()}
    if shapes.is_array(value):
        return [_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        value.encode("utf-8")
    return value


def of_answer(told: Any) -> dict[str, Any] | None:
    """``failureDetails`` of an orchestrator's answer, with all members; None if it has none."""
    if not shapes.is_object(told):
        return None
    return {
        "ErrorType": told.get("ErrorType"),
        "ErrorMessage": told.get("ErrorMessage"),
        "StackTrace": told.get("StackTrace"),
        "InnerFailure": of_answer(told.get("InnerFailure")),
        "IsNonRetriable": bool(told.get("IsNonRetriable")),
        "Properties": told.get("Properties"),
    }


def failure_of(fields: Any, depth: int = 0) -> FailureDetails | None:
    """Fields as an orchestrator sees them; None where they tell nothing."""
    if not shapes.is_object(fields) or not fields.get("ErrorType"):
        return None
    inner = None if depth > _DEEPEST else failure_of(fields.get("InnerFailure"), depth + 1)
    stack, properties = fields.get("StackTrace"), fields.get("Properties")
    return FailureDetails(
        str(fields["ErrorType"]),
        str(fields.get("ErrorMessage") or ""),
        None if stack is None else str(stack),
        inner,
        properties=_whole(properties) if shapes.is_object(properties) else None,
        is_non_retriable=fields.get("IsNonRetriable") is True,
    )


def _whole(value: Any) -> Any:
    """As it was sent: whole numbers were doubles on the way, objects in arrays have got a type."""
    if shapes.is_object(value):
        return {key: _whole(item) for key, item in value.items() if not _is_foreign(key, item)}
    if shapes.is_array(value):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_foreign(key: str, item: Any) -> bool:
    return key == "$type" and isinstance(item, str) and item.startswith("System.")
