"""The SQLite file: one writer that commits many changes at once, readers of their own.

Changes are functions of a connection. Those that wait are run in one transaction on the event
loop; a thread commits it, and every waiter is told. What arrives during a commit forms the next
one; there is no timer. So durability costs one flush per batch.

Only the flush has a thread, because only it waits for the disk: a thread for the statements would
have to win the interpreter back from the loop after each of them (a fifth fewer chains a second).
Meanwhile the loop prepares what is to follow, and the thread itself lets go what was prepared: a
sixth less time for each step of a chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from azure.durable_functions._errors import DurableFunctionsError

from . import schema, space
from .commit import Commit
from .space import StoreFull

logger = logging.getLogger("azure.durable_functions.local")

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Result]
Meanwhile = Callable[[Result, "Commit"], object]
Synchronous = Literal["FULL", "NORMAL"]
Flush = Callable[[sqlite3.Connection], None]

IN_MEMORY = ":memory:"


class StoreError(DurableFunctionsError):
    """The store's file cannot be used; says which, why and what to do."""


class StoreClosed(DurableFunctionsError):
    """The store has been closed or has failed; nothing more is read or written."""


def _flush(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")


@dataclass
class _Job:
    change: Callable[[sqlite3.Connection], Any]
    meanwhile: Callable[[Any, Commit], object] | None
    done: asyncio.Future[Any]
    outcome: Any = None
    error: BaseException | None = None


def _connect(path: Path | str, *, read_only: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        str(path), isolation_level=None, check_same_thread=False, timeout=5.0
    )
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


class Database:
    """An open store; it belongs to one event loop at a time."""

    def __init__(
        self,
        path: Path | str,
        *,
        synchronous: Synchronous = "FULL",
        flush: Flush = _flush,
    ) -> None:
        """Prepare; `open` does the work.

        Args:
            path: The file, or `IN_MEMORY`.
            synchronous: ``FULL`` survives loss of power, ``NORMAL`` only the end of the process.
            flush: Commits a transaction; a test may pass one that fails, waits or kills the host.
        """
        self.path = path
        self.flush = flush
        """Commits a transaction, on the thread that waits for the disk."""
        self._synchronous = synchronous
        self._waiting: list[_Job] = []
        self._batch: list[_Job] = []
        """What is being committed."""
        self._idle = asyncio.Event()
        self._commits: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, Commit] | None]
        self._commits = queue.SimpleQueue()
        self._begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        """The thread tells each time that it has begun to commit."""
        self._thread: threading.Thread | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._closed = False
        self._usable = True
        self._said_full_at = -math.inf
        """When the log was told that there is no space, as `time.monotonic` says."""
        self._look: asyncio.TimerHandle | None = None
        """Set while a look for empty pages is due."""
        self._giving_back: asyncio.Task[None] | None = None
        self._file: os.stat_result | None = None

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing is on disk."""
        return str(self.path) == IN_MEMORY

    def open(self) -> None:
        """Open or create the file, bring it to the newest schema, start the writer.

        Raises:
            StoreError: The file cannot be opened, is damaged, or is of a later release.
        """
        try:
            self._writer, is_shared = self._open_writer()
            self._writer.execute(f"PRAGMA synchronous = {self._synchronous}")
            [problem] = self._writer.execute("PRAGMA quick_check(1)").fetchone()
            if problem != "ok":
                raise StoreError(
                    f"{self.path} is damaged ({problem}). Move the file away or run "
                    "'durable start --fresh'; its instances are lost either way"
                )
            self._migrate(self._writer)
            if not self.is_in_memory:
                self._file = os.stat(self.path)
            if is_shared:
                space.extend_log(self.path)
                self._reader = _connect(self.path, read_only=True)
        except schema.StoreFromTheFuture as error:
            self._disconnect()
            raise StoreError(f"{self.path}: {error}; install the release that wrote it") from None
        except sqlite3.Error as error:
            self._disconnect()
            raise StoreError(
                f"cannot open {self.path}: {error}. Is the folder writable and the file a store "
                "of this program?"
            ) from error
        self._idle.set()
        if not self.is_in_memory:  # whose commits wait for nothing
            self._thread = threading.Thread(target=self._commit, name="durable-store", daemon=True)
            self._thread.start()

    def _open_writer(self) -> tuple[sqlite3.Connection, bool]:
        """The connection that writes, and whether others can be opened beside it."""
        connection = _connect(self.path)
        if self.is_in_memory:
            return connection, False
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {space.LOG_BYTES}")
        except sqlite3.OperationalError:
            connection.close()
            if not space.has_no_space(self.path):
                raise
            self._say_full()
        else:
            return connection, True
        # What readers share with the writer takes a few pages of disk; alone, it is in memory.
        connection = _connect(self.path)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        return connection, False

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the file to the newest schema, after a copy of it as it was.

        Raises:
            schema.StoreFromTheFuture, sqlite3.Error: It cannot be brought there.
        """
        applied = schema.applied(connection)
        if 0 < applied < len(schema.MIGRATIONS) and not self.is_in_memory:
            kept = space.keep_copy(connection, Path(self.path), applied)
            logger.warning(
                "%s is brought from schema %d to %d. A copy of it as it was is kept as %s; an "
                "earlier release can run on that",
                self.path,
                applied,
                len(schema.MIGRATIONS),
                kept.name,
            )
        schema.migrate(connection)

    async def write(
        self, change: Change[Result], meanwhile: Meanwhile[Result] | None = None
    ) -> Result:
        """Run a change and wait until it is on disk.

        A change that raises is undone alone; others in the same transaction stay.

        Args:
            change: Gives the result.
            meanwhile: Called with the result as soon as the change has run, while the disk works.
                What it begins is not to be seen by anybody before the commit.

        Raises:
            StoreClosed: The store was closed before, or its file failed.
            StoreFull: There is no space; nothing of the transaction is kept.
            sqlite3.Error: The transaction could not be committed; nothing of it is kept.
        """
        self._demand_open()
        loop = asyncio.get_running_loop()
        job = _Job(change, meanwhile, loop.create_future())
        self._waiting.append(job)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._begin, loop)  # what else this turn of the loop writes comes along
        result: Result = await job.done
        return result

    async def read(self, query: Change[Result]) -> Result:
        """Run a query on what is committed; it must fetch all it needs before it returns.

        Raises:
            StoreClosed: The store was closed before, or its file failed.
        """
        self._demand_open()
        if self._reader is None:  # in memory there is only one connection, the writer's
            return await self.write(query)
        return query(self._reader)

    async def give_pages_back(self) -> None:
        """Shorten the file by the pages that hold nothing, a few at a time between other changes.

        Raises:
            StoreClosed, StoreFull: As `write`.
        """
        free = await self.read(space.free_pages)
        while free > space.SPARE_PAGES:
            left = await self.write(space.drop_pages)
            if left >= free:  # the file was made by a program that does not keep track of them
                return
            free = left

    def peek(self, query: Change[Result]) -> Result:
        """As `read`, at once, and also while an in-memory store is abandoned."""
        connection = self._reader or self._writer
        assert connection is not None  # open
        return query(connection)

    def abandon(self) -> None:
        """Take nothing more, as the store of a process that was killed; `take_up` ends that."""
        self._closed = True

    def take_up(self) -> None:
        """Work again after `abandon`: what was committed is there, and nothing else."""
        self._closed = False
        self._waiting.clear()
        self._idle.set()

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        if self._closed:
            return
        if self._look is not None:
            self._look.cancel()
        if self._giving_back is not None:
            self._giving_back.cancel()
        self._closed = True
        await self._idle.wait()
        self.end_thread()
        self._disconnect()

    def end_thread(self) -> None:
        """Let the thread that commits end; what it is doing is finished first."""
        self._commits.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _demand_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"the store {self.path} is closed")
        if not self._usable:
            raise StoreClosed(f"the store {self.path} has failed; see the log, restart the host")

    def _disconnect(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run all changes that wait, in a transaction, and have it committed."""
        assert self._writer is not None  # open, as long as somebody waits
        connection = self._writer
        commit = Commit()
        self._batch, self._waiting = self._waiting, []
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(self._batch) == 1:  # undone alone it is anyway
                [job] = self._batch
                job.outcome = job.change(connection)
            else:
                for job in self._batch:
                    self._run(job, connection)
        except BaseException as error:
            self._fail(error)
            self._tell(loop, commit)
            return
        if self._thread is None:
            self._finish(connection, commit)
        else:
            self._commits.put((loop, commit))
            # The thread gets the interpreter now, not when the loop has nothing left to do.
            self._begun.get()
        try:
            for job in self._batch:
                if job.meanwhile is not None and job.error is None:
                    job.meanwhile(job.outcome, commit)
        finally:
            if self._thread is None:
                self._tell(loop, commit)

    def _commit(self) -> None:
        """The thread: commits what has been run."""
        while (begun := self._commits.get()) is not None:
            loop, commit = begun
            assert self._writer is not None
            self._begun.put(None)
            self._finish(self._writer, commit)
            try:
                loop.call_soon_threadsafe(self._tell, loop, commit)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
                continue

    def _finish(self, connection: sqlite3.Connection, commit: Commit) -> None:
        try:
            self.flush(connection)
            self.demand_file()
        except BaseException as error:
            self._fail(error)
        else:
            commit.keep()

    def demand_file(self) -> None:
        """See to it that what is written can be found again: 1 us beside a flush of 200.

        Raises:
            StoreClosed: The file was deleted or replaced; nothing more is read or written.
        """
        if self._file is None:
            return
        try:
            is_there = os.path.samestat(os.stat(self.path), self._file)
        except OSError:
            is_there = False
        if not is_there:
            self._usable = False
            raise StoreClosed(f"the store {self.path} was deleted or replaced while it was in use")

    def _fail(self, error: BaseException) -> None:
        assert self._writer is not None
        if isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error):
            error = StoreFull(space.full(self.path))
            self._say_full()
        for job in self._batch:
            job.error = error
        self._roll_back(self._writer)

    def _say_full(self) -> None:
        """Tell the log that there is no space; not again for each change that finds none."""
        now = time.monotonic()
        if now - self._said_full_at >= space.SAY_AGAIN_SECONDS:
            self._said_full_at = now
            logger.error("%s", space.full(self.path))

    def _tell(self, loop: asyncio.AbstractEventLoop, commit: Commit) -> None:
        """Tell who waits for the batch, and go on with what has come meanwhile."""
        batch, self._batch = self._batch, []
        if commit.is_kept:
            commit.tell()
        for job in batch:
            if job.done.done():  # the waiter was cancelled
                continue
            if job.error is None:
                job.done.set_result(job.outcome)
            else:
                job.done.set_exception(job.error)
        if self._waiting:
            loop.call_soon(self._begin, loop)
        else:
            self._idle.set()
        if self._look is None and not (self.is_in_memory or self._closed):
            self._look = loop.call_later(space.LOOK_SECONDS, self._look_for_pages)

    def _look_for_pages(self) -> None:
        self._look = None
        if self._closed or not self._usable or self._giving_back is not None:
            return

        async def give_back() -> None:
            with contextlib.suppress(StoreClosed, StoreFull):  # the next look tries again
                await self.give_pages_back()
            self._giving_back = None

        self._giving_back = asyncio.get_running_loop().create_task(give_back())

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The file cannot even be left as it was: nothing more is accepted, so that nobody is
            # told of something that is not on disk.
            logger.exception("The store %s cannot be used any more; restart the host", self.path)
            self._usable = False

    @staticmethod
    def _run(job: _Job, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT change")
        try:
            job.outcome = job.change(connection)
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                raise  # SQLite has undone the whole transaction by itself, as for a full disk
            connection.execute("ROLLBACK TO change")
            job.error = error
        connection.execute("RELEASE change")
