"""What has happened to instances: history events, and what each turn has decided.

Events are stored as the JSON text that is sent: a trigger is a join of strings. A turn is one row,
an event a line; JSON text has no line breaks of its own. With a row for each event a step of a
chain takes a twelfth more time, and a twentieth more with tables for actions and open tasks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Leaf(NamedTuple):
    """An action that the host has started, without the compounds around it."""

    action_type: int
    name: str | None
    task_id: int | None


class OpenTask(NamedTuple):
    """Something scheduled that has not finished."""

    task_id: int
    kind: str
    """``activity``, ``orchestration`` or ``timer``."""
    retry: str | None
    """JSON text of the retry record, if the host retries the task."""


class Turn(NamedTuple):
    """One row: what has happened until a turn, and what it has started."""

    events: list[str]
    """JSON texts."""
    leaves: list[Leaf]


@dataclass(frozen=True)
class History:
    """All turns of an execution so far."""

    events: list[str] = field(default_factory=list[str])
    """JSON texts, oldest first."""
    leaves: list[Leaf] = field(default_factory=list[Leaf])
    """Actions started so far, in order."""
    open_tasks: dict[int, OpenTask] = field(default_factory=dict[int, OpenTask])
    """By task id."""


def find(connection: sqlite3.Connection, instance_id: str) -> History:
    """The history of the current execution; empty if there is none."""
    rows = connection.execute(
        "SELECT events, decisions FROM history WHERE instance_id = :instance_id ORDER BY position",
        {"instance_id": instance_id},
    ).fetchall()
    found = History()
    for events, decisions in rows:
        found.events.extend(events.split("\n"))
        if decisions is not None:
            leaves, opened, closed = json.loads(decisions)
            found.leaves.extend(Leaf(*leaf) for leaf in leaves)
            for task_id in closed:
                found.open_tasks.pop(task_id, None)
            found.open_tasks.update((task[0], OpenTask(*task)) for task in opened)
    return found


def events(connection: sqlite3.Connection, instance_id: str) -> list[str]:
    """All events of the current execution, oldest first."""
    rows = connection.execute(
        "SELECT events FROM history WHERE instance_id = :instance_id ORDER BY position",
        {"instance_id": instance_id},
    ).fetchall()
    return [event for [text] in rows for event in text.split("\n")]


def last_turn(connection: sqlite3.Connection, instance_id: str) -> list[str]:
    """Events of the latest turn; none if there was no turn."""
    row = connection.execute(
        "SELECT events FROM history WHERE instance_id = :instance_id"
        " ORDER BY position DESC LIMIT 1",
        {"instance_id": instance_id},
    ).fetchone()
    return [] if row is None else str(row[0]).split("\n")


def turns(connection: sqlite3.Connection, instance_id: str) -> list[Turn]:
    """The turns of the current execution one by one, oldest first."""
    rows = connection.execute(
        "SELECT events, decisions FROM history WHERE instance_id = :instance_id ORDER BY position",
        {"instance_id": instance_id},
    ).fetchall()
    return [
        Turn(
            events.split("\n"),
            [] if decisions is None else [Leaf(*leaf) for leaf in json.loads(decisions)[0]],
        )
        for events, decisions in rows
    ]


def append(
    connection: sqlite3.Connection,
    instance_id: str,
    first: int,
    events: Sequence[str],
    leaves: Iterable[Leaf] = (),
    opened: Iterable[OpenTask] = (),
    closed: Iterable[int] = (),
) -> None:
    """Add a turn, whose events stand behind the first `first` ones; without any it has none.

    Args:
        connection: With a transaction.
        instance_id: Of the instance.
        first: How many events there are.
        events: JSON texts.
        leaves: Actions that it has started.
        opened: What it has scheduled, and not closed.
        closed: Task ids of what has finished or was cancelled, of earlier turns too.
    """
    if not events:
        return
    decisions = [[*leaves], [*opened], [*closed]]
    text = _compact(decisions) if any(decisions) else None
    connection.execute(
        "INSERT INTO history (instance_id, position, events, decisions) VALUES (?, ?, ?, ?)",
        (instance_id, first, "\n".join(events), text),
    )


def replace(connection: sqlite3.Connection, instance_id: str, history: History) -> None:
    """Put another history in the place of an instance's."""
    delete(connection, instance_id)
    opened = history.open_tasks.values()
    append(connection, instance_id, 0, history.events, history.leaves, opened)


def delete(connection: sqlite3.Connection, instance_id: str) -> None:
    """Remove all that has happened to an instance."""
    connection.execute(
        "DELETE FROM history WHERE instance_id = :instance_id", {"instance_id": instance_id}
    )
