"""Moments and spans as the host writes them. Source: protocol.md 1, 2.1 and 4; sdk.md 2.14."""

from __future__ import annotations

import functools
import re
import sys
from datetime import date, datetime, timedelta, timezone

from azure.durable_functions.constants import DATETIME_STRING_FORMAT

_READS_ZULU = sys.version_info >= (3, 11)
"""Whether Python reads the host's form by itself, with "Z" and any number of digits."""

_TIMESPAN = re.compile(
    r"(?P<negative>-)?(?:(?P<days>\d+)\.)?"
    r"(?P<hours>\d\d):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<ticks>\d{7}))?"
)


def parse_moment(text: str) -> datetime:
    """Read a time stamp; aware (``timezone.utc``) when it ends in ``Z``, naive without a zone.

    Fractions beyond microseconds are cut off, not rounded (protocol.md 2.1).

    Raises:
        ValueError: The text is not a time stamp.
    """
    if text[-1:] == "Z":
        if _READS_ZULU and text[10:11] == "T":
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass  # perhaps more digits than it takes
        whole, _, fraction = text[:-1].partition(".")
        try:
            # Python 3.10 reads exactly six digits and no "Z"; this form is right for all versions.
            return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
        except ValueError:
            pass  # an unusual spelling; the library below knows them all
    from dateutil import parser  # 10 ms, and hosts never send what needs it

    moment: datetime = parser.parse(text)
    return moment.replace(tzinfo=timezone.utc) if moment.utcoffset() == timedelta(0) else moment


def to_utc(moment: datetime) -> datetime:
    """The same moment as aware UTC; naive values are UTC already (sdk.md Q45, Q47)."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def as_datetime(moment: date) -> datetime:
    """The moment itself, or midnight of a bare date (sdk.md Q46)."""
    if isinstance(moment, datetime):
        return moment
    return datetime(moment.year, moment.month, moment.day)


def aligned(first: datetime, second: datetime) -> tuple[datetime, datetime]:
    """The two in a form that can be compared: if only one has a zone, both become UTC."""
    if (first.tzinfo is None) is (second.tzinfo is None):
        return first, second
    return to_utc(first), to_utc(second)


def format_moment(moment: date) -> str:
    """Write a moment with six fraction digits and ``Z``; the clock fields go out as they are."""
    return moment.strftime(DATETIME_STRING_FORMAT)


@functools.lru_cache(maxsize=32)  # a turn writes its moment five times; equal ones, equal texts
def format_event_moment(moment: datetime) -> str:
    """Write an aware UTC moment as history events carry it: trailing zeros of the fraction cut."""
    text = moment.isoformat()[: -len("+00:00")]
    return f"{text.rstrip('0') if moment.microsecond else text}Z"


def parse_timespan(text: str) -> timedelta:
    """Read a .NET time span ``[-][d.]hh:mm:ss[.fffffff]``; ticks below a microsecond are cut off.

    Raises:
        ValueError: The text has another form.
    """
    match = _TIMESPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"Format of TimeSpan failed: {text!r} is not [-][d.]hh:mm:ss[.fffffff]")
    span = timedelta(
        days=int(match["days"] or 0),
        hours=int(match["hours"]),
        minutes=int(match["minutes"]),
        seconds=int(match["seconds"]),
        microseconds=int(match["ticks"] or 0) // 10,
    )
    return -span if match["negative"] else span
