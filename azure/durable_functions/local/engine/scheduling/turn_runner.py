"""Runs turns that have a slot, and starts what follows each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from azure.durable_functions.local.engine.follow_up import FollowUp, StartActivities
from azure.durable_functions.local.engine.invoker import HasRun, TimedOut, WorkerLost
from azure.durable_functions.local.engine.log_fields import about
from azure.durable_functions.local.engine.turns.entities import BatchRefused
from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.database import StoreClosed
from azure.durable_functions.local.store.messages import Activity
from azure.durable_functions.local.store.space import StoreFull

from .backoff import Backoff
from .lanes import Lane, Lanes, Slot
from .rests import Rests

logger = logging.getLogger("azure.durable_functions.local")

Turn = Awaitable[FollowUp | None]
RunTurn = Callable[[HasRun, StartActivities], Turn]


class Ahead:
    """Activities that are started while the disk still works on the turn that schedules them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        """One for each activity."""
        self.turn_has_ended = asyncio.Event()
        """Set when the turn has ended in the host too, which a fast worker may overtake."""

    def end(self, *, is_stored: bool) -> None:
        """Let them be recorded, or cancel them if they are not scheduled after all."""
        self.turn_has_ended.set()
        if not is_stored:
            for task in self.tasks:
                task.cancel()


StartAhead = Callable[[Ahead, Sequence[Activity], Commit], Sequence[Activity]]


class TurnRunner:
    """Runs turns, one at a time for each instance."""

    def __init__(
        self,
        lanes: Lanes,
        backoff: Backoff,
        rests: Rests,
        *,
        run_turn: Callable[[str, HasRun, StartActivities], Turn],
        start_ahead: StartAhead,
        follow_up: Callable[[FollowUp], None],
        wake: Callable[[str], None],
        on_finished: Callable[[str], None],
    ) -> None:
        self._lanes = lanes
        self._backoff = backoff
        self._rests = rests
        self._run_turn = run_turn
        self._start_ahead = start_ahead
        """Starts activities of a turn before it is on disk; returns those that must wait."""
        self._follow_up = follow_up
        self._wake = wake
        self._on_finished = on_finished
        """Called with the id of an instance that has ended."""
        self._again: set[str] = set()
        """Instances for which something has come during their turn or their pause."""

    def repeat(self, instance_id: str) -> None:
        """Something waits for an instance whose turn runs, or is held after a failure."""
        self._again.add(instance_id)

    async def run(self, instance_id: str, lane: Lane) -> None:
        """Run a turn, for which the slot is taken, and what follows it."""
        try:
            follow_up, has_failed = await self.run_in_lane(
                instance_id, lane, partial(self._run_turn, instance_id)
            )
        except StoreClosed:
            return
        if has_failed:
            await self._backoff.pause(instance_id)
            self._again.add(instance_id)
        else:
            self._backoff.forget(instance_id)
        self.end(instance_id, follow_up)

    async def run_in_lane(
        self, instance_id: str, lane: Lane, run: RunTurn
    ) -> tuple[FollowUp | None, bool]:
        """Run a turn, for which the slot is taken: what follows it, and whether it has failed.

        Raises:
            StoreClosed
        """
        slot = Slot(lambda: self._lanes.leave(lane))
        ahead = Ahead()
        follow_up = None
        try:
            follow_up = await run(slot.free, partial(self._start_ahead, ahead))
        except StoreClosed:
            raise
        except StoreFull:  # which the store has said
            return None, True
        except (WorkerLost, TimedOut, BatchRefused) as error:
            logger.error(
                "Instance %s: the turn did not complete (%s); trying again",
                instance_id,
                error,
                extra=about(instance_id),
            )
            return None, True
        except Exception:  # one turn must not stop the others; what it read is still there
            logger.exception(
                "Instance %s: the turn did not complete; trying again",
                instance_id,
                extra=about(instance_id),
            )
            return None, True
        finally:
            self._lanes.end(instance_id)
            slot.free()
            ahead.end(is_stored=follow_up is not None)
        return follow_up, False

    def end(self, instance_id: str, follow_up: FollowUp | None) -> None:
        """Start what a turn has made possible, and decide when the instance has its next one."""
        rest = None
        if follow_up is not None:
            self._follow_up(follow_up)
            rest = follow_up.rest
            if follow_up.has_ended:
                self._on_finished(instance_id)
        come = self._rests.take_during_turn(instance_id)
        if instance_id in self._again:
            self._again.discard(instance_id)
            self._wake(instance_id)
        elif self._lanes.is_queued(instance_id) or self._lanes.is_running(instance_id):
            return  # it has been woken by what it has sent itself
        elif rest is not None and come < rest.awaited:
            self._rests.begin(instance_id, rest, come)
        elif come:
            self._wake(instance_id)
