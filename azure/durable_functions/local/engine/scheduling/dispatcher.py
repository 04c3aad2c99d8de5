"""Keeps everything moving: turns of instances, activities, timers.

What is kept here is only which work to look at next. All of it can be read again from the store,
which `start` does. Its parts, each of which knows only what stands below it:

    dispatcher      wakes instances, starts what follows a commit
    activity_queue  which activities wait and run
    results         stores results, alone or with a turn
    turn_runner     runs a turn that has a slot
    lanes, rests, backoff, due_times    which instances wait, and for what
    tasks           what runs, and whether more may start
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.clock import Clock
from azure.durable_functions.local.engine.follow_up import FollowUp, StartActivities
from azure.durable_functions.local.engine.invoker import HasRun
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.store import messages
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.messages import Activity

from .activities import Activities
from .activity_queue import ActivityQueue
from .backoff import Backoff
from .due_times import DueTimes
from .lanes import Lane, Lanes
from .rests import Rests
from .results import Results
from .tasks import Tasks
from .turn_runner import Ahead, Turn, TurnRunner


class Load(NamedTuple):
    """How much waits and runs."""

    waiting_turns: int
    running_turns: int
    held_instances: int
    """In a pause after a turn that has failed."""
    resting_instances: int
    """Waiting for more results before their next turn."""
    results_in_hand: int
    """Results that wait in memory for a slot for their turn."""
    waiting_activities: int
    running_activities: int
    unrecorded_activities: int
    """Those that run, and those whose result is on its way to the disk."""
    timers: int
    """Timers that are set; some may be cancelled."""


class Dispatcher:
    """Runs what is due."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        run_turn: Callable[[str, HasRun, StartActivities], Turn],
        activities: Activities,
        settings: HubSettings,
        on_finished: Callable[[str], None] = lambda instance_id: None,
    ) -> None:
        """Compose the parts; `start` begins work.

        `run_turn` and `activities` run one turn of an instance and one activity; `on_finished` is
        called with the id of an instance that has ended.
        """
        self._database = database
        self._clock = time
        self._tasks = Tasks()
        self._due_times = DueTimes(database, time, self._tasks, self.wake)
        self.backoff = Backoff(self._tasks, settings.retry_pause_seconds)
        """Pauses after failures."""
        self._rests = Rests(self._end_rest)
        self._lanes = Lanes(
            self._tasks,
            self._run_turn,
            max_episodes=settings.max_episodes,
            max_entity_turns=settings.max_entity_turns,
        )
        self._turns = TurnRunner(
            self._lanes,
            self.backoff,
            self._rests,
            run_turn=run_turn,
            start_ahead=self._start_ahead,
            follow_up=self.follow_up,
            wake=self.wake,
            on_finished=on_finished,
        )
        self.results = Results(
            self._tasks,
            activities,
            self._lanes,
            self.backoff,
            self._rests,
            self._turns,
            patience_seconds=settings.result_patience_seconds,
            wake=self.wake,
        )
        """Where results of activities are recorded."""
        self._activities = ActivityQueue(
            self._tasks,
            activities,
            self.backoff,
            self.results.record,
            max_activities=settings.max_activities,
            on_change=self._tell_if_quiet,
        )
        self._quiet_waiters: list[asyncio.Future[None]] = []
        """Of `wait_until_quiet`."""

    async def start(self) -> None:
        """Take up everything that the store holds."""
        self._tasks.open()
        now = clock.stored(self._clock.now())
        woken = await self._database.read(lambda c: messages.instances_with_due(c, now))
        due = await self._database.read(messages.planned)
        scheduled = await self._database.read(messages.scheduled)
        self._tasks.spawn(self._due_times.watch())
        self.follow_up(FollowUp(scheduled, woken, due))
        self._lanes.run_ready()  # instances that were woken before

    async def stop(self, patience_seconds: float) -> None:
        """Start nothing new, let running functions finish for a while, abandon the rest."""
        self._tasks.is_stopping = True
        self._due_times.stop()
        self._lanes.let_all_go()
        await self._tasks.end(patience_seconds)

    def pause(self) -> None:
        """Start nothing new until `resume`; what runs goes on."""
        self._tasks.is_paused = True
        self._lanes.let_all_go()

    def resume(self) -> None:
        """End a pause."""
        self._tasks.is_paused = False
        self._lanes.run_ready()
        self._activities.run()

    def wake(self, instance_id: str) -> None:
        """Something waits for the instance."""
        self._rests.end(instance_id)
        if self._lanes.is_running(instance_id) or self.backoff.holds(instance_id):
            self._turns.repeat(instance_id)
        elif self._lanes.is_queued(instance_id):
            self._lanes.let_go(instance_id)  # the turn has more to look at than the result
        else:
            self._lanes.queue(instance_id)
            self._lanes.run_ready()

    def follow_up(self, follow_up: FollowUp) -> None:
        """Start what a commit has made possible."""
        for instance_id in follow_up.woken:
            self.wake(instance_id)
        self._due_times.add(follow_up.due)
        self._activities.add(follow_up.activities)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs and nothing is due: only time or a client can change anything."""
        return (
            self._lanes.is_empty
            and not self._rests
            and self._activities.is_empty
            and not self._due_times.is_due
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
        return self._due_times.next_due

    @property
    def load(self) -> Load:
        """What waits and runs at this moment."""
        return Load(
            waiting_turns=self._lanes.waiting,
            running_turns=self._lanes.running,
            held_instances=len(self.backoff),
            resting_instances=len(self._rests),
            results_in_hand=self._lanes.results_in_hand,
            waiting_activities=self._activities.waiting,
            running_activities=self._activities.running,
            unrecorded_activities=self._activities.unrecorded,
            timers=len(self._due_times),
        )

    def _run_turn(self, instance_id: str, lane: Lane) -> None:
        self._tasks.spawn(self._turn(instance_id, lane))

    async def _turn(self, instance_id: str, lane: Lane) -> None:
        await self._turns.run(instance_id, lane)
        self._tell_if_quiet()

    def _start_ahead(
        self, ahead: Ahead, activities: Sequence[Activity], commit: Commit
    ) -> Sequence[Activity]:
        return self._activities.start_ahead(ahead, activities, commit)

    def _end_rest(self, instance_id: str, has_results: bool) -> None:
        if has_results:
            self.wake(instance_id)
        self._tell_if_quiet()

    def _tell_if_quiet(self) -> None:
        if self._quiet_waiters and self.is_quiet:
            for waiter in self._quiet_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._quiet_waiters.clear()
