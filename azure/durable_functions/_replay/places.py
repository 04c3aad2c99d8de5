"""Where in the user's code a function stands."""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))
_INSTALLED = tuple(os.path.join(_LIBRARY, name) for name in ("site-packages", "dist-packages"))


def of(suspended: Any) -> tuple[str, int] | None:
    """File and line of the innermost code of the user's that runs, or waits for a task.

    Code of the app goes before that of packages it has installed.

    Args:
        suspended: The orchestrator's generator or coroutine; None stands for the code that calls.
    """
    found: tuple[str, int] | None = None
    of_app: tuple[str, int] | None = None
    if suspended is not None and not _is_running(suspended):
        while suspended is not None:
            frame = getattr(suspended, "cr_frame", None) or getattr(suspended, "gi_frame", None)
            if frame is not None and is_users(frame.f_code.co_filename):
                found = frame.f_code.co_filename, frame.f_lineno
                of_app = found if is_apps(found[0]) else of_app
            suspended = getattr(suspended, "cr_await", None) or getattr(
                suspended, "gi_yieldfrom", None
            )
        return of_app or found
    calling: FrameType | None = sys._getframe(1)
    while calling is not None:
        if is_users(calling.f_code.co_filename):
            found = found or (calling.f_code.co_filename, calling.f_lineno)
            if is_apps(calling.f_code.co_filename):
                return calling.f_code.co_filename, calling.f_lineno
        calling = calling.f_back
    return found


def passed_by(error: BaseException) -> str:
    """The last line of the app's that an exception has passed, behind a comma; else nothing."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if is_apps(code.co_filename):
            place = f", at {code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def is_apps(file: str) -> bool:
    """Whether a file is the user's and not of a package that is installed."""
    parts = os.path.realpath(file).split(os.sep)
    return is_users(file) and not {"site-packages", "dist-packages"}.intersection(parts)


def _is_running(suspended: Any) -> bool:
    return bool(getattr(suspended, "cr_running", False) or getattr(suspended, "gi_running", False))


@functools.cache
def is_users(file: str) -> bool:
    """Whether a file belongs neither to this package nor to Python itself."""
    path = os.path.realpath(file)
    if path.startswith(_PACKAGE) or file.startswith("<frozen"):
        return False
    return not path.startswith(_LIBRARY) or path.startswith(_INSTALLED)
