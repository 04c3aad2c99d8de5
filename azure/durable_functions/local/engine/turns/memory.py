"""What the engine remembers of instances between their turns, so as not to read it again.

Only a hint: it counts as long as the instance's row is still the one that was committed, and may be
forgotten at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from azure.durable_functions.local.engine.texts.answers import Listed
from azure.durable_functions.local.store.commit import KEPT, Commit
from azure.durable_functions.local.store.history import Leaf, OpenTask
from azure.durable_functions.local.store.instances import Instance

_MOST_EVENTS = 20_000
"""Events remembered, of all instances together: some 5 MiB."""


@dataclass(frozen=True)
class Session:
    """What a worker keeps of an orchestration."""

    state: str
    """Which its last episode has left."""
    seen: int
    """How many events it has seen."""


@dataclass
class Remembered:
    """One instance as its last turn has left it."""

    instance: Instance
    history: list[str]
    leaves: list[Leaf]
    open_tasks: dict[int, OpenTask]
    answer: Listed | None = None
    """What its function has answered last, in a replay."""
    seconds: float = 0.0
    """How long its last episode has taken, waiting for a worker included."""
    session: Session | None = None
    commit: Commit = KEPT
    """Of the last turn, if it was one of this process."""


class Memory:
    """Instances whose turn was a short time ago."""

    def __init__(self) -> None:
        self._instances: OrderedDict[str, Remembered] = OrderedDict()
        self._event_count = 0

    def take(self, instance_id: str) -> Remembered | None:
        """Give what is remembered, and forget it."""
        found = self._instances.pop(instance_id, None)
        if found is not None:
            self._event_count -= len(found.history)
        return found

    def peek(self, instance_id: str) -> Remembered | None:
        """Give what is remembered, for a look."""
        return self._instances.get(instance_id)

    def keep(self, remembered: Remembered | None) -> None:
        """Remember, and forget others if that is too much."""
        if remembered is None:
            return
        self._instances[remembered.instance.instance_id] = remembered
        self._event_count += len(remembered.history)
        while self._event_count > _MOST_EVENTS and len(self._instances) > 1:
            _, oldest = self._instances.popitem(last=False)
            self._event_count -= len(oldest.history)
