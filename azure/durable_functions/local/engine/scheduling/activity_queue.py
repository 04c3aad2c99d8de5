"""Activities that wait for a slot, and those that run."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from azure.durable_functions.local.engine.invoker import WorkerLost
from azure.durable_functions.local.engine.log_fields import about
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.store.database import StoreClosed
from azure.durable_functions.local.store.messages import Activity
from azure.durable_functions.local.store.space import StoreFull

from .activities import Activities, Ended
from .backoff import Backoff
from .lanes import Slot
from .tasks import Tasks
from .turn_runner import Ahead

logger = logging.getLogger("azure.durable_functions.local")


class ActivityQueue:
    """Runs activities, at most so many at once as host.json says (host.md 9.3)."""

    def __init__(
        self,
        tasks: Tasks,
        activities: Activities,
        backoff: Backoff,
        record: Callable[[Ended], Awaitable[None]],
        *,
        max_activities: int,
        on_change: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._activities = activities
        self._backoff = backoff
        self._record = record
        """Stores a result."""
        self._max = max_activities
        """At most this many functions run at once."""
        self._on_change = on_change
        """Called when an activity is recorded: perhaps nothing is left to do."""
        self._waiting: deque[Activity] = deque()
        """Scheduled activities without a slot."""
        self.running = 0
        """How many functions run."""
        self.unrecorded = 0
        """How many run, or have a result on its way to the disk."""

    @property
    def is_empty(self) -> bool:
        """Whether no activity waits, runs or is being recorded."""
        return not (self._waiting or self.unrecorded)

    @property
    def waiting(self) -> int:
        """How many activities wait for a slot."""
        return len(self._waiting)

    def add(self, activities: Iterable[Activity]) -> None:
        """Run activities as slots become free."""
        self._waiting.extend(activities)
        self.run()

    def run(self) -> None:
        """Start the activities for which there are slots."""
        while self._waiting and self.running < self._max and self._tasks.may_start:
            self._start(self._waiting.popleft())

    def start_ahead(
        self, ahead: Ahead, activities: Sequence[Activity], commit: Commit
    ) -> Sequence[Activity]:
        """Start activities whose turn is not on disk yet, if no other waits; return those left.

        Only the way to the worker is prepared: the function itself waits for the commit.
        """
        if self._waiting or not self._tasks.may_start:
            return activities
        free = max(0, self._max - self.running)
        for activity in activities[:free]:
            ahead.tasks.append(self._start(activity, commit, ahead.turn_has_ended))
        return activities[free:]

    def _start(
        self,
        activity: Activity,
        after: Commit = KEPT,
        turn_has_ended: asyncio.Event | None = None,
    ) -> asyncio.Task[None]:
        self.running += 1
        self.unrecorded += 1
        return self._tasks.spawn(self._run_one(activity, after, turn_has_ended))

    async def _run_one(
        self, activity: Activity, after: Commit, turn_has_ended: asyncio.Event | None
    ) -> None:
        slot = Slot(self._leave)
        try:
            ended = await self._activities.run(activity, slot.free, after)
            if turn_has_ended is not None:
                await turn_has_ended.wait()
            await self._record(ended)
        except WorkerLost as error:
            logger.warning(
                "Activity %s of instance %s runs again: %s",
                activity.name,
                activity.instance_id,
                error,
                extra=about(activity.instance_id, activity.name),
            )
            await self._schedule_again(activity, after)
        except StoreClosed:
            return
        except StoreFull:  # nothing was recorded, so it is still scheduled
            await self._backoff.pause_once(is_long=True)
            await self._schedule_again(activity, after)
        except Exception:  # the same
            logger.exception(
                "Activity %s of instance %s could not be run or recorded; trying again",
                activity.name,
                activity.instance_id,
                extra=about(activity.instance_id, activity.name),
            )
            await self._backoff.pause_once()
            await self._schedule_again(activity, after)
        finally:
            self.unrecorded -= 1
            slot.free()
        self.run()
        self._on_change()

    async def _schedule_again(self, activity: Activity, after: Commit) -> None:
        await after.kept()
        self._waiting.append(activity)

    def _leave(self) -> None:
        self.running -= 1
        self.run()
