"""What an activity may know of the orchestration that has called it."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import Any

VARIABLE_NAME = "durable_activity"
"""Name of the context variable in which a worker tells it; the two packages share nothing else."""


@dataclass(frozen=True)
class ActivityContext:
    """Who has called the activity that is running."""

    instance_id: str | None = None
    """Of the orchestration; None where the worker does not tell (Azure's does not)."""
    name: str | None = None
    """Of the activity."""


def activity_context() -> ActivityContext:
    """The context of the activity that is running, as far as the worker tells it.

    The local host tells both; elsewhere the fields are None.
    """
    for variable, value in contextvars.copy_context().items():
        told: Any = value
        if variable.name == VARIABLE_NAME and told is not None:
            return ActivityContext(told.get("instanceId"), told.get("name"))
    return ActivityContext()
