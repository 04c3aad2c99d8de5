"""Keeps everything moving: turns of instances, activities, timers.

One turn at a time per instance; instances and activities run side by side up to the limits of
host.json (host.md 9.3). What is kept here is only which work to look at next: all of it can be read
again from the store, which `start` does.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.durable_functions._wire.vocabulary import HistoryEventType
from azure.durable_functions.local.engine import clock, log_fields
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp, Rest, StartActivities
from azure.durable_functions.local.engine.invoker import HasRun, TimedOut, WorkerLost
from azure.durable_functions.local.engine.texts.entity_rows import is_entity
from azure.durable_functions.local.engine.turns.entities import BatchRefused
from azure.durable_functions.local.store import messages
from azure.durable_functions.local.store.database import (
    KEPT,
    Commit,
    Database,
    StoreClosed,
)
from azure.durable_functions.local.store.messages import Activity
from azure.durable_functions.local.store.space import StoreFull

from .activities import Activities, Ended

logger = logging.getLogger("azure.durable_functions.local")

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_FEW_TIMERS = 1000

Turn = Awaitable[FollowUp | None]


class _Place:
    """One of the places that limit how many functions run at once; freed once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._is_taken = True

    def free(self) -> None:
        """Let somebody else have it."""
        if self._is_taken:
            self._is_taken = False
            self._leave()


class _Ahead:
    """Activities that are begun while the disk still works on the turn that schedules them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.turn_has_ended = asyncio.Event()
        """In the host as well, which a fast worker's answer may overtake."""

    def end(self, *, is_stored: bool) -> None:
        """Let them be recorded, or cancel them if they are not scheduled after all."""
        self.turn_has_ended.set()
        if not is_stored:
            for task in self.tasks:
                task.cancel()


@dataclass
class _Resting:
    """An instance that waits for more results before its next turn."""

    awaited: int
    come: int
    """Results that wait for it."""
    timer: asyncio.TimerHandle


@dataclass
class _Lane:
    """Turns of one kind: those that are to be run, and how many may run at once (host.md 9.3)."""

    limit: int
    ready: deque[str] = field(default_factory=deque[str])
    running: int = 0


