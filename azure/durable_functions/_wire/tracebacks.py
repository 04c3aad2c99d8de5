"""Tracebacks as they are told: the user's frames, without those of this package.

The local host's worker, which may import nothing of ours, has the same rule (`worker/functions`).
"""

from __future__ import annotations

import os
import traceback

SWITCH = "AZURE_FUNCTIONS_DURABLE_FULL_TRACEBACKS"
"""App setting: ``1`` keeps our frames too."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def stack_of(error: BaseException) -> str:
    """The frames that an exception has passed, as Python prints them; empty if it was not raised.

    One that has passed none but ours is told with these.
    """
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    shown = frames if not users or os.environ.get(SWITCH) == "1" else users
    return "".join(traceback.format_list(shown)).rstrip()


def told(error: BaseException) -> str:
    """An exception with its frames and causes, the last one first; several lines of text."""
    parts: list[str] = []
    for link in chain(error):
        stack = stack_of(link)
        parts.append(f"{type(link).__name__}: {text_of(link)}" + (f"\n{stack}" if stack else ""))
    return "\ncaused by ".join(parts)


def chain(error: BaseException) -> list[BaseException]:
    """The exception, the one that was its cause or its context, and so on."""
    found: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in found and len(found) < _LONGEST_CHAIN:
        found.append(link)
        link = cause_of(link)
    return found


_LONGEST_CHAIN = 30
"""Links that are told; what reads them nests no deeper than a hundred."""


def cause_of(error: BaseException) -> BaseException | None:
    """What has led to an exception, as Python's own report sees it."""
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def text_of(error: BaseException) -> str:
    """An exception's text, also if its class cannot even give that."""
    try:
        return str(error)
    except Exception as broken:
        return f"<its text cannot be had: {type(broken).__name__}>"
