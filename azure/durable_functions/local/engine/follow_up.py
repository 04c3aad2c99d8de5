"""What a turn makes possible: all that scheduling learns of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from azure.durable_functions.local.store.database import Commit
from azure.durable_functions.local.store.messages import Activity


@dataclass(frozen=True)
class Rest:
    """How long an instance need not be looked at, though results come."""

    seconds: float
    awaited: int
    """When so many activities have ended, there is nothing left to wait for."""


@dataclass
class FollowUp:
    """What is to be done after a commit."""

    activities: list[Activity] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    """Something has been sent to them."""
    planned: list[tuple[str, str]] = field(default_factory=list)
    """Due time and instance of timers that were set."""
    finished: bool = False
    """The instance of the turn has ended."""
    rest: Rest | None = None
    """Of the instance of the turn."""


StartActivities = Callable[[list[Activity], Commit], list[Activity]]
"""Begins some activities, whose functions wait for the commit; gives those that are left."""
