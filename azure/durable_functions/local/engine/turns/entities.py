"""A turn of an entity: load, take operations, run them as one batch, decide, commit.

Source: protocol.md 5, host.md 8.18. State, answers, signals and the deletion of the operations are
one transaction, so each operation has its effect exactly once.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from azure.durable_functions._wire import depth, shapes
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp
from azure.durable_functions.local.engine.invoker import (
    HasRun,
    Invoker,
    Outcome,
    TimedOut,
    WorkerLost,
)
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS, LostWorkers
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import entity_requests, entity_rows, events
from azure.durable_functions.local.engine.texts.entity_requests import Operation
from azure.durable_functions.local.store import instances, messages
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Message, NewMessage


class BatchRefused(Exception):
    """The batch could not be run or read; it stays in the store and is tried again later."""


class EntityMaterial(NamedTuple):
    """What a turn has read."""

    instance_id: str
    row: Instance | None
    """As it is committed; None for an entity that has never been asked for anything."""
    now: datetime
    """Time of the turn, aware UTC."""
    function: str
    """Name of the entity's function, as the app has it."""


class OperationBatch(NamedTuple):
    """What has arrived for the turn."""

    operations: list[Operation]
    consumed: list[int]
    """Ids of messages that the commit deletes; some may be no operations at all."""
    has_more: bool
    """More operations wait than one batch may hold."""


class _Result(NamedTuple):
    text: str | None
    is_error: bool


class EntityChanges(NamedTuple):
    """What a batch changes."""

    exists: bool
    state: str | None
    """JSON text."""
    results: list[_Result]
    """One for each operation."""
    signals: list[NewMessage]


class _TooDeep(Exception):
    """A text of the answer is nested too deep; says which."""


class Entities:
    """Runs turns of entities."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        invoker: Invoker,
        registry: Registry,
        limits: Limits,
    ) -> None:
        self._database = database
        self._clock = time
        self._invoker = invoker
        self.registry = registry
        """Names of the app's functions; a reload replaces it between two turns."""
        self._limits = limits
        self._lost = LostWorkers()

    async def run_turn(self, instance_id: str, has_run: HasRun) -> FollowUp | None:
        """Run one batch; None if nothing was waiting.

        Args:
            instance_id: Of the entity.
            has_run: Called when the function has returned; nothing is stored yet.

        Raises:
            WorkerLost, BatchRefused: Nothing has changed; the batch stays.
        """
        now = self._clock.now()
        row, waiting = await self._database.read(
            lambda c: (
                instances.find(c, instance_id),
                messages.due(c, instance_id, clock.stored(now)),
            )
        )
        if not waiting:
            return None
        batch = _read(waiting, self._limits.max_entity_batch)
        if not batch.operations:  # nothing that an entity takes
            await self._database.write(lambda c: messages.delete(c, batch.consumed))
            return FollowUp(woken=[instance_id] if batch.has_more else [])
        name = instance_id[1:].partition("@")[0]
        registered = self.registry.find("entity", name)
        if registered is None:
            raise BatchRefused(self.registry.explained("entity", name))
        material = EntityMaterial(instance_id, row, now, registered)
        outcome = await self._run(material, batch)
        changes = _decide(material, batch, outcome)
        has_run()
        return await self._database.write(lambda c: _commit(c, material, batch, changes))

    async def _run(self, material: EntityMaterial, batch: OperationBatch) -> Outcome | str:
        """The outcome; or a text if the batch fails for good without one."""
        instance_id, name = material.instance_id, material.function
        try:
            outcome = await self._invoker.run_entity(
                name,
                _trigger(material, batch),
                alone=self._lost.must_run_alone(instance_id),
            )
        except TimedOut as error:
            self._lost.forget(instance_id)
            return str(error)
        except WorkerLost as error:
            if not self._lost.is_guilty(instance_id, error):
                raise
            self._lost.forget(instance_id)
            return events.dump(
                f"Entity function '{name}' failed: it has ended {MOST_LOST_WORKERS} worker "
                "processes, one at each try"
            )
        self._lost.forget(instance_id)
        if outcome.failure is not None:
            raise BatchRefused(f"Entity function '{name}' failed: {outcome.failure.text}")
        return outcome


def _read(waiting: Sequence[Message], most: int) -> OperationBatch:
    taken = waiting[:most]
    operations = [
        entity_requests.read(message.event)
        for message in taken
        if message.event_type == HistoryEventType.EVENT_RAISED
    ]
    return OperationBatch(
        operations, [message.message_id for message in taken], len(taken) < len(waiting)
    )


def _trigger(material: EntityMaterial, batch: OperationBatch) -> str:
    """JSON text of the batch (protocol.md 5.2)."""
    name, _, key = material.instance_id[1:].partition("@")
    return events.dump(
        {
            "self": {"name": name, "key": key},
            "exists": entity_rows.exists(material.row),
            "state": entity_rows.state_of(material.row),
            "batch": [
                {"name": operation.name, "input": operation.input, "isSignal": operation.is_signal}
                for operation in batch.operations
            ],
        }
    )


