"""Tables of instances, histories and entities on the console, and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions.local import failure_texts

_STATUS_STYLES = {
    "Completed": "green",
    "Failed": "red",
    "Terminated": "red",
    "Suspended": "yellow",
    "Pending": "dim",
}
_GAP = 2
_LEAST_ROOM = 12


def as_json(value: Any) -> str:
    """For machines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def instances(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """A row for each instance."""
    columns = ("Instance", "Orchestrator", "Status", "Created", "Output")
    rows = [
        [
            str(item["instanceId"]),
            str(item["name"]),
            str(item["runtimeStatus"]),
            _moment(item["createdTime"]),
            _line(_output(item["output"], item["runtimeStatus"])),
        ]
        for item in found
    ]
    _print(console, columns, rows)
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
        ("Output", _whole(_output(item["output"], item["runtimeStatus"]))),
    ]
    for name, shown in rows:
        table.add_row(name, shown)
    console.print(table)
    if item.get("failure"):
        told = Text(failure_texts.told(item["failure"]))
        # Lines as Python prints them: one that is broken leads to no file.
        console.print(Text.assemble(("Failure\n", "bold"), told), soft_wrap=True)


def ending(item: Mapping[str, Any]) -> str:
    """How an instance has ended that has not completed; several lines where that is known."""
    status = item["runtimeStatus"]
    told = f"{item['instanceId']}: {status}: {_output(item['output'], status)}"
    return f"{told}\n{failure_texts.told(item['failure'])}" if item.get("failure") else told


def history(console: Console, events: Sequence[Mapping[str, Any]]) -> None:
    """A row for each event."""
    rows: list[list[str]] = []
    for event in events:
        data = event.get("Result") or failure_texts.reason(event) or event.get("Input")
        rows.append(
            [
                _moment(str(event.get("Timestamp") or "")),
                str(event["EventType"]),
                str(event.get("FunctionName") or event.get("Name") or ""),
                _line(_output(data, event.get("OrchestrationStatus"))),
            ]
        )
    _print(console, ("Time", "Event", "Function", "Data"), rows)


def entities(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """A row for each entity."""
    rows = [
        [
            str(item["entityId"]["name"]),
            str(item["entityId"]["key"]),
            _moment(str(item["lastOperationTime"])),
            _line(item.get("state")),
        ]
        for item in found
    ]
    _print(console, ("Entity", "Key", "Last operation", "State"), rows)
    console.print(f"{len(found)} {'entity' if len(found) == 1 else 'entities'}")


def _print(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One line a row: the last column takes what is left of the width, the others are whole."""
    *others, last = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    room = console.width - sum(width + _GAP for width in others)
    if room < min(last, _LEAST_ROOM):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, [*others, None], strict=False):
        table.add_column(column, min_width=width, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(_styled(cell, name) for cell, name in zip(row, columns, strict=True)))
    needed = sum(width + _GAP for width in others)
    console.print(table, width=max(console.width, needed), soft_wrap=needed > console.width)


def _styled(cell: str, column: str) -> Text:
    return _status(cell) if column == "Status" else Text(cell)


def _status(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _moment(text: str) -> str:
    """Without fraction: ``2024-05-01 12:34:56``, in UTC."""
    return text.replace("T", " ")[:19]


def _output(value: Any, status: Any) -> Any:
    """The text of a failure without what .NET puts around it; other values as they are."""
    is_failure = status == "Failed" and isinstance(value, str)
    return without_envelopes(value) if is_failure else value


def _line(value: Any) -> str:
    return " ".join(_whole(value).plain.split())


def _whole(value: Any) -> Text:
    if value is None:
        return Text("")
    return Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
