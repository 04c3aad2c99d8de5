"""What the store takes of the disk: its log, empty pages, copies; and a disk that is full."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from pathlib import Path

from azure.durable_functions._errors import DurableFunctionsError

logger = logging.getLogger("azure.durable_functions.local")

LOG_BYTES = 1024 * (4096 + 24)
"""Length of the write-ahead log at the thousand pages after which SQLite starts it from the front.

A longer one, after a large transaction or a reader that held it up, is cut back to this length.
"""

LOOK_SECONDS = 10.0
"""How often, at most, the store looks for pages that hold nothing."""
SPARE_PAGES = 1000
"""Empty pages (4 KB each) that stay in the file for what is written next."""
_PAGES_AT_ONCE = 250
"""Empty pages that one transaction gives back to the disk, so that nobody waits long for it."""


SAY_AGAIN_SECONDS = 60.0
"""How often, at most, the log is told that the disk is full."""


class StoreFull(DurableFunctionsError):
    """The disk is full: nothing of a change is stored, and the store stays as it was."""


def extend_log(store: Path | str) -> None:
    """Make the write-ahead log as long as it gets: a flush that lengthens it takes twice as long.

    SQLite skips what it finds behind the last frame.
    """
    log = Path(f"{os.path.realpath(store)}-wal")
    try:
        missing = LOG_BYTES - log.stat().st_size
        if missing > 0:
            with log.open("ab") as file:
                file.write(bytes(missing))
                file.flush()
                os.fsync(file.fileno())
    except OSError:  # a quota, say; it is slower then, and no worse
        logger.debug("The log %s keeps its length", log, exc_info=True)


def keep_copy(connection: sqlite3.Connection, store: Path, applied: int) -> Path:
    """Keep a store as it is before the migrations that follow number `applied`.

    Returns:
        The copy's file, which nobody but its owner may read.

    Raises:
        OSError, sqlite3.Error: It cannot be written.
    """
    kept = store.with_name(f"{store.name}.schema-{applied}")
    unfinished = kept.with_name(f"{kept.name}.part")
    os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    target = sqlite3.connect(unfinished)
    try:
        connection.backup(target)
    finally:
        target.close()
    os.replace(unfinished, kept)
    return kept


def full(path: Path | str) -> str:
    """What is said once of a disk that is full."""
    return (
        f"The disk is full: nothing can be stored in {path}. Nothing is lost: what is stored stays "
        "readable, and work is tried again until there is space"
    )


def has_no_space(path: Path | str) -> bool:
    """Whether the disk has too little left for the pages that readers and the writer share."""
    try:
        return shutil.disk_usage(Path(path).parent).free < LOG_BYTES
    except OSError:
        return False


def free_pages(connection: sqlite3.Connection) -> int:
    """How many pages of the file hold nothing."""
    [count] = connection.execute("PRAGMA freelist_count").fetchone()
    return int(count)


def drop_pages(connection: sqlite3.Connection) -> int:
    """Shorten the file by some pages that hold nothing; how many are left."""
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    return free_pages(connection)