class Dispatcher:
    """Runs what is due."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        run_turn: Callable[[str, HasRun, StartActivities], Turn],
        activities: Activities,
        *,
        max_episodes: int,
        max_activities: int,
        max_entity_turns: int,
        result_patience_seconds: float,
        on_finished: Callable[[str], None] = lambda instance_id: None,
    ) -> None:
        self._database = database
        self._clock = time
        self._run_turn = run_turn
        self._activities = activities
        self._orchestrations = _Lane(max_episodes)
        self._entities = _Lane(max_entity_turns)
        self._max_activities = max_activities
        self._result_patience = result_patience_seconds
        self._on_finished = on_finished
        self._queued: set[str] = set()
        self._in_hand: dict[str, asyncio.Future[bool]] = {}
        """Of those queued the ones whose turn stands on a result that is not stored yet."""
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._results: Counter[str] = Counter()
        """Of activities, that have come during the turn of an instance."""
        self._resting: dict[str, _Resting] = {}
        self._pausing: set[str] = set()
        """Their turn has failed and is tried again later."""
        self._waiting_activities: deque[Activity] = deque()
        self._running_activities = 0
        self._unrecorded_activities = 0
        """Those that run and those whose result is on its way to the disk."""
        self._timers: list[tuple[str, str]] = []
        self._timer_set = asyncio.Event()
        self._most_timers = _FEW_TIMERS
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: dict[str, float] = {}
        self._quiet_waiters: list[asyncio.Future[None]] = []
        self._started = False
        self._paused = False
        self._stopping = False

    async def start(self) -> None:
        """Take up everything that the store holds."""
        self._started = True
        now = clock.stored(self._clock.now())
        due = await self._database.read(lambda c: messages.instances_with_due(c, now))
        planned = await self._database.read(messages.planned)
        scheduled = await self._database.read(messages.scheduled)
        self._spawn(self._watch_timers())
        self.follow_up(FollowUp(activities=scheduled, woken=due, due=planned))
        self._run_turns()  # of instances that were woken before

    async def stop(self, patience_seconds: float) -> None:
        """Take no new work, let running functions finish for a while, abandon the rest."""
        self._stopping = True
        self._timer_set.set()
        self._let_all_go()
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_seconds
        while running := [task for task in self._tasks if not task.done()]:  # which begin others
            seconds_left = end - loop.time()
            if seconds_left > 0:
                await asyncio.wait(running, timeout=seconds_left)
            else:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)

    def pause(self) -> None:
        """StartActivities nothing new until `go_on`; what runs goes on."""
        self._paused = True
        self._let_all_go()

    def go_on(self) -> None:
        """End a pause."""
        self._paused = False
        self._run_turns()
        self._run_activities()

    @property
    def _is_working(self) -> bool:
        """Between `start` and `stop`, but for pauses: else what waits stays in the store."""
        return self._started and not self._stopping and not self._paused

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs and nothing is due: only time or a client can change anything."""
        now = clock.stored(self._clock.now())
        due = bool(self._timers) and self._timers[0][0] <= now
        return not (
            self._queued
            or self._running
            or self._resting
            or self._waiting_activities
            or self._unrecorded_activities
            or due
        )

    async def wait_until_quiet(self) -> None:
        """Return when `is_quiet`."""
        if not self.is_quiet:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._quiet_waiters.append(waiter)
            await waiter

    @property
    def next_due(self) -> str | None:
        """When the next timer falls due, as the store writes it."""
        return self._timers[0][0] if self._timers else None

    def follow_up(self, dispatch: FollowUp) -> None:
        """Start what a commit has made possible."""
        for instance_id in dispatch.woken:
            self.wake(instance_id)
        for due_at, instance_id in dispatch.due:
            heapq.heappush(self._timers, (due_at, instance_id))
        if dispatch.due:
            self._timer_set.set()
            if len(self._timers) > self._most_timers:
                self._spawn(self._forget_cancelled_timers())
        self._waiting_activities.extend(dispatch.activities)
        self._run_activities()

    async def _forget_cancelled_timers(self) -> None:
        """Cancelled timers stay in the heap until they fall due; from time to time read it anew."""
        self._most_timers = 2 * len(self._timers)
        self._timers = await self._database.read(messages.planned)
        heapq.heapify(self._timers)
        self._most_timers = max(_FEW_TIMERS, 2 * len(self._timers))
        self._timer_set.set()

    def wake(self, instance_id: str) -> None:
        """Something waits for the instance."""
        self._end_rest(instance_id)
        if instance_id in self._running or instance_id in self._pausing:
            self._again.add(instance_id)
        elif instance_id in self._queued:
            self._let_go(instance_id)  # the turn has more to look at than the result
        else:
            lane = self._entities if is_entity(instance_id) else self._orchestrations
            self._queue(instance_id, lane)
            self._run_turns()

    def _note_result(self, ended: Ended) -> None:
        """A result waits for its instance, which may rest unless the activity has failed."""
        instance_id = ended.activity.instance_id
        resting = self._resting.get(instance_id)
        if ended.event_type is not HistoryEventType.TASK_COMPLETED:
            self.wake(instance_id)
        elif instance_id in self._running:
            self._results[instance_id] += 1
        elif resting is None or resting.come + 1 >= resting.awaited:
            self.wake(instance_id)
        else:
            resting.come += 1

    def _begin_rest(self, instance_id: str, rest: Rest, come: int) -> None:
        def wake_up() -> None:
            if self._end_rest(instance_id):
                self.wake(instance_id)
            self._tell_if_quiet()

        timer = asyncio.get_running_loop().call_later(rest.seconds, wake_up)
        self._resting[instance_id] = _Resting(rest.awaited, come, timer)

    def _end_rest(self, instance_id: str) -> int:
        """How many results have come meanwhile."""
        resting = self._resting.pop(instance_id, None)
        if resting is None:
            return 0
        resting.timer.cancel()
        return resting.come

    def _queue(self, instance_id: str, lane: _Lane) -> None:
        self._queued.add(instance_id)
        lane.ready.append(instance_id)

    def _run_turns(self) -> None:
        for lane in (self._orchestrations, self._entities):
            while lane.ready and lane.running < lane.limit and self._is_working:
                instance_id = lane.ready.popleft()
                self._queued.discard(instance_id)
                self._take_place(instance_id, lane)
                waiter = self._in_hand.pop(instance_id, None)
                if waiter is None:
                    self._spawn(self._turn(instance_id, lane))
                else:
                    waiter.set_result(True)

    def _take_place(self, instance_id: str, lane: _Lane) -> None:
        self._running.add(instance_id)
        lane.running += 1

    async def _turn(self, instance_id: str, lane: _Lane) -> None:
        try:
            dispatch, has_failed = await self._run_in_lane(
                instance_id, lane, partial(self._run_turn, instance_id)
            )
        except StoreClosed:
            return
        if has_failed:
            self._pausing.add(instance_id)
            await self._pause(self._next_pause(instance_id))
            self._pausing.discard(instance_id)
            self._again.add(instance_id)
        else:
            self._pauses.pop(instance_id, None)
        self._after_turn(instance_id, dispatch)
        self._tell_if_quiet()

    async def _run_in_lane(
        self, instance_id: str, lane: _Lane, run: Callable[[HasRun, StartActivities], Turn]
    ) -> tuple[FollowUp | None, bool]:
        """Run a turn, for which the place is taken; gives also whether it has failed.

        Raises:
            StoreClosed
        """
        place = _Place(lambda: self._leave(lane))
        ahead = _Ahead()
        dispatch = None
        try:
            dispatch = await run(place.free, partial(self._begin_ahead, ahead))
        except StoreClosed:
            raise
        except (WorkerLost, TimedOut, BatchRefused) as error:
            about = log_fields.about(instance_id)
            logger.error("The turn of instance %s is repeated: %s", instance_id, error, extra=about)
            return None, True
        except StoreFull:  # which the store has said
            return None, True
        except Exception:  # one turn must not stop the others; what it read is still there
            about = log_fields.about(instance_id)
            logger.exception(
                "The turn of instance %s failed and is repeated", instance_id, extra=about
            )
            return None, True
        finally:
            self._running.discard(instance_id)
            place.free()
            ahead.end(is_stored=dispatch is not None)
        return dispatch, False

    def _after_turn(self, instance_id: str, dispatch: FollowUp | None) -> None:
        if dispatch is not None:
            self.follow_up(dispatch)
            if dispatch.has_ended:
                self._on_finished(instance_id)
        come = self._results.pop(instance_id, 0)
        rest = None if dispatch is None else dispatch.rest
        if instance_id in self._again:
            self._again.discard(instance_id)
            self.wake(instance_id)
        elif instance_id in self._queued or instance_id in self._running:
            return  # it has been woken by what it has sent itself
        elif rest is not None and come < rest.awaited:
            self._begin_rest(instance_id, rest, come)
        elif come:
            self.wake(instance_id)

    def _is_free(self, lane: _Lane) -> bool:
        """Whether a turn may begin at once, and nobody waits for that."""
        return self._is_working and not lane.ready and lane.running < lane.limit

    def _leave(self, lane: _Lane) -> None:
        lane.running -= 1
        self._run_turns()

    def _tell_if_quiet(self) -> None:
        if self._quiet_waiters and self.is_quiet:
            for waiter in self._quiet_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._quiet_waiters.clear()

    def _next_pause(self, key: str) -> float:
        pause = self._pauses.get(key, _FIRST_PAUSE_SECONDS / 2) * 2
        self._pauses[key] = min(pause, _LONGEST_PAUSE_SECONDS)
        return self._pauses[key]

    async def _pause(self, seconds: float) -> None:
        if not self._stopping:
            await asyncio.sleep(seconds)

    def _run_activities(self) -> None:
        while (
            self._waiting_activities
            and self._running_activities < self._max_activities
            and self._is_working
        ):
            self._begin_activity(self._waiting_activities.popleft())

    def _begin_ahead(
        self, ahead: _Ahead, activities: Sequence[Activity], commit: Commit
    ) -> Sequence[Activity]:
        """StartActivities those for which there are places and nobody waits; give the others."""
        if self._waiting_activities or not self._is_working:
            return activities
        free = max(0, self._max_activities - self._running_activities)
        for activity in activities[:free]:
            task = self._begin_activity(activity, commit, ahead.turn_has_ended)
            ahead.tasks.append(task)
        return activities[free:]

    def _begin_activity(
        self,
        activity: Activity,
        after: Commit = KEPT,
        turn_has_ended: asyncio.Event | None = None,
    ) -> asyncio.Task[None]:
        self._running_activities += 1
        self._unrecorded_activities += 1
        return self._spawn(self._activity(activity, after, turn_has_ended))

    async def _activity(
        self, activity: Activity, after: Commit, turn_has_ended: asyncio.Event | None
    ) -> None:
        place = _Place(self._leave_activities)
        try:
            ended = await self._activities.run(activity, place.free, after)
            if turn_has_ended is not None:
                await turn_has_ended.wait()
            await self._record(ended)
        except WorkerLost as error:
            logger.warning(
                "Activity %s of instance %s runs again: %s",
                activity.name,
                activity.instance_id,
                error,
                extra=log_fields.about(activity.instance_id, activity.name),
            )
            await self._schedule_again(activity, after)
        except StoreClosed:
            return
        except StoreFull:  # nothing was recorded, so it is still scheduled
            await self._pause(_LONGEST_PAUSE_SECONDS)
            await self._schedule_again(activity, after)
        except Exception:  # the same
            logger.exception(
                "Activity %s of instance %s could not be run or recorded and is tried again",
                activity.name,
                activity.instance_id,
                extra=log_fields.about(activity.instance_id, activity.name),
            )
            await self._pause(_FIRST_PAUSE_SECONDS)
            await self._schedule_again(activity, after)
        finally:
            self._unrecorded_activities -= 1
            place.free()
        self._run_activities()
        self._tell_if_quiet()

    async def _schedule_again(self, activity: Activity, after: Commit) -> None:
        await after.kept()
        self._waiting_activities.append(activity)

    async def _record(self, ended: Ended) -> None:
        """Record a result, with the turn that it makes possible if its instance is idle."""
        instance_id = ended.activity.instance_id
        continued = ended.outcome.continued
        busy = (self._running, self._pausing, self._queued, self._resting)
        if any(instance_id in instances for instances in busy):
            try:
                await self._record_alone(ended)
            finally:
                if continued is not None:
                    await continued  # which does not count
        elif continued is not None:  # it runs: the place is taken, whether one is free or not
            self._take_place(instance_id, self._orchestrations)
            await self._record_with_turn(ended)
        elif (
            self._is_working
            and self._activities.may_have_turn(ended)
            and await self._wait_for_place(instance_id)
        ):
            await self._record_with_turn(ended)
        else:
            await self._record_alone(ended)

    async def _record_alone(self, ended: Ended) -> None:
        if await self._activities.record(ended):
            self._note_result(ended)

    async def _record_with_turn(self, ended: Ended) -> None:
        """Record a result with its turn, for which the place is taken.

        It is recorded by itself if the turn does not count, or takes long, in which case it is
        void; but not if that would cost a session.
        """
        instance_id = ended.activity.instance_id
        alone: list[asyncio.Task[None]] = []

        def lose_patience() -> None:
            if not ended.is_session_advanced:
                alone.append(self._spawn(self._record_alone(ended)))

        timer = asyncio.get_running_loop().call_later(self._result_patience, lose_patience)
        try:
            run = partial(self._activities.record_with_turn, ended)
            dispatch, _ = await self._run_in_lane(instance_id, self._orchestrations, run)
            self._after_turn(instance_id, dispatch)
        finally:
            timer.cancel()
        if dispatch is None:
            await (alone[0] if alone else self._record_alone(ended))

    async def _wait_for_place(self, instance_id: str) -> bool:
        """Take a place for the turn of an instance that is idle; False after `_let_go`."""
        lane, loop = self._orchestrations, asyncio.get_running_loop()
        if self._is_free(lane):
            self._take_place(instance_id, lane)
            return True
        waiter: asyncio.Future[bool] = loop.create_future()
        self._in_hand[instance_id] = waiter
        self._queue(instance_id, lane)
        timer = loop.call_later(2 * self._result_patience, self._let_go, instance_id)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._in_hand.pop(instance_id, None)
            if not waiter.cancelled() and waiter.result():  # nobody takes what was given
                self._running.discard(instance_id)
                self._leave(lane)
            raise
        finally:
            timer.cancel()

    def _let_go(self, instance_id: str) -> None:
        """Have a result stored that is in hand; its turn keeps its place in the queue."""
        waiter = self._in_hand.pop(instance_id, None)
        if waiter is not None:
            waiter.set_result(False)

    def _let_all_go(self) -> None:
        for instance_id in [*self._in_hand]:
            self._let_go(instance_id)

    def _leave_activities(self) -> None:
        self._running_activities -= 1
        self._run_activities()

    async def _watch_timers(self) -> None:
        while not self._stopping:
            self._timer_set.clear()
            now = clock.stored(self._clock.now())
            while self._timers and self._timers[0][0] <= now:
                _, instance_id = heapq.heappop(self._timers)
                self.wake(instance_id)
            until = clock.from_stored(self._timers[0][0]) if self._timers else None
            await self._clock.wait(until, self._timer_set)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
