"""The folder with an app's state: who may use it, and how it is reset. Source: host.md 8.22."""

from __future__ import annotations

import os
from pathlib import Path

from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.operating_system import FileLock
from azure.durable_functions.local.store.database import StoreError

NAME = ".durable"
_OWNER_ONLY = 0o700
_IGNORE_ALL = "# State of the local host, for this machine only.\n*\n"


class StateFolder:
    """The state of one task hub of one app; only one process may use it at a time."""

    def __init__(self, root: Path, hub_name: str) -> None:
        self._folder = root / NAME
        self.store = self._folder / f"{hub_name}.sqlite"
        """The SQLite file."""
        self._lock = FileLock(self._folder / f"{hub_name}.lock")
        self._lock_file: os.stat_result | None = None

    def acquire(self) -> None:
        """Creates the folder if needed, and locks it for this process.

        Raises:
            StoreError: Another host uses it, or it cannot be written to.
        """
        if not self.try_acquire():
            raise StoreError(
                f"{self.store} is in use by another running host; stop that one first, or give "
                "this app another hubName in host.json"
            )

    def try_acquire(self) -> bool:
        """Like `acquire`; returns False if another process uses it.

        Raises:
            StoreError: It cannot be written to.
        """
        if self._folder.is_symlink():
            raise StoreError(
                f"{self._folder} is a link, and its target may belong to somebody else. Delete the "
                "link; the host creates a folder instead"
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
        """Denies others access: the files contain payloads and the host's key."""
        self._folder.chmod(_OWNER_ONLY)
        ignoring = self._folder / ".gitignore"
        if not ignoring.exists():
            ignoring.write_text(_IGNORE_ALL)
        for file in self._folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.chmod(0o600)

    def make_store(self) -> None:
        """Creates the store's file, if there is none, so that only its owner may read it.

        SQLite creates its other files with the same permissions.

        Raises:
            StoreError: It cannot be created.
        """
        try:
            os.close(os.open(self.store, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"cannot write to {self.store}: {error}") from error

    def demand_lock(self) -> None:
        """Checks that the lock still keeps other processes out.

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
                f"{self._folder} was deleted or replaced while the host ran. The host stops: "
                "changes would be lost. Start it again"
            )

    def clear(self) -> bool:
        """Deletes the store with all instances; returns False if there was none.

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

    def release(self) -> None:
        """Unlocks it for other processes."""
        self._lock.release()


def reset(folder: Path) -> Path | None:
    """Deletes the store of an app whose host is not running.

    Returns:
        The deleted file; None if there was none.

    Raises:
        SettingsError: There is no app in the folder, or its settings cannot be read.
        StoreError: A host is running, or the file cannot be deleted.
    """
    setup = Setup.read(folder)
    state = StateFolder(setup.root, setup.read_host_json().hub_name)
    state.acquire()
    try:
        return state.store if state.clear() else None
    finally:
        state.release()
