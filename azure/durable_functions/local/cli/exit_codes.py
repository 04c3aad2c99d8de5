"""Exit codes, and errors printed as one line. Source: host.md 11.1."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from enum import IntEnum

import click

from azure.durable_functions._errors import DurableFunctionsError


class ExitCode(IntEnum):
    """The exit codes of all commands; click itself uses 2 for wrong usage."""

    DONE = 0
    CANNOT = 1
    """No app, no host, or an unusable store."""
    NOT_FOUND = 3
    """No such instance, entity or function."""
    REFUSED = 4
    """Not possible in the current state of the instance or the app."""
    FAILED = 5
    """The instance that was waited for, or the function that was run, has failed."""
    NOT_ENDED = 6
    """The instance has not ended in time."""


class Problem(Exception):
    """The host refused a request; holds the reason and the exit code."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.code = code


def report(error: Problem | DurableFunctionsError) -> ExitCode:
    """Prints an error as one line and returns its exit code."""
    click.echo(f"durable: {error}", err=True)
    return error.code if isinstance(error, Problem) else ExitCode.CANNOT


@contextlib.contextmanager
def errors_as_exit_codes() -> Generator[None, None, None]:
    """Turns an error of this package into one line on stderr and its exit code."""
    try:
        yield
    except (Problem, DurableFunctionsError) as error:
        sys.exit(report(error))
