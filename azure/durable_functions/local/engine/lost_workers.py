"""Which invocation is to blame for the loss of a worker."""

from __future__ import annotations

from collections.abc import Hashable

from .invoker import WorkerLost, WorkerRetired

MOST_LOST_WORKERS = 3
"""An invocation that has cost so many workers fails (host.md 1)."""


class LostWorkers:
    """Counts the workers that were lost while an invocation ran in them.

    Others may have run there too, so the count alone proves nothing: the last try has a worker to
    itself, and only who ends that one as well is to blame.
    """

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}

    def must_run_alone(self, key: Hashable) -> bool:
        """Whether the next loss would be the last."""
        return self._counts.get(key, 0) >= MOST_LOST_WORKERS - 1

    def is_guilty(self, key: Hashable, error: WorkerLost) -> bool:
        """Count one more loss; True if it was the last."""
        if isinstance(error, WorkerRetired):
            return False
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key] >= MOST_LOST_WORKERS

    def forget(self, key: Hashable) -> None:
        """The invocation has come to an end."""
        self._counts.pop(key, None)
