"""What the commands print: no column is lost, no reason of a failure is cut away."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from azure.durable_functions.local.cli import tables, wait_texts

NOW = datetime(2026, 1, 15, 12, 30, tzinfo=timezone.utc)
COLUMNS = ("Instance", "Orchestrator", "Status", "Created", "Duration", "Custom", "Output")


def printed(width: int, table: Any, value: Any) -> list[str]:
    out = io.StringIO()
    table(Console(file=out, width=width, force_terminal=True, color_system=None), value)
    return out.getvalue().splitlines()


def row(**changed: Any) -> dict[str, Any]:
    return {
        "instanceId": "3f2c" * 8,
        "name": "order",
        "runtimeStatus": "Completed",
        "customStatus": "looked at",
        "output": "x" * 500,
        "createdTime": "2026-01-15T12:00:00Z",
        "lastUpdatedTime": "2026-01-15T12:02:05Z",
        **changed,
    }


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_column_is_there_and_no_line_is_wider_than_the_console(width: int) -> None:
    lines = printed(width, tables.instances, [row(), row(customStatus="日本" * 50)])
    for column in COLUMNS:
        assert column in " ".join(lines[:2])
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for part in ("order", "Completed", "2m05s", "loo", "xxx…"):
        assert part in text


def test_an_id_is_broken_rather_than_cut_where_it_has_no_room() -> None:
    lines = printed(80, tables.instances, [row()])
    assert "".join(line[:16].strip() for line in lines[2:4]) == "3f2c" * 8


def test_what_goes_into_a_pipe_is_one_line_a_row_with_the_whole_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    tables.instances(Console(file=out, width=80), [row()])
    [line] = [line for line in out.getvalue().splitlines() if "3f2c" in line]
    assert "3f2c" * 8 in line
    assert "Completed" in line


def test_control_characters_of_values_never_reach_the_terminal() -> None:
    text = "\n".join(printed(120, tables.instances, [row(output="a\x1b[2Jb\u202ec")]))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a\\x1b[2Jb" in text


HISTORY: list[dict[str, Any]] = [
    {
        "EventType": "TaskFailed",
        "Timestamp": "2026-01-15T12:00:00.5Z",
        "FunctionName": "post_invoice",
        "Attempt": 2,
        "Reason": "Activity function 'post_invoice' failed: RuntimeError: " + "no file " * 12,
    },
    {
        "EventType": "TimerCreated",
        "Timestamp": "2026-01-15T12:00:00.501234Z",
        "FireAt": "2031-05-06T21:03:00Z",
    },
    {
        "EventType": "EventSent",
        "Timestamp": "2026-01-15T12:00:00Z",
        "InstanceId": "@ledger@main",
        "Name": "op",
        "Input": '{"op":"add","signal":true,"input":"5","id":"1"}',
    },
]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_history_has_reasons_due_times_attempts_and_milliseconds(width: int) -> None:
    lines = printed(width, tables.history, HISTORY)
    text = " ".join(" ".join(lines).split())
    assert HISTORY[0]["Reason"].split()[-1] in text
    assert "no file no file" in text
    assert "2nd attempt" in text
    assert "due 2031-05-06 21:03:00" in text
    assert "12:00:00.501" in text
    assert "add" in text
    assert "signal to @ledger@main" in text
    assert max(map(cell_len, lines)) <= width


def test_waits_are_told_in_words() -> None:
    waits = [
        {"kind": "activity", "name": "post", "attempt": 2, "since": "2026-01-15T12:03:00.5Z"},
        {"kind": "event", "name": "Approval", "since": "2026-01-14T12:03:00Z"},
        {"kind": "timer", "dueAt": "2026-01-15T21:03:00Z", "since": "2026-01-15T12:03:00Z"},
        {"kind": "retry", "name": "ship", "attempt": 3, "maxAttempts": 5, "dueAt": "2026-01-16T"},
        {"kind": "orchestration", "name": "child", "instanceId": "c-1"},
        *({"kind": "activity", "name": "price", "since": "2026-01-15T12:04:00Z"} for _ in "1234"),
    ]
    assert list(wait_texts.lines(waits, NOW)) == [
        "event Approval since 2026-01-14 12:03:00",
        "timer until 21:03:00",
        "activity post, 2nd attempt since 12:03:00",
        "4 times activity price since 12:04:00",
        "child child (c-1)",
        "3rd attempt (of 5) of ship at 2026-01-16 ",
    ]


def test_many_waits_end_with_their_number() -> None:
    waits = [{"kind": "event", "name": f"Event{number:02}"} for number in range(50)]
    assert list(wait_texts.lines(waits, NOW))[-1] == "and 30 more"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "<1s"), (3, "3s"), (125, "2m05s"), (3780, "1h03m"), (180_000, "2d02h")],
)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert wait_texts.span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")]
)
def test_attempts_are_counted_in_words(number: int, text: str) -> None:
    assert wait_texts.ordinal(number) == text
