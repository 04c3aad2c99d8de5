"""Turns that wait and turns that run: one at a time for each instance, some at once in all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from azure.durable_functions.local.engine.texts.entity_rows import is_entity

from .tasks import Tasks


class Slot:
    """One unit of a limit on how many functions run at once; freed once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._is_taken = True

    def free(self) -> None:
        """Let another function have it."""
        if self._is_taken:
            self._is_taken = False
            self._leave()


@dataclass
class Lane:
    """Turns of one kind (host.md 9.3)."""

    limit: int
    """At most this many run at once."""
    ready: deque[str] = field(default_factory=deque[str])
    """Instances whose turn waits for a slot, the longest-waiting first."""
    running: int = 0


class Lanes:
    """Which instances wait for a turn, which have one, and who gets the next slot."""

    def __init__(
        self,
        tasks: Tasks,
        run: Callable[[str, Lane], None],
        *,
        max_episodes: int,
        max_entity_turns: int,
    ) -> None:
        self._tasks = tasks
        self._run = run
        """Starts a turn, for which the slot is taken."""
        self.orchestrations = Lane(max_episodes)
        self.entities = Lane(max_entity_turns)
        self._queued: set[str] = set()
        """All instances in `Lane.ready`."""
        self._running: set[str] = set()
        """Instances whose turn runs; no second one may begin."""
        self._in_hand: dict[str, asyncio.Future[bool]] = {}
        """Queued instances whose next turn will commit a result that is still in memory; the future
        becomes True when the turn has its slot, False if the result must be stored alone."""

    @property
    def is_empty(self) -> bool:
        """Whether no turn waits or runs."""
        return not (self._queued or self._running)

    @property
    def waiting(self) -> int:
        """How many turns wait for a slot."""
        return len(self._queued)

    @property
    def running(self) -> int:
        """How many turns run."""
        return len(self._running)

    @property
    def results_in_hand(self) -> int:
        """How many results wait in memory for a slot."""
        return len(self._in_hand)

    def is_queued(self, instance_id: str) -> bool:
        """Whether an instance waits for a slot."""
        return instance_id in self._queued

    def is_running(self, instance_id: str) -> bool:
        """Whether a turn of the instance runs."""
        return instance_id in self._running

    def of(self, instance_id: str) -> Lane:
        """The lane of an instance."""
        return self.entities if is_entity(instance_id) else self.orchestrations

    def queue(self, instance_id: str) -> None:
        """Let an instance wait for a slot."""
        self._queued.add(instance_id)
        self.of(instance_id).ready.append(instance_id)

    def run_ready(self) -> None:
        """Start the turns for which there are slots."""
        for lane in (self.orchestrations, self.entities):
            while lane.ready and lane.running < lane.limit and self._tasks.may_start:
                instance_id = lane.ready.popleft()
                self._queued.discard(instance_id)
                self.take(instance_id, lane)
                waiter = self._in_hand.pop(instance_id, None)
                if waiter is None:
                    self._run(instance_id, lane)
                else:
                    waiter.set_result(True)

    def take(self, instance_id: str, lane: Lane) -> None:
        """Take a slot for a turn, whether one is free or not."""
        self._running.add(instance_id)
        lane.running += 1

    def end(self, instance_id: str) -> None:
        """A turn has ended, and the next one of the instance may begin."""
        self._running.discard(instance_id)

    def leave(self, lane: Lane) -> None:
        """Give a slot back."""
        lane.running -= 1
        self.run_ready()

    async def wait_for_slot(self, instance_id: str, patience_seconds: float) -> bool:
        """Take a slot for the turn of an idle instance.

        Returns:
            False if there was none in time, or if something else has come for the instance, which
            then keeps its place in the queue.
        """
        lane, loop = self.orchestrations, asyncio.get_running_loop()
        if self._tasks.may_start and not lane.ready and lane.running < lane.limit:
            self.take(instance_id, lane)
            return True
        waiter: asyncio.Future[bool] = loop.create_future()
        self._in_hand[instance_id] = waiter
        self.queue(instance_id)
        timer = loop.call_later(patience_seconds, self.let_go, instance_id)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._in_hand.pop(instance_id, None)
            if not waiter.cancelled() and waiter.result():  # the slot that was given is not used
                self._running.discard(instance_id)
                self.leave(lane)
            raise
        finally:
            timer.cancel()

    def let_go(self, instance_id: str) -> None:
        """Have a result stored that is in memory; its turn keeps its place in the queue."""
        waiter = self._in_hand.pop(instance_id, None)
        if waiter is not None:
            waiter.set_result(False)

    def let_all_go(self) -> None:
        """Have all results stored that are in memory."""
        for instance_id in [*self._in_hand]:
            self.let_go(instance_id)
