"""Processes that end with who has started them, however that one ends.

``python guard.py COMMAND...`` runs a command and kills it, with all it has started, when standard
input ends. Whoever holds the other end of that pipe may itself be killed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_START_SECONDS = 90.0


class Guarded:
    """A process that ends with this one, however this one ends; its output goes to a file."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        self._name = name
        self._log = log
        self._seen = log.stat().st_size if log.exists() else 0
        """Of an earlier run, to which the log belongs too."""
        with log.open("ab", buffering=0) as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                start_new_session=True,  # Ctrl-C is for who uses it: that one ends it
            )

    def wait_for(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """The first places in its output that fit, as soon as there are so many."""
        end = time.monotonic() + _START_SECONDS
        while True:
            ended = self._process.poll() is not None
            text = self._log.read_bytes()[self._seen :].decode(errors="replace")
            found = list(re.finditer(pattern, text, re.MULTILINE))
            if len(found) >= count:
                return found
            if ended or time.monotonic() > end:
                raise AssertionError(f"{self._name} has not started:\n{text[:2000]}")
            time.sleep(0.02)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once, and all that it has started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)


def main() -> int:
    """Run until the command ends or nobody holds the pipe any more; gives the exit status."""
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_the_pipe, args=(command.pid,), daemon=True).start()
    status = command.wait()
    _kill(command.pid)
    return status


def _end_with_the_pipe(group: int) -> None:
    while os.read(0, 1024):
        continue
    _kill(group)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of it has ended already


if __name__ == "__main__":
    sys.exit(main())
