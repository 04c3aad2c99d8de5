"""Retries that the engine runs: attempts, waits, and the ids they take. Source: protocol.md 8.3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.texts import failures

from . import retry_records
from .batch import Batch, RetryStep
from .changes import Changes
from .children import start_child_as
from .material import Material
from .retry_records import ATTEMPT, LAST_WAIT, WAIT


def begin(material: Material, batch: Batch) -> Changes:
    """The changes of a turn, with the steps that its messages about retried tasks ask for."""
    changes = Changes.of(material, batch)
    for step in batch.retry_steps:
        _take(changes, step)
    return changes


def _take(changes: Changes, step: RetryStep) -> None:
    if step.event_type in retry_records.FAILURES:
        if not failures.is_final(step.event):
            _after_failure(changes, step.record)
    elif step.event_type == HistoryEventType.TIMER_FIRED and step.record["phase"] == WAIT:
        _next_attempt(changes, step.record)


def _after_failure(changes: Changes, record: dict[str, Any]) -> None:
    options = record["options"]
    attempt: int = record["attempt"]
    if attempt >= options["maxNumberOfAttempts"]:
        _wait(changes, changes.material.now, {**record, "phase": LAST_WAIT})
        return
    timeout = options.get("retryTimeoutInMilliseconds")
    if timeout:
        started_at = clock.from_stored(record["startedAt"])
        if changes.material.now >= started_at + timedelta(milliseconds=timeout):
            return
    _wait(
        changes,
        changes.material.now + retry_records.wait_after(attempt, options),
        {**record, "phase": WAIT},
    )


def _wait(changes: Changes, until: datetime, record: dict[str, Any]) -> None:
    changes.set_timer(until, {**record, "until": clock.stored(until)})


def _next_attempt(changes: Changes, record: dict[str, Any]) -> None:
    again = {**record, "phase": ATTEMPT, "attempt": record["attempt"] + 1}
    go_on_as(changes, changes.take_task_id(), again)


def go_on_as(changes: Changes, task_id: int, record: dict[str, Any]) -> None:
    """Do what a retry record is about: an attempt or a wait, under a number that it has."""
    if record["phase"] != ATTEMPT:
        changes.set_timer_as(task_id, _end_of_wait(changes, record), record)
    elif record["kind"] == "activity":
        changes.schedule_activity_as(task_id, record["name"], record["input"], record)
    else:
        start_child_as(
            changes,
            task_id,
            name=record["name"],
            input_text=record["input"],
            instance_id=record["instanceId"],
            version=record["version"],
            retry=record,
        )


def _end_of_wait(changes: Changes, record: Mapping[str, Any]) -> datetime:
    """When a wait ends; at once if the record is of a release that did not note it."""
    until = record.get("until")
    return changes.material.now if until is None else clock.from_stored(until)
