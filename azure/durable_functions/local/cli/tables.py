"""Tables of instances, histories and entities on the console, and JSON for programs."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from azure.durable_functions._wire import shapes, timestamps
from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions.local import failure_texts

from . import wait_texts

_STATUS_STYLES = {
    "Completed": "green",
    "Failed": "red",
    "Terminated": "red",
    "Suspended": "yellow",
    "Pending": "dim",
}
_ENDED = ("Completed", "Failed", "Terminated", "Canceled")
_STOPPED = ("Suspended", "Terminated")
_GAP = 2
_LONGEST_VALUE = 200
_WIDTH_WITHOUT_TERMINAL = 10_000
_MOST_CHILDREN = 10
_LEAST_DETAILS = 30
_MOST_LINES = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def as_json(value: Any) -> str:
    """Returns a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class _Column:
    """One column's cells, and how they shrink on a narrow console."""

    title: str
    cells: Sequence[str]
    is_broken: bool = False
    """Long cells are broken into several lines instead of cut, so that IDs can be copied."""
    wrapped: frozenset[int] = frozenset()
    """Rows whose text may take several lines, because it describes a failure."""

    @property
    def width(self) -> int:
        """The width of the widest cell; a title of two words may take two lines."""
        title = max(map(cell_len, self.title.split()))
        return max(title, *map(cell_len, self.cells)) if self.cells else title


