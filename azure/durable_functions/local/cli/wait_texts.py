"""Describes what an instance waits for, from the management API's ``waitsFor``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

_MOST_ALIKE = 3
"""Up to this many waits of one kind and name get a line each."""
_MOST_LINES = 20

Wait = Mapping[str, Any]


def lines(waits: Sequence[Wait], now: datetime) -> Iterator[str]:
    """Yields a line for each wait, or one line for many that are alike.

    Args:
        waits: What the management API returns with ``showDetails=true``.
        now: Aware UTC; times of this day are printed without the date.
    """
    found: list[str] = []
    for _, group in groupby(sorted(waits, key=_order), key=_kind_and_name):
        alike = list(group)
        if len(alike) > _MOST_ALIKE:
            found.append(f"{len(alike)} times {_line(alike[0], now, is_one_of_many=True)}")
        else:
            found += [_line(wait, now) for wait in alike]
    yield from found[:_MOST_LINES]
    if len(found) > _MOST_LINES:
        yield f"and {len(found) - _MOST_LINES} more"


def _kind_and_name(wait: Wait) -> tuple[str, str]:
    return str(wait["kind"]), str(wait.get("name") or "")


def _order(wait: Wait) -> tuple[int, str, str, str]:
    kinds = ("turn", "resume", "event", "timer")
    kind = str(wait["kind"])
    rank = kinds.index(kind) if kind in kinds else len(kinds)
    return rank, *_kind_and_name(wait), str(wait.get("since") or "~")


def _line(wait: Wait, now: datetime, *, is_one_of_many: bool = False) -> str:
    since = wait.get("since")
    begun = f" since {moment(since, now)}" if since else ""
    name = wait.get("name") or ""
    due = moment(wait["dueAt"], now) if wait.get("dueAt") else ""
    where = "" if is_one_of_many else f" ({wait.get('instanceId')})"
    match wait["kind"]:
        case "turn":
            return f"its next turn; a message has been waiting{begun}"
        case "resume":
            return f"being resumed; suspended{begun}"
        case "timer":
            first = "timer, the first until" if is_one_of_many else "timer until"
            return f"{first} {due}" + (f" after a failure of {name}" if name else "")
        case "retry":
            return f"{_attempt(wait)} of {name} at {due}"
        case "activity":
            repeated = f", {_attempt(wait)}" if int(wait.get("attempt") or 1) > 1 else ""
            return f"activity {name}{repeated}{begun}"
        case "orchestration":
            repeated = f", {_attempt(wait)}" if int(wait.get("attempt") or 1) > 1 else ""
            return f"child {name}{where}{repeated}{begun}"
        case "entity":
            return f"operation {name} of entity {wait.get('instanceId')}{begun}"
        case "http":
            return f"HTTP request{begun}"
        case kind:
            return f"{kind} {name}{begun}"


def _attempt(wait: Wait) -> str:
    most = f" (of {wait['maxAttempts']})" if wait.get("maxAttempts") else ""
    return f"{ordinal(int(wait.get('attempt') or 1))} attempt{most}"


def ordinal(number: int) -> str:
    """Returns ``1st``, ``2nd``, ``11th``."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 < number % 100 < 20 else ending}"


def moment(text: str, now: datetime) -> str:
    """Returns ``12:34:56`` for today, else ``2031-05-06 12:34:56``; both in UTC."""
    whole = text.rstrip("Z").partition(".")[0].replace("T", " ")
    return whole[11:] if whole[:10] == f"{now:%Y-%m-%d}" else whole


def span(length: timedelta) -> str:
    """Returns at most two units: ``3s``, ``2m05s``, ``1h03m``, ``2d03h``."""
    seconds = max(0, int(length.total_seconds()))
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if seconds < 1:
        return "<1s"
    if minutes < 1:
        return f"{second}s"
    if hours < 1:
        return f"{minute}m{second:02}s"
    return f"{hour}h{minute:02}m" if days < 1 else f"{days}d{hour:02}h"
