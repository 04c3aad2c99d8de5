"""A turn of an entity: take the operations that wait, run them as one batch, commit.

Source: protocol.md 5, host.md 8.18. State, answers, signals and the operations' consumption are one
transaction, so each operation has its effect exactly once.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.durable_functions._wire import depth, shapes
from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp
from azure.durable_functions.local.engine.invoker import HasRun, Invoker, TimedOut, WorkerLost
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS, LostWorkers
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import entity_requests, events
from azure.durable_functions.local.engine.texts.entity_requests import Operation
from azure.durable_functions.local.store import instances, messages
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Message, NewMessage


class BatchRefused(Exception):
    """The batch could not be run or read; it stays in the store and is tried again later."""


def instance_id_of(name: str, key: str) -> str:
    """``@name@key``; names are folded to lower case, keys stay (protocol.md 5.1)."""
    return f"@{name.lower()}@{key}"


def is_entity(instance_id: str) -> bool:
    """Whether an id is that of an entity."""
    return instance_id.startswith("@")


def state_of(entity: Instance | None) -> str | None:
    """JSON text of the state that was answered last; None if there is none.

    Reads go by it alone, whether the entity exists or not, as with the extension (X52).
    """
    if entity is None:
        return None
    state: str | None = json.loads(entity.input or "{}").get("state")
    return state


def has_state(entity: Instance) -> bool:
    """Whether a read of the entity gives anything."""
    return state_of(entity) is not None


def exists(entity: Instance | None) -> bool:
    """Whether the entity exists, as the last answer had it."""
    return entity is not None and bool(json.loads(entity.input or "{}").get("exists"))


@dataclass(frozen=True)
class _Result:
    text: str | None
    is_error: bool


@dataclass(frozen=True)
class _Ran:
    """What a batch has come to."""

    exists: bool
    state: str | None
    results: list[_Result]
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
        self._limits = limits
        self._lost = LostWorkers()

    async def run_turn(self, instance_id: str, has_run: HasRun) -> FollowUp | None:
        """Run one batch; None if nothing was waiting.

        Args:
            instance_id: Of the entity.
            has_run: Called when the function has run; nothing is stored yet.

        Raises:
            WorkerLost, BatchRefused: Nothing has changed; the batch stays.
        """
        now = self._clock.now()
        entity, waiting = await self._database.read(
            lambda c: (
                instances.find(c, instance_id),
                messages.due(c, instance_id, clock.stored(now)),
            )
        )
        if not waiting:
            return None
        taken = waiting[: self._limits.max_entity_batch]
        operations = [
            entity_requests.read(message.event)
            for message in taken
            if message.event_type == HistoryEventType.EVENT_RAISED
        ]
        if not operations:  # nothing an entity takes: dropped
            ids = [message.message_id for message in taken]
            await self._database.write(lambda c: messages.delete(c, ids))
            return FollowUp()
        ran = await self._run(instance_id, entity, operations, now)
        has_run()
        dispatch = await self._database.write(
            lambda c: _commit(c, instance_id, entity, taken, operations, ran, now)
        )
        if len(taken) < len(waiting):
            dispatch.instances.append(instance_id)
        return dispatch

    async def _run(
        self,
        instance_id: str,
        entity: Instance | None,
        operations: Sequence[Operation],
        now: datetime,
    ) -> _Ran:
        name, _, key = instance_id[1:].partition("@")
        is_there, state = exists(entity), state_of(entity)
        registered = self.registry.find("entity", name)
        if registered is None:
            raise BatchRefused(self.registry.explained("entity", name))
        trigger = events.dump(
            {
                "self": {"name": name, "key": key},
                "exists": is_there,
                "state": state,
                "batch": [
                    {"name": o.name, "input": o.input, "isSignal": o.is_signal} for o in operations
                ],
            }
        )
        try:
            outcome = await self._invoker.run_entity(
                registered, trigger, alone=self._lost.must_run_alone(instance_id)
            )
        except TimedOut as error:
            self._lost.forget(instance_id)
            return _all_failed(is_there, state, operations, str(error))
        except WorkerLost as error:
            if not self._lost.is_guilty(instance_id, error):
                raise
            self._lost.forget(instance_id)
            reason = (
                f"Entity function '{registered}' failed: it has ended {MOST_LOST_WORKERS} worker "
                "processes, one at each try"
            )
            return _all_failed(is_there, state, operations, events.dump(reason))
        self._lost.forget(instance_id)
        if outcome.failure is not None:
            raise BatchRefused(f"Entity function '{registered}' failed: {outcome.failure.text}")
        try:
            return _read(registered, outcome.value, operations, now)
        except _TooDeep as error:
            reason = f"Entity function '{registered}' failed: {error}"
            return _all_failed(is_there, state, operations, events.dump(reason))


def _all_failed(
    is_there: bool, state: str | None, operations: Sequence[Operation], text: str
) -> _Ran:
    return _Ran(is_there, state, [_Result(text, True) for _ in operations], [])


def _read(name: str, text: str | None, operations: Sequence[Operation], now: datetime) -> _Ran:
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
        if len(results) != len(operations):
            raise ValueError(f"{len(results)} results for {len(operations)} operations")
        _demand_shallow("state", answer["entityState"])
        for item in answer["signals"]:
            _demand_shallow(f"signal {item['name']!r}", item["input"])
        for operation, result in zip(operations, results, strict=True):
            _demand_shallow(f"result of operation {operation.name!r}", result.text)
        signals = [_signal(now, item) for item in answer["signals"]]
        return _Ran(bool(answer["entityExists"]), answer["entityState"], results, signals)
    except (KeyError, TypeError, ValueError) as error:
        raise BatchRefused(f"the answer of entity function '{name}' is wrong: {error}") from error


def _demand_shallow(what: str, text: str | None) -> None:
    if text is not None and depth.is_too_deep(text):
        raise _TooDeep(f"{what}: {depth.TOO_DEEP}")


def _signal(now: datetime, item: dict[str, Any]) -> NewMessage:
    target = instance_id_of(item["target"]["name"], item["target"]["key"])
    _, request = entity_requests.new_request(now, item["name"], item["input"], is_signal=True)
    return entity_requests.to_entity(now, target, request)


def _commit(
    connection: sqlite3.Connection,
    instance_id: str,
    before: Instance | None,
    taken: Sequence[Message],
    operations: Sequence[Operation],
    ran: _Ran,
    now: datetime,
) -> FollowUp:
    """Store all that a batch has changed; nothing if the entity was purged meanwhile."""
    messages.delete(connection, [message.message_id for message in taken])
    if before is not None and not instances.is_unchanged(connection, before):
        return FollowUp()
    is_kept = ran.exists or ran.state is not None
    if is_kept and before is not None:
        instances.update(connection, before, _row(instance_id, before, ran, now))
    elif is_kept:
        instances.put(connection, _row(instance_id, before, ran, now))
    elif before is not None:
        instances.delete_row(connection, instance_id)
    answers = [
        entity_requests.answer(
            now, operation.sender, operation.request_id, result.text, is_error=result.is_error
        )
        for operation, result in zip(operations, ran.results, strict=True)
        if operation.sender is not None and not operation.is_signal
    ]
    sent = [*answers, *ran.signals]
    messages.send(connection, sent)
    return FollowUp(instances=[message.instance_id for message in sent])


def _row(instance_id: str, before: Instance | None, ran: _Ran, now: datetime) -> Instance:
    """The entity as an instance (host.md 8.18)."""
    moment = clock.stored(now)
    known = {"exists": True} if ran.exists else {}
    scheduler = events.dump({**known, "state": ran.state, "sorter": {}})
    shown = events.dump({"entityExists": True} if ran.exists else {})
    if before is not None:
        return before._replace(input=scheduler, custom_status=shown, updated_at=moment)
    return Instance(
        instance_id=instance_id,
        execution_id=uuid.uuid4().hex,
        name=instance_id,
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
