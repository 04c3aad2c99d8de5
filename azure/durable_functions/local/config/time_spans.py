"""Time spans of host.json and function.json: ``hh:mm:ss`` or ``d.hh:mm:ss``."""

from __future__ import annotations

import re
from datetime import timedelta

_SPAN = re.compile(r"(?:(\d{1,5})\.)?(\d{1,2}):([0-5]?\d):([0-5]?\d)(?:\.\d+)?")


def parse(text: object) -> timedelta | None:
    """Returns the time span of a text; None if it is not one. Drops fractions of a second."""
    found = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def written(span: timedelta) -> str:
    """Returns a time span as ``hh:mm:ss``."""
    seconds = int(span.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
