"""One statement for several rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence


def for_each(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Mapping[str, object]]
) -> None:
    """Run a statement once for each row; SQLite is not asked (5 us) where there is none.

    Most turns change little: of eight tables' worth of statements they need three.
    """
    if rows:
        connection.executemany(statement, rows)
