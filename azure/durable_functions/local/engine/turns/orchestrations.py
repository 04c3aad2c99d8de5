"""A turn of an instance: take what waits, run an episode, decide, commit.

Source: protocol.md 8.6, host.md 8.3-8.7. All of a turn is committed in one transaction; only what
is committed is dispatched, so the process may be killed at any instruction.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.durable_functions._wire import failure_details, shapes
from azure.durable_functions._wire.vocabulary import (
    FAILURE_LABEL,
    ActionType,
    HistoryEventType,
)
from azure.durable_functions.local.engine import clock, descendants, versions
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp, Rest, StartActivities
from azure.durable_functions.local.engine.invoker import (
    Continuation,
    Continued,
    Failure,
    HasRun,
    Invoker,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
)
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS, LostWorkers
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import envelopes, events, failures
from azure.durable_functions.local.engine.texts.answers import Answer, Listed, read
from azure.durable_functions.local.engine.texts.new_instance import (
    instance_started_by,
    new_instance,
    tags_of,
)
from azure.durable_functions.local.store import history, instances, messages
from azure.durable_functions.local.store.database import Commit, Database
from azure.durable_functions.local.store.instances import Instance
from azure.durable_functions.local.store.messages import Activity, Message, NewMessage

from . import (
    decisions,
    misfits,
    retries,
    telling,
)
from .children import answer_to_parent
from .episodes import Episode, UnknownEntity, take, trigger_around
from .memory import Memory, Remembered, Session

logger = logging.getLogger("azure.durable_functions.local")

_COMPLETIONS: Mapping[int, str] = {
    HistoryEventType.TASK_COMPLETED.value: "activity",
    HistoryEventType.TASK_FAILED.value: "activity",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED.value: "orchestration",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED.value: "orchestration",
    HistoryEventType.TIMER_FIRED.value: "timer",
}
_PAUSES = (
    HistoryEventType.EXECUTION_SUSPENDED.value,
    HistoryEventType.EXECUTION_RESUMED.value,
)
_MOST_TIME_OUTS = 3
_CUSTOM_STATUS_KILOBYTES = 16
_LONGEST_REST_SECONDS = 0.5
_SHORT_HISTORY_EVENTS = 200
_SHORT_HISTORY_CHARACTERS = 64 * 1024
"""Beyond that it is little to save a call of the worker, and much to have activities carry it."""


class _Misfit(Exception):
    """The code does not fit the history, and the instance is to wait for code that does."""


@dataclass(frozen=True)
class _Loaded:
    instance: Instance | None
    messages: list[Message]
    remembered: Remembered | None
    """What else there is, unless the instance has ended."""


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
        self._invoker = invoker
        self.registry = registry
        self._limits = limits
        self._keeps_sessions = keeps_sessions
        self._result_patience = result_patience_seconds
        self._memory = Memory()
        self._lost = LostWorkers()
        self._time_outs: Counter[tuple[str, str]] = Counter()
        """By instance and execution how often in a row the function has not returned in time."""
        self._waiting: dict[str, str] = {}
        """Why instances wait for another host or for other code, by their ids."""

    def take_waiting(self) -> list[str]:
        """Instances that may go on now that the code is another one; each is given once."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    async def run_turn(
        self, instance_id: str, has_run: HasRun, begin: StartActivities
    ) -> FollowUp | None:
        """Run one turn; None if nothing was waiting, nor will be.

        Args:
            instance_id: Of the instance.
            has_run: Called when its function has run; nothing is stored yet.
            begin: Is given what is to be run next; what it leaves is part of the result.

        Raises:
            WorkerLost, TimedOut: The function did not answer; nothing has changed.
        """
        now = self._clock.now()
        # Taken out, and put back when the turn is committed: whatever goes wrong forgets it.
        remembered = self._memory.take(instance_id)
        loaded = await self._database.read(
            lambda connection: _load(connection, instance_id, clock.stored(now), remembered)
        )
        if not loaded.messages:
            self._memory.keep(remembered)
            # The clock may have been set back since somebody was woken for a timer.
            due_at = await self._database.read(lambda c: messages.next_due(c, instance_id))
            return None if due_at is None else FollowUp(planned=[(due_at, instance_id)])
        instance = loaded.instance
        if instance is None or instance.is_terminal or loaded.remembered is None:
            return await self._drop(instance_id, loaded.messages)
        episode = self._episode(loaded.remembered, now)
        pauses = _read_pauses(episode, loaded.messages)
        episode.orders = descendants.orders_in(loaded.messages)
        is_foreign = self._is_foreign(instance)
        is_rejected = is_foreign and self._limits.version_failure == "Reject"
        if (pauses.is_paused or is_rejected) and not pauses.is_terminated:
            if not pauses.has_changed:
                # Everything waits for a resume, or for a host of a fitting version.
                reason = self._mismatch(instance) if is_rejected else None
                await self._keep_waiting(loaded.remembered, reason)
                return None
            _pause(episode, pauses, loaded.messages)
            return await self._store(episode, loaded.remembered, begin, _commit)
        waiting = loaded.messages
        if not (pauses.has_changed or pauses.is_terminated):
            waiting = _of_one_dispatch(episode, waiting)
        terminated = _take_messages(episode, waiting)
        if pauses.has_changed:
            episode.output = pauses.reason
        if terminated is not None:
            _end(episode, "Terminated", terminated.reason)
        elif is_foreign:
            text = f"VersionMismatch: {self._mismatch(instance)}"
            details: Any = failures.not_run(text, "VersionMismatch")["FailureDetails"]
            episode.failure_details = details
            _end(episode, "Failed", failures.orchestrator_failed(instance.name, text))
        elif episode.batch:
            try:
                await self._run_episode(episode, loaded.remembered)
            except _Misfit as error:
                await self._keep_waiting(loaded.remembered, str(error))
                if not pauses.has_changed:
                    return None
                episode = self._episode(loaded.remembered, now)
                _pause(episode, pauses, loaded.messages)
                episode.output = misfits.note(str(error))
        else:
            return await self._drop(instance_id, loaded.messages)
        has_run()
        return await self._store(episode, loaded.remembered, begin, _commit)

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

    def continuation_of(self, activity: Activity, after: Commit) -> Continuation | None:
        """What a worker may run right behind an activity; None unless all waits for that one.

        Args:
            activity: Which will run.
            after: The commit that it will wait for.
        """
        remembered = self._memory.peek(activity.instance_id)
        if remembered is None or not self._may_go_on(remembered):
            return None
        if remembered.commit is not after and not remembered.commit.is_kept:
            return None  # a later turn is on its way to the disk
        instance = remembered.instance
        task = remembered.open_tasks.get(activity.task_id)
        name = self.registry.find("orchestrator", instance.name)
        if (
            name is None
            or task is None
            or task.kind != "activity"
            or task.retry is not None
            or len(remembered.open_tasks) > 1
            or instance.execution_id != activity.execution_id
            or instance.status != "Running"
            or self._lost.must_run_alone((instance.instance_id, instance.execution_id))
        ):
            return None
        session = remembered.session
        seen = 0 if session is None else session.seen
        begin, end = "[", "]"
        if session is None:
            begin, end = trigger_around(instance, self._limits, remembered.history[1])
        return Continuation(
            name,
            instance.updated_at,
            (f"{begin}{','.join(remembered.history[seen:])}", end),
            events.completion_to_be(activity.task_id),
            None if session is None else (_session_of(instance), session.state),
        )

    def _may_go_on(self, remembered: Remembered) -> bool:
        """Whether the next episode may be asked for together with the activity before it."""
        if self._keeps_sessions:
            return remembered.session is not None
        history = remembered.history
        return (
            self._is_quick(remembered)
            and len(history) <= _SHORT_HISTORY_EVENTS
            and sum(map(len, history)) <= _SHORT_HISTORY_CHARACTERS
        )

    def may_run_on(self, activity: Activity) -> bool:
        """Whether the turn of an activity's result is likely to count, and not to take long."""
        remembered = self._memory.peek(activity.instance_id)
        return remembered is not None and self._is_quick(remembered)

    def _is_quick(self, remembered: Remembered) -> bool:
        """Whether the next turn is to be waited for: it may take twice as long as the last one."""
        return remembered.seconds < self._result_patience / 2

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
            activity: Which has run.
            event_type: Of its result.
            event: Its result; of the episode's time, if that has run.
            has_run: As for `run_turn`.
            begin: As for `run_turn`.
            ran: What the activity's worker was given to run next, and the episode that came of it,
                if it has run.

        Returns:
            What the turn has made possible; None if it does not count, because more than the result
            is to be looked at, or may take long: nothing is stored then.

        Raises:
            WorkerLost, TimedOut: As `run_turn`.
        """
        instance_id = activity.instance_id
        remembered = self._memory.take(instance_id)
        if remembered is None:
            return None
        instance = remembered.instance
        # Two turns never have the same time, those that only suspend an instance included.
        may_run = self._is_quick(remembered) if ran is None else instance.updated_at == ran[0].since
        if not may_run or instance.status != "Running" or self._is_foreign(instance):
            self._memory.keep(remembered)
            return None
        episode = self._episode(remembered, self._clock.now() if ran is None else ran[1].now)
        message = Message(
            message_id=0,  # never stored
            instance_id=instance_id,
            execution_id=activity.execution_id,
            event_type=event_type.value,
            task_id=activity.task_id,
            created_at=episode.stored_now,
            due_at=None,
            event=event,
        )
        _take_messages(episode, [message])
        if not episode.batch:  # nobody waits for it any more
            self._memory.keep(remembered)
            return None
        episode.consumed.clear()
        try:
            if ran is None:
                await self._run_episode(episode, remembered)
            else:
                continuation, continued = ran
                remembered.seconds = continued.seconds
                self._note_session(episode, remembered, continued.outcome)
                await self._apply(continuation.name, episode, remembered, continued.outcome)
        except _Misfit:  # the result is stored, and the turn behind it tells
            return None
        has_run()

        def change(connection: sqlite3.Connection, episode: Episode) -> FollowUp | None:
            if not messages.take_with_turn(connection, activity, instance, episode.stored_now):
                return None
            return _put(connection, episode)

        return await self._store(episode, remembered, begin, change)

    def _is_foreign(self, instance: Instance) -> bool:
        """Whether it is of a version that this host is not for."""
        limits = self._limits
        return not versions.matches(instance.version, limits.default_version, limits.version_match)

    def _episode(self, remembered: Remembered, now: datetime) -> Episode:
        """A turn that begins now; but two never have the same time (host.md 8.3)."""
        earliest = clock.from_stored(remembered.instance.updated_at) + timedelta(microseconds=1)
        now = max(now, earliest)
        episode = Episode(
            instance=remembered.instance,
            history=remembered.history,
            leaves=remembered.leaves,
            open_tasks=remembered.open_tasks,
            now=now,
            registry=self.registry,
            limits=self._limits,
        )
        if misfits.is_note(episode.output):
            episode.output = None
        return episode

    async def _store(
        self,
        episode: Episode,
        remembered: Remembered,
        begin: StartActivities,
        change: Callable[[sqlite3.Connection, Episode], FollowUp | None],
    ) -> FollowUp | None:
        """Have a turn committed, and begin what follows while the disk works."""

        def meanwhile(dispatch: FollowUp | None, commit: Commit) -> None:
            telling.turn(episode)
            if episode.after is not None:
                self._memory.keep(remembered.follow(episode, episode.after, commit))
            if dispatch is not None:
                dispatch.activities = begin(dispatch.activities, commit)
                if episode.is_known:
                    dispatch.rest = self._rest(remembered)

        return await self._database.write(lambda c: change(c, episode), meanwhile)

    def _rest(self, remembered: Remembered) -> Rest | None:
        """After a replay that has changed nothing, as each of a fan-out but the last.

        The next result will change nothing either, most likely. So replays get a third of the time
        and the activities, which the same workers run, the rest.
        """
        tasks = remembered.open_tasks.values()
        awaited = sum(1 for task in tasks if task.kind == "activity")
        if not self._result_patience or awaited <= 1:
            return None
        return Rest(min(2 * remembered.seconds, _LONGEST_REST_SECONDS), awaited)

    def _mismatch(self, instance: Instance) -> str:
        limits = self._limits
        return (
            f"its version {instance.version or '(none)'} does not match the host's defaultVersion "
            f"{limits.default_version or '(none)'} (versionMatchStrategy {limits.version_match})"
        )

    async def _run_episode(self, episode: Episode, remembered: Remembered) -> None:
        name = episode.instance.name
        registered = self.registry.find("orchestrator", name)
        if registered is None:
            explanation = self.registry.unknown("orchestrator", name)
            _end(episode, "Failed", failures.orchestrator_failed(name, explanation))
            return
        key = (episode.instance.instance_id, episode.instance.execution_id)
        try:
            outcome = await self._have_run(registered, episode, remembered)
        except WorkerLost as error:
            if not self._lost.is_guilty(key, error):
                raise
            reason = f"its code has ended {MOST_LOST_WORKERS} worker processes, one at each try"
            _end(episode, "Failed", failures.orchestrator_failed(name, reason))
            return
        except TimedOut as error:
            self._time_outs[key] += 1
            if self._time_outs[key] < _MOST_TIME_OUTS:
                raise
            del self._time_outs[key]
            reason = (
                f"it has not returned at any of {_MOST_TIME_OUTS} tries ({error}). An orchestrator "
                "only decides what is next; move what takes long into activities"
            )
            _end(episode, "Failed", failures.orchestrator_failed(name, reason))
            return
        self._lost.forget(key)
        if self._time_outs:
            self._time_outs.pop(key, None)
        await self._apply(registered, episode, remembered, outcome)

    async def _apply(
        self, name: str, episode: Episode, remembered: Remembered, outcome: Outcome
    ) -> None:
        """Let the episode do what its function has answered."""
        before = None if outcome.is_increment else remembered.answer
        if before is not None and outcome.value == before.text:
            episode.is_known = True
            return
        remembered.answer = None
        try:
            answer = _apply_outcome(episode, outcome, before)
            if answer is not None and not outcome.is_increment:
                remembered.answer = answer.listed
        except decisions.NonDeterminism as error:
            place = await self._place_of(error, name, episode.trigger())
            text = f"Non-Deterministic workflow detected: {error}{place}"
            if self._limits.on_non_determinism == "wait":
                raise _Misfit(text) from None
            misfits.tell_failed(episode.instance, text)
            _end(episode, "Failed", text)
        except (decisions.ProtocolError, UnknownEntity) as error:
            _end(episode, "Failed", failures.orchestrator_failed(name, str(error)))

    async def _have_run(self, name: str, episode: Episode, remembered: Remembered) -> Outcome:
        """Let a worker go on where its session stands, or else replay from the start."""
        instance = episode.instance
        session = _session_of(instance)
        alone = self._lost.must_run_alone((instance.instance_id, instance.execution_id))
        outcome = None
        began = time.monotonic()
        if remembered.session is not None and not alone:
            new = episode.events_since(remembered.session.seen)
            outcome = await self._invoker.advance(name, session, remembered.session.state, new)
        if outcome is None:
            outcome = await self._invoker.orchestrate(
                name,
                episode.trigger(),
                alone=alone,
                session=session if self._keeps_sessions else None,
            )
        remembered.seconds = time.monotonic() - began
        self._note_session(episode, remembered, outcome)
        return outcome

    @staticmethod
    def _note_session(episode: Episode, remembered: Remembered, outcome: Outcome) -> None:
        state = outcome.session_state
        remembered.session = None if state is None else Session(state, episode.event_count)

    async def _place_of(self, error: decisions.NonDeterminism, name: str, trigger: str) -> str:
        """Where in the user's code the contradiction stands, if the app's SDK can tell."""
        try:
            told: Any = json.loads(await self._invoker.explain(name, trigger) or "null")
        except (WorkerLost, TimedOut, UnknownFunction):  # the report is right without it
            return ""
        if not shapes.is_array(told) or not told:
            return ""
        is_last = error.position is None or error.position >= len(told)
        asked = told[-1 if error.position is None or is_last else error.position]
        if asked["file"] is None:
            return ""
        place = f"{asked['file']}, line {asked['line']}"
        return f"; the last action it asks for is at {place}" if is_last else f" ({place})"

    async def _drop(self, instance_id: str, waiting: Sequence[Message]) -> FollowUp:
        """Remove messages that nobody needs any more: late results, unknown instances."""
        logger.debug(
            "Dropping %d late messages for instance %s",
            len(waiting),
            instance_id,
            extra=telling.about(instance_id),
        )
        ids = [message.message_id for message in waiting]
        await self._database.write(lambda connection: messages.delete(connection, ids))
        return FollowUp()


def _session_of(instance: Instance) -> str:
    return f"{instance.instance_id}/{instance.execution_id}"


def _load(
    connection: sqlite3.Connection, instance_id: str, now: str, remembered: Remembered | None
) -> _Loaded:
    waiting = _in_order_of_arrival(messages.due(connection, instance_id, now))
    if not waiting:
        return _Loaded(None, [], None)
    if remembered is not None and instances.is_unchanged(connection, remembered.instance):
        return _Loaded(remembered.instance, waiting, remembered)
    instance = instances.find(connection, instance_id)
    if instance is None or instance.is_terminal:
        return _Loaded(instance, waiting, None)
    found = history.find(connection, instance_id)
    remembered = Remembered(instance, found.events, found.leaves, found.open_tasks)
    return _Loaded(instance, waiting, remembered)


_RESULTS = (HistoryEventType.TASK_COMPLETED.value, HistoryEventType.TASK_FAILED.value)


def _in_order_of_arrival(waiting: list[Message]) -> list[Message]:
    """Messages in the order of their commits; but some do not arrive when they are stored.

    A timer arrives when it falls due, not when it was set, and the result of an activity, which may
    have waited for its turn, when that has ended.
    """
    moved = deque(sorted(filter(_has_moment, waiting), key=_arrival))
    if not moved:
        return waiting
    arrived: list[Message] = []
    for message in waiting:
        if not _has_moment(message):
            while moved and _arrival(moved[0]) < _arrival(message):
                arrived.append(moved.popleft())
            arrived.append(message)
    return [*arrived, *moved]


def _has_moment(message: Message) -> bool:
    return message.due_at is not None or message.event_type in _RESULTS


def _arrival(message: Message) -> tuple[str, float]:
    """The moment, and the place among messages of the same: a timer comes behind all others."""
    if message.due_at is not None:
        return message.due_at, math.inf
    return message.created_at, message.message_id


@dataclass(frozen=True)
class _Pauses:
    """What the messages of a turn say about suspending and resuming."""

    is_paused: bool
    """Whether the instance is suspended after them."""
    has_changed: bool
    reason: str | None
    is_terminated: bool


def _read_pauses(episode: Episode, waiting: Sequence[Message]) -> _Pauses:
    is_paused = episode.instance.status == "Suspended"
    has_changed = is_terminated = False
    reason = None
    for message in waiting:
        if message.event_type in _PAUSES:
            wanted = message.event_type == HistoryEventType.EXECUTION_SUSPENDED
            has_changed = has_changed or wanted is not is_paused
            is_paused = wanted
            reason = json.loads(message.event)["Reason"]
        is_terminated = is_terminated or message.event_type == HistoryEventType.EXECUTION_TERMINATED
    return _Pauses(is_paused, has_changed, reason, is_terminated)


def _pause(episode: Episode, pauses: _Pauses, waiting: Sequence[Message]) -> None:
    """Record that the instance is suspended or resumed without running it (protocol.md 13.3).

    An instance that has not begun keeps these messages too, behind its start.
    """
    unpaused = "Pending" if episode.is_first else "Running"
    episode.status = "Suspended" if pauses.is_paused else unpaused
    episode.output = pauses.reason
    if not episode.is_first:
        for message in waiting:
            if message.event_type in _PAUSES:
                take(episode, message)


def _of_one_dispatch(episode: Episode, waiting: list[Message]) -> list[Message]:
    """What a turn takes; the first of a later generation only what it has been begun with.

    The rest comes in the turn behind it, as with the extension (extension-engine.md Y40, Y41).
    """
    if not (episode.is_first and episode.instance.continued):
        return waiting
    begun_with = [message for message in waiting if _begins(message)]
    episode.leaves_messages = len(begun_with) < len(waiting)
    return begun_with


def _begins(message: Message) -> bool:
    is_start = message.event_type == HistoryEventType.EXECUTION_STARTED
    return is_start or events.is_played(message.event)


@dataclass(frozen=True)
class _Terminated:
    reason: str | None


def _take_messages(episode: Episode, waiting: Sequence[Message]) -> _Terminated | None:
    """Turn messages into the events of the batch; the reason if one ends the instance.

    Those that allocate a task id by themselves stand first (protocol.md 8.6, step 1).
    """
    terminated = None
    wanted = [message for message in waiting if _is_wanted(episode, message)]
    taken = {message.message_id for message in wanted}
    episode.consumed += [m.message_id for m in waiting if m.message_id not in taken]
    if len(wanted) > 1:
        first = [message for message in wanted if retries.takes_task_id(episode, message)]
        moved = {message.message_id for message in first}
        # The start stays the second event of the history; what waited for a resume follows it.
        wanted.sort(
            key=lambda message: (
                message.event_type != HistoryEventType.EXECUTION_STARTED,
                message.event_type not in _PAUSES,
                message.message_id not in moved,
            )
        )
    for message in wanted:
        take(episode, message)
        if message.event_type in _COMPLETIONS and message.task_id is not None:
            task = episode.find_open(message.task_id)
            if task is None:  # its double stood earlier in this batch
                episode.batch.pop()
                episode.batch_types.pop()
                continue
            episode.close(message.task_id)
            if task.retry is not None:
                retries.go_on(episode, message, json.loads(task.retry))
        elif message.event_type == HistoryEventType.EXECUTION_TERMINATED:
            terminated = _Terminated(json.loads(message.event)["Input"])
    if episode.is_first and episode.instance.continued and episode.batch:
        # The dispatch that has ended the generation before has begun this one, and ends here.
        episode.batch.append(events.orchestrator_completed(episode.now))
        episode.batch_types.append(HistoryEventType.ORCHESTRATOR_COMPLETED.value)
    return terminated


def _is_wanted(episode: Episode, message: Message) -> bool:
    """Whether a message still means something: late and double results do not."""
    if message.execution_id not in (None, episode.instance.execution_id):
        return False
    if episode.is_first and message.event_type == HistoryEventType.EXECUTION_STARTED:
        return True
    kind = _COMPLETIONS.get(message.event_type)
    if kind is None:
        return message.event_type != HistoryEventType.EXECUTION_STARTED
    task = episode.find_open(message.task_id)
    return task is not None and task.kind == kind


def _apply_outcome(episode: Episode, outcome: Outcome, before: Listed | None) -> Answer | None:
    """Do what the function's answer says; gives it if the function waits for something now."""
    name = episode.instance.name
    answer_text = _answer_text(outcome)
    if answer_text is None:
        _fail_without_envelope(episode, outcome.failure)
        return None
    answer = read(answer_text, before)
    fields, actions = answer.fields, answer.actions
    _set_custom_status(episode, fields)
    if episode.status == "Failed":
        return None
    limit = episode.limits.max_orchestration_actions
    known = len(episode.leaves) if outcome.is_increment or answer.is_continued else 0
    if known + sum(1 for _ in decisions.flatten(actions)) > limit:
        text = (
            f"Maximum amount of orchestration actions ({limit}) has been reached. This value can "
            "be configured in host.json file as MaxOrchestrationActions."
        )
        _end(episode, "Failed", failures.orchestrator_failed(name, text))
        return None
    if outcome.is_increment:
        decisions.apply_increment(episode, actions, fields.get("canceledTimers", ()))
    else:
        decisions.apply(episode, actions, is_continued=answer.is_continued)
    if "error" in fields:
        if not episode.still_open():
            _fail(episode, fields, outcome.failure)
    elif fields.get("isDone") and not episode.still_open():
        if actions and actions[-1].get("actionType") == ActionType.CONTINUE_AS_NEW:
            _continue_as_new(episode, actions)
        else:
            output = fields.get("output")
            _end(episode, "Completed", None if output is None else events.dump(output))
    return None if "error" in fields or fields.get("isDone") else answer


