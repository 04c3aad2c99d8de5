"""What a turn makes possible: all that scheduling learns of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from azure.durable_functions.local.store.commit import Commit
from azure.durable_functions.local.store.messages import Activity


class Rest(NamedTuple):
    """A pause before the next turn of an instance, though results come."""

    seconds: float
    awaited: int
    """When this many activities have ended, there is nothing left to wait for."""


class FollowUp(NamedTuple):
    """What follows a commit."""

    activities: Sequence[Activity] = ()
    """Scheduled and not started yet."""
    woken: Sequence[str] = ()
    """Instances to which something was sent."""
    due: Sequence[tuple[str, str]] = ()
    """Due time and instance of timers that were set."""
    has_ended: bool = False
    """Whether the instance of the turn has ended."""
    rest: Rest | None = None
    """Of the instance of the turn."""


StartActivities = Callable[[Sequence[Activity], Commit], Sequence[Activity]]
"""Starts some activities, whose functions wait for the commit; returns those that are left."""
