"""What has arrived for a turn, and what it means. Frozen."""

from __future__ import annotations

from typing import Any, NamedTuple

from azure.durable_functions.local.engine.descendants import Order


class Pauses(NamedTuple):
    """What the messages of a turn say about suspending, resuming and terminating."""

    is_paused: bool = False
    """Whether the instance is suspended after them."""
    has_changed: bool = False
    """Whether one of them suspends or resumes it."""
    reason: str | None = None
    """Of the last of these."""
    is_terminated: bool = False


class Termination(NamedTuple):
    """A message ends the instance."""

    reason: str | None


class RetryStep(NamedTuple):
    """A message about a retried task asks the host for the next attempt or wait."""

    event_type: int
    event: str
    record: dict[str, Any]
    """What is remembered of the task; see `retries`."""


class Batch(NamedTuple):
    """The messages that a turn takes, as events of the history."""

    events: list[str]
    """Not played yet."""
    types: list[int]
    """Their event types."""
    consumed: list[int]
    """Ids of messages that the commit deletes: those taken, and those that mean nothing."""
    closed: set[int]
    """Numbers of the tasks that they finish."""
    retry_steps: list[RetryStep]
    """In the order in which they take numbers."""
    pauses: Pauses
    termination: Termination | None
    orders: list[Order]
    """To be passed on to the children."""
    leaves_messages: bool
    """More has arrived, for the next turn."""