def _fail(episode: Episode, answer: Mapping[str, Any], failure: Failure | None) -> None:
    """End the instance with the error of its answer."""
    output = failures.orchestrator_failed(episode.instance.name, str(answer["error"]))
    episode.failure = episode.failure_details = _details(failure)
    structured = failure_details.of_answer(answer.get("failureDetails"))
    if structured is not None:  # the parent still gets the usual text (extension-engine.md Y33)
        episode.structured = episode.failure_details = structured
        episode.reason = events.storable(output)
        output = failures.structured_output(structured)
    _end(episode, "Failed", output)


def _answer_text(outcome: Outcome) -> str | None:
    """The result object, from the value or from the failure envelope; None without either."""
    if outcome.failure is None:
        return outcome.value or ""
    return envelopes.answer_in(outcome.failure.message)


def _fail_without_envelope(episode: Episode, failure: Failure | None) -> None:
    """Fail at once, with the extension's text; open work is dropped (extension-engine.md Y32).

    Once the function has scheduled something, that text does not have the reason. So the log has.
    """
    name = episode.instance.name
    episode.failure = episode.failure_details = _details(failure)
    if failure is None:
        _end(episode, "Failed", failures.orchestrator_failed(name, "the worker gave no answer"))
        return
    contradiction = envelopes.contradicted(episode.history)
    if contradiction is None:
        _end(episode, "Failed", failures.orchestrator_failed(name, failures.raised(failure)))
        return
    logger.error(
        "Instance %s fails because orchestrator '%s' has ended with a failure that does not say "
        "what it has asked for so far; as on Azure, its status only tells of non-determinism. The "
        "failure: %s",
        episode.instance.instance_id,
        name,
        failure.text.partition(FAILURE_LABEL)[0],
        extra=telling.about(episode.instance.instance_id, name),
    )
    _end(episode, "Failed", contradiction)


