"""History events as JSON text, one function per event; keys as in protocol.md 2.3."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType

NOT_SCHEDULED = -1
"""``EventId`` of everything that the orchestration did not schedule."""

_NOT_PLAYED = '"IsPlayed":false'
_PLAYED = '"IsPlayed":true'

STATUS_NUMBERS = {
    "Running": 0,
    "Completed": 1,
    "ContinuedAsNew": 2,
    "Failed": 3,
    "Canceled": 4,
    "Terminated": 5,
    "Pending": 6,
    "Suspended": 7,
}
"""``OrchestrationStatus`` of ExecutionCompleted (protocol.md 2.3)."""


_compact = json.JSONEncoder(separators=(",", ":")).encode


def dump(value: object) -> str:
    """JSON text, compact; ASCII, so that any text of Python's can be stored and sent."""
    return _compact(value)


def storable(text: str) -> str:
    """Text without halves of surrogate pairs, which no database and no socket takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def played(event: str) -> str:
    """The event as later episodes see it. ``IsPlayed`` stands in front of all user texts."""
    return event.replace(_NOT_PLAYED, _PLAYED, 1)


def _event(
    event_type: HistoryEventType, now: datetime, event_id: int = NOT_SCHEDULED, **fields: Any
) -> str:
    # Put together: in half the time of an object, and every turn writes a handful.
    return f"{_begin(event_type.value, now, event_id)},{dump(fields)[1:]}"


def _begin(event_type: int, now: datetime, event_id: int = NOT_SCHEDULED) -> str:
    """Text of the fields that all events have."""
    return (
        f'{{"EventType":{event_type},"EventId":{event_id},"IsPlayed":false,'
        f'"Timestamp":"{timestamps.format_event_moment(now)}"'
    )


# The most frequent events are written out, as an object's encoding takes 2 us each.

_ORCHESTRATOR_STARTED = HistoryEventType.ORCHESTRATOR_STARTED.value
_ORCHESTRATOR_COMPLETED = HistoryEventType.ORCHESTRATOR_COMPLETED.value
_TASK_SCHEDULED = HistoryEventType.TASK_SCHEDULED.value
_TASK_COMPLETED = HistoryEventType.TASK_COMPLETED.value
_EVENT_RAISED = HistoryEventType.EVENT_RAISED.value


def _text(value: str | None) -> str:
    return "null" if value is None else dump(value)


def orchestrator_started(now: datetime) -> str:
    """Start of an episode."""
    return f"{_begin(_ORCHESTRATOR_STARTED, now)}}}"


def completion_to_be(task_id: int) -> tuple[str, str, str]:
    """An episode with the result of one activity, whose time and result are not known yet.

    Gives what stands before the time, between the time and the time of the second event, and
    between that and the result.
    """
    begin = f'"EventId":{NOT_SCHEDULED},"IsPlayed":false,"Timestamp":'
    return (
        f'{{"EventType":{_ORCHESTRATOR_STARTED},{begin}',
        f'}},{{"EventType":{_TASK_COMPLETED},{begin}',
        f',"TaskScheduledId":{task_id},"Result":',
    )


def orchestrator_completed(now: datetime) -> str:
    """End of an episode."""
    return f"{_begin(_ORCHESTRATOR_COMPLETED, now)}}}"


def execution_started(
    now: datetime,
    *,
    name: str,
    instance_id: str,
    execution_id: str,
    input_text: str | None,
    version: str | None,
    parent: dict[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Start of an instance or of a generation; `parent` is ``ParentInstance``."""
    return _event(
        HistoryEventType.EXECUTION_STARTED,
        now,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        Name=name,
        Version=version,
        Input=input_text,
        Tags=tags,
        Correlation=None,
        ParentTraceContext=None,
        ScheduledStartTime=None,
        Generation=0,
    )


def execution_completed(
    now: datetime,
    event_id: int,
    status: str,
    result: str | None,
    details: dict[str, Any] | None = None,
    failure: dict[str, Any] | None = None,
) -> str:
    """End of an instance.

    Args:
        now: Its time.
        event_id: Its number.
        status: Of the instance.
        result: Its output.
        details: ``failureDetails`` of the answer.
        failure: What the function has raised, for people: never sent, shown where it is asked for.
    """
    told = {} if failure is None else {FAILURE: failure}
    return _event(
        HistoryEventType.EXECUTION_COMPLETED,
        now,
        event_id,
        OrchestrationStatus=STATUS_NUMBERS[status],
        Result=result,
        FailureDetails=details,
        **told,
    )


FAILURE = "Failure"
"""A field of ExecutionCompleted that only this host has."""


