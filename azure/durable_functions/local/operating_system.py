"""The calls that differ between operating systems: worker processes, file locks, limits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DESCRIPTORS = 65_536
WORKER_ENTRY = Path(__file__).parent / "worker" / "start.py"


@dataclass
class StartedProcess:
    """A worker process and the host's ends of its sockets."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    lifeline: socket.socket
    """Never written to: when it closes, the worker knows that the host is gone."""


def start_worker(
    python: Sequence[str],
    root: Path,
    environment: Mapping[str, str],
    only: Sequence[str],
    places: tuple[int, int],
) -> StartedProcess:
    """Starts a worker of an app; it inherits two sockets that no other process can reach.

    Args:
        python: The interpreter and its arguments.
        root: The app folder.
        environment: The environment of the process.
        only: Names of the functions to load; empty means all.
        places: As for `continuations.Places`.

    Raises:
        OSError: The interpreter cannot be started.
    """
    here, there = socket.socketpair()
    lifeline_here, lifeline_there = socket.socketpair()
    try:
        process = subprocess.Popen(
            [
                *python,
                str(WORKER_ENTRY),
                str(there.fileno()),
                str(lifeline_there.fileno()),
                *map(str, places),
                str(root),
                *only,
            ],
            pass_fds=(there.fileno(), lifeline_there.fileno()),
            cwd=root,
            # What the app prints appears at once and is never lost.
            env={**environment, "PYTHONUNBUFFERED": "1"},
            # Ctrl-C must only reach the host, which stops its workers when they have finished.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
    except BaseException:
        here.close()
        lifeline_here.close()
        raise
    finally:
        there.close()
        lifeline_there.close()
    here.setblocking(False)
    return StartedProcess(process, here, lifeline_here)


def raise_descriptor_limit() -> None:
    """Raises the limit of open files of this process and its workers: each request needs one."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def interpreter_of(environment: Path) -> Path:
    """Returns the interpreter of a virtual environment."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


class FileLock:
    """A lock that is released when the process that holds it ends, even if it is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Takes the lock; returns False if another process holds it.

        Raises:
            OSError: The file cannot be created.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Releases the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