def _set_custom_status(episode: Episode, answer: Mapping[str, Any]) -> None:
    """Take the status over; a missing one means none (protocol.md 3)."""
    status = answer.get("customStatus")
    if status is None:
        if not (episode.is_first and episode.instance.continued):
            episode.custom_status = None
        return
    text = json.dumps(status, separators=(",", ":"), ensure_ascii=False)
    kilobytes = len(text.encode("utf-16-le", "surrogatepass")) // 1024
    if kilobytes > _CUSTOM_STATUS_KILOBYTES:
        reason = (
            f"The UTF-16 size of the JSON-serialized payload must not exceed "
            f"{_CUSTOM_STATUS_KILOBYTES} KB. The current payload size is {kilobytes} KB."
        )
        _end(episode, "Failed", failures.orchestrator_failed(episode.instance.name, reason))
        return
    episode.custom_status = events.dump(status)


def _details(failure: Failure | None) -> dict[str, Any] | None:
    """What user code raised: the envelope's exception has it as its cause."""
    if failure is None:
        return None
    if FAILURE_LABEL not in failure.message:
        return dict(failure.details) or None
    inner: Any = failure.details.get("InnerFailure")
    if shapes.is_object(inner):
        return inner
    message = failure.message.rpartition(FAILURE_LABEL)[0]
    return {**failure.details, "ErrorMessage": message} if failure.details else None


