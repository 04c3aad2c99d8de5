"""What .NET's exceptions look like in texts of failures, and how such a text reads without it."""

from __future__ import annotations

import json
import re

_BETWEEN = " \n "
"""Stands between the reason of a failed task and its details."""
_OBJECT = f'{_BETWEEN}{{"$type"'
_FRAMES = re.compile(rf"{_BETWEEN}  File \".*?(?={_BETWEEN}Message: |\Z)", re.DOTALL)
_decoder = json.JSONDecoder()


def without_envelopes(text: str) -> str:
    """A text as people read it.

    Cut are the JSON object of an exception, Python's frames, a ``Message: `` that says again what
    stands before it, and ``None``, each behind the reason of a failed task.
    """
    begin = text.find(_OBJECT)
    while begin >= 0:
        try:
            end = _decoder.raw_decode(text, begin + len(_BETWEEN))[1]
        except (ValueError, RecursionError):
            break
        text = text[:begin] + text[end:]
        begin = text.find(_OBJECT, begin)
    text = _FRAMES.sub("", text)
    return _without_repetition(text).removesuffix(f"{_BETWEEN}None")


def _without_repetition(text: str) -> str:
    label = f"{_BETWEEN}Message: "
    begin = text.find(label)
    while begin >= 0:
        before, behind = text[:begin], text[begin + len(label) :]
        if before.endswith(behind.partition(", StackTrace: ")[0].removesuffix(f"{_BETWEEN}None")):
            return before
        begin = text.find(label, begin + 1)
    return text
