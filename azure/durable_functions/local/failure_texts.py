"""Failures as people read them: class, message, the user's frames and causes; no envelopes.

What the engine stores and sends stays as the extension has it.
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
    """Why a task has failed, from its event: class and message, where these are told."""
    details = event.get("FailureDetails")
    if shapes.is_object(details):
        return f"{name(details)}: {without_envelopes(str(details.get('ErrorMessage') or ''))}"
    told = event.get("Reason")
    return None if told is None else _CALL.sub("", without_envelopes(str(told)), count=1)


_CALL = re.compile(r"\A(?:Activity|Orchestrator) function '[^']*' failed: +")
"""How the reason begins, which says again what was called."""


def of_worker(error: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of what a function has raised, from the worker's report: never the SDK's envelope."""
    structured = failure_details.of_activity_text(f"{error['typeName']}: {error['message']}")
    if structured is not None:
        return structured
    details: dict[str, Any] = error["details"]
    inner = details.get("InnerFailure")
    if FAILURE_LABEL in str(error["message"]) and shapes.is_object(inner):
        return inner
    # Behind the label of a failed orchestrator stand its decisions, which are payload.
    message = str(error["message"]).partition(FAILURE_LABEL)[0]
    return {**details, "ErrorMessage": message, "StackTrace": error["stack"]}


def told(fields: Mapping[str, Any] | None, first: str = "\n") -> str:
    """Class and message, frames, and the same of each cause; lines of text.

    Args:
        fields: ``FailureDetails`` of the history.
        first: What stands before the frames of the exception itself.
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
    """The class; of those that the SDK makes without the place where it makes them."""
    kind = str(fields.get("ErrorType") or "Exception")
    return kind.rpartition(".")[2] if kind.startswith(_SDK) else kind
