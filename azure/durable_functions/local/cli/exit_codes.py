"""How a command ends: its exit code, and errors in one line. Source: host.md 11.1."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from enum import IntEnum

import click

from azure.durable_functions._errors import DurableFunctionsError


class ExitCode(IntEnum):
    """The exit codes of the commands; click itself uses 2 for wrong usage."""

    DONE = 0
    CANNOT = 1
    """No app, no host, or an unusable store."""
    NOT_FOUND = 3
    """No such instance, entity or function."""
    REFUSED = 4
    """Not possible in the present state of the instance or the app."""
    FAILED = 5
    """The instance that was waited for, or the function that was run, has failed."""
    NOT_ENDED = 6
    """The instance has not ended in time."""


class Problem(Exception):
    """The host refused a request: why, and the exit code that follows."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.code = code


def report(error: Problem | DurableFunctionsError) -> ExitCode:
    """Print an error as one line; returns the exit code that it means."""
    click.echo(f"durable: {error}", err=True)
    return error.code if isinstance(error, Problem) else ExitCode.CANNOT


@contextlib.contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Let an error of this package end the process with one line and its exit code."""
    try:
        yield
    except (Problem, DurableFunctionsError) as error:
        sys.exit(report(error))
