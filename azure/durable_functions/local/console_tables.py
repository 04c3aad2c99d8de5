"""Tables of instances, histories and entities on the console, and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STATUS_STYLES = {
    "Completed": "green",
    "Failed": "red",
    "Terminated": "red",
    "Suspended": "yellow",
    "Pending": "dim",
}
_LONGEST_CELL = 60
_MOMENTS = ("Created", "Updated", "Time", "Last operation")


def as_json(value: Any) -> str:
    """For machines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def instances(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """A row for each instance."""
    table = _table("Instance", "Orchestrator", "Status", "Created", "Updated", "Output")
    for item in found:
        table.add_row(
            Text(str(item["instanceId"]), overflow="fold"),
            str(item["name"]),
            _status(item["runtimeStatus"]),
            _moment(item["createdTime"]),
            _moment(item["lastUpdatedTime"]),
            _cell(item["output"]),
        )
    console.print(table)
    console.print(f"{len(found)} instance(s)")


def instance(console: Console, item: Mapping[str, Any]) -> None:
    """All of one instance."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows: list[tuple[str, Text]] = [
        ("Instance", Text(str(item["instanceId"]))),
        ("Orchestrator", Text(str(item["name"]))),
        ("Status", _status(item["runtimeStatus"])),
        ("Created", Text(_moment(item["createdTime"]))),
        ("Updated", Text(_moment(item["lastUpdatedTime"]))),
        ("Custom status", _whole(item["customStatus"])),
        ("Input", _whole(item["input"])),
        ("Output", _whole(item["output"])),
    ]
    for name, shown in rows:
        table.add_row(name, shown)
    console.print(table)


def history(console: Console, events: Sequence[Mapping[str, Any]]) -> None:
    """A row for each event."""
    table = _table("Time", "Event", "Function", "Data")
    for event in events:
        data = next(
            (event[key] for key in ("Result", "Reason", "Input", "Name") if event.get(key)), None
        )
        table.add_row(
            _moment(str(event.get("Timestamp") or "")),
            str(event["EventType"]),
            str(event.get("FunctionName") or event.get("Name") or ""),
            _cell(data),
        )
    console.print(table)


def entities(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """A row for each entity."""
    table = _table("Entity", "Key", "Last operation", "State")
    for item in found:
        table.add_row(
            str(item["entityId"]["name"]),
            Text(str(item["entityId"]["key"]), overflow="fold"),
            _moment(str(item["lastOperationTime"])),
            _cell(item.get("state")),
        )
    console.print(table)
    console.print(f"{len(found)} entity(ies)")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        is_moment = column in _MOMENTS
        table.add_column(column, overflow="fold" if index == 0 else "ellipsis", no_wrap=is_moment)
    return table


def _status(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _moment(text: str) -> str:
    """Without fraction: ``2024-05-01 12:34:56``, in UTC."""
    return text.replace("T", " ")[:19]


def _cell(value: Any) -> Text:
    text = _whole(value).plain.replace("\n", " ")
    return Text(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")


def _whole(value: Any) -> Text:
    if value is None:
        return Text("")
    return Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
