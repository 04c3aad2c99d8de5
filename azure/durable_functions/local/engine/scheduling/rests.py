"""Instances that rest: results come, but the next turn waits for more of them.

When a replay decides nothing new, as with every result of a fan-out but the last, the next one will
most likely decide nothing either. So the instance is not replayed for a while, and results are only
stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from azure.durable_functions.local.engine.follow_up import Rest


@dataclass
class _Resting:
    awaited: int
    """When this many results have come, the rest ends."""
    come: int
    """Results that wait for the next turn."""
    timer: asyncio.TimerHandle
    """Ends the rest."""


class Rests:
    """Which instances rest, and how many results each has."""

    def __init__(self, on_end: Callable[[str, bool], None]) -> None:
        self._on_end = on_end
        """Called when time ends a rest, with the instance and whether results have come."""
        self._resting: dict[str, _Resting] = {}
        self._during_turn: Counter[str] = Counter()
        """Results that have come while a turn of their instance ran, which did not see them."""

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._resting

    def __len__(self) -> int:
        return len(self._resting)

    def begin(self, instance_id: str, rest: Rest, come: int) -> None:
        """Let an instance rest for which some results wait already."""

        def end() -> None:
            self._on_end(instance_id, self.end(instance_id) > 0)

        timer = asyncio.get_running_loop().call_later(rest.seconds, end)
        self._resting[instance_id] = _Resting(rest.awaited, come, timer)

    def end(self, instance_id: str) -> int:
        """End the rest of an instance; how many results have come meanwhile."""
        resting = self._resting.pop(instance_id, None)
        if resting is None:
            return 0
        resting.timer.cancel()
        return resting.come

    def take(self, instance_id: str) -> bool:
        """Count a result for an instance that rests; False if it must be woken instead."""
        resting = self._resting.get(instance_id)
        if resting is None or resting.come + 1 >= resting.awaited:
            return False
        resting.come += 1
        return True

    def count_during_turn(self, instance_id: str) -> None:
        """A result has come while a turn of the instance runs."""
        self._during_turn[instance_id] += 1

    def take_during_turn(self, instance_id: str) -> int:
        """How many results have come during the turn that has just ended."""
        return self._during_turn.pop(instance_id, 0)
