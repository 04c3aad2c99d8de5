"""How instances and their histories are shown. Source: http-api.md 5.3 and 5.4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock, entities
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
_HIDDEN_FIELDS = {
    "ExecutionStarted": ("OrchestrationInstance", "ParentInstance", "Version", "Tags", "Name"),
    "TaskScheduled": ("Version", "ParentTraceContext", "Tags"),
    "SubOrchestrationInstanceCreated": ("Version", "ClientSpanId", "Tags"),
    "TimerFired": ("TimerId",),
    "EventRaised": ("ParentTraceContext",),
}


def shown(text: str | None) -> Any:
    """Stored text as it is shown: JSON as its value, other text as a string."""
    if text is None:
        return None
    if not text.strip():
        return ""
    try:
        return json.loads(text)
    except ValueError:
        return text


def status(
    instance: Instance, *, show_input: bool = True, history: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The status object; keys in the order of the specification."""
    view: dict[str, Any] = {"name": instance.name, "instanceId": instance.instance_id}
    if instance.version:
        view["version"] = instance.version
    view["runtimeStatus"] = instance.status
    view["input"] = shown(instance.input) if show_input else None
    view["customStatus"] = shown(instance.custom_status)
    view["output"] = shown(instance.output)
    view["createdTime"] = _whole_seconds(instance.created_at)
    view["lastUpdatedTime"] = _whole_seconds(instance.updated_at)
    if history:
        view["historyEvents"] = history
    return view


def entity(instance: Instance, *, with_state: bool) -> dict[str, Any]:
    """An entity as lists show it (http-api.md 7.2)."""
    name, _, key = instance.instance_id[1:].partition("@")
    moment = clock.from_stored(instance.updated_at)
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": timestamps.format_event_moment(moment),
        "state": shown(entities.state_of(instance)) if with_state else None,
    }


def _whole_seconds(stored: str) -> str:
    return f"{stored[:19]}Z"


def history(stored: Sequence[str], *, show_input: bool, show_output: bool) -> list[dict[str, Any]]:
    """The history as status queries show it: named, and with scheduling merged into results."""
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
        view.append(_event(kind, event, scheduled, show_input, show_output))
    return view


def _event(
    kind: str,
    event: dict[str, Any],
    scheduled: dict[int, dict[str, Any]],
    show_input: bool,
    show_output: bool,
) -> dict[str, Any]:
    hidden = ("EventType", "EventId", "IsPlayed", "Timestamp", *_HIDDEN_FIELDS.get(kind, ()))
    fields = {name: value for name, value in event.items() if name not in hidden}
    if kind == "ExecutionCompleted":
        fields["OrchestrationStatus"] = STATUS_NAMES[event["OrchestrationStatus"]]
    if kind in _RESULTS:
        if show_output:
            fields["Result"] = shown(fields.get("Result"))
        else:
            fields.pop("Result", None)
    fields["EventType"] = kind
    fields["Timestamp"] = event["Timestamp"]
    if kind == "ExecutionStarted":
        fields["FunctionName"] = event["Name"]
    if kind in _COMPLETING:
        partner = scheduled.get(event["TaskScheduledId"])
        if partner is not None:
            fields.pop("TaskScheduledId")
            fields["ScheduledTime"] = partner["Timestamp"]
            fields["FunctionName"] = partner["Name"]
            fields["Input"] = partner["Input"]
    if not show_input:
        fields.pop("Input", None)
    return fields
