"""Starting sub-orchestrations. Source: protocol.md 13.1, host.md 8.11."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.texts import events, failures
from azure.durable_functions.local.engine.texts.new_instance import new_instance
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import NewMessage

from .changes import Changes, ChildStart


def start_child(
    changes: Changes,
    *,
    name: str,
    input_text: str | None,
    instance_id: str | None,
    version: str | None,
    retry: dict[str, Any] | None = None,
) -> int:
    """Start a sub-orchestration; one that cannot be started fails in the next changes."""
    task_id = changes.take_task_id()
    start_child_as(
        changes,
        task_id,
        name=name,
        input_text=input_text,
        instance_id=instance_id,
        version=version,
        retry=retry,
    )
    return task_id


def start_child_as(
    changes: Changes,
    task_id: int,
    *,
    name: str,
    input_text: str | None,
    instance_id: str | None,
    version: str | None,
    retry: dict[str, Any] | None = None,
) -> None:
    """Start a sub-orchestration under a number that it has had before, or was just given."""
    parent = changes.material.instance
    child_id = instance_id if instance_id and instance_id.strip() else None
    child_id = events.storable(child_id or f"{parent.execution_id}:{task_id}")
    version = (
        changes.material.limits.default_version if version is None else version
    )  # "" is one (Y120)
    created = events.sub_orchestration_created(
        changes.material.now, task_id, name, child_id, version
    )
    changes.scheduled.append((task_id, created))
    changes.open(task_id, "orchestration", retry)
    registered = changes.material.registry.find("orchestrator", name)
    refusal = None
    if registered is None:
        explanation = changes.material.registry.unknown_call("orchestrator", name)
        refusal = failures.unknown_orchestrator(name, explanation)
    elif child_id in _forbidden_ids(parent):
        refusal = failures.not_run(
            failures.orchestrator_failed(
                name,
                "The instance ID of a sub-orchestration must be different than the instance ID of "
                "a parent orchestration.",
            ),
            "ArgumentException",
        )
    elif child_id.startswith("@"):
        refusal = failures.not_run(
            failures.orchestrator_failed(name, "Orchestration instance ids must not start with @."),
            "ArgumentException",
        )
    if refusal is not None or registered is None:
        failed = events.sub_orchestration_failed(changes.material.now, task_id, refusal or {})
        changes.deliver(HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED, task_id, failed)
        return
    changes.children.append(_child(changes, task_id, registered, child_id, input_text, version))


def _forbidden_ids(parent: Instance) -> tuple[str, ...]:
    if parent.parent is None:
        return (parent.instance_id,)
    grandparent = json.loads(parent.parent)["OrchestrationInstance"]["InstanceId"]
    return (parent.instance_id, grandparent)


def _child(
    changes: Changes,
    task_id: int,
    name: str,
    child_id: str,
    input_text: str | None,
    version: str | None,
) -> ChildStart:
    parent = changes.material.instance
    link = {
        "Name": parent.name,
        "OrchestrationInstance": {
            "InstanceId": parent.instance_id,
            "ExecutionId": parent.execution_id,
        },
        "TaskScheduleId": task_id,
        "Version": parent.version,
    }
    child = new_instance(
        now=changes.material.now,
        name=name,
        instance_id=child_id,
        # The text is stored as a JSON string, as when a client starts it (protocol.md 0.1).
        input_text=None if input_text is None else events.dump(input_text),
        version=version,
        parent=link,
    )
    return ChildStart(child.row, child.start)


def answer_to_parent(
    ended: Instance,
    link: dict[str, Any],
    now: datetime,
    details: dict[str, Any] | None = None,
    reason: str | None = None,
) -> NewMessage:
    """The message that tells a parent how its child has ended.

    Args:
        ended: The child.
        link: Its ``ParentInstance``.
        now: The time.
        details: Of the exception that has ended it.
        reason: Why it has failed, if that is not its output.
    """
    task_id = link["TaskScheduleId"]
    if ended.status == "Completed":
        event_type = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
        event = events.sub_orchestration_completed(now, task_id, ended.output)
    else:
        event_type = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED
        failure = failures.child_failed(reason or ended.output, details)
        if ended.status == "Terminated":  # no exception, so no details (extension-engine.md Y24)
            failure = {"Reason": ended.output, "Details": None, "FailureDetails": None}
        event = events.sub_orchestration_failed(now, task_id, failure)
    return NewMessage(
        instance_id=link["OrchestrationInstance"]["InstanceId"],
        execution_id=link["OrchestrationInstance"]["ExecutionId"],
        event_type=event_type.value,
        created_at=clock.stored(now),
        event=event,
        task_id=task_id,
    )
