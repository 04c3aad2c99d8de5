"""Making a new instance: its row and its start message belong together."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import NewMessage

from . import clock, events


@dataclass(frozen=True)
class NewInstance:
    """What is stored to start an instance or a generation."""

    row: Instance
    start: NewMessage


def new_execution_id() -> str:
    """32 lower-case hex digits."""
    return uuid.uuid4().hex


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
        ),
    )
    return NewInstance(row, start)
