"""A turn of an orchestration's instance: load, inbox, run, decide, commit.

Source: protocol.md 8.6, host.md 8.3-8.7. Everything of a turn is committed in one transaction, and
only what is committed takes effect, so the process may be killed at any instruction.

    load    -> Material   what was read                      material.py
    read    -> Batch      what has arrived, what it means    inbox.py, batch.py
    run     -> Outcome    one episode of the function        running.py, early_episodes.py
    decide  -> Changes    what the answer changes            outcomes.py, decisions.py, changes.py
    commit  -> FollowUp   what the commit makes possible     commits.py, generations.py
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock, versions
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp, Rest, StartActivities
from azure.durable_functions.local.engine.invoker import (
    Continuation,
    Continued,
    HasRun,
    Invoker,
    Outcome,
)
from azure.durable_functions.local.engine.log_fields import about
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.store import instances, messages
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Activity, Message

from . import commits, inbox, misfits, outcomes, running, telling
from .batch import Batch
from .changes import Changes
from .commits import Committed
from .early_episodes import EarlyEpisodes
from .material import Material, load, material_of
from .memory import Memory, Remembered
from .running import NotRun, Running

logger = logging.getLogger("azure.durable_functions.local")

_LONGEST_REST_SECONDS = 0.5


class _Misfit(Exception):
    """The code does not fit the history, and the instance waits for code that does."""


class Orchestrations:
    """Runs turns."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        invoker: Invoker,
        registry: Registry,
        limits: Limits,
        *,
        keeps_sessions: bool,
        result_patience_seconds: float,
    ) -> None:
        self._database = database
        self._clock = time
        self.registry = registry
        """Names of the app's functions; a reload replaces it between two turns."""
        self._limits = limits
        self._result_patience = result_patience_seconds
        self._memory = Memory()
        self._running = Running(invoker, keeps_sessions=keeps_sessions)
        self._early = EarlyEpisodes(self._memory, self._running, limits, result_patience_seconds)
        self._waiting: dict[str, str] = {}
        """Why instances wait for another host or for other code, by their ids."""

    def take_waiting(self) -> list[str]:
        """Instances that may run again because the code has changed; each is returned once."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def continuation_of(self, activity: Activity, after: Commit) -> Continuation | None:
        """The episode that a worker may run right after an activity; see `EarlyEpisodes.after`."""
        return self._early.after(activity, after, self.registry)

    def may_run_on(self, activity: Activity) -> bool:
        """Whether the turn of an activity's result is likely to count, and not to take long."""
        return self._early.is_next_turn_quick(activity)

    async def run_turn(
        self, instance_id: str, has_run: HasRun, begin: StartActivities
    ) -> FollowUp | None:
        """Run one turn; None if nothing was waiting, nor will be.

        Args:
            instance_id: Of the instance.
            has_run: Called when the function has returned; nothing is stored yet.
            begin: Called with the activities of the turn while the disk works; those that it does
                not start are part of the result.

        Raises:
            WorkerLost, TimedOut: The function did not answer; nothing has changed.
        """
        now = self._clock.now()
        # Taken out, and put back when the turn is committed: an exception forgets it.
        remembered = self._memory.take(instance_id)
        loaded = await self._database.read(
            lambda connection: load(connection, instance_id, clock.stored(now), remembered)
        )
        if not loaded.messages:
            self._memory.keep(remembered)
            # The clock may have been set back since the instance was woken for a timer.
            due_at = await self._database.read(lambda c: messages.next_due(c, instance_id))
            return None if due_at is None else FollowUp(due=[(due_at, instance_id)])
        instance, remembered = loaded.instance, loaded.remembered
        if instance is None or instance.is_terminal or remembered is None:
            return await self._drop(instance_id, loaded.messages)
        material = material_of(remembered, now, self.registry, self._limits)
        pauses = inbox.pauses_in(instance.status, loaded.messages)
        is_rejected = self._is_foreign(instance) and self._limits.version_failure == "Reject"
        if (pauses.is_paused or is_rejected) and not pauses.is_terminated:
            if not pauses.has_changed:
                # Everything waits for a resume, or for a host of a matching version.
                reason = self._mismatch(instance) if is_rejected else None
                await self._keep_waiting(remembered, reason)
                return None
            batch = inbox.read_pauses(material, loaded.messages, pauses)
            changes = outcomes.paused(material, batch)
            return await self._store(changes, remembered, begin, commits.commit)
        batch = inbox.read(material, loaded.messages, pauses)
        if not batch.events:
            return await self._drop(instance_id, loaded.messages)
        try:
            changes = await self._decide(material, batch, remembered)
        except _Misfit as error:
            await self._keep_waiting(remembered, str(error))
            if not pauses.has_changed:
                return None
            batch = inbox.read_pauses(material, loaded.messages, pauses)
            changes = outcomes.paused(material, batch)
            changes.output = misfits.note(str(error))
        has_run()
        return await self._store(changes, remembered, begin, commits.commit)

    async def run_turn_on(
        self,
        activity: Activity,
        event_type: HistoryEventType,
        event: str,
        has_run: HasRun,
        begin: StartActivities,
        ran: tuple[Continuation, Continued] | None = None,
    ) -> FollowUp | None:
        """Run the turn of an activity's result, and store the two as one.

        Args:
            activity: That has run.
            event_type: Of its result.
            event: The result; with the time of the episode, if that has run.
            has_run: As for `run_turn`.
            begin: As for `run_turn`.
            ran: The early episode that the activity's worker was given, and what came of it, if it
                has run.

        Returns:
            What the turn has made possible; None, with nothing stored, if it does not count because
            there is more to look at than the result, or because it may take long.

        Raises:
            WorkerLost, TimedOut: As `run_turn`.
        """
        remembered = self._memory.take(activity.instance_id)
        if remembered is None:
            return None
        instance = remembered.instance
        # Two turns never have the same time.
        is_same = ran is None or instance.updated_at == ran[0].since
        may_run = is_same and (ran is not None or self._early.is_quick(remembered))
        if not may_run or instance.status != "Running" or self._is_foreign(instance):
            self._memory.keep(remembered)
            return None
        now = self._clock.now() if ran is None else ran[1].now
        material = material_of(remembered, now, self.registry, self._limits)
        batch = inbox.read_result(material, _result(activity, event_type, event, material.moment))
        if not batch.events:  # nobody waits for it any more
            self._memory.keep(remembered)
            return None
        early = None
        if ran is not None:
            early = ran[1].outcome
            running.note(remembered, material, batch, early, ran[1].seconds)
        try:
            changes = await self._decide(material, batch, remembered, early)
        except _Misfit:  # the result is stored, and the turn after it tells
            return None
        has_run()

        def change(connection: sqlite3.Connection, changes: Changes) -> Committed | None:
            moment = changes.material.moment
            if not messages.take_with_turn(connection, activity, instance, moment):
                return None
            return commits.put(connection, changes)

        return await self._store(changes, remembered, begin, change)

    async def _decide(
        self,
        material: Material,
        batch: Batch,
        remembered: Remembered,
        early: Outcome | None = None,
    ) -> Changes:
        """What the batch changes; runs the function unless a message or the version ends it.

        Raises:
            _Misfit: The code contradicts the history, and the instance waits for other code.
            WorkerLost, TimedOut: The function did not answer.
        """
        if batch.termination is not None:
            return outcomes.terminated(material, batch, batch.termination.reason)
        if self._is_foreign(material.instance):
            return outcomes.of_foreign_version(material, batch, self._mismatch(material.instance))
        outcome: Outcome | NotRun | None = early
        if outcome is None:
            outcome = await self._running.run(material, batch, remembered)
        decided = outcomes.decide(material, batch, outcome, remembered.answer)
        remembered.answer = decided.listed
        if decided.contradiction is not None:
            place = await self._running.place_of(decided.contradiction, material, batch)
            text = f"Non-Deterministic workflow detected: {decided.contradiction}{place}"
            if self._limits.on_non_determinism == "wait":
                raise _Misfit(text) from None
            outcomes.contradicted(decided.changes, text)
        return decided.changes

    async def _store(
        self,
        changes: Changes,
        remembered: Remembered,
        begin: StartActivities,
        change: Callable[[sqlite3.Connection, Changes], Committed | None],
    ) -> FollowUp | None:
        """Have a turn committed, and start what follows while the disk works."""
        follow_up: FollowUp | None = None

        def meanwhile(committed: Committed | None, commit: Commit) -> None:
            nonlocal follow_up
            if committed is None:
                return
            telling.turn(changes, committed.dropped_events)
            if commits.remember(remembered, changes, committed, commit):
                self._memory.keep(remembered)
            follow_up = committed.follow_up
            follow_up = follow_up._replace(
                activities=begin(follow_up.activities, commit),
                rest=self._rest(remembered) if changes.repeats_last_answer else None,
            )

        await self._database.write(lambda c: change(c, changes), meanwhile)
        return follow_up

    def _rest(self, remembered: Remembered) -> Rest | None:
        """A pause after a replay that has decided nothing new, as in a fan-out.

        The next result will most likely decide nothing either. So replays get a third of the time,
        and the activities, which the same workers run, the rest.
        """
        tasks = remembered.open_tasks.values()
        awaited = sum(1 for task in tasks if task.kind == "activity")
        if not self._result_patience or awaited <= 1:
            return None
        return Rest(min(2 * remembered.seconds, _LONGEST_REST_SECONDS), awaited)

    async def _keep_waiting(self, remembered: Remembered, reason: str | None) -> None:
        """Leave an instance as it is, but for a note of why it waits; a suspended one has none."""
        instance = remembered.instance
        if reason is not None:
            remembered.session = remembered.answer = None  # of an episode that does not count
            if self._waiting.get(instance.instance_id) != reason:
                misfits.tell(instance, reason)
            self._waiting[instance.instance_id] = reason
            noted = instance._replace(output=misfits.note(reason))
            if noted != instance and instance.status != "Suspended":
                await self._database.write(lambda c: _note(c, instance, noted))
                remembered.instance = noted
        self._memory.keep(remembered)

    async def _drop(self, instance_id: str, waiting: Sequence[Message]) -> FollowUp:
        """Delete messages that nobody needs any more: late results, unknown instances."""
        logger.debug(
            "Dropping %d late messages for instance %s",
            len(waiting),
            instance_id,
            extra=about(instance_id),
        )
        ids = [message.message_id for message in waiting]
        await self._database.write(lambda connection: messages.delete(connection, ids))
        return FollowUp()

    def _is_foreign(self, instance: Instance) -> bool:
        """Whether it is of a version that this host is not for."""
        limits = self._limits
        return not versions.matches(instance.version, limits.default_version, limits.version_match)

    def _mismatch(self, instance: Instance) -> str:
        limits = self._limits
        return (
            f"its version {instance.version or '(none)'} does not match the host's defaultVersion "
            f"{limits.default_version or '(none)'} (versionMatchStrategy {limits.version_match})"
        )


def _result(activity: Activity, event_type: HistoryEventType, event: str, moment: str) -> Message:
    """The message of a result that is not stored."""
    return Message(
        message_id=0,  # never stored
        instance_id=activity.instance_id,
        execution_id=activity.execution_id,
        event_type=event_type.value,
        task_id=activity.task_id,
        created_at=moment,
        due_at=None,
        event=event,
    )


def _note(connection: sqlite3.Connection, before: Instance, noted: Instance) -> None:
    if instances.is_unchanged(connection, before):
        instances.update(connection, before, noted)
