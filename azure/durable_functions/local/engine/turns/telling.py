"""What the log is told of turns. Names and numbers only: payloads never go there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.engine.log_fields import about

from .changes import Changes

logger = logging.getLogger("azure.durable_functions.local")

_MOST_NAMED = 10


def turn(changes: Changes, dropped_events: Sequence[str]) -> None:
    """Tell the log of a turn that is being stored."""
    instance = changes.material.instance
    if dropped_events:
        logger.warning(
            "continue_as_new of %s drops events that no code has waited for: %s. Wait for them "
            "first, or pass them in the new input",
            instance.name,
            _listed(dropped_events),
            extra=about(instance.instance_id, instance.name),
        )
    if logger.isEnabledFor(logging.DEBUG):
        came = _listed(map(_arrived, changes.batch.events))
        asked = _listed(
            " ".join(filter(None, (ActionType(leaf.action_type).name, leaf.name)))
            for leaf in changes.new_leaves
        )
        logger.debug(
            "Turn of %s: arrived %s; starts %s; now %s",
            instance.name,
            came or "nothing",
            asked or "nothing",
            "continued as new" if changes.next_generation else changes.status,
            extra=about(instance.instance_id, instance.name),
        )


def _arrived(event: str) -> str:
    fields = json.loads(event)
    kind = HistoryEventType(fields["EventType"])
    return f"{kind.name} {fields['Name']}" if kind is HistoryEventType.EVENT_RAISED else kind.name


def _listed(names: Iterable[str]) -> str:
    """Each name once, with its number if it is there several times."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    told = [name if count == 1 else f"{name} ({count} times)" for name, count in counts.items()]
    more = f" and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return ", ".join(told[:_MOST_NAMED]) + more