def instances(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """Prints a row for each instance; cuts long values, but shows every column."""
    now = datetime.now(timezone.utc)
    rows = list(found)
    created = [_moment(item["createdTime"]) for item in rows]
    columns = [
        _Column("Instance", [_line(item["instanceId"]) for item in rows], is_broken=True),
        _Column("Orchestrator", [_line(item["name"]) for item in rows]),
        _Column("Status", [str(item["runtimeStatus"]) for item in rows]),
        _Column("Created", created),
        _Column("Duration", [_duration(item, now) for item in rows]),
        _Column("Custom status", [_line(item["customStatus"]) for item in rows]),
        _Column("Output", [_output(item) for item in rows]),
    ]
    shrinking = [(6, 20), (5, 13), (6, 6), (5, 6), (1, 12)]
    room = _width_of(console)
    if _needed(_widths(columns, shrinking, room)) > room:
        # Without year and seconds: 05-01 12:34.
        columns[3] = _Column("Created", [moment[5:16] for moment in created])
    _print(console, columns, [*shrinking, (0, 16)])
    unit = "instance" if len(rows) == 1 else "instances"
    console.print(f"{len(rows)} {unit}; times are UTC", highlight=False)


def _output(item: Mapping[str, Any]) -> str:
    """Returns the output; that of a stopped instance is the reason why it was stopped."""
    text = _line(_without_envelope(item["output"], item["runtimeStatus"]))
    return f"reason: {text}" if text and item["runtimeStatus"] in _STOPPED else text


def instance(console: Console, item: Mapping[str, Any]) -> None:
    """Prints everything about one instance, without empty rows."""
    is_ended = item["runtimeStatus"] in _ENDED
    reason = item.get("reason")
    is_output_reason = reason is not None and item["output"] == reason
    now = datetime.now(timezone.utc)
    rows: list[tuple[str, Text]] = [
        ("Instance", Text(str(item["instanceId"]))),
        ("Orchestrator", Text(str(item["name"]))),
        ("Version", _whole(item.get("version"))),
        ("Status", _status(item["runtimeStatus"])),
        ("Reason", _whole(reason)),
        ("Waits for", Text("\n".join(wait_texts.lines(item.get("waitsFor") or [], now)))),
        ("Parent", _whole(item.get("parentInstanceId"))),
        ("Children", Text("\n".join(_children(item.get("children") or [])))),
        ("Created", Text(f"{_moment(item['createdTime'])} UTC")),
        ("Ended" if is_ended else "Updated", Text(f"{_moment(item['lastUpdatedTime'])} UTC")),
        ("Custom status", _whole(item["customStatus"])),
        ("Input", _whole(item["input"])),
        (
            "Output",
            Text("")
            if is_output_reason
            else _whole(_without_envelope(item["output"], item["runtimeStatus"])),
        ),
    ]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, shown in rows:
        if shown.plain:
            table.add_row(name, shown)
    console.print(table)
    if item.get("failure"):
        failure = Text(failure_texts.told(item["failure"]))
        # Lines as Python prints them, never broken: editors link the file names in them.
        console.print(Text.assemble(("Failure\n", "bold"), failure), soft_wrap=True)


def ending(item: Mapping[str, Any]) -> str:
    """Describes the end of an instance that did not complete; lists its failure if known."""
    status = item["runtimeStatus"]
    line = f"{item['instanceId']}: {status}: {_without_envelope(item['output'], status)}"
    return f"{line}\n{failure_texts.told(item['failure'])}" if item.get("failure") else line


def _children(children: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for child in children[:_MOST_CHILDREN]:
        yield f"{child['instanceId']}  {child['name']}  {child['runtimeStatus'] or 'purged'}"
    if len(children) > _MOST_CHILDREN:
        yield f"and {len(children) - _MOST_CHILDREN} more"


def history(console: Console, events: Sequence[Mapping[str, Any]]) -> None:
    """Prints a row for each event; on a narrow console, the details are below the row."""
    moments = [str(event.get("Timestamp") or "") for event in events]
    days = {moment[:10] for moment in moments}
    details = list(_details(events))
    columns = [
        _Column("Time", [_precise(moment, with_day=len(days) > 1) for moment in moments]),
        _Column("Event", [str(event["EventType"]) for event in events]),
        _Column("Function", [_function(event) for event in events]),
    ]
    room = _width_of(console) - sum(each.width + _GAP for each in columns)
    needed = max([0, *map(cell_len, details)])
    if room >= min(needed, _LEAST_DETAILS):
        failed = {row for row, event in enumerate(events) if event.get("Reason")}
        column = _Column("Details", details, wrapped=frozenset(failed))
        _print(console, [*columns, column], [(3, _LEAST_DETAILS)])
    else:
        _print(console, columns, [(2, 12), (1, 20)], details)
    day = f" of {min(days)}" if len(days) == 1 else ""
    unit = "event" if len(events) == 1 else "events"
    console.print(f"{len(events)} {unit}; times are UTC{day}", highlight=False)


def _function(event: Mapping[str, Any]) -> str:
    if event["EventType"] == "EventSent":
        return _line(_sent(event).get("op"))
    return _line(event.get("FunctionName") or event.get("Name"))


def _details(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields each event's details: due time, attempt, reason, value."""
    for event in events:
        kind = str(event["EventType"])
        parts: list[str] = []
        if event.get("FireAt"):
            parts.append(f"due {_precise(str(event['FireAt']), with_day=True)}")
        if event.get("Attempt"):
            parts.append(f"{wait_texts.ordinal(int(event['Attempt']))} attempt")
        parts += _data(kind, event)
        yield ": ".join(part for part in parts if part)


def _data(kind: str, event: Mapping[str, Any]) -> Iterator[str]:
    if kind == "ExecutionCompleted":
        yield str(event.get("OrchestrationStatus") or "")
    if kind == "EventSent":
        kind = "signal" if _sent(event).get("signal") else "call"
        yield f"{kind} to {_line(event['InstanceId'])}"
        yield _line(_sent(event).get("input"))
        return
    if event.get("InstanceId"):
        yield f"instance {_line(event['InstanceId'])}"
    shown = event.get("Result")
    for value in (failure_texts.reason(event), event.get("Input"), event.get("Data")):
        shown = value if shown is None else shown
    yield _line(_without_envelope(shown, event.get("OrchestrationStatus")))


def _sent(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the request to an entity."""
    request: Any = event.get("Input")
    try:
        request = json.loads(request) if isinstance(request, str) else request
    except ValueError:
        return {}
    return request if shapes.is_object(request) else {}


def entities(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """Prints a row for each entity."""
    columns = [
        _Column("Entity", [_line(item["entityId"]["name"]) for item in found]),
        _Column("Key", [_line(item["entityId"]["key"]) for item in found], is_broken=True),
        _Column("Last operation", [_moment(str(item["lastOperationTime"])) for item in found]),
        _Column("State", [_line(item.get("state")) for item in found]),
    ]
    _print(console, columns, [(3, 6), (0, 12), (1, 12)])
    unit = "entity" if len(found) == 1 else "entities"
    console.print(f"{len(found)} {unit}; times are UTC", highlight=False)


def _print(
    console: Console,
    columns: Sequence[_Column],
    shrinking: Sequence[tuple[int, int]],
    below: Sequence[str] = (),
) -> None:
    """Prints the rows, as wide as the console allows.

    Args:
        console: Where to print.
        columns: The columns; all of them are shown.
        shrinking: Indexes of the columns that may become narrower than their cells, and their
            minimum widths, in the order in which they shrink.
        below: Text to print indented below each row.
    """
    widths = _widths(columns, shrinking, _width_of(console))
    for line in _lines(
        [_title(column, width) for column, width in zip(columns, widths, strict=True)], widths
    ):
        console.print(line.rstrip(), style="bold", soft_wrap=True, highlight=False)
    for row in range(len(columns[0].cells)):
        cells = [_cell(column, row, width) for column, width in zip(columns, widths, strict=True)]
        for line in _lines(cells, widths):
            console.print(_coloured(line), soft_wrap=True, highlight=False)
        if below and below[row]:
            room = _width_of(console) - 2 * _GAP
            for part in _wrapped(below[row], room):
                console.print(Text(" " * 2 * _GAP + part, style="dim"), soft_wrap=True)


def _widths(
    columns: Sequence[_Column], shrinking: Sequence[tuple[int, int]], room: int
) -> list[int]:
    widths = [min(column.width, _LONGEST_VALUE) for column in columns]
    for index, least in shrinking:
        too_much = _needed(widths) - room
        if too_much > 0:
            widths[index] = max(min(least, widths[index]), widths[index] - too_much)
    return widths


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _title(column: _Column, width: int) -> list[str]:
    return [column.title] if cell_len(column.title) <= width else column.title.split()


def _cell(column: _Column, row: int, width: int) -> list[str]:
    """Returns the lines of a cell: one that is cut, or all of it, wrapped."""
    text = column.cells[row]
    if column.is_broken:
        return chop_cells(text, width)
    return _wrapped(text, width) if row in column.wrapped else [_cut(text, width)]


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], _cut(" ".join(lines[_MOST_LINES - 1 :]), width)]
    return lines


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def _lines(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """Yields the lines of a row: its cells side by side, short ones at the top."""
    for row in zip_longest(*cells, fillvalue=""):
        padded = (set_cell_size(text, width) for text, width in zip(row, widths, strict=True))
        yield (" " * _GAP).join(padded).rstrip()


def _coloured(line: str) -> Text:
    text = Text(line)
    for status, style in _STATUS_STYLES.items():
        text.highlight_regex(rf"(?<=  ){status}(?=  |$)", style)
    return text


def _width_of(console: Console) -> int:
    """Returns the terminal's width; output to a pipe or a file is not cut."""
    if console.is_terminal or os.environ.get("COLUMNS"):
        return console.width
    return _WIDTH_WITHOUT_TERMINAL


def _status(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _moment(text: str) -> str:
    """Returns a time without its fraction: ``2024-05-01 12:34:56``, in UTC."""
    return text.replace("T", " ")[:19]


def _without_envelope(value: Any, status: Any) -> Any:
    """Returns the text of a failure without its .NET envelope; other values unchanged."""
    is_failure = status == "Failed" and isinstance(value, str)
    return without_envelopes(value) if is_failure else value


def _precise(text: str, *, with_day: bool) -> str:
    """Returns a time with milliseconds, if it has any: ``12:34:56.789``."""
    day, _, time = text.rstrip("Z").partition("T")
    second, dot, fraction = time.partition(".")
    time = f"{second}.{fraction[:3]:0<3}" if dot or not with_day else second
    return f"{day} {time}" if with_day else time


def _duration(item: Mapping[str, Any], now: datetime) -> str:
    """Returns the time from the start to the end, or to now if the instance has not ended."""
    begun = timestamps.parse_moment(item["createdTime"])
    is_ended = item["runtimeStatus"] in _ENDED
    until = timestamps.parse_moment(item["lastUpdatedTime"]) if is_ended else now
    return wait_texts.span(until - begun)


def _line(value: Any) -> str:
    return " ".join(_whole(value).plain.split())


def _whole(value: Any) -> Text:
    if value is None:
        return Text("")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Text(_CONTROL.sub(lambda found: repr(found[0])[1:-1], text))
