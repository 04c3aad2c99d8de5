"""History events, stored as the JSON text that is sent: a trigger is a join of strings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from .statements import for_each


def events(connection: sqlite3.Connection, instance_id: str) -> list[str]:
    """All events of the current execution, oldest first."""
    rows = connection.execute(
        "SELECT event FROM history WHERE instance_id = :instance_id ORDER BY position",
        {"instance_id": instance_id},
    ).fetchall()
    return [row[0] for row in rows]


def overwrite(connection: sqlite3.Connection, instance_id: str, position: int, event: str) -> None:
    """Put another event in the place of one."""
    connection.execute(
        "UPDATE history SET event = :event"
        " WHERE instance_id = :instance_id AND position = :position",
        {"instance_id": instance_id, "position": position, "event": event},
    )


def append(
    connection: sqlite3.Connection, instance_id: str, first: int, new: Sequence[str]
) -> None:
    """Add events behind the first `first` ones."""
    for_each(
        connection,
        "INSERT INTO history (instance_id, position, event)"
        " VALUES (:instance_id, :position, :event)",
        [
            {"instance_id": instance_id, "position": position, "event": event}
            for position, event in enumerate(new, first)
        ],
    )
