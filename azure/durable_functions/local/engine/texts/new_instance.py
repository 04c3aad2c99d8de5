"""Making a new instance: its row and its start message belong together."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import NewMessage

from . import events

SOURCE_TAG = "MS_DurableFunctions_SourceInstanceId"
"""The tag by which a start event names the instance that it repeats (Y3)."""


@dataclass(frozen=True)
class NewInstance:
    """What is stored to start an instance or a generation."""

    row: Instance
    start: NewMessage


def tags_of(started: str) -> dict[str, str] | None:
    """The tags of a start event, which only repeated instances have."""
    if SOURCE_TAG not in started:  # as a text of the user's it may be there all the same
        return None
    tags: dict[str, str] | None = json.loads(started).get("Tags")
    return tags


def new_execution_id(*, is_dashed: bool = False) -> str:
    """32 lower-case hex digits; with dashes for what a client has started (Y10)."""
    return str(uuid.uuid4()) if is_dashed else uuid.uuid4().hex


def new_instance(
    *,
    now: datetime,
    name: str,
    instance_id: str,
    input_text: str | None,
    version: str | None,
    execution_id: str | None = None,
    parent: dict[str, Any] | None = None,
    status: str = "Pending",
    custom_status: str | None = None,
    continued: bool = False,
    tags: Mapping[str, str] | None = None,
    generation: int | None = None,
) -> NewInstance:
    """Row and start message of a new execution.

    Args:
        now: Its creation time.
        name: Of the orchestrator, as registered.
        instance_id: Of the instance.
        input_text: JSON text, or None.
        version: Or None.
        execution_id: None makes one.
        parent: ``ParentInstance`` of a child.
        status: ``Running`` for later generations.
        custom_status: JSON text that a generation takes over.
        continued: Whether continue-as-new made it.
        tags: Of its start event.
        generation: 0 for what a client starts.
    """
    execution_id = execution_id or new_execution_id()
    moment = clock.stored(now)
    row = Instance(
        instance_id=instance_id,
        execution_id=execution_id,
        name=name,
        version=version,
        status=status,
        input=input_text,
        output=None,
        custom_status=custom_status,
        created_at=moment,
        updated_at=moment,
        parent=None if parent is None else events.dump(parent),
        event_count=0,
        action_count=0,
        next_task_id=0,
        continued=continued,
    )
    start = NewMessage(
        instance_id=instance_id,
        execution_id=execution_id,
        event_type=HistoryEventType.EXECUTION_STARTED.value,
        created_at=moment,
        event=events.execution_started(
            now,
            name=name,
            instance_id=instance_id,
            execution_id=execution_id,
            input_text=input_text,
            version=version,
            parent=parent,
            tags=tags,
            generation=generation,
        ),
    )
    return NewInstance(row, start)


def instance_started_by(event: str, now: datetime) -> NewInstance:
    """The child that a start event is of, which has waited till now."""
    fields: dict[str, Any] = json.loads(event)
    return new_instance(
        now=now,
        name=fields["Name"],
        instance_id=fields["OrchestrationInstance"]["InstanceId"],
        execution_id=fields["OrchestrationInstance"]["ExecutionId"],
        input_text=fields["Input"],
        version=fields["Version"],
        parent=fields["ParentInstance"],
    )
