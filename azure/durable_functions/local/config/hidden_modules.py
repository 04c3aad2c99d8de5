"""Finds files of an app folder that hide a module of the standard library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

MEND = "rename it"
_HIDEABLE = {*sys.stdlib_module_names, "azure"}


def find(root: Path) -> Iterator[tuple[str, str]]:
    """Yields each file or folder that hides a module, with a text that names the module."""
    for child in sorted(root.iterdir()):
        is_module = child.suffix == ".py" or (child.is_dir() and any(child.glob("*.py")))
        if is_module and child.stem in _HIDEABLE:
            text = f"it hides the module {child.stem!r}, because the app folder is searched first"
            yield child.name, text


def lines(root: Path) -> list[str]:
    """Returns the same as lines for the log."""
    return [f"{name}: {text}; {MEND}" for name, text in find(root)]