def _end(episode: Episode, status: str, output: str | None) -> None:
    episode.status = status
    episode.output = None if output is None else events.storable(output)


def _continue_as_new(episode: Episode, actions: Sequence[Mapping[str, Any]]) -> None:
    episode.continues = True
    episode.continue_with = actions[-1].get("input")


def _carried_events(connection: sqlite3.Connection, episode: Episode) -> list[NewMessage]:
    """Raised events that the next generation gets (extension-engine.md Y41).

    They are all that have come since the turn in which the function has continued as new; of that
    turn those that came after the wait that has let it (protocol.md 13.5).
    """
    work = [event for _, event in episode.work]
    sent = (event for event in [*episode.history, *work] if '"EventType":14,' in event)
    # An entity's answer belongs to the generation that called.
    asked = {json.loads(json.loads(event)["Input"])["id"].upper() for event in sent}
    recorded = [event for event in episode.history if _is_raised(event)]
    raised = [event for event in episode.batch if _is_raised(event)]
    asked_before = any(leaf.action_type == ActionType.CONTINUE_AS_NEW for leaf in episode.leaves)
    if asked_before:
        turns = history.turns(connection, episode.instance.instance_id)
        place = next(place for place, turn in enumerate(turns) if _continues(turn))
        until, since = turns[: place + 1], turns[place + 1 :]
        recorded = [event for turn in until for event in turn.events if _is_raised(event)]
        raised[:0] = [event for turn in since for event in turn.events if _is_raised(event)]
    recorded, raised = (
        [event for event in texts if _name_of(event).upper() not in asked]
        for texts in (recorded, raised)
    )
    free = Counter(
        str(leaf.name).upper()
        for leaf in (*episode.leaves, *episode.new_leaves)
        if leaf.action_type == ActionType.WAIT_FOR_EXTERNAL_EVENT
    )
    episode.dropped_events += map(_name_of, _unconsumed(recorded, free))
    if not asked_before:
        raised = _unconsumed(raised, free)
    return [
        NewMessage(
            instance_id=episode.instance.instance_id,
            execution_id=None,
            event_type=HistoryEventType.EVENT_RAISED.value,
            created_at=episode.stored_now,
            event=events.played(event),
        )
        for event in raised
    ]


