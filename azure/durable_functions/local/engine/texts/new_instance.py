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
    """Row and start message of a new execution, created at `now`.

    `name` is the orchestrator's as registered; `input_text` and `custom_status` are JSON texts;
    `execution_id` is made if there is none. `parent` is the ``ParentInstance`` of a child; `tags`
    and `generation` (0 for what a client starts) are those of the start event. Continue-as-new
    makes generations that are ``Running`` and `continued`.
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
    event = events.execution_started(
        now,
        name=name,
        instance_id=instance_id,
        execution_id=execution_id,
        input_text=input_text,
        version=version,
        parent=parent,
        tags=tags,
        generation=generation,
    )
    return NewInstance(row, _start(row, event))


def _start(row: Instance, event: str) -> NewMessage:
    return NewMessage(
        instance_id=row.instance_id,
        execution_id=row.execution_id,
        event_type=HistoryEventType.EXECUTION_STARTED.value,
        created_at=row.created_at,
        event=event,
    )


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
