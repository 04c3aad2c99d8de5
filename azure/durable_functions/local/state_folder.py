"""The folder in an app where its state is kept, and who may use it. Source: host.md 8.22."""

from __future__ import annotations

from pathlib import Path

from azure.durable_functions.local.operating_system import FileLock
from azure.durable_functions.local.store.database import StoreError

NAME = ".durable"
_IGNORE_ALL = "# What the local host keeps here belongs to this machine.\n*\n"


class StateFolder:
    """State of one task hub of one app; one process at a time may have it."""

    def __init__(self, root: Path, hub_name: str) -> None:
        self._folder = root / NAME
        self.store = self._folder / f"{hub_name}.sqlite"
        """The SQLite file."""
        self._lock = FileLock(self._folder / f"{hub_name}.lock")

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
        try:
            self._folder.mkdir(exist_ok=True)
            (self._folder / ".gitignore").write_text(_IGNORE_ALL)
            return self._lock.acquire()
        except OSError as error:
            raise StoreError(f"cannot write to {self._folder}: {error}") from error

    def clear(self) -> bool:
        """Delete the store with all instances; False if there was none.

        Raises:
            StoreError: It cannot be deleted.
        """
        was_there = self.store.exists()
        try:
            for suffix in ("", "-wal", "-shm"):
                self.store.with_name(f"{self.store.name}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot delete {self.store}: {error}") from error
        return was_there

    def give_back(self) -> None:
        """Let others have it."""
        self._lock.release()
