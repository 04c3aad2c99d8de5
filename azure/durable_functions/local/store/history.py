"""History events, stored as the JSON text that is sent: a trigger is a join of strings.

Those of one turn are one row, an event a line; JSON text has no line breaks of its own. With a row
for each event a step of a chain takes a twelfth more time: four inserts instead of one, and SQLite
shifts rows between neighbouring pages for nearly each of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence


def events(connection: sqlite3.Connection, instance_id: str) -> list[str]:
    """All events of the current execution, oldest first."""
    rows = connection.execute(
        "SELECT events FROM history WHERE instance_id = :instance_id ORDER BY position",
        {"instance_id": instance_id},
    ).fetchall()
    return [event for [text] in rows for event in text.split("\n")]


def append(
    connection: sqlite3.Connection, instance_id: str, first: int, new: Sequence[str]
) -> None:
    """Add events behind the first `first` ones."""
    if new:
        connection.execute(
            "INSERT INTO history (instance_id, position, events)"
            " VALUES (:instance_id, :position, :events)",
            {"instance_id": instance_id, "position": first, "events": "\n".join(new)},
        )


def replace(connection: sqlite3.Connection, instance_id: str, events: Sequence[str]) -> None:
    """Put other events in the place of all."""
    delete(connection, instance_id)
    append(connection, instance_id, 0, events)


def delete(connection: sqlite3.Connection, instance_id: str) -> None:
    """Remove all events of an instance."""
    connection.execute(
        "DELETE FROM history WHERE instance_id = :instance_id", {"instance_id": instance_id}
    )
