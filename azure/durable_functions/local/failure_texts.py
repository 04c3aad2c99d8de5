"""Formats failures for people: class, message, the user's frames, causes; without envelopes.

What the engine stores and sends keeps the extension's format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azure.durable_functions._wire import failure_details, shapes
from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL

_SDK = "azure.durable_functions."


def reason(event: Mapping[str, Any]) -> str | None:
    """Returns why a task failed, from its event: class and message, if it has them."""
    details = event.get("FailureDetails")
    if shapes.is_object(details):
        return f"{name(details)}: {without_envelopes(str(details.get('ErrorMessage') or ''))}"
    text = event.get("Reason")
    return None if text is None else _CALL.sub("", without_envelopes(str(text)), count=1)


_CALL = re.compile(r"\A(?:Activity|Orchestrator) function '[^']*' failed: +")
"""The beginning of a reason, which only repeats what was called."""


def of_worker(error: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of an exception from the worker's report, without the SDK's envelope."""
    structured = failure_details.of_activity_text(f"{error['typeName']}: {error['message']}")
    if structured is not None:
        return structured
    details: dict[str, Any] = error["details"]
    inner = details.get("InnerFailure")
    if FAILURE_LABEL in str(error["message"]) and shapes.is_object(inner):
        return inner
    # The label of a failed orchestrator is followed by its actions, which are payload.
    message = str(error["message"]).partition(FAILURE_LABEL)[0]
    return {**details, "ErrorMessage": message, "StackTrace": error["stack"]}


def told(fields: Mapping[str, Any] | None, first: str = "\n") -> str:
    """Returns class, message and frames of a failure, and of each of its causes.

    Args:
        fields: ``FailureDetails`` of the history.
        first: The text between the exception and its frames.
    """
    parts: list[str] = []
    while fields is not None:
        stack = str(fields.get("StackTrace") or "").rstrip()
        shown = f"{name(fields)}: {without_envelopes(str(fields.get('ErrorMessage') or ''))}"
        between = "\n" if parts else first
        parts.append(f"{shown}{between}{stack}" if stack else shown)
        inner = fields.get("InnerFailure")
        fields = inner if shapes.is_object(inner) else None
    return "\ncaused by ".join(parts)


def name(fields: Mapping[str, Any]) -> str:
    """Returns the class name; for the SDK's own exceptions without their module."""
    kind = str(fields.get("ErrorType") or "Exception")
    return kind.rpartition(".")[2] if kind.startswith(_SDK) else kind
