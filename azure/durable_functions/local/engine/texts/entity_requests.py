"""Requests to entities and their answers, as JSON text. Source: protocol.md 5.5."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.store.messages import NewMessage

from . import events

_NEVER = "0001-01-01T00:00:00"
ERROR = "Error"
"""``exceptionType`` of every failed operation."""


@dataclass(frozen=True)
class Sender:
    """The orchestration that a request comes from."""

    instance_id: str
    execution_id: str


@dataclass(frozen=True)
class Operation:
    """A request as the entity's turn reads it."""

    request_id: str
    name: str
    input: str | None
    """Encoded twice by the SDK, once by plain HTTP callers."""
    is_signal: bool
    sender: Sender | None


def new_request(
    now: datetime,
    operation: str | None,
    input_text: str | None,
    *,
    is_signal: bool,
    sender: Sender | None = None,
) -> tuple[str, str]:
    """Id and JSON text of a request."""
    request_id = str(uuid.uuid4())
    fields: dict[str, Any] = {"op": operation}
    if is_signal:
        fields["signal"] = True
    if input_text is not None:
        fields["input"] = input_text
    fields["id"] = request_id
    if sender is not None:
        fields["parent"] = sender.instance_id
        fields["parentExecution"] = sender.execution_id
    fields["Timestamp"] = _NEVER if sender is None else timestamps.format_event_moment(now)
    fields["Predecessor"] = _NEVER  # our store keeps the order of a sender by itself (5.7)
    return request_id, events.dump(fields)


def to_entity(now: datetime, entity: str, request: str) -> NewMessage:
    """The message that brings a request to its entity."""
    return NewMessage(
        instance_id=entity,
        execution_id=None,
        event_type=HistoryEventType.EVENT_RAISED.value,
        created_at=clock.stored(now),
        event=events.event_raised(now, "op", request),
    )


def read(event: str) -> Operation:
    """The request in a message."""
    fields = json.loads(json.loads(event)["Input"])
    sender = None
    if "parent" in fields and "parentExecution" in fields:
        sender = Sender(fields["parent"], fields["parentExecution"])
    return Operation(
        request_id=fields["id"],
        name=fields["op"] or "",
        input=fields.get("input"),
        is_signal=bool(fields.get("signal")),
        sender=sender,
    )


def answer(
    now: datetime, sender: Sender, request_id: str, result: str | None, *, is_error: bool
) -> NewMessage:
    """The message that brings an operation's result to who called it; JSON text, or bare text."""
    fields: dict[str, Any] = {"result": result}
    if is_error:
        fields["exceptionType"] = ERROR
    return NewMessage(
        instance_id=sender.instance_id,
        execution_id=sender.execution_id,
        event_type=HistoryEventType.EVENT_RAISED.value,
        created_at=clock.stored(now),
        event=events.event_raised(now, request_id, events.dump(fields)),
    )
