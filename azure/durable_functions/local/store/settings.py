"""Values that the host keeps across restarts, such as its key."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

KEY = "system_key"
"""Name of the host's access key."""
URL = "host_url"
"""Name of the URL of the running host; other processes read it with `peek`."""


def get_or_set(connection: sqlite3.Connection, name: str, value: str) -> str:
    """The stored value of that name; stores the given one where there is none, or an empty one."""
    connection.execute(
        "INSERT INTO settings (name, value) VALUES (:name, :value) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE trim(value) = ''",
        {"name": name, "value": value},
    )
    stored = find(connection, name)
    assert stored is not None  # it has just been put there
    return stored


def find(connection: sqlite3.Connection, name: str) -> str | None:
    """The stored value of that name; None if there is none."""
    row = connection.execute(
        "SELECT value FROM settings WHERE name = :name", {"name": name}
    ).fetchone()
    return None if row is None else str(row[0])


def remove(connection: sqlite3.Connection, name: str) -> None:
    """Forget the value of that name, if there is one."""
    connection.execute("DELETE FROM settings WHERE name = :name", {"name": name})


def put(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Store a value of that name in the place of the one that is there."""
    connection.execute(
        "INSERT INTO settings (name, value) VALUES (:name, :value) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": name, "value": value},
    )


def peek(store: Path, *names: str) -> list[str | None]:
    """Values from the store of another process that may be running; None for each it lacks."""
    try:
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as opened:
            return [find(opened, name) for name in names]
    except sqlite3.Error:  # it is only just being made
        return [None for _ in names]
