"""Instances."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from . import history

TERMINAL = ("Completed", "Failed", "Terminated", "Canceled")
"""Statuses that an instance does not leave by itself."""


class Instance(NamedTuple):
    """One row: what is known of an instance without its history."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    status: str
    input: str | None
    """JSON text."""
    output: str | None
    """JSON text when completed; bare text when failed or terminated."""
    custom_status: str | None
    """JSON text."""
    created_at: str
    updated_at: str
    """Time of the last event; moments are as in `schema`."""
    parent: str | None
    """JSON text of ``ParentInstance`` (protocol.md 2.3)."""
    event_count: int
    action_count: int
    """Top-level actions of the orchestrator that have been started."""
    next_task_id: int
    continued: bool
    """Whether continue-as-new made this generation."""

    @property
    def is_terminal(self) -> bool:
        """Whether the instance has ended."""
        return self.status in TERMINAL


_COLUMNS = ", ".join(Instance._fields)
_PUT = (
    f"INSERT OR REPLACE INTO instances ({_COLUMNS})"
    f" VALUES ({', '.join('?' for _ in Instance._fields)})"
)
UNCHANGED = (
    "SELECT 1 FROM instances WHERE instance_id = :instance_id"
    " AND execution_id = :execution_id AND updated_at = :updated_at AND status = :status"
)
"""Finds an instance that still stands where it stood.

No two turns have the same time, and what changes a row without a turn changes its status.
"""


def _instance(row: Sequence[Any]) -> Instance:
    return Instance(*row[:-1], bool(row[-1]))  # type: ignore[call-arg]


