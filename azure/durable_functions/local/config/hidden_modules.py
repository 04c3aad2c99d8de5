"""Files of an app folder that hide a module of Python's: the folder is searched first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

MEND = "rename it"
_HIDEABLE = {*sys.stdlib_module_names, "azure"}


def find(root: Path) -> Iterator[tuple[str, str]]:
    """Name of each file or folder that hides a module, and a text that says which."""
    for child in sorted(root.iterdir()):
        is_module = child.suffix == ".py" or (child.is_dir() and any(child.glob("*.py")))
        if is_module and child.stem in _HIDEABLE:
            text = f"it hides the module {child.stem!r}, because the app folder is searched first"
            yield child.name, text


def told(root: Path) -> list[str]:
    """The same as whole lines, for logs."""
    return [f"{name}: {text}; {MEND}" for name, text in find(root)]
