"""The folder in an app where its state is kept, and who may use it. Source: host.md 8.22."""

from __future__ import annotations

import os
from pathlib import Path

from azure.durable_functions.local.operating_system import FileLock
from azure.durable_functions.local.store.database import StoreError

NAME = ".durable"
_OWNER_ONLY = 0o700
_IGNORE_ALL = "# What the local host keeps here belongs to this machine.\n*\n"


class StateFolder:
    """State of one task hub of one app; one process at a time may have it."""

    def __init__(self, root: Path, hub_name: str) -> None:
        self._folder = root / NAME
        self.store = self._folder / f"{hub_name}.sqlite"
        """The SQLite file."""
        self._lock = FileLock(self._folder / f"{hub_name}.lock")
        self._lock_file: os.stat_result | None = None

    def take(self) -> None:
        """Make the folder if it is not there, and keep everybody else out.

        Raises:
            StoreError: Another host has it, or it cannot be written to.
        """
        if not self.try_take():
            raise StoreError(
                f"{self.store} is in use by another running host; stop that one first, or give "
                "this app another hubName in host.json"
            )

    def try_take(self) -> bool:
        """As `take`; False if another process has it.

        Raises:
            StoreError: It cannot be written to.
        """
        if self._folder.is_symlink():
            raise StoreError(
                f"{self._folder} is a link, and what stands behind it may be somebody else's. "
                "Delete the link; the host makes a folder in its place"
            )
        try:
            self._folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
            self._keep_others_out()
            is_taken = self._lock.acquire()
            self._lock_file = self._lock.path.stat()
        except OSError as error:
            raise StoreError(f"cannot write to {self._folder}: {error}") from error
        return is_taken

    def _keep_others_out(self) -> None:
        """Payloads and the host's key stand in the files: nobody but their owner may read them."""
        self._folder.chmod(_OWNER_ONLY)
        ignoring = self._folder / ".gitignore"
        if not ignoring.exists():
            ignoring.write_text(_IGNORE_ALL)
        for file in self._folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.chmod(0o600)

    def make_store(self) -> None:
        """Make the store's file, if it is not there, for its owner alone.

        SQLite gives the files that it makes beside it the same rights.

        Raises:
            StoreError: It cannot be made.
        """
        try:
            os.close(os.open(self.store, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"cannot write to {self.store}: {error}") from error

    def demand_lock(self) -> None:
        """See to it that nobody else can take the folder.

        Raises:
            StoreError: The lock's file was deleted or replaced.
        """
        try:
            found = self._lock.path.stat()
            is_ours = self._lock_file is not None and os.path.samestat(found, self._lock_file)
        except OSError:
            is_ours = False
        if not is_ours:
            raise StoreError(
                f"{self._folder} was deleted or replaced while the host ran, so it ends: what "
                "it would keep there would be lost. Start it again"
            )

    def clear(self) -> bool:
        """Delete the store with all instances; False if there was none.

        Raises:
            StoreError: It cannot be deleted.
        """
        was_there = self.store.exists()
        try:
            for suffix in ("", "-wal", "-shm"):
                self.store.with_name(f"{self.store.name}{suffix}").unlink(missing_ok=True)
            for copy in self.store.parent.glob(f"{self.store.name}.schema-*"):
                copy.unlink()
        except OSError as error:
            raise StoreError(f"cannot delete {self.store}: {error}") from error
        return was_there

    def give_back(self) -> None:
        """Let others have it."""
        self._lock.release()
