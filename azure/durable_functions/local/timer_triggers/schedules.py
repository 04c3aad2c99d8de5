"""Schedules of timer triggers: their syntax, and when they are due. Source: host.md 6.1.

This module parses the NCRONTAB dialect; croniter does the calendar arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter
from tzlocal import get_localzone
from tzlocal.windows_tz import win_tz

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.config import time_spans

_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MINUTE = timedelta(minutes=1)


class ScheduleError(DurableFunctionsError):
    """A schedule cannot be used; the message names it and says why."""


class _Field(NamedTuple):
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)
_HOUR = 2


@dataclass(frozen=True)
class Interval:
    """A schedule that is due again after a fixed time."""

    text: str
    span: timedelta
    zone = timezone.utc

    def next_after(self, moment: datetime) -> datetime:
        """Returns when it is next due after a moment."""
        return moment + self.span

    @property
    def is_frequent(self) -> bool:
        """Whether it is due more often than once a minute; then missed runs are not made up for."""
        return self.span < _MINUTE


class Crontab:
    """A schedule in NCRONTAB syntax, in a time zone."""

    def __init__(self, text: str, zone: tzinfo) -> None:
        """Parses a text.

        Raises:
            ScheduleError: The text is not valid.
        """
        self.text = text
        self.zone = zone
        parts = text.split()
        if len(parts) == 5:
            parts.insert(0, "0")
        if len(parts) != 6:
            raise ScheduleError(
                f"the schedule {text!r} must have six fields (second, minute, hour, day, month, "
                f"day of week) or five (without the second), it has {len(parts)}"
            )
        fields = [_values(part, field, text) for part, field in zip(parts, _FIELDS, strict=True)]
        self._every_hour = len(fields[_HOUR]) == 24
        self._expression = " ".join(
            "*" if len(values) == field.highest - field.lowest + 1 else ",".join(map(str, values))
            for values, field in zip(fields, _FIELDS, strict=True)
        )
        first = self._first_after(datetime.now(timezone.utc))
        if first is None:
            raise ScheduleError(f"the schedule {text!r} is never due: no such day exists")
        second = self._first_after(first)
        self.is_frequent = second is not None and second - first < _MINUTE
        """Whether it is due more often than once a minute; then missed runs are not made up for."""

    def next_after(self, moment: datetime) -> datetime:
        """Returns when it is next due after a moment, in UTC.

        When clocks are set back, a schedule for certain hours runs only once in the repeated hour.
        """
        found = self._first_after(moment)
        if found is None:  # the constructor found one, so this is rare: no further one in ten years
            raise ScheduleError(f"the schedule {self.text!r} is never due again")
        return found

    def _first_after(self, moment: datetime) -> datetime | None:
        times = croniter(
            self._expression,
            moment.astimezone(self.zone),
            second_at_beginning=True,
            day_or=False,  # day and day of week must both match
            max_years_between_matches=10,
        )
        try:
            while True:
                found: datetime = times.get_next(datetime)
                if self._every_hour or not _is_repeated(found):
                    return found.astimezone(timezone.utc)
        except (ValueError, StopIteration):  # no match in ten years
            return None


Schedule = Interval | Crontab


def parse(text: str, environment: Mapping[str, str]) -> Schedule:
    """Parses the schedule of a timer trigger.

    Args:
        text: Six or five NCRONTAB fields, or ``hh:mm:ss``, ``d.hh:mm:ss``.
        environment: App settings; ``WEBSITE_TIME_ZONE`` may name a zone (IANA or Windows).

    Raises:
        ScheduleError: The text or the time zone is not valid.
    """
    span = time_spans.parse(text)
    if span is None:
        return Crontab(text.strip(), time_zone(environment))
    if not span:
        raise ScheduleError(f"the schedule {text!r} must be a time span such as 00:05:00")
    return Interval(text.strip(), span)


def time_zone(environment: Mapping[str, str]) -> tzinfo:
    """Returns the time zone of schedules: ``WEBSITE_TIME_ZONE``, else the machine's.

    Raises:
        ScheduleError: There is no such time zone.
    """
    name = environment.get("WEBSITE_TIME_ZONE")
    if not name:
        try:
            return get_localzone()
        except (LookupError, ValueError, OSError) as error:
            raise ScheduleError(f"the machine's time zone (TZ) is unknown: {error}") from None
    try:
        return ZoneInfo(win_tz.get(name, name))
    except (LookupError, ValueError, OSError):
        raise ScheduleError(f"WEBSITE_TIME_ZONE is not a known time zone: {name!r}") from None


def _is_repeated(moment: datetime) -> bool:
    """Returns whether the clocks were set back and show this time of day again."""
    return moment.fold == 1 and moment.utcoffset() != moment.replace(fold=0).utcoffset()


def _values(part: str, field: _Field, text: str) -> list[int]:
    values: set[int] = set()
    for item in part.split(","):
        found = _PART.fullmatch(item)
        if found is None:
            raise _wrong(item, field, text)
        first, last, step = found.groups()
        if first == "*":
            if last is not None:
                raise _wrong(item, field, text)
            low, high = field.lowest, field.highest
        else:
            low = _number(first, field, item, text)
            high = _number(last, field, item, text) if last else field.highest if step else low
        stride = int(step or 1)
        if low > high or not stride:
            raise _wrong(item, field, text)
        values.update(range(low, high + 1, stride))
    return sorted(values)


def _number(word: str, field: _Field, item: str, text: str) -> int:
    if word.isdecimal():
        number = int(word)
        if field.lowest <= number <= field.highest:
            return number
    elif len(word) >= 3:
        for index, name in enumerate(field.names):
            if word.lower() in (name, name[:3]):
                return index + field.lowest
    raise _wrong(item, field, text)


def _wrong(item: str, field: _Field, text: str) -> ScheduleError:
    return ScheduleError(
        f"the schedule {text!r} is not valid: {item!r} is not a valid {field.name} "
        f"({field.lowest} to {field.highest}, a range a-b, a step a/n, or a list of them)"
    )
