"""Notices that an app's files have changed. Source: host.md 12.3.

It polls instead of using the operating system's notifications: polling also works in folders that
are shared with containers and virtual machines, needs no raised limits for large folders, and takes
a millisecond for an app of ordinary size.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_SKIPPED = frozenset({"__pycache__", "node_modules"})
_PAUSE_SECONDS = 0.3
_LARGEST_SHARE = 0.02
"""The share of time that polling may take: folders with many files are polled less often."""


class Change(Enum):
    """What a change requires."""

    NOTHING = 0
    CODE = 1
    """The workers must reload the app."""
    SETTINGS = 2
    """host.json has changed."""


@dataclass(frozen=True)
class Watched:
    """Which files are watched."""

    root: Path
    directories: tuple[str, ...] = ()
    """Additional folders in which every file is watched."""
    files: tuple[str, ...] = ()
    """Names of additional files to watch."""


Snapshot = Mapping[str, tuple[int, int]]


@dataclass
class _Look:
    watched: Watched
    found: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def into(self, folder: str, depth: int, *, is_extra: bool) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # removed meanwhile: the next poll sees the new state
            return
        if depth and any(entry.name == "pyvenv.cfg" for entry in entries):
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SKIPPED:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):  # links may be circular
                    inner = os.path.relpath(entry.path, self.watched.root)
                    is_named = is_extra or inner in self.watched.directories
                    self.into(entry.path, depth + 1, is_extra=is_named)
                elif entry.is_file() and (is_extra or self._is_watched(entry.name, depth)):
                    status = entry.stat()
                    self.found[entry.path] = (status.st_mtime_ns, status.st_size)
            except OSError:
                continue

    def _is_watched(self, name: str, depth: int) -> bool:
        return (
            name.endswith(".py")
            or name in self.watched.files
            or (name == "host.json" and depth == 0)
            or (name == "function.json" and depth == 1)
        )


def look(watched: Watched) -> Snapshot:
    """Returns the watched files, with modification time and size."""
    seen = _Look(watched)
    seen.into(str(watched.root), 0, is_extra=False)
    return seen.found


def difference(before: Snapshot, after: Snapshot, root: Path) -> Change:
    """Returns what the difference between two polls requires."""
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    if str(root / "host.json") in changed:
        return Change.SETTINGS
    return Change.CODE if changed else Change.NOTHING


async def changes(watched: Watched, known: Snapshot) -> AsyncIterator[Change]:
    """Yields every change since a first poll, once the files have not changed for a moment."""
    loop = asyncio.get_running_loop()
    latest = known
    while True:
        began = time.perf_counter()
        seen = await loop.run_in_executor(None, look, watched)
        took = time.perf_counter() - began
        is_quiet = seen == latest
        latest = seen
        if is_quiet and seen != known:
            change = difference(known, seen, watched.root)
            known = seen
            yield change
        await asyncio.sleep(max(_PAUSE_SECONDS, took / _LARGEST_SHARE))
