"""Values that the host keeps across restarts, such as its key."""

from __future__ import annotations

import sqlite3


def get_or_set(connection: sqlite3.Connection, name: str, value: str) -> str:
    """The stored value of that name; stores the given one where there is none."""
    connection.execute(
        "INSERT OR IGNORE INTO settings (name, value) VALUES (:name, :value)",
        {"name": name, "value": value},
    )
    [stored] = connection.execute(
        "SELECT value FROM settings WHERE name = :name", {"name": name}
    ).fetchone()
    return str(stored)
