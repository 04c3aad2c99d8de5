"""What waits: messages for instances, and activities to be run.

Rows are tuples, as SQLite takes and gives them; as objects with fields they took three times as
long to make.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import instances
from .instances import Instance
from .statements import for_each


class Message(NamedTuple):
    """A history event that waits for its instance."""

    message_id: int
    instance_id: str
    execution_id: str | None
    """The execution that it is meant for; None for whichever is current."""
    event_type: int
    task_id: int | None
    """What it completes, if anything."""
    created_at: str
    due_at: str | None
    """Not before this moment; None for at once."""
    event: str
    """JSON text."""


class NewMessage(NamedTuple):
    """A message to be stored; fields as in `Message`."""

    instance_id: str
    execution_id: str | None
    event_type: int
    created_at: str
    event: str
    task_id: int | None = None
    due_at: str | None = None


class Activity(NamedTuple):
    """A scheduled activity whose result is not there yet."""

    instance_id: str
    task_id: int
    execution_id: str
    name: str
    input: str | None
    """JSON text, or any text."""


_COLUMNS = ", ".join(Message._fields)
_SEND = (
    f"INSERT INTO messages ({', '.join(NewMessage._fields)})"
    f" VALUES ({', '.join('?' for _ in NewMessage._fields)})"
)
_ACTIVITY_COLUMNS = ", ".join(Activity._fields)
_SCHEDULE = (
    f"INSERT INTO activities ({_ACTIVITY_COLUMNS})"
    f" VALUES ({', '.join('?' for _ in Activity._fields)})"
)


def send(connection: sqlite3.Connection, new: Sequence[NewMessage]) -> None:
    """Store messages, in order."""
    for_each(connection, _SEND, new)


def due(connection: sqlite3.Connection, instance_id: str, now: str) -> list[Message]:
    """Messages of an instance whose time has come, in the order of their commits."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE instance_id = :instance_id"
        " AND (due_at IS NULL OR due_at <= :now) ORDER BY message_id",
        {"instance_id": instance_id, "now": now},
    ).fetchall()
    return [Message(*row) for row in rows]


def waiting(connection: sqlite3.Connection, instance_id: str) -> list[Message]:
    """All messages of an instance, those of timers too, in the order of their commits."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE instance_id = :instance_id ORDER BY message_id",
        {"instance_id": instance_id},
    ).fetchall()
    return [Message(*row) for row in rows]


def instances_with_due(connection: sqlite3.Connection, now: str) -> list[str]:
    """Ids of all instances for which something is due."""
    rows = connection.execute(
        "SELECT instance_id, min(message_id) AS first FROM messages"
        " WHERE due_at IS NULL OR due_at <= :now GROUP BY instance_id ORDER BY first",
        {"now": now},
    ).fetchall()
    return [row[0] for row in rows]


def planned(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Due time and instance of every message that waits for its time."""
    return connection.execute(
        "SELECT due_at, instance_id FROM messages WHERE due_at IS NOT NULL"
    ).fetchall()


def next_due(connection: sqlite3.Connection, instance_id: str) -> str | None:
    """When the next timer of an instance falls due; None if none is set."""
    [due_at] = connection.execute(
        "SELECT min(due_at) FROM messages WHERE instance_id = :instance_id",
        {"instance_id": instance_id},
    ).fetchone()
    return None if due_at is None else str(due_at)


def delete(connection: sqlite3.Connection, message_ids: Iterable[int]) -> None:
    """Remove messages that have been consumed or dropped."""
    for_each(
        connection,
        "DELETE FROM messages WHERE message_id = :message_id",
        [{"message_id": message_id} for message_id in message_ids],
    )


def delete_timers(
    connection: sqlite3.Connection, instance_id: str, task_ids: Iterable[int]
) -> None:
    """Remove timers that were cancelled."""
    for_each(
        connection,
        "DELETE FROM messages WHERE instance_id = :instance_id AND task_id = :task_id"
        " AND due_at IS NOT NULL",
        [{"instance_id": instance_id, "task_id": task_id} for task_id in task_ids],
    )


def delete_of_instance(connection: sqlite3.Connection, instance_id: str) -> None:
    """Remove all messages of an instance."""
    connection.execute(
        "DELETE FROM messages WHERE instance_id = :instance_id", {"instance_id": instance_id}
    )


def schedule(connection: sqlite3.Connection, new: Sequence[Activity]) -> None:
    """Store activities to be run."""
    for_each(connection, _SCHEDULE, new)


def scheduled(connection: sqlite3.Connection) -> list[Activity]:
    """Every activity whose result is not there yet."""
    rows = connection.execute(
        f"SELECT {_ACTIVITY_COLUMNS} FROM activities ORDER BY instance_id, task_id"
    ).fetchall()
    return [Activity(*row) for row in rows]


_TAKE = (
    "DELETE FROM activities WHERE instance_id = :instance_id AND task_id = :task_id"
    " AND execution_id = :execution_id"
)


def take(connection: sqlite3.Connection, activity: Activity) -> bool:
    """Remove a finished activity; False if it is not waited for any more."""
    cursor = connection.execute(
        _TAKE,
        {
            "instance_id": activity.instance_id,
            "task_id": activity.task_id,
            "execution_id": activity.execution_id,
        },
    )
    return cursor.rowcount > 0


def take_with_turn(
    connection: sqlite3.Connection, activity: Activity, known: Instance, now: str
) -> bool:
    """As `take`, for a turn that has seen nothing but the activity's result.

    False too if the instance does not stand any more as it is `known`, or has a message that is
    due `now`.
    """
    cursor = connection.execute(
        f"{_TAKE}"
        f" AND EXISTS ({instances.UNCHANGED})"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE instance_id = :instance_id"
        " AND (due_at IS NULL OR due_at <= :now))",
        {
            "instance_id": activity.instance_id,
            "task_id": activity.task_id,
            "execution_id": activity.execution_id,
            "updated_at": known.updated_at,
            "status": known.status,
            "now": now,
        },
    )
    return cursor.rowcount > 0


def keep_start(connection: sqlite3.Connection, instance_id: str, event: str) -> None:
    """Keep the start of an instance until the one that has its id has ended."""
    connection.execute(
        "INSERT INTO waiting_starts (instance_id, event) VALUES (:instance_id, :event)",
        {"instance_id": instance_id, "event": event},
    )


def take_start(connection: sqlite3.Connection, instance_id: str) -> str | None:
    """Remove the oldest start that waits for an id, and give its event; None if there is none."""
    row = connection.execute(
        "SELECT position, event FROM waiting_starts WHERE instance_id = :instance_id"
        " ORDER BY position LIMIT 1",
        {"instance_id": instance_id},
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "DELETE FROM waiting_starts WHERE position = :position", {"position": row[0]}
    )
    return str(row[1])
