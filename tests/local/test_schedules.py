"""The NCRONTAB dialect and its time zones (host.md 6.1)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure.durable_functions.local.timer_triggers import schedules
from azure.durable_functions.local.timer_triggers.schedules import ScheduleError

UTC = {"WEBSITE_TIME_ZONE": "Etc/UTC"}


def due(text: str, after: str, count: int = 3, **settings: str) -> list[str]:
    """When a schedule is due, as texts."""
    schedule = schedules.parse(text, settings or UTC)
    moment = datetime.fromisoformat(after).replace(tzinfo=timezone.utc)
    found: list[str] = []
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment.replace(tzinfo=None).isoformat(sep=" "))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        ("*/5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        ("0 5/20 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:25:00"]),
        ("30 0 9-17/4 * * *", ["2026-01-01 09:00:30", "2026-01-01 13:00:30"]),
        ("0 0 0 1 jan,MARCH *", ["2026-03-01 00:00:00", "2027-01-01 00:00:00"]),
        ("0 0 12 * * Mon-Wednesday", ["2026-01-05 12:00:00", "2026-01-06 12:00:00"]),
        ("0 0 0 * * 0", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("00:10:00", ["2026-01-01 00:10:00", "2026-01-01 00:20:00"]),
        ("1.06:00:00", ["2026-01-02 06:00:00", "2026-01-03 12:00:00"]),
    ],
)
def test_schedules_are_due_as_the_dialect_says(text: str, expected: list[str]) -> None:
    assert due(text, "2026-01-01", 2) == expected


def test_day_and_day_of_week_must_both_match() -> None:
    assert due("0 0 0 13 * Fri", "2026-01-01") == [
        *("2026-02-13 00:00:00", "2026-03-13 00:00:00", "2026-11-13 00:00:00")
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "six fields"),
        ("* * *", "six fields"),
        ("60 * * * * *", "'60' is not a valid second"),
        ("0 0 0 * * 7", "'7' is not a valid day of week"),
        ("0 0 0 0 * *", "'0' is not a valid day"),
        ("0 0 0 * Ju *", "'Ju' is not a valid month"),
        ("0 9-8 * * * *", "'9-8' is not a valid minute"),
        ("0 */0 * * * *", "'*/0' is not a valid minute"),
        ("0 */00 * * * *", "'*/00' is not a valid minute"),
        ("9999999999.00:00:00", "six fields"),
        ("0 ? * * * *", "'?' is not a valid minute"),
        ("0 0 0 31 2 *", "never due"),
        ("00:00:00", "time span"),
    ],
)
def test_what_is_not_valid_is_told_with_the_part(text: str, told: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        schedules.parse(text, UTC)
    assert told in str(refused.value)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "W. Europe Standard Time"])
def test_zones_are_named_as_iana_or_windows_does(zone: str) -> None:
    found = due("0 30 9 * * *", "2026-06-30", 1, WEBSITE_TIME_ZONE=zone)
    assert found == ["2026-06-30 07:30:00"]


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(ScheduleError, match="WEBSITE_TIME_ZONE"):
        schedules.parse("0 0 0 * * *", {"WEBSITE_TIME_ZONE": "Nowhere/City"})


def test_an_hour_that_comes_twice_counts_once_unless_every_hour_does() -> None:
    berlin = {"WEBSITE_TIME_ZONE": "Europe/Berlin"}  # 2026-10-25, 3:00 becomes 2:00
    assert due("0 30 2 * * *", "2026-10-24 12:00", 2, **berlin) == [
        *("2026-10-25 00:30:00", "2026-10-26 01:30:00")
    ]
    assert due("0 30 * * * *", "2026-10-24 23:45", 3, **berlin) == [
        *("2026-10-25 00:30:00", "2026-10-25 01:30:00", "2026-10-25 02:30:00")
    ]


def test_only_schedules_of_a_minute_and_more_are_made_up_for() -> None:
    assert schedules.parse("*/30 * * * * *", UTC).is_frequent
    assert schedules.parse("00:00:59", UTC).is_frequent
    assert not schedules.parse("0 * * * * *", UTC).is_frequent


field = st.one_of(
    st.just("*"),
    st.integers(2, 9).map(lambda step: f"*/{step}"),
    st.integers(1, 6).map(str),
    st.tuples(st.integers(1, 3), st.integers(4, 6)).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    st.lists(st.integers(1, 6), min_size=2, max_size=3).map(lambda n: ",".join(map(str, n))),
)


def holds(text: str, value: int, lowest: int) -> bool:
    """Whether a field allows a value: the definition, not the way it is computed."""
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, _, high = span.partition("-")
        first = lowest if low == "*" else int(low)
        last = 10**6 if low == "*" else int(high or low)
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


@given(
    st.lists(field, min_size=4, max_size=4),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
)
def test_every_moment_fits_all_fields_and_comes_later(
    fields: list[str], zone: str, start: datetime
) -> None:
    text = f"0 {fields[0]} {fields[1]} * {fields[2]} {fields[3]}"
    schedule = schedules.parse(text, {"WEBSITE_TIME_ZONE": zone})
    moment = start.replace(tzinfo=timezone.utc)
    for _ in range(3):
        later = schedule.next_after(moment)
        assert later > moment
        local = later.astimezone(schedules.time_zone({"WEBSITE_TIME_ZONE": zone}))
        shifted = local.utcoffset() != (local - timedelta(hours=3)).utcoffset()
        weekday = (local.weekday() + 1) % 7
        assert holds(fields[2], local.month, 1)
        assert holds(fields[3], weekday, 0)
        # Where the clocks are set forward, what falls into the gap is due right after it.
        assert shifted or (holds(fields[0], local.minute, 0) and holds(fields[1], local.hour, 0))
        moment = later