def find(connection: sqlite3.Connection, instance_id: str) -> Instance | None:
    """One instance; None if there is none of that id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM instances WHERE instance_id = :instance_id",
        {"instance_id": instance_id},
    ).fetchone()
    return None if row is None else _instance(row)


def is_unchanged(connection: sqlite3.Connection, known: Instance) -> bool:
    """Whether an instance still stands where it stood, in half the time of `find`."""
    found = connection.execute(
        UNCHANGED,
        {
            "instance_id": known.instance_id,
            "execution_id": known.execution_id,
            "updated_at": known.updated_at,
            "status": known.status,
        },
    )
    return found.fetchone() is not None


def put(connection: sqlite3.Connection, instance: Instance) -> None:
    """Insert an instance, or overwrite the one of its id."""
    connection.execute(_PUT, instance)


def update(connection: sqlite3.Connection, before: Instance, after: Instance) -> None:
    """Store what has changed of an instance; the index of a column that has not is not touched."""
    changed = tuple([place for place, value in enumerate(after) if value != before[place]])
    if changed:
        values = [after[place] for place in changed]
        connection.execute(_update_of(changed), (*values, after.instance_id))


@lru_cache(maxsize=64)
def _update_of(columns: tuple[int, ...]) -> str:
    assigned = ", ".join(f"{Instance._fields[column]} = ?" for column in columns)
    return f"UPDATE instances SET {assigned} WHERE instance_id = ?"


@dataclass(frozen=True)
class Filter:
    """Which instances a list shows; None means no condition. Bounds are inclusive."""

    instance_id_prefix: str | None = None
    created_from: str | None = None
    created_to: str | None = None
    statuses: frozenset[str] | None = None
    updated_from: str | None = None
    updated_to: str | None = None
    name: str | None = None
    """Of the orchestrator, in any case."""
    custom_status: str | None = None
    """A piece of the JSON text of the custom status, in any case and without blanks."""
    has_entities: bool = True
    """Whether entities are among them."""
    is_newest_first: bool = False
    """Sorted by creation, the last first; else by id."""
    after: tuple[str, str] | None = None
    """Creation and id of the last one on the page before: only what stands behind it."""


def page(connection: sqlite3.Connection, wanted: Filter, *, limit: int) -> list[Instance]:
    """Instances that fit, in the order of their ids or newest first, at most `limit`."""
    conditions, values = _conditions(wanted)
    order = "created_at DESC, instance_id" if wanted.is_newest_first else "instance_id"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM instances WHERE {' AND '.join(conditions)} "
        f"ORDER BY {order} LIMIT :limit",
        {**values, "limit": limit},
    ).fetchall()
    return [_instance(row) for row in rows]


_COMPARED = {
    "created_from": "created_at >= :created_from",
    "created_to": "created_at <= :created_to",
    "updated_from": "updated_at >= :updated_from",
    "updated_to": "updated_at <= :updated_to",
    "name": "lower(name) = lower(:name)",
    "custom_status": "instr(lower(replace(custom_status, ' ', '')), lower(:custom_status)) > 0",
}
"""What a member of a filter asks for, by its name; without a value it asks for nothing."""


def _conditions(wanted: Filter) -> tuple[list[str], dict[str, object]]:
    conditions = ["1"]
    values: dict[str, object] = {}
    for member, condition in _COMPARED.items():
        if getattr(wanted, member) is not None:
            conditions.append(condition)
            values[member] = getattr(wanted, member)
    if wanted.instance_id_prefix:
        conditions.append("substr(instance_id, 1, :prefix_length) = :prefix")
        values["prefix"] = wanted.instance_id_prefix
        values["prefix_length"] = len(wanted.instance_id_prefix)
    if wanted.statuses is not None:
        statuses = {f"status_{index}": name for index, name in enumerate(sorted(wanted.statuses))}
        conditions.append(f"status IN ({', '.join(f':{name}' for name in statuses)})")
        values.update(statuses)
    if not wanted.has_entities:
        conditions.append("instance_id NOT LIKE '@%'")
    if wanted.after is not None:
        values["after_created"], values["after_id"] = wanted.after
        conditions.append(
            "(created_at < :after_created OR (created_at = :after_created"
            " AND instance_id > :after_id))"
            if wanted.is_newest_first
            else "instance_id > :after_id"
        )
    return conditions, values


def ended(connection: sqlite3.Connection, wanted: Filter, *, limit: int) -> list[Instance]:
    """Ended instances that fit, at most `limit` (http-api.md 5.7)."""
    statuses = frozenset(TERMINAL) if wanted.statuses is None else wanted.statuses
    terminal = replace(wanted, statuses=statuses & frozenset(TERMINAL))
    return page(connection, terminal, limit=limit) if terminal.statuses else []


_UNFINISHED = (
    "FROM instances WHERE status NOT IN ('Completed', 'Failed', 'Terminated', 'Canceled')"
    " AND instance_id NOT LIKE '@%'"
)


def count_unfinished(connection: sqlite3.Connection) -> int:
    """How many orchestrations have not ended."""
    [count] = connection.execute(f"SELECT count(*) {_UNFINISHED}").fetchone()
    return int(count)


def newest_unfinished(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Ids of the youngest orchestrations that have not ended."""
    rows = connection.execute(
        f"SELECT instance_id {_UNFINISHED} ORDER BY created_at DESC LIMIT :limit", {"limit": limit}
    )
    return [row[0] for row in rows]


def forget_work(connection: sqlite3.Connection, instance_id: str) -> None:
    """Delete what only matters while an instance runs."""
    connection.execute(
        "DELETE FROM activities WHERE instance_id = :instance_id", {"instance_id": instance_id}
    )


def forget_execution(connection: sqlite3.Connection, instance_id: str) -> None:
    """Delete everything that belongs to the current execution but for the row and messages."""
    forget_work(connection, instance_id)
    history.delete(connection, instance_id)


def delete_row(connection: sqlite3.Connection, instance_id: str) -> None:
    """Delete the row alone; what waits for the id stays."""
    connection.execute(
        "DELETE FROM instances WHERE instance_id = :instance_id", {"instance_id": instance_id}
    )


def delete(connection: sqlite3.Connection, instance_id: str) -> None:
    """Delete an instance with all it has."""
    forget_execution(connection, instance_id)
    for table in ("messages", "waiting_starts", "instances"):
        connection.execute(
            f"DELETE FROM {table} WHERE instance_id = :instance_id", {"instance_id": instance_id}
        )
