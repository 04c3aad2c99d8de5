"""What the store takes of the disk, gives back to it, and does when it is full."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import schema, space
from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.space import StoreFull

PAGE = 4096


async def write_megabytes(database: Database, count: int) -> None:
    for number in range(count):
        row = {"name": f"row {number}", "value": "x" * 1_000_000}
        await database.write(
            lambda c, row=row: c.execute("INSERT INTO settings VALUES (:name, :value)", row)
        )


async def purge(database: Database) -> None:
    await database.write(lambda c: c.execute("DELETE FROM settings"))


def test_pages_that_hold_nothing_go_back_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "LOOK_SECONDS", 0.0)

    async def run() -> tuple[int, int]:
        database = Database(tmp_path / "hub.sqlite")
        database.open()
        await write_megabytes(database, 20)
        pages = "PRAGMA page_count"
        [before] = await database.read(lambda c: c.execute(pages).fetchone())
        await purge(database)
        after = before
        while after > space.SPARE_PAGES + 100:  # the store itself gives them back
            await asyncio.sleep(0)
            [after] = await database.read(lambda c: c.execute(pages).fetchone())
        await database.close()
        return before, after

    before, after = asyncio.run(run())
    assert before * PAGE > 20_000_000
    assert (tmp_path / "hub.sqlite").stat().st_size < 5_000_000
    assert after < before


def test_a_log_that_has_grown_is_cut_back(tmp_path: Path) -> None:
    log = tmp_path / "hub.sqlite-wal"

    async def run() -> tuple[int, int]:
        database = Database(tmp_path / "hub.sqlite")
        database.open()
        reader = sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)
        reader.execute("BEGIN").execute("SELECT count(*) FROM settings").fetchone()
        await write_megabytes(database, 12)  # none of which the log may forget
        grown = log.stat().st_size
        reader.close()
        await write_megabytes_again(database)
        cut = log.stat().st_size
        await database.close()
        return grown, cut

    async def write_megabytes_again(database: Database) -> None:
        await purge(database)
        await write_megabytes(database, 6)

    grown, cut = asyncio.run(run())
    assert grown > 12_000_000
    assert cut <= 2 * space.LOG_BYTES


def test_a_store_is_copied_before_it_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hub.sqlite"
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        old = Database(path)
        old.open()
        asyncio.run(write_megabytes(old, 1))
        asyncio.run(old.close())
    monkeypatch.setattr(logging.getLogger("azure.durable_functions.local"), "propagate", True)

    new = Database(path)
    new.open()
    asyncio.run(new.close())

    copy = tmp_path / "hub.sqlite.schema-3"
    with sqlite3.connect(copy) as file:
        assert file.execute("SELECT max(number) FROM migrations").fetchone() == (3,)
        assert file.execute("SELECT count(*) FROM settings").fetchone() == (1,)
    file.close()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "from schema 3 to 4. A copy of it as it was is kept as hub.sqlite" in caplog.text
    asyncio.run(reopen_twice(path))
    assert caplog.text.count("A copy of it") == 1


async def reopen_twice(path: Path) -> None:
    for _ in range(2):
        database = Database(path)
        database.open()
        await database.close()


def test_a_reset_deletes_copies_too(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")
    state = StateFolder(tmp_path, "hub")
    state.acquire()
    state.make_store()
    copy = state.store.with_name(f"{state.store.name}.schema-1")
    copy.write_text("")
    assert state.clear()
    state.release()
    assert not copy.exists()


def chain(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    return (yield context.call_activity("echo", "x" * 100_000))


async def fill(database: Database) -> None:
    """Leave the file no room to grow, as a full disk does."""
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1"))


async def make_room(database: Database) -> None:
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000"))


def test_a_full_disk_is_told_once_and_work_is_done_when_there_is_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("azure.durable_functions.local"), "propagate", True)
    invoker = DirectInvoker({"chain": chain}, {"echo": lambda text: len(text)})
    database = Database(tmp_path / "hub.sqlite")

    async def run() -> tuple[str, Any]:
        async with Engine(invoker, database) as engine:
            for number in range(5):
                await engine.hub.start_instance("chain", instance_id=f"i{number}")
            await fill(database)
            for _ in range(50):
                await asyncio.sleep(0)
            with pytest.raises(StoreFull, match="Nothing is lost"):
                await engine.hub.start_instance("chain", input_text='"' + "x" * 100_000 + '"')
            await make_room(database)
            await engine.run_out()
            return await engine.result("i4")

    caplog.set_level(logging.INFO)
    status, output = asyncio.run(run())
    assert (status, output) == ("Completed", 100_000)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info for record in errors] == [None]
    assert "The disk is full" in errors[0].getMessage()


STARTS_ON_A_FULL_DISK = """
import subprocess, sys, pathlib
sys.path[:0] = [{here!r}]
from host_process import WEBHOOK, HostProcess
app = pathlib.Path({app!r})
with HostProcess(app) as host:
    assert host.run("hello")["output"] == "hi", "before"
    instance = host.call("GET", WEBHOOK + "/instances").json[0]["instanceId"]
    host.kill()
    host.start()  # leaves no log that would have room
    host.stop()
    filling = open(app / "filling", "wb", buffering=0)
    try:
        while True:
            filling.write(bytes(4096))
    except OSError:
        pass
    host.lines.clear()
    host.url = ""
    host.start()
    shown = host.call("GET", WEBHOOK + "/instances/" + instance)
    assert shown.json["output"] == "hi", shown
    refused = host.call("POST", WEBHOOK + "/orchestrators/hello")
    assert refused.status == 503, refused
    full = [line for line in host.lines if "disk is full" in line]
    assert len(full) == 1 and not any("Traceback" in line for line in host.lines), host.lines
    filling.close()
    (app / "filling").unlink()
    assert host.run("hello")["output"] == "hi", "after"
"""
APP = """
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.orchestration_trigger(context_name="context")
def hello(context):
    return "hi"
    yield
"""


def may_mount() -> bool:
    """Whether this user may make a small disk, as root in a container often may."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    ran = subprocess.run(
        [unshare, "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return ran.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="making a small disk needs root and unshare")
def test_the_host_starts_on_a_full_disk_and_shows_what_is_stored(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        STARTS_ON_A_FULL_DISK.format(here=os.path.dirname(__file__), app=str(disk / "app"))
    )
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    command = (
        f"mount -t tmpfs -o size=8m none {disk} && mkdir {disk}/app && "
        f"cp {tmp_path}/function_app.py {tmp_path}/host.json {disk}/app && "
        f"{sys.executable} {script}"
    )
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
