"""Instances and histories as the API shows them. Source: http-api.md 5.3 and 5.4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from azure.durable_functions._wire import depth, timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock, waiting
from azure.durable_functions.local.engine.texts import entity_rows
from azure.durable_functions.local.store.instances import Instance

STATUS_NAMES = (
    "Running",
    "Completed",
    "ContinuedAsNew",
    "Failed",
    "Canceled",
    "Terminated",
    "Pending",
    "Suspended",
)
_EVENT_NAMES = {
    event_type.value: "".join(part.capitalize() for part in event_type.name.split("_"))
    for event_type in HistoryEventType
}
_DROPPED = ("OrchestratorStarted", "OrchestratorCompleted")
_RESULTS = ("TaskCompleted", "SubOrchestrationInstanceCompleted", "ExecutionCompleted")
_SCHEDULING = ("TaskScheduled", "SubOrchestrationInstanceCreated")
_COMPLETING = (
    "TaskCompleted",
    "TaskFailed",
    "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceFailed",
)
_FIELDS = {
    "ExecutionStarted": (
        *("Input", "Correlation", "ParentTraceContext", "ScheduledStartTime", "Generation"),
        "GenerateNewTrace",
    ),
    "TaskScheduled": ("Name", "Input", "ParentTraceContext", "Tags"),
    "TaskCompleted": ("Result",),
    "TaskFailed": ("Reason", "Details", "FailureDetails"),
    "SubOrchestrationInstanceCreated": ("Name", "InstanceId", "Input", "ClientSpanId", "Tags"),
    "SubOrchestrationInstanceCompleted": ("Result",),
    "SubOrchestrationInstanceFailed": ("Reason", "Details", "FailureDetails"),
    "TimerCreated": ("FireAt",),
    "TimerFired": ("FireAt",),
    "EventSent": ("InstanceId", "Name", "Input"),
    "EventRaised": ("Name", "Input", "ParentTraceContext"),
    "ExecutionSuspended": ("Reason",),
    "ExecutionResumed": ("Reason",),
    "ExecutionTerminated": ("Input",),
    "ExecutionCompleted": ("OrchestrationStatus", "Result", "FailureDetails"),
    "GenericEvent": ("Data",),
}
"""The members of each event besides type and time, in this order (extension.md X28)."""
_DEFAULTS: dict[str, Any] = {"GenerateNewTrace": False}


def shown(text: str | None) -> Any:
    """Returns the value of a stored text: JSON is decoded, other text stays a string."""
    if text is None:
        return None
    if not text.strip():
        return ""
    if depth.is_too_deep(text):  # from an earlier release, or from a function
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def status(
    instance: Instance, *, show_input: bool = True, history: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Returns the status object, with members in the order of extension.md X26."""
    view: dict[str, Any] = {"name": instance.name}
    if instance.version:
        view["version"] = instance.version
    view["instanceId"] = instance.instance_id
    if instance.parent is not None:
        parent = json.loads(instance.parent)
        view["parentInstanceId"] = parent["OrchestrationInstance"]["InstanceId"]
    view["runtimeStatus"] = instance.status
    view["input"] = shown(instance.input) if show_input else None
    view["customStatus"] = shown(instance.custom_status)
    view["output"] = shown(instance.output)
    view["createdTime"] = _whole_seconds(instance.created_at)
    view["lastUpdatedTime"] = _whole_seconds(instance.updated_at)
    if history:
        view["historyEvents"] = history
    return view


def details(found: waiting.Details) -> dict[str, Any]:
    """Returns what an instance waits for, its parent and children; omits empty members."""
    view: dict[str, Any] = {"waitsFor": [_wait(wait) for wait in found.waits]}
    if found.reason is not None:
        view["reason"] = found.reason
    if found.parent_id is not None:
        view["parentInstanceId"] = found.parent_id
    view["children"] = [
        {"instanceId": child.instance_id, "name": child.name, "runtimeStatus": child.status}
        for child in found.children
    ]
    return view


