"""One statement for several rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence


def for_each(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[Mapping[str, object] | tuple[object, ...]],
) -> None:
    """Run a statement once for each row; where there is none, SQLite is not asked (5 us)."""
    if rows:
        connection.executemany(statement, rows)