def _decide(
    material: EntityMaterial, batch: OperationBatch, outcome: Outcome | str
) -> EntityChanges:
    """What the batch changes.

    Raises:
        BatchRefused: The function's answer makes no sense.
    """
    if isinstance(outcome, str):
        return _all_failed(material, batch, outcome)
    try:
        return _answered(material, batch, outcome.value)
    except _TooDeep as error:
        reason = f"Entity function '{material.function}' failed: {error}"
        return _all_failed(material, batch, events.dump(reason))


def _all_failed(material: EntityMaterial, batch: OperationBatch, text: str) -> EntityChanges:
    """Each operation gets the text as its error; the state stays."""
    return EntityChanges(
        entity_rows.exists(material.row),
        entity_rows.state_of(material.row),
        [_Result(text, True) for _ in batch.operations],
        [],
    )


def _answered(material: EntityMaterial, batch: OperationBatch, text: str | None) -> EntityChanges:
    """What the function answered (protocol.md 5.3).

    Raises:
        BatchRefused: It is not such an answer.
        _TooDeep: A result, a signal's input or the state is nested too deep.
    """
    try:
        answer: Any = json.loads(text or "")
        if not shapes.is_object(answer):
            raise ValueError("it is not an object")
        results = [_Result(item["result"], bool(item["isError"])) for item in answer["results"]]
        if len(results) != len(batch.operations):
            raise ValueError(f"{len(results)} results for {len(batch.operations)} operations")
        _demand_shallow("state", answer["entityState"])
        for item in answer["signals"]:
            _demand_shallow(f"signal {item['name']!r}", item["input"])
        for operation, result in zip(batch.operations, results, strict=True):
            _demand_shallow(f"result of operation {operation.name!r}", result.text)
        signals = [_signal(material.now, item) for item in answer["signals"]]
        return EntityChanges(bool(answer["entityExists"]), answer["entityState"], results, signals)
    except (KeyError, TypeError, ValueError) as error:
        raise BatchRefused(
            f"the answer of entity function '{material.function}' is wrong: {error}"
        ) from error


def _demand_shallow(what: str, text: str | None) -> None:
    if text is not None and depth.is_too_deep(text):
        raise _TooDeep(f"{what}: {depth.TOO_DEEP}")


def _signal(now: datetime, item: dict[str, Any]) -> NewMessage:
    target = entity_rows.instance_id_of(item["target"]["name"], item["target"]["key"])
    _, request = entity_requests.new_request(now, item["name"], item["input"], is_signal=True)
    return entity_requests.to_entity(now, target, request)


def _commit(
    connection: sqlite3.Connection,
    material: EntityMaterial,
    batch: OperationBatch,
    changes: EntityChanges,
) -> FollowUp:
    """Store all that a batch has changed; nothing if the entity was purged meanwhile."""
    before, again = material.row, [material.instance_id] if batch.has_more else []
    messages.delete(connection, batch.consumed)
    if before is not None and not instances.is_unchanged(connection, before):
        return FollowUp(woken=again)
    is_kept = changes.exists or changes.state is not None
    if is_kept and before is not None:
        instances.update(connection, before, _row(material, changes))
    elif is_kept:
        instances.put(connection, _row(material, changes))
    elif before is not None:
        instances.delete_row(connection, material.instance_id)
    answers = [
        entity_requests.answer(
            material.now,
            operation.sender,
            operation.request_id,
            result.text,
            is_error=result.is_error,
        )
        for operation, result in zip(batch.operations, changes.results, strict=True)
        if operation.sender is not None and not operation.is_signal
    ]
    sent = [*answers, *changes.signals]
    messages.send(connection, sent)
    return FollowUp(woken=[*(message.instance_id for message in sent), *again])


def _row(material: EntityMaterial, changes: EntityChanges) -> Instance:
    """The entity as an instance (host.md 8.18)."""
    moment = clock.stored(material.now)
    known = {"exists": True} if changes.exists else {}
    scheduler = events.dump({**known, "state": changes.state, "sorter": {}})
    shown = events.dump({"entityExists": True} if changes.exists else {})
    if material.row is not None:
        return material.row._replace(input=scheduler, custom_status=shown, updated_at=moment)
    return Instance(
        instance_id=material.instance_id,
        execution_id=uuid.uuid4().hex,
        name=material.instance_id,
        version=None,
        status="Running",
        input=scheduler,
        output=None,
        custom_status=shown,
        created_at=moment,
        updated_at=moment,
        parent=None,
        event_count=0,
        action_count=0,
        next_task_id=0,
        continued=False,
    )
