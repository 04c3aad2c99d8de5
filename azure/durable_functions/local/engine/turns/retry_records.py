"""What the engine remembers of a task that it retries itself. Source: protocol.md 8.3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType

ATTEMPT = "attempt"
WAIT = "wait"
LAST_WAIT = "last wait"
"""Phases of a retry record; the last wait follows the last failure and ends the retries."""

FAILURES = (
    HistoryEventType.TASK_FAILED.value,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED.value,
)
_DEFAULT_LONGEST_WAIT = timedelta(days=6)


def new_record(action: Mapping[str, Any], kind: str, moment: str) -> dict[str, Any]:
    """The record of a task whose first attempt is scheduled.

    Args:
        action: That asks for the task.
        kind: ``activity`` or ``orchestration``.
        moment: Time of the turn, as the store writes it.
    """
    return {
        "kind": kind,
        "name": action["functionName"],
        "input": action.get("input"),
        "instanceId": action.get("instanceId"),
        "version": action.get("version"),
        "options": action["retryOptions"],
        "attempt": 1,
        "phase": ATTEMPT,
        "startedAt": moment,
    }


def wait_after(attempt: int, options: Mapping[str, Any]) -> timedelta:
    """How long to wait after the failure of an attempt, counted from 1."""
    longest = options.get("maxRetryIntervalInMilliseconds")
    limit = timedelta(milliseconds=longest) if longest else _DEFAULT_LONGEST_WAIT
    first = float(options["firstRetryIntervalInMilliseconds"])
    coefficient = float(options.get("backoffCoefficient") or 1)
    try:
        wait = timedelta(milliseconds=first * coefficient ** (attempt - 1))
    except OverflowError:
        return limit
    return min(wait, limit)
