"""An exception of user code, as the host is told of it."""

from __future__ import annotations

import builtins
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frames import Raised


def describe(error: BaseException) -> Raised:
    """An exception of user code for the host: texts, and the details of host.md 8.9."""
    return {
        "typeName": type(error).__name__,
        "message": text_of(error),
        "stack": _stack(error),
        "details": _details(error, depth=0),
    }


def text_of(error: BaseException) -> str:
    """An exception's text, also if its class cannot even give that."""
    try:
        return str(error)
    except Exception as broken:
        return f"<its text cannot be had: {type(broken).__name__}>"


def _details(error: BaseException, depth: int) -> dict[str, Any]:
    kind = type(error)
    built_in = getattr(builtins, kind.__name__, None) is kind
    return {
        "ErrorType": kind.__name__ if built_in else f"{kind.__module__}.{kind.__qualname__}",
        "ErrorMessage": text_of(error),
        "StackTrace": _stack(error),
        "InnerFailure": _inner(error, depth),
        "IsNonRetriable": False,
        "Properties": None,
    }


_DEEPEST = 30
"""Causes of causes that are told."""


def _inner(error: BaseException, depth: int) -> dict[str, Any] | None:
    """The exception's cause; of a task that has failed, what its SDK knows of that failure."""
    if depth >= _DEEPEST:
        return None
    failure = getattr(error, "failure", None)
    if isinstance(getattr(failure, "error_type", None), str):
        return _known(failure, depth + 1)
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    return None if cause is None else _details(cause, depth + 1)


def _known(failure: Any, depth: int) -> dict[str, Any]:
    inner = getattr(failure, "inner_failure", None)
    stack = getattr(failure, "stack_trace", None)
    return {
        "ErrorType": str(failure.error_type),
        "ErrorMessage": str(getattr(failure, "error_message", "")),
        "StackTrace": None if stack is None else str(stack),
        "InnerFailure": None if inner is None or depth >= _DEEPEST else _known(inner, depth + 1),
        "IsNonRetriable": getattr(failure, "is_non_retriable", None) is True,
        "Properties": getattr(failure, "properties", None),
    }


FULL_TRACEBACKS = "AZURE_FUNCTIONS_DURABLE_FULL_TRACEBACKS"
"""App setting: ``1`` keeps the SDK's frames."""


def _stack(error: BaseException) -> str:
    """Frames of user code: the worker's own, the thread pool's and the SDK's are left out.

    If nothing but the SDK's are there, these are told.
    """
    own = str(Path(__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(own) and f"concurrent{os.sep}futures" not in frame.filename
    ]
    if os.environ.get(FULL_TRACEBACKS) != "1":
        sdk = os.path.join("azure", "durable_functions", "")
        users = [frame for frame in frames if f"{os.sep}{sdk}" not in frame.filename]
        frames = users or frames
    return "".join(traceback.format_list(frames)).rstrip()
