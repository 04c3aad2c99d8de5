"""What code gets that asks for a terminal in a worker process: an error that says what to do."""

from __future__ import annotations

import io
import os
import sys

TEXT = (
    "a worker process has no terminal for breakpoint(), pdb or input(); run the app with "
    "'durable start --in-process', or attach a debugger: durable start --language-worker "
    '"-m debugpy --listen 5678"'
)


class NoTerminal(RuntimeError):
    """A worker process has no terminal."""


class _Input(io.TextIOBase):
    """Standard input that says why there is none."""

    def readable(self) -> bool:
        """It claims to be, to tell when it is read."""
        return True

    def read(self, size: int | None = -1, /) -> str:
        """Nothing.

        Raises:
            NoTerminal: Always.
        """
        raise NoTerminal(TEXT)

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # of text, not bytes
        """As `read`."""
        raise NoTerminal(TEXT)


def _break(*args: object, **kwargs: object) -> None:
    raise NoTerminal(TEXT)


def install() -> None:
    """Take the place of standard input and, unless a debugger has taken it, of `breakpoint`."""
    sys.stdin = _Input()
    if sys.breakpointhook is sys.__breakpointhook__ and not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _break