def _is_raised(event: str) -> bool:
    mark = HistoryEventType.EVENT_RAISED.value
    return f'"EventType":{mark},' in event and json.loads(event)["EventType"] == mark


def _continues(turn: history.Turn) -> bool:
    return any(leaf.action_type == ActionType.CONTINUE_AS_NEW for leaf in turn.leaves)


def _name_of(raised: str) -> str:
    return str(json.loads(raised)["Name"])


def _unconsumed(raised: Sequence[str], free: Counter[str]) -> list[str]:
    """Events for which no wait is `free`; those that have one take it."""
    left: list[str] = []
    for event in raised:
        name = _name_of(event).upper()
        free[name] -= 1
        if free[name] < 0:
            left.append(event)
    return left


def _note(connection: sqlite3.Connection, before: Instance, noted: Instance) -> None:
    if instances.is_unchanged(connection, before):
        instances.update(connection, before, noted)


def _commit(connection: sqlite3.Connection, episode: Episode) -> FollowUp:
    """Store all that a turn has changed; nothing if the instance was replaced meanwhile."""
    if not instances.is_unchanged(connection, episode.instance):
        messages.delete(connection, episode.consumed)
        return FollowUp()
    return _put(connection, episode)


def _put(connection: sqlite3.Connection, episode: Episode) -> FollowUp:
    """Store all that a turn has changed, of an instance that is as the turn has found it."""
    before = episode.instance
    instance_id = before.instance_id
    dispatch = FollowUp(activities=episode.activities)
    messages.delete(connection, episode.consumed)
    messages.send(connection, episode.letters)
    dispatch.instances += [letter.instance_id for letter in episode.letters]
    for order in episode.orders:
        dispatch.instances += descendants.pass_on(
            connection, before, order, episode.history, episode.stored_now
        )
    if episode.continues:
        _begin_generation(connection, episode)
        dispatch.instances.append(instance_id)
        dispatch.activities = []
        return dispatch
    is_unbegun = episode.is_first and episode.status in ("Suspended", "Pending")
    appended = [] if is_unbegun else episode.new_history()
    history.append(
        connection,
        instance_id,
        before.event_count,
        appended,
        episode.new_leaves,
        episode.opened.values(),
        episode.closed,
    )
    after = before._replace(
        status=episode.status,
        output=episode.output,
        custom_status=episode.custom_status,
        updated_at=episode.stored_now,
        event_count=before.event_count + len(appended),
        action_count=episode.action_count,
        next_task_id=episode.next_task_id,
    )
    instances.update(connection, before, after)
    if after.is_terminal:
        _finish(connection, episode, after, dispatch)
        return dispatch
    episode.after, episode.appended = after, appended
    if episode.leaves_messages:
        dispatch.instances.append(instance_id)
    messages.delete_timers(connection, instance_id, episode.cancelled)
    messages.schedule(connection, episode.activities)
    _start_children(connection, episode, dispatch)
    kept = [message for message in episode.outgoing if message.task_id not in episode.cancelled]
    messages.send(connection, kept)
    for message in kept:
        if message.due_at is None or message.due_at <= episode.stored_now:
            dispatch.instances.append(instance_id)
        else:
            dispatch.planned.append((message.due_at, instance_id))
    return dispatch


