"""Retries that the engine runs: attempts, waits, and the ids they take. Source: protocol.md 8.3."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.texts import failures
from azure.durable_functions.local.store.messages import Message

from .children import start_child_as
from .episodes import Episode

_DEFAULT_LONGEST_WAIT = timedelta(days=6)
_FAILURES = (
    HistoryEventType.TASK_FAILED.value,
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED.value,
)

ATTEMPT = "attempt"
WAIT = "wait"
LAST_WAIT = "last wait"
"""Phases of a retry record; the last wait follows the last failure and ends the retries."""


def new_record(action: Mapping[str, Any], kind: str, episode: Episode) -> dict[str, Any]:
    """What must be remembered of a retried task, as the first attempt is scheduled."""
    return {
        "kind": kind,
        "name": action["functionName"],
        "input": action.get("input"),
        "instanceId": action.get("instanceId"),
        "version": action.get("version"),
        "options": action["retryOptions"],
        "attempt": 1,
        "phase": ATTEMPT,
        "startedAt": episode.stored_now,
    }


def takes_task_id(episode: Episode, message: Message) -> bool:
    """Whether taking the message allocates an id: such messages stand first in a batch (8.6)."""
    task = episode.find_open(message.task_id)
    if task is None or task.retry is None:
        return False
    record = json.loads(task.retry)
    if message.event_type in _FAILURES:
        return not failures.is_final(message.event)
    return bool(record["phase"] == WAIT and message.event_type == HistoryEventType.TIMER_FIRED)


def go_on(episode: Episode, message: Message, record: dict[str, Any]) -> None:
    """Take the step that a message about a retried task asks for."""
    if message.event_type in _FAILURES:
        if not failures.is_final(message.event):
            _after_failure(episode, record)
    elif message.event_type == HistoryEventType.TIMER_FIRED and record["phase"] == WAIT:
        _next_attempt(episode, record)


def _after_failure(episode: Episode, record: dict[str, Any]) -> None:
    options = record["options"]
    attempt: int = record["attempt"]
    if attempt >= options["maxNumberOfAttempts"]:
        _wait(episode, episode.now, {**record, "phase": LAST_WAIT})
        return
    timeout = options.get("retryTimeoutInMilliseconds")
    if timeout:
        started_at = clock.from_stored(record["startedAt"])
        if episode.now >= started_at + timedelta(milliseconds=timeout):
            return
    _wait(episode, episode.now + wait_after(attempt, options), {**record, "phase": WAIT})


def _wait(episode: Episode, until: datetime, record: dict[str, Any]) -> None:
    episode.set_timer(until, {**record, "until": clock.stored(until)})


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


def _next_attempt(episode: Episode, record: dict[str, Any]) -> None:
    again = {**record, "phase": ATTEMPT, "attempt": record["attempt"] + 1}
    go_on_as(episode, episode.take_task_id(), again)


def go_on_as(episode: Episode, task_id: int, record: dict[str, Any]) -> None:
    """Do what a retry record is about: an attempt or a wait, under a number that it has."""
    if record["phase"] != ATTEMPT:
        episode.set_timer_as(task_id, _end_of_wait(episode, record), record)
    elif record["kind"] == "activity":
        episode.schedule_activity_as(task_id, record["name"], record["input"], record)
    else:
        start_child_as(
            episode,
            task_id,
            name=record["name"],
            input_text=record["input"],
            instance_id=record["instanceId"],
            version=record["version"],
            retry=record,
        )


def _end_of_wait(episode: Episode, record: Mapping[str, Any]) -> datetime:
    """When a wait ends; at once if the record is of a release that did not note it."""
    until = record.get("until")
    return episode.now if until is None else clock.from_stored(until)
