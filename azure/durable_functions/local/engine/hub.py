"""The task hub: verbs on stored instances. Source: http-api.md 5 and 6, host.md 8."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.instances import Filter, Instance
from azure.durable_functions.local.store.messages import NewMessage

from . import (
    clock,
    descendants,
    log_fields,
    rewinding,
    waiting,
)
from .clock import Clock
from .errors import (
    AlreadyExists,
    BadArgument,
    InstanceEnded,
    NoSuchInstance,
    NotPossible,
    WrongStatus,
)
from .instance_ids import (
    check_instance_id,
    has_forbidden_character,
)
from .invoker import Replay
from .registry import Registry
from .settings import HubSettings
from .texts import entity_requests, entity_rows, events
from .texts.new_instance import SOURCE_TAG, NewInstance, new_execution_id, new_instance
from .turns.children import answer_to_parent
from .waiters import EndWaiters

logger = logging.getLogger("azure.durable_functions.local")

_MOST_PURGED_AT_ONCE = 200
_MOST_PLANS = 3
_REPLACED = (
    "A new instance creation request has been issued for instance {} which currently has status "
    "{}. Since the dedupe statuses of the creation request, [] (all statuses reusable), do not "
    "contain the orchestration's status, the orchestration has been terminated and a new instance "
    "with the same instance ID will be created."
)
"""Why an instance ends whose id is given to another one."""


IfExists = Literal["error", "skip", "replace"]


class TaskHub:
    """The instances of one app in the store: starts, steers and shows them.

    Needs no workers; `engine.Engine` keeps instances going.
    """

    def __init__(
        self,
        database: Database,
        time: Clock,
        registry: Registry,
        settings: HubSettings,
        *,
        wake: Callable[[str], None] = lambda instance_id: None,
        replay: Replay | None = None,
    ) -> None:
        """Take what is needed; the database must be open when a verb is used.

        Args:
            database: The store.
            time: Says when things happen.
            registry: Names of the app's functions.
            settings: What host.json says.
            wake: Called with the id of an instance for which something waits now.
            replay: Runs functions for `rewind`; None while no host runs.
        """
        self._database = database
        self._clock = time
        self._settings = settings
        self.registry = registry
        """Names of the app's functions; a reload replaces it."""
        self._wake = wake
        self._replay = replay
        self.waiters = EndWaiters()
        """Requests that wait for an instance to end."""

    async def unfinished(self, most: int) -> tuple[int, list[str]]:
        """How many instances have not ended, and the ids of the newest, at most so many."""
        return await self._database.read(
            lambda c: (instances.count_unfinished(c), instances.newest_unfinished(c, most))
        )

    async def start_instance(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input_text: str | None = None,
        version: str | None = None,
        if_exists: IfExists | None = None,
        source_id: str | None = None,
        repeats: bool = False,
    ) -> str:
        """Store and schedule a new instance.

        One of an orchestrator that the app does not have fails at once, as on Azure.

        Args:
            name: Of the orchestrator, in any case.
            instance_id: None makes one.
            input_text: JSON text.
            version: None means the default of host.json, "" none.
            if_exists: What to do about an instance of the id, whatever its status. None refuses one
                that has not ended and replaces one that has.
            source_id: Of the instance that it repeats, if that is another one.
            repeats: Whether it is restarted.

        Returns:
            Its id, when it is on disk.

        Raises:
            BadArgument: The id breaks a rule.
            AlreadyExists: An instance of the id is in the way.
        """
        if instance_id is None or not instance_id:
            instance_id = uuid.uuid4().hex
        check_instance_id(instance_id)
        if version is None:
            version = self._settings.limits.default_version
        fresh = new_instance(
            now=self._clock.now(),
            name=name,
            instance_id=instance_id,
            input_text=input_text,
            version=version or None,
            execution_id=new_execution_id(is_dashed=not repeats),
            tags=None if source_id is None else {SOURCE_TAG: source_id},
            generation=0,
        )
        parents = await self._database.write(lambda c: self._put_new(c, fresh, if_exists))
        if parents is None:  # the one that was there is left alone
            return instance_id
        about = log_fields.about(instance_id, name)
        logger.debug("An instance of %s is stored", name, extra=about)
        if self.registry.find("orchestrator", name) is None:
            explanation = self.registry.explained("orchestrator", name)
            logger.error(
                "Instance %s was started, and fails: %s", instance_id, explanation, extra=about
            )
        for woken in (*parents, instance_id):
            self._wake(woken)
        return instance_id

    def _put_new(
        self, connection: sqlite3.Connection, fresh: NewInstance, if_exists: IfExists | None
    ) -> list[str] | None:
        """Store a new instance: parents to be woken; None if the one of its id stays."""
        existing = instances.find(connection, fresh.row.instance_id)
        if existing is not None and if_exists == "skip":
            return None
        now = clock.from_stored(fresh.row.created_at)
        parents = [] if existing is None else self._make_room(connection, existing, if_exists, now)
        instances.put(connection, fresh.row)
        messages.send(connection, [fresh.start])
        return parents

    def _make_room(
        self,
        connection: sqlite3.Connection,
        existing: Instance,
        if_exists: IfExists | None,
        now: datetime,
    ) -> list[str]:
        """Delete an instance for another one of its id; a parent is told, its id is given.

        Raises:
            AlreadyExists: It must not be replaced.
        """
        may_replace = self._settings.may_replace_running or if_exists == "replace"
        if if_exists == "error" or not (existing.is_terminal or may_replace):
            raise AlreadyExists(existing.status)
        instances.delete(connection, existing.instance_id)
        if existing.is_terminal:
            return []
        reason = _REPLACED.format(existing.instance_id, existing.status)
        about = log_fields.about(existing.instance_id, existing.name)
        logger.info("Instance %s is terminated: %s", existing.instance_id, reason, extra=about)
        if existing.parent is None:
            return []
        ended = existing._replace(status="Terminated", output=reason)
        answer = answer_to_parent(ended, json.loads(existing.parent), now)
        messages.send(connection, [answer])
        return [answer.instance_id]

    async def raise_event(self, instance_id: str, name: str, input_text: str | None) -> None:
        """Store an event for an instance; the payload is JSON text.

        Raises:
            NoSuchInstance, InstanceEnded: Nobody would take it.
        """
        now = self._clock.now()
        await self._send(
            instance_id,
            HistoryEventType.EVENT_RAISED,
            events.event_raised(now, name, input_text),
        )

    async def terminate(
        self, instance_id: str, reason: str | None, *, recursive: bool = False
    ) -> None:
        """Ask an instance to end at once; if recursive, also all that it has started.

        Raises:
            NoSuchInstance, InstanceEnded: There is nothing to end.
        """
        await self._send(
            instance_id,
            HistoryEventType.EXECUTION_TERMINATED,
            events.execution_terminated(self._clock.now(), reason, recursive=recursive),
            is_recursive=recursive,
        )

    async def suspend(
        self, instance_id: str, reason: str | None, *, recursive: bool = False
    ) -> None:
        """Ask an instance to pause; if recursive, also all that it has started.

        Raises:
            NoSuchInstance, InstanceEnded: There is nothing to suspend.
            NotPossible: It is suspended already.
        """

        def check(found: Instance) -> None:
            if found.status == "Suspended":
                raise NotPossible(_cannot("suspend", found))

        event = events.execution_suspended(self._clock.now(), reason, recursive=recursive)
        kind = HistoryEventType.EXECUTION_SUSPENDED
        await self._send(instance_id, kind, event, check, is_recursive=recursive)

    async def resume(
        self, instance_id: str, reason: str | None, *, recursive: bool = False
    ) -> None:
        """Let a suspended instance go on; if recursive, also all that it has started.

        Raises:
            NoSuchInstance, InstanceEnded: There is nothing to resume.
            NotPossible: It is not suspended.
        """

        def check(found: Instance) -> None:
            if found.status != "Suspended":
                raise NotPossible(_cannot("resume", found))

        event = events.execution_resumed(self._clock.now(), reason, recursive=recursive)
        kind = HistoryEventType.EXECUTION_RESUMED
        await self._send(instance_id, kind, event, check, is_recursive=recursive)

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Let a failed instance do again what has ended it, its failed children first.

        Raises:
            NoSuchInstance: There is none.
            WrongStatus: It has not failed.
            NotPossible: What has ended it cannot be taken back.
        """
        for _ in range(_MOST_PLANS):
            found = await self.find(instance_id)
            if found is None:
                raise NoSuchInstance(instance_id)
            if found.status != "Failed":
                raise WrongStatus(
                    f"This orchestration has status {found.status}, but only orchestrations in the "
                    '"Failed" state can be rewound.'
                )
            if self._replay is None:
                raise NotPossible(
                    f"Instance {instance_id} can only be rewound while its host runs, because its "
                    "code must be replayed. Start the host with: durable start FOLDER"
                )
            limits = self._settings.limits
            planner = rewinding.Planner(self._database, self._replay, self.registry, limits)
            try:
                plan = await planner.plan(found)
                change = partial(
                    rewinding.carry_out, plan=plan, now=self._clock.now(), reason=reason
                )
                woken = await self._database.write(change)
            except rewinding.CannotRewind as error:
                raise NotPossible(str(error)) from None
            except rewinding.Changed:
                continue
            for woken_id in woken:
                self._wake(woken_id)
            return
        raise NotPossible(f"Instance {instance_id} or its children are being changed. Try again.")

    async def restart(
        self, instance_id: str, *, new_id: str | None = None, version: str | None = None
    ) -> str:
        """Start an instance's orchestrator again with the same input; gives the new one's id.

        Args:
            instance_id: Of the instance that is repeated.
            new_id: Of the new one, which may be the same; None makes one.
            version: As for `start_instance`.

        Raises:
            NoSuchInstance: There is none to repeat.
            BadArgument, AlreadyExists: As `start_instance`.
        """
        found = await self.find(instance_id)
        if found is None:
            raise NoSuchInstance(instance_id)
        return await self.start_instance(
            found.name,
            instance_id=new_id,
            input_text=found.input,
            version=version,
            source_id=None if new_id == instance_id else instance_id,
            repeats=True,
        )

    async def purge(self, instance_id: str, *, recursive: bool = False) -> int:
        """Delete an ended instance, or an entity, with all it has.

        Args:
            instance_id: Of the instance.
            recursive: Also what it has started, and so on, as far as that has ended.

        Returns:
            How many were deleted.

        Raises:
            WrongStatus: The instance has not ended.
        """

        def change(connection: sqlite3.Connection) -> int:
            found = instances.find(connection, instance_id)
            if found is None:
                return 0
            if not (found.is_terminal or entity_rows.is_entity(instance_id)):
                raise WrongStatus(
                    "Only orchestrations in a terminal state can be purged, but the orchestration "
                    f"with instance ID {instance_id} has status {found.status}"
                )
            return _delete(connection, [found], recursive)

        return await self._database.write(change)

    async def purge_ended(self, wanted: Filter, *, recursive: bool = False) -> int:
        """Delete the ended instances that fit; arguments and answer as for `purge`."""

        def change(connection: sqlite3.Connection) -> tuple[int, int]:
            found = instances.ended(connection, wanted, limit=_MOST_PURGED_AT_ONCE)
            return len(found), _delete(connection, found, recursive)

        purged = 0
        while True:  # in portions, so that nobody waits long for the store
            fitting, deleted = await self._database.write(change)
            purged += deleted
            if fitting < _MOST_PURGED_AT_ONCE:
                return purged

    async def signal_entity(
        self, name: str, key: str, operation: str, input_text: str | None
    ) -> None:
        """Store an operation for an entity; nobody waits for its result.

        Args:
            name: Of the entity function, in any case.
            key: Of the entity.
            operation: Name of the operation.
            input_text: JSON text, or None.

        Raises:
            BadArgument: No such entity function, or the key breaks a rule.
        """
        if self.registry.find("entity", name) is None:
            raise BadArgument(self.registry.unknown("entity", name.lower()))
        if has_forbidden_character(key):
            raise BadArgument(
                "entityKey (Parameter 'Entity keys must not contain /, \\, #, ?, or control "
                "characters.')"
            )
        now = self._clock.now()
        entity = entity_rows.instance_id_of(name, key)
        _, request = entity_requests.new_request(now, operation, input_text, is_signal=True)
        message = entity_requests.to_entity(now, entity, request)
        await self._database.write(lambda c: messages.send(c, [message]))
        self._wake(entity)

    async def entity_state(self, name: str, key: str) -> str | None:
        """JSON text of an entity's state as last committed; None if there is none."""
        return entity_rows.state_of(await self.find(entity_rows.instance_id_of(name, key)))

    async def find(self, instance_id: str) -> Instance | None:
        """The instance as last committed; None if there is none."""
        return await self._database.read(lambda c: instances.find(c, instance_id))

    async def history_of(self, instance_id: str) -> list[str]:
        """JSON text of every history event of the current execution."""
        return await self._database.read(lambda c: history.events(c, instance_id))

    async def failure_of(self, instance_id: str) -> dict[str, Any] | None:
        """What has ended a failed instance, as ``FailureDetails``; None if that is not known."""
        turn = await self._database.read(lambda c: history.last_turn(c, instance_id))
        return events.failure_in(turn)

    async def details_of(self, instance_id: str) -> waiting.Details | None:
        """What an instance waits for, and its relatives; None if there is no such instance."""
        return await self._database.read(lambda c: waiting.details_of(c, instance_id))

    async def page(self, wanted: Filter, *, limit: int) -> list[Instance]:
        """Instances that fit, in the order that the filter asks for."""
        return await self._database.read(lambda c: instances.page(c, wanted, limit=limit))

    async def wait_until_finished(
        self, instance_id: str, timeout_seconds: float
    ) -> Instance | None:
        """The instance as soon as it has ended, or as it is when time is up or the host stops."""
        with self.waiters.waiting(instance_id) as ended:
            found = await self.find(instance_id)
            if found is None or found.is_terminal:
                return found
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended.wait(), timeout_seconds)
            return await self.find(instance_id)

    async def _send(
        self,
        instance_id: str,
        event_type: HistoryEventType,
        event: str,
        check: Callable[[Instance], None] = lambda found: None,
        *,
        is_recursive: bool = False,
    ) -> None:
        """Store a message for an unfinished instance, unless the check raises.

        Of one that has ended the unfinished descendants get it, if the message is recursive.
        """
        created_at = clock.stored(self._clock.now())

        def change(connection: sqlite3.Connection) -> list[str]:
            found = instances.find(connection, instance_id)
            if found is None:
                raise NoSuchInstance(instance_id)
            if found.is_terminal:
                order = descendants.Order(event_type.value, event)
                recorded = history.events(connection, instance_id) if is_recursive else ()
                told = descendants.pass_on(connection, found, order, recorded, created_at)
                if not told:
                    raise InstanceEnded(found.status)
                return told
            check(found)
            message = NewMessage(instance_id, None, event_type.value, created_at, event)
            messages.send(connection, [message])
            return [instance_id]

        for woken in await self._database.write(change):
            self._wake(woken)


def _delete(connection: sqlite3.Connection, wanted: Sequence[Instance], recursive: bool) -> int:
    """Delete instances, and their ended descendants if it is recursive; gives their number."""
    ids = {instance.instance_id for instance in wanted}
    if recursive:
        ids.update(*(descendants.ended(connection, instance) for instance in wanted))
    for instance_id in ids:
        instances.delete(connection, instance_id)
    return len(ids)


def _cannot(operation: str, instance: Instance) -> str:
    return (
        f"Cannot {operation} the orchestration instance {instance.instance_id} because instance is "
        f"in the {instance.status} state."
    )