def _start_children(connection: sqlite3.Connection, episode: Episode, dispatch: FollowUp) -> None:
    """Start what the turn has asked for; whatever has the id of one makes room for it (Y72).

    Of several with one id one runs after the other, and each answers its call (Y71).
    """
    started: set[str] = set()
    for child in episode.children:
        child_id = child.instance.instance_id
        if child_id in started:
            messages.keep_start(connection, child_id, child.start.event)
            continue
        started.add(child_id)
        existing = instances.find(connection, child_id)
        if existing is not None:
            if not existing.is_terminal:
                logger.warning(
                    "Instance %s was %s and is replaced: instance %s has started a "
                    "sub-orchestration with its id",
                    child_id,
                    existing.status,
                    episode.instance.instance_id,
                    extra=telling.about(child_id, existing.name),
                )
            instances.delete(connection, child_id)
        instances.put(connection, child.instance)
        messages.send(connection, [child.start])
        dispatch.instances.append(child_id)


def _finish(
    connection: sqlite3.Connection, episode: Episode, ended: Instance, dispatch: FollowUp
) -> None:
    """Clear away what an ended instance leaves, and tell its parent."""
    messages.delete_of_instance(connection, ended.instance_id)
    instances.forget_work(connection, ended.instance_id)
    dispatch.activities = []
    dispatch.finished = True
    if ended.parent is not None:
        answer = answer_to_parent(
            ended, json.loads(ended.parent), episode.now, episode.failure_details, episode.reason
        )
        messages.send(connection, [answer])
        dispatch.instances.append(answer.instance_id)
    waiting = messages.take_start(connection, ended.instance_id)
    if waiting is not None:
        instances.forget_execution(connection, ended.instance_id)
        fresh = instance_started_by(waiting, episode.now)
        instances.put(connection, fresh.row)
        messages.send(connection, [fresh.start])
        dispatch.instances.append(ended.instance_id)


def _begin_generation(connection: sqlite3.Connection, episode: Episode) -> None:
    """Continue as new: a new execution under the same id (protocol.md 13.5)."""
    old = episode.instance
    carried = _carried_events(connection, episode)
    started = episode.batch[0] if episode.is_first else episode.history[1]
    waiting = messages.due(connection, old.instance_id, "9999")
    messages.delete_of_instance(connection, old.instance_id)
    instances.forget_execution(connection, old.instance_id)
    fresh = new_instance(
        now=episode.now,
        name=old.name,
        instance_id=old.instance_id,
        input_text=None if episode.continue_with is None else events.dump(episode.continue_with),
        version=old.version,
        parent=None if old.parent is None else json.loads(old.parent),
        status="Running",
        custom_status=episode.custom_status,
        continued=True,
        tags=tags_of(started),
    )
    instances.put(connection, fresh.row)
    still_queued = [
        NewMessage(
            instance_id=message.instance_id,
            execution_id=None,
            event_type=message.event_type,
            created_at=message.created_at,
            event=message.event,
        )
        for message in waiting
        if message.execution_id is None
    ]
    messages.send(connection, [fresh.start, *carried, *still_queued])
