"""Stores results of activities: alone, or together with the turn that each makes possible.

Alone: as a message for its instance; a later turn reads it. This is always correct.

With its turn: result and turn are one commit, which saves a commit and a read. Correct only if
nothing else happens to the instance until that commit, so the instance must be idle: not running,
queued, held after a failure or resting. It is useful only if the last turn took less than half of
the patience (`settings.HubSettings.result_patience_seconds`). Each of these falls back to "alone":

- no slot becomes free within twice the patience;
- something else wakes the instance while the result waits for a slot: the turn must see both;
- the turn takes longer than the patience: a timer stores the result alone, and the turn, when it
  ends, is void;
- the turn finds more than the result to look at, and returns None.

Nothing is stored twice: both ways delete the activity's row in their transaction, and the second
one finds none. There is one exception to the timer: if the worker has already advanced its session
with the result, the result must not be stored alone, because the session cannot go back. Waiting is
cheaper than replaying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from azure.durable_functions._wire.vocabulary import HistoryEventType

from .activities import Activities, Ended
from .backoff import Backoff
from .lanes import Lanes
from .rests import Rests
from .tasks import Tasks
from .turn_runner import TurnRunner


class Results:
    """Records what activities have returned."""

    def __init__(
        self,
        tasks: Tasks,
        activities: Activities,
        lanes: Lanes,
        backoff: Backoff,
        rests: Rests,
        turns: TurnRunner,
        *,
        patience_seconds: float,
        wake: Callable[[str], None],
    ) -> None:
        self._tasks = tasks
        self._activities = activities
        self._lanes = lanes
        self._backoff = backoff
        self._rests = rests
        self._turns = turns
        self.patience_seconds = patience_seconds
        """How long a result may wait for its turn to end, and twice that for a slot."""
        self._wake = wake

    async def record(self, ended: Ended) -> None:
        """Record a result, with the turn that it makes possible if its instance is idle."""
        instance_id = ended.activity.instance_id
        continued = ended.outcome.continued
        if not self._is_idle(instance_id):
            try:
                await self._record_alone(ended)
            finally:
                if continued is not None:
                    await continued  # an early episode that does not count
        elif continued is not None:  # it runs already: it takes a slot, whether one is free or not
            self._lanes.take(instance_id, self._lanes.orchestrations)
            await self._record_with_turn(ended)
        elif (
            self._tasks.may_start
            and self._activities.may_have_turn(ended)
            and await self._lanes.wait_for_slot(instance_id, 2 * self.patience_seconds)
        ):
            await self._record_with_turn(ended)
        else:
            await self._record_alone(ended)

    def _is_idle(self, instance_id: str) -> bool:
        return not (
            self._lanes.is_running(instance_id)
            or self._backoff.holds(instance_id)
            or self._lanes.is_queued(instance_id)
            or instance_id in self._rests
        )

    async def _record_alone(self, ended: Ended) -> None:
        if not await self._activities.record(ended):
            return
        instance_id = ended.activity.instance_id
        if ended.event_type is not HistoryEventType.TASK_COMPLETED:
            self._wake(instance_id)  # a failure often decides something
        elif self._lanes.is_running(instance_id):
            self._rests.count_during_turn(instance_id)
        elif not self._rests.take(instance_id):
            self._wake(instance_id)

    async def _record_with_turn(self, ended: Ended) -> None:
        """Record a result with its turn, for which the slot is taken."""
        instance_id = ended.activity.instance_id
        alone: list[asyncio.Task[None]] = []

        def lose_patience() -> None:
            if not ended.is_session_advanced:
                alone.append(self._tasks.spawn(self._record_alone(ended)))

        timer = asyncio.get_running_loop().call_later(self.patience_seconds, lose_patience)
        try:
            run = partial(self._activities.record_with_turn, ended)
            lane = self._lanes.orchestrations
            follow_up, _ = await self._turns.run_in_lane(instance_id, lane, run)
            self._turns.end(instance_id, follow_up)
        finally:
            timer.cancel()
        if follow_up is None:
            await (alone[0] if alone else self._record_alone(ended))