def _wait(wait: waiting.Wait) -> dict[str, Any]:
    fields = {
        "kind": wait.kind,
        "name": wait.name,
        "instanceId": wait.instance_id,
        "since": _moment(wait.since),
        "dueAt": _moment(wait.due_at),
        "attempt": wait.attempt if wait.attempt > 1 or wait.most_attempts else None,
        "maxAttempts": wait.most_attempts,
        "reason": wait.reason,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _moment(text: str | None) -> str | None:
    return text and f"{text.rstrip('Z')}Z"


def entity(instance: Instance, *, with_state: bool) -> dict[str, Any]:
    """Returns an entity for a list (http-api.md 7.2)."""
    name, _, key = instance.instance_id[1:].partition("@")
    moment = clock.from_stored(instance.updated_at)
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": timestamps.format_event_moment(moment),
        "state": shown(entity_rows.state_of(instance)) if with_state else None,
    }


def _whole_seconds(stored: str) -> str:
    return f"{stored[:19]}Z"


def history(
    stored: Sequence[str],
    *,
    show_input: bool,
    show_output: bool,
    is_continued: bool = False,
    show_details: bool = False,
) -> list[dict[str, Any]]:
    """Returns the history for a status query: named events, scheduling merged into results.

    Args:
        stored: The events as JSON texts.
        show_input: Whether to include inputs.
        show_output: Whether to include results.
        is_continued: Whether continue-as-new made this generation.
        show_details: Whether to include the attempt of retried activities.
    """
    attempts = waiting.attempts_of(stored) if show_details else {}
    events = [json.loads(text) for text in stored]
    finished = {
        event["TaskScheduledId"]
        for event in events
        if _EVENT_NAMES.get(event["EventType"]) in _COMPLETING
    }
    scheduled: dict[int, dict[str, Any]] = {}
    view: list[dict[str, Any]] = []
    for event in events:
        kind = _EVENT_NAMES.get(event["EventType"], str(event["EventType"]))
        if kind in _DROPPED:
            continue
        if kind in _SCHEDULING:
            scheduled[event["EventId"]] = event
            if event["EventId"] in finished:
                continue
        shown_event = _event(kind, event, scheduled, show_output)
        if kind == "ExecutionStarted" and is_continued:
            shown_event["Generation"] = None  # X29
        if not show_input:
            shown_event.pop("Input", None)
        attempt = attempts.get(event.get("TaskScheduledId", event["EventId"]))
        if attempt is not None:
            shown_event["Attempt"] = attempt
        view.append(shown_event)
    return view


def _event(
    kind: str, event: dict[str, Any], scheduled: dict[int, dict[str, Any]], show_output: bool
) -> dict[str, Any]:
    fields = {name: _field(name, event) for name in _FIELDS.get(kind, ())}
    if kind in _RESULTS and show_output:
        fields["Result"] = shown(event.get("Result"))
    elif kind in _RESULTS:
        del fields["Result"]
    named = {"EventType": kind}
    view = {**fields, **named} if kind == "GenericEvent" else {**named, **fields}
    view["Timestamp"] = event["Timestamp"]
    if kind == "ExecutionStarted":
        view["FunctionName"] = event["Name"]
    if kind in _COMPLETING:
        partner = scheduled.get(event["TaskScheduledId"])
        if partner is None:
            view["TaskScheduledId"] = event["TaskScheduledId"]
        else:
            view["ScheduledTime"] = f"{partner['Timestamp'][:-1]}+00:00"
            view["FunctionName"] = partner["Name"]
            if "InstanceId" in partner:
                view["InstanceId"] = partner["InstanceId"]
            view["Input"] = partner["Input"]
    return view


def _field(name: str, event: dict[str, Any]) -> Any:
    if name == "OrchestrationStatus":
        return STATUS_NAMES[int(event[name])]
    if name == "FailureDetails":
        return event.get(name) if _is_structured(event) else None  # only the trigger has them (X29)
    return event.get(name, _DEFAULTS.get(name))


def _is_structured(event: dict[str, Any]) -> bool:
    """Returns whether the app itself sent the details: then the extension shows them (Y22, Y33).

    This host always adds details to a child's failure, so there only special members prove it.
    """
    details = event.get("FailureDetails")
    if event["EventType"] != HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED:
        return event["EventType"] != HistoryEventType.TASK_FAILED or event.get("Details") is None
    while details:
        if details.get("IsNonRetriable") or details.get("Properties"):
            return True
        details = details.get("InnerFailure")
    return False
