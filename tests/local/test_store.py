"""The file: what earlier and later releases have left in it, and texts of every kind."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.store import history, schema
from azure.durable_functions.local.store.database import Database, StoreError
from azure.durable_functions.local.store.history import History

Context = df.DurableOrchestrationContext
TEXTS = ["two\nlines", "\r\n", "\u2028 and \u2029", "\x1e\x00", '"quoted\\"\n']


def asks(context: Context) -> Generator[Any, Any, Any]:
    answers = []
    for text in TEXTS:
        answers.append((yield context.call_activity("same", text)))
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    event = context.wait_for_external_event("line\nbreak")
    yield context.task_any([event, timer])
    return [*answers, event.result]


def make_invoker() -> DirectInvoker:
    return DirectInvoker({"asks": asks}, {"same": lambda text: text})


async def wait_for_event(path: Path) -> list[dict[str, Any]]:
    """Run until the event is waited for; gives the history so far."""
    async with Engine(make_invoker(), Database(path)) as engine:
        await engine.hub.start_instance("asks", instance_id="one")
        await engine.settle()
        return await engine.history("one")


def read_history(path: Path) -> History:
    with sqlite3.connect(path) as file:
        found = history.find(file, "one")
    file.close()
    return found


async def end(path: Path) -> tuple[Any, list[dict[str, Any]]]:
    async with Engine(make_invoker(), Database(path)) as engine:
        await engine.hub.raise_event("one", "line\nbreak", json.dumps("a\nb"))
        await engine.settle()
        assert (await engine.result("one"))[0] == "Running"  # a timer is open
        await engine.run_out()
        return await engine.result("one"), await engine.history("one")


def test_line_breaks_in_texts_do_not_part_events(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"

    before = asyncio.run(wait_for_event(path))
    result, after = asyncio.run(end(path))

    assert result == ("Completed", [*TEXTS, "a\nb"])
    assert after[: len(before)] == before


def test_a_file_of_the_first_schema_goes_on(tmp_path: Path) -> None:
    """It has a row for each event, each action and each open task."""
    path = tmp_path / "hub.sqlite"
    events = asyncio.run(wait_for_event(path))
    before = read_history(path)
    assert len(before.leaves) == len(TEXTS) + 2
    assert [task.kind for task in before.open_tasks.values()] == ["timer"]
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE instances_now AS SELECT * FROM instances")
        file.execute("CREATE TABLE messages_now AS SELECT * FROM messages")
        names = ("settings", "instances", "history", "messages", "activities", "waiting_starts")
        for name in names:
            file.execute(f"DROP TABLE {name}")
        schema.MIGRATIONS[0](file)
        for name in ("instances", "messages"):
            file.execute(f"INSERT INTO {name} SELECT * FROM {name}_now")
            file.execute(f"DROP TABLE {name}_now")
        file.executemany(
            "INSERT INTO history VALUES ('one', ?, ?)",
            [(place, json.dumps(event)) for place, event in enumerate(events)],
        )
        file.executemany(
            "INSERT INTO actions VALUES ('one', ?, ?, ?, ?)",
            [(place, *leaf) for place, leaf in enumerate(before.leaves)],
        )
        file.executemany(
            "INSERT INTO open_tasks VALUES ('one', ?, ?, ?)",
            [tuple(task) for task in before.open_tasks.values()],
        )
        file.execute("DELETE FROM migrations WHERE number > 1")
    file.close()

    database = Database(path)
    database.open()
    asyncio.run(database.close())
    migrated = read_history(path)
    result, after = asyncio.run(end(path))

    assert migrated.leaves == before.leaves
    assert migrated.open_tasks == before.open_tasks
    assert result == ("Completed", [*TEXTS, "a\nb"])
    assert after[: len(events)] == events


def test_a_file_of_a_later_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    asyncio.run(wait_for_event(path))
    later = len(schema.MIGRATIONS) + 1
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO migrations VALUES (:number)", {"number": later})
    file.close()

    with pytest.raises(StoreError, match=f"has schema {later}.*install the release that wrote it"):
        Database(path).open()


async def write_rows(database: Database, numbers: range) -> None:
    for number in numbers:
        row = {"name": f"{number}", "value": "x" * 1000}
        await database.write(
            lambda c, row=row: c.execute("INSERT INTO settings VALUES (:name, :value)", row)
        )


def test_no_commit_has_to_lengthen_the_log(tmp_path: Path) -> None:
    log = tmp_path / "hub.sqlite-wal"

    async def sizes() -> set[int]:
        database = Database(tmp_path / "hub.sqlite")
        database.open()
        found = {log.stat().st_size}
        for first in range(0, 60, 20):
            await write_rows(database, range(first, first + 20))
            found.add(log.stat().st_size)
        await database.close()
        return found

    [size] = asyncio.run(sizes())
    assert size > 4_000_000


def test_a_store_may_stand_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "hub.sqlite").symlink_to(tmp_path / "there" / "real.sqlite")
    database = Database(tmp_path / "hub.sqlite")
    database.open()
    assert (tmp_path / "there" / "real.sqlite-wal").stat().st_size > 4_000_000
    asyncio.run(database.close())


def test_a_log_that_cannot_be_lengthened_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", fail)

    async def run() -> int:
        database = Database(tmp_path / "hub.sqlite")
        database.open()
        await write_rows(database, range(3))
        count = await database.read(lambda c: c.execute("SELECT count(*) FROM settings").fetchone())
        await database.close()
        return int(count[0])

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("rows", [0, 3])
def test_what_fills_the_log_does_not_come_back_after_a_crash(tmp_path: Path, rows: int) -> None:
    async def run() -> list[str]:
        made = Database(tmp_path / "hub.sqlite")
        made.open()
        await made.close()  # with which the log goes
        killed = Database(tmp_path / "hub.sqlite")
        killed.open()
        await write_rows(killed, range(rows))
        for file in tmp_path.glob("hub.sqlite*"):  # as it is on disk in this moment
            if file.name != "hub.sqlite-shm":
                (tmp_path / file.name.replace("hub", "left")).write_bytes(file.read_bytes())
        await killed.close()
        left = Database(tmp_path / "left.sqlite")
        left.open()
        found = await left.read(lambda c: c.execute("SELECT name FROM settings").fetchall())
        await left.close()
        return [name for [name] in found]

    assert asyncio.run(run()) == [f"{number}" for number in range(rows)]