def failure_in(turn: Iterable[str]) -> dict[str, Any] | None:
    """What the function has raised, if a turn's events say so."""
    for event in turn:
        if f'"EventType":{HistoryEventType.EXECUTION_COMPLETED.value},' in event:
            fields = json.loads(event)
            found: dict[str, Any] | None = fields.get(FAILURE) or fields["FailureDetails"]
            return found
    return None


def execution_terminated(now: datetime, reason: str | None, *, recursive: bool = False) -> str:
    """A request to end at once, with all children if it is recursive; the reason is bare text."""
    return _event(HistoryEventType.EXECUTION_TERMINATED, now, Input=reason, **_recurse(recursive))


def execution_suspended(now: datetime, reason: str | None, *, recursive: bool = False) -> str:
    """A request to pause, with all children if it is recursive."""
    return _event(HistoryEventType.EXECUTION_SUSPENDED, now, Reason=reason, **_recurse(recursive))


def execution_resumed(now: datetime, reason: str | None, *, recursive: bool = False) -> str:
    """A request to go on, with all children if it is recursive."""
    return _event(HistoryEventType.EXECUTION_RESUMED, now, Reason=reason, **_recurse(recursive))


def _recurse(recursive: bool) -> dict[str, bool]:
    return {"Recurse": True} if recursive else {}


def generic(now: datetime, data: str | None) -> str:
    """The message that a rewind sends; the data is its reason."""
    return _event(HistoryEventType.GENERIC_EVENT, now, Data=data)


def erased(event: str) -> str:
    """What a rewind leaves in the place of an event (protocol.md 13.6)."""
    fields = json.loads(event)
    return dump(
        {
            "EventType": HistoryEventType.GENERIC_EVENT.value,
            "EventId": fields["EventId"],
            "IsPlayed": True,
            "Timestamp": fields["Timestamp"],
            "Data": None,
        }
    )


def task_scheduled(now: datetime, task_id: int, name: str, input_text: str | None) -> str:
    """An activity was scheduled."""
    return (
        f'{_begin(_TASK_SCHEDULED, now, task_id)},"Name":{dump(name)},"Version":"",'
        f'"Input":{_text(input_text)},"ParentTraceContext":null,"Tags":null}}'
    )


def task_completed(now: datetime, task_id: int, result: str | None) -> str:
    """An activity has returned; the result is JSON text."""
    return f'{_begin(_TASK_COMPLETED, now)},"TaskScheduledId":{task_id},"Result":{_text(result)}}}'


def task_failed(now: datetime, task_id: int, failure: dict[str, Any]) -> str:
    """An activity has failed; `failure` holds ``Reason``, ``Details`` and ``FailureDetails``."""
    return _event(HistoryEventType.TASK_FAILED, now, TaskScheduledId=task_id, **failure)


def sub_orchestration_created(now: datetime, task_id: int, name: str, instance_id: str) -> str:
    """A child was started."""
    return _event(
        HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
        now,
        task_id,
        Name=name,
        Version="",
        InstanceId=instance_id,
        Input=None,
        ClientSpanId=None,
        Tags=None,
    )


def sub_orchestration_completed(now: datetime, task_id: int, result: str | None) -> str:
    """A child has completed; the result is JSON text."""
    return _event(
        HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
        now,
        TaskScheduledId=task_id,
        Result=result,
    )


def sub_orchestration_failed(now: datetime, task_id: int, failure: dict[str, Any]) -> str:
    """A child has failed or was terminated; fields as in `task_failed`."""
    return _event(
        HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        now,
        TaskScheduledId=task_id,
        **failure,
    )


def timer_created(now: datetime, task_id: int, fire_at: datetime) -> str:
    """A timer was set."""
    return _event(
        HistoryEventType.TIMER_CREATED,
        now,
        task_id,
        FireAt=timestamps.format_event_moment(fire_at),
    )


def timer_fired(now: datetime, task_id: int, fire_at: datetime) -> str:
    """A timer is due."""
    return _event(
        HistoryEventType.TIMER_FIRED,
        now,
        TimerId=task_id,
        FireAt=timestamps.format_event_moment(fire_at),
    )


def event_sent(now: datetime, task_id: int, target: str, message: str) -> str:
    """An entity was called or signalled; the message is JSON text (protocol.md 5.5)."""
    return _event(
        HistoryEventType.EVENT_SENT, now, task_id, InstanceId=target, Name="op", Input=message
    )


def event_raised(now: datetime, name: str, input_text: str | None) -> str:
    """Somebody raised an event; the payload is JSON text."""
    return (
        f'{_begin(_EVENT_RAISED, now)},"Name":{dump(name)},"Input":{_text(input_text)},'
        '"ParentTraceContext":null}'
    )
