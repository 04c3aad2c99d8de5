"""How deep JSON may be nested: one limit at every door of the local host."""

from __future__ import annotations

import re

MOST_DEPTH = 500
"""Levels of arrays and objects. Some Pythons can read what is deeper, but not write it again."""
TOO_DEEP = (
    f"the JSON is nested deeper than {MOST_DEPTH} levels; make it flatter, or send it as a text"
)
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)


def is_too_deep(text: str) -> bool:
    """Whether a JSON text is nested deeper than `MOST_DEPTH`.

    Texts with fewer brackets, which most are, cost two counts.
    """
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                return True
        elif mark != '"':
            depth -= 1
    return False
