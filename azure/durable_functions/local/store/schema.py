"""Tables, and the numbered migrations that make them.

A migration is applied in one transaction with the row that records it; one that has been applied
is never edited: a later one changes what it made.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any


class StoreFromTheFuture(Exception):
    """The file was written by a later release than this one."""


def _first(connection: sqlite3.Connection) -> None:
    # Moments are ISO text in UTC with six fraction digits, so that they sort as they stand.
    connection.execute(
        """
        CREATE TABLE settings (
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE instances (
            instance_id TEXT PRIMARY KEY,
            execution_id TEXT NOT NULL,
            name TEXT NOT NULL,
            version TEXT,
            status TEXT NOT NULL,
            input TEXT,
            output TEXT,
            custom_status TEXT,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            parent TEXT,
            event_count INTEGER NOT NULL DEFAULT 0,
            action_count INTEGER NOT NULL DEFAULT 0,
            next_task_id INTEGER NOT NULL DEFAULT 0,
            continued INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX instances_by_creation ON instances (created_at)")
    connection.execute("CREATE INDEX instances_by_status ON instances (status)")
    connection.execute(
        """
        CREATE TABLE history (
            instance_id TEXT NOT NULL,
            position INTEGER NOT NULL,
            event TEXT NOT NULL,
            PRIMARY KEY (instance_id, position)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE actions (
            instance_id TEXT NOT NULL,
            position INTEGER NOT NULL,
            action_type INTEGER NOT NULL,
            name TEXT,
            task_id INTEGER,
            PRIMARY KEY (instance_id, position)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE open_tasks (
            instance_id TEXT NOT NULL,
            task_id INTEGER NOT NULL,
            kind TEXT NOT NULL,
            retry TEXT,
            PRIMARY KEY (instance_id, task_id)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE messages (
            message_id INTEGER PRIMARY KEY AUTOINCREMENT,
            instance_id TEXT NOT NULL,
            execution_id TEXT,
            event_type INTEGER NOT NULL,
            task_id INTEGER,
            created_at TEXT NOT NULL,
            due_at TEXT,
            event TEXT NOT NULL
        )
        """
    )
    connection.execute("CREATE INDEX messages_by_instance ON messages (instance_id, message_id)")
    connection.execute(
        "CREATE INDEX messages_by_due_time ON messages (due_at) WHERE due_at IS NOT NULL"
    )
    connection.execute(
        """
        CREATE TABLE activities (
            instance_id TEXT NOT NULL,
            task_id INTEGER NOT NULL,
            execution_id TEXT NOT NULL,
            name TEXT NOT NULL,
            input TEXT,
            PRIMARY KEY (instance_id, task_id, execution_id)
        ) WITHOUT ROWID
        """
    )


def _several_events_in_a_row(connection: sqlite3.Connection) -> None:
    # A row with one event is right as it stands; the name keeps earlier releases from reading more.
    connection.execute("ALTER TABLE history RENAME COLUMN event TO events")


def _decisions_in_the_history(connection: sqlite3.Connection) -> None:
    # What an instance has decided so far comes with its first turn: only their order matters.
    connection.execute("ALTER TABLE history ADD COLUMN decisions TEXT")
    decided: dict[str, tuple[list[Any], list[Any], list[int]]] = defaultdict(lambda: ([], [], []))
    for instance_id, *leaf in connection.execute(
        "SELECT instance_id, action_type, name, task_id FROM actions ORDER BY position"
    ):
        decided[instance_id][0].append(leaf)
    for instance_id, *task in connection.execute(
        "SELECT instance_id, task_id, kind, retry FROM open_tasks"
    ):
        decided[instance_id][1].append(task)
    connection.executemany(
        "UPDATE history SET decisions = :decisions"
        " WHERE instance_id = :instance_id AND position = 0",
        [
            {"instance_id": instance_id, "decisions": json.dumps(decisions)}
            for instance_id, decisions in decided.items()
        ],
    )
    connection.execute("DROP TABLE actions")
    connection.execute("DROP TABLE open_tasks")


def _starts_that_wait(connection: sqlite3.Connection) -> None:
    # Of children whose id an instance has that was started in the same turn.
    connection.execute(
        """
        CREATE TABLE waiting_starts (
            position INTEGER PRIMARY KEY,
            instance_id TEXT NOT NULL,
            event TEXT NOT NULL
        )
        """
    )
    connection.execute("CREATE INDEX waiting_starts_by_id ON waiting_starts (instance_id)")


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (
    _first,
    _several_events_in_a_row,
    _decisions_in_the_history,
    _starts_that_wait,
)
"""In order; the number of a migration is its place, from 1."""


def applied(connection: sqlite3.Connection) -> int:
    """How many migrations the file has: its schema's number; 0 for a new one.

    Raises:
        StoreFromTheFuture: It already has migrations that this release does not know.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)")
    row = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    number: int = row[0]
    if number > len(MIGRATIONS):
        raise StoreFromTheFuture(
            f"the store has schema {number}, this release knows {len(MIGRATIONS)}"
        )
    return number


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest schema.

    Raises:
        StoreFromTheFuture: It already has migrations that this release does not know.
    """
    known = applied(connection)
    for number, migration in enumerate(MIGRATIONS[known:], known + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migration(connection)
            connection.execute(
                "INSERT INTO migrations (number) VALUES (:number)", {"number": number}
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
