"""History events as JSON text, one function per event.

Fields and their order are the extension's (extension-engine.md Y12). The text has no line breaks,
which the extension's has: they would make a history two thirds longer and say nothing.
"""

from __future__ import annotations

import json
import re
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


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
"""What the extension escapes beyond the rules of JSON (Y5); halves of surrogate pairs among it,
which no database and no socket takes."""
_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*"|\d(?:\.\d+)?e[+-]\d+')


def dump(value: object) -> str:
    """JSON text, compact, that can be stored and sent; other scripts stand unescaped."""
    text = _compact(value)
    return text if text.isascii() else _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def dump_payload(value: object) -> str:
    """JSON text of an event's payload, with numbers as the extension writes them (Y8)."""
    text = dump(value)
    if "e+" not in text and "e-" not in text:
        return text
    return _EXPONENT.sub(lambda m: m[0] if m[0][0] == '"' else m[0].upper(), text)


def parsed(text: str) -> str:
    """JSON text as the extension writes it again after having read it."""
    try:
        return dump_payload(json.loads(text))
    except (ValueError, RecursionError):  # a number of too many digits, say, which is JSON
        return text


def storable(text: str) -> str:
    """Text without halves of surrogate pairs, which no database and no socket takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def played(event: str) -> str:
    """The event as later episodes see it. ``IsPlayed`` stands behind all that users say."""
    before, found, behind = event.rpartition(_NOT_PLAYED)
    return f"{before}{_PLAYED}{behind}" if found else event


def is_played(event: str) -> bool:
    """Whether an event says that it was played, as one does that was carried over (Y17)."""
    return event.rfind(_PLAYED) > event.rfind(_NOT_PLAYED)


def _event(
    event_type: HistoryEventType, now: datetime, event_id: int = NOT_SCHEDULED, **fields: Any
) -> str:
    # Put together: in half the time of an object, and every turn writes a handful.
    text = dump({"EventType": event_type.value, **fields})
    return f"{text[:-1]},{_end(now, event_id)}"


def _end(now: datetime, event_id: int = NOT_SCHEDULED) -> str:
    """Text of the fields that all events have; they stand last."""
    return (
        f'"EventId":{event_id},"IsPlayed":false,'
        f'"Timestamp":"{timestamps.format_event_moment(now)}"}}'
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
    return f'{{"EventType":{_ORCHESTRATOR_STARTED},{_end(now)}'


def completion_to_be(task_id: int) -> tuple[str, str, str]:
    """An episode with the result of one activity, whose time and result are not known yet.

    Gives what stands before the time, between the time and the result, and between that and the
    time of the second event.
    """
    end = f'"EventId":{NOT_SCHEDULED},"IsPlayed":false,"Timestamp":'
    return (
        f'{{"EventType":{_ORCHESTRATOR_STARTED},{end}',
        f'}},{{"EventType":{_TASK_COMPLETED},"TaskScheduledId":{task_id},"Result":',
        f",{end}",
    )


def orchestrator_completed(now: datetime) -> str:
    """End of an episode."""
    return f'{{"EventType":{_ORCHESTRATOR_COMPLETED},{_end(now)}'


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
    generation: int | None = None,
) -> str:
    """Start of an instance or of a generation; `parent` is ``ParentInstance``.

    Only a client's instances have a `generation`, 0, and only till they continue as new (Y14).
    """
    text = dump(
        {
            "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": execution_id},
            "EventType": HistoryEventType.EXECUTION_STARTED.value,
            "ParentInstance": parent,
            "Name": name,
            "Version": version,
            "Input": input_text,
            "Tags": tags,
            "Correlation": None,
            "ParentTraceContext": None,
            "ScheduledStartTime": None,
            "Generation": generation,
            "GenerateNewTrace": False,
        }
    )
    return f"{text[:-1]},{_end(now)}"


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
    kind = HistoryEventType.GENERIC_EVENT.value
    return f'{{"Data":{_text(data)},"EventType":{kind},{_end(now)}'


def erased(event: str) -> str:
    """What a rewind leaves in the place of an event (protocol.md 13.6)."""
    fields = json.loads(event)
    return dump(
        {
            "Data": None,
            "EventType": HistoryEventType.GENERIC_EVENT.value,
            "EventId": fields["EventId"],
            "IsPlayed": fields["IsPlayed"],
            "Timestamp": fields["Timestamp"],
        }
    )


def task_scheduled(now: datetime, task_id: int, name: str, input_text: str | None) -> str:
    """An activity was scheduled."""
    return (
        f'{{"EventType":{_TASK_SCHEDULED},"Name":{dump(name)},"Version":"","Input":'
        f'{_text(input_text)},"ParentTraceContext":null,"Tags":null,{_end(now, task_id)}'
    )


def task_completed(now: datetime, task_id: int, result: str | None) -> str:
    """An activity has returned; the result is JSON text."""
    return (
        f'{{"EventType":{_TASK_COMPLETED},"TaskScheduledId":{task_id},"Result":{_text(result)},'
        f"{_end(now)}"
    )


def task_failed(now: datetime, task_id: int, failure: dict[str, Any]) -> str:
    """An activity has failed; `failure` holds ``Reason``, ``Details`` and ``FailureDetails``."""
    return _event(HistoryEventType.TASK_FAILED, now, TaskScheduledId=task_id, **failure)


def sub_orchestration_created(
    now: datetime, task_id: int, name: str, instance_id: str, version: str | None
) -> str:
    """A child was started."""
    return _event(
        HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
        now,
        task_id,
        Name=name,
        Version=version,
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


def timer_fired(set_at: datetime, task_id: int, fire_at: datetime) -> str:
    """A timer is due; the event is made when the timer is set, and has that time (Y16)."""
    return _event(
        HistoryEventType.TIMER_FIRED,
        set_at,
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
        f'{{"EventType":{_EVENT_RAISED},"Name":{dump(name)},"Input":{_text(input_text)},'
        f'"ParentTraceContext":null,{_end(now)}'
    )
