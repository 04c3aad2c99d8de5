"""The folder with an app's state: it belongs to its owner, and a host notices when it goes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess

from azure.durable_functions.local.state_folder import StateFolder
from azure.durable_functions.local.store import settings as stored_settings
from azure.durable_functions.local.store.database import Database, StoreClosed, StoreError

APP = """
import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other ones there")
def test_nobody_else_may_read_what_the_host_keeps(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        (folder / ".durable").mkdir(mode=0o755)
        (folder / ".durable" / "of an earlier release").write_text("payload")
        with HostProcess(folder) as host:
            host.call("POST", f"{WEBHOOK}/orchestrators/waits/one")
            found = [folder / ".durable", *(folder / ".durable").iterdir()]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}
    finally:
        os.umask(before)

    assert modes.pop(".durable") == 0o700
    assert len(modes) >= 5
    assert set(modes.values()) == {0o600}


def test_a_link_is_refused_and_nothing_behind_it_is_changed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".gitignore").write_text("mine")
    (folder / ".durable").symlink_to(tmp_path / "other")

    with pytest.raises(StoreError, match="is a link"):
        StateFolder(folder, "Hub").acquire()
    assert [path.name for path in (tmp_path / "other").iterdir()] == [".gitignore"]
    assert (tmp_path / "other" / ".gitignore").read_text() == "mine"


def test_a_gitignore_of_ones_own_is_kept(folder: Path) -> None:
    (folder / ".durable").mkdir()
    (folder / ".durable" / ".gitignore").write_text("mine")
    state = StateFolder(folder, "Hub")
    state.acquire()
    state.release()

    assert (folder / ".durable" / ".gitignore").read_text() == "mine"


def test_a_lock_that_is_deleted_or_replaced_is_noticed(folder: Path) -> None:
    state = StateFolder(folder, "Hub")
    state.acquire()
    state.demand_lock()
    lock = folder / ".durable" / "Hub.lock"
    lock.unlink()

    with pytest.raises(StoreError, match="deleted or replaced"):
        state.demand_lock()
    lock.touch()
    with pytest.raises(StoreError, match="deleted or replaced"):
        state.demand_lock()
    state.release()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    tmp_path: Path, *, is_replaced: bool
) -> None:
    async def scenario() -> None:
        store = Database(tmp_path / "Hub.sqlite")
        store.open()
        await store.write(lambda c: stored_settings.put(c, "a", "1"))
        (tmp_path / "Hub.sqlite").unlink()
        if is_replaced:
            (tmp_path / "Hub.sqlite").touch()
        with pytest.raises(StoreClosed, match="deleted or replaced"):
            await store.write(lambda c: stored_settings.put(c, "b", "2"))
        with pytest.raises(StoreClosed):
            await store.read(lambda c: stored_settings.find(c, "a"))
        await store.close()

    asyncio.run(scenario())


def test_a_host_whose_folder_is_deleted_ends_and_says_why(folder: Path) -> None:
    with HostProcess(folder) as host:
        host.call("POST", f"{WEBHOOK}/orchestrators/waits/one")
        shutil.rmtree(folder / ".durable")
        status = host._process.wait(15)
        host._reader.join(5)

        assert status != 0
        assert sum("was deleted or replaced while the host ran" in line for line in host.lines) == 1
        assert not any("Traceback" in line for line in host.lines)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_emptied_key_is_replaced_by_a_new_one(value: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    stored_settings.put(connection, "key", value)

    assert stored_settings.get_or_set(connection, "key", "new") == "new"
    assert stored_settings.get_or_set(connection, "key", "newer") == "new"
