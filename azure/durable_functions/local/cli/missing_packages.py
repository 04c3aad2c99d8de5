"""Finds packages that an app imports but requirements.txt lacks: it would fail in the cloud."""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from azure.durable_functions.local.config.requirements_txt import DISTRIBUTION, Requirement

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN = ("azure.functions", "azure.durable_functions")
"""Every app imports these; `doctor` checks them itself."""
_NAMESPACES = ("azure", "google")
"""Namespace packages that many distributions share."""
_FOREIGN = (".*", "*.egg-info", "__pycache__", "node_modules", "venv", "env", "wheels", "tests")
_TESTS = ("test_*.py", "*_test.py", "conftest.py")
_QUESTION = """
import importlib.metadata as metadata, json, re, sys

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

homes, needs = {}, {}
for each in metadata.distributions():
    name = plain(each.metadata["Name"] or "")
    needs[name] = [
        plain(re.match(r"[A-Za-z0-9._-]+", text)[0])
        for text in each.requires or () if "extra ==" not in text
    ]
    for file in each.files or ():
        parts = [file.parts[0].partition(".")[0]] if len(file.parts) == 1 else file.parts[:-1]
        if file.suffix in (".py", ".so", ".pyd") and "." not in "".join(parts):
            for length in range(1, len(parts) + 1):
                homes.setdefault(".".join(parts[:length]), set()).add(name)
print(json.dumps([{key: sorted(value) for key, value in homes.items()}, needs]))
"""


def find(
    root: Path, python: str, known: Sequence[Requirement], ignored: Sequence[str]
) -> Iterator[tuple[str, str, bool]]:
    """Yields each missing package: the file that imports it, a description, and whether it is sure.

    It is unsure if a requirement is not installed here, as that one may depend on the package.

    Args:
        root: The app folder.
        python: The app's interpreter, which has its packages.
        known: The requirements of its requirements.txt.
        ignored: The rules of its .funcignore; files that are not published need not load.
    """
    homes, needs = _installed(python)
    asked = {_plain(DISTRIBUTION), "azure-functions"}
    asked |= {_plain(found[0]) for each in known if (found := _NAME.match(each.text)) is not None}
    brought = _with_dependencies(asked, needs)
    is_sure = all(name in needs for name in asked) and not any(map(_is_unreadable, known))
    reported: set[str] = set()
    for file, module in _imports(root, ignored):
        top = _top_of(module)
        if top in reported or _is_own(root, module):
            continue
        candidates = _homes_of(module, homes)
        # azure-storage-blob, not installed here, has azure.storage.blob.
        if candidates & brought or any(f"{name}-".startswith(f"{_plain(top)}-") for name in asked):
            continue
        reported.add(top)
        names = " or ".join(sorted(candidates)) or top
        yield file, f"{module} is imported, but requirements.txt does not ask for {names}", is_sure


def _is_unreadable(each: Requirement) -> bool:
    """Returns whether a requirement is a path, an archive or an option: its name is unknown."""
    return not (each.is_wheel or _NAME.match(each.text) or not each.text) or "://" in each.text


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(python: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Returns the app's installed distributions: by module, and what each one requires."""
    try:
        said = subprocess.run(
            [python, "-c", _QUESTION], capture_output=True, text=True, check=True
        ).stdout
        found: Any = json.loads(said)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}, {}  # reported already: the app could not be loaded
    return found[0], found[1]


def _with_dependencies(asked: set[str], needs: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(asked)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, [])
    return found


def _homes_of(module: str, homes: dict[str, list[str]]) -> set[str]:
    """Returns the distributions of a module, by the longest known prefix of its name."""
    while module and module not in _NAMESPACES:
        if module in homes:
            return set(homes[module])
        module = module.rpartition(".")[0]
    return set()


def _top_of(module: str) -> str:
    """Returns the part of a module's name that identifies one package."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] in _NAMESPACES else 1])


def _is_own(root: Path, module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or module.startswith(_OWN) or module == "azure":
        return True
    return (root / f"{top}.py").is_file() or (root / top).is_dir() or top == "__app__"


def _imports(root: Path, ignored: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the file and full name of each module that the app needs."""
    for folder, children, files in os.walk(root):
        here = Path(folder).relative_to(root)
        rules = (*_FOREIGN, *ignored)
        children[:] = sorted(
            child for child in children if not any(fnmatch.fnmatch(child, rule) for rule in rules)
        )
        for name in sorted(files):
            if not name.endswith(".py") or any(
                fnmatch.fnmatch(name, rule) for rule in (*_TESTS, *ignored)
            ):
                continue
            try:
                tree = ast.parse((Path(folder) / name).read_text("utf-8-sig"))
            except (OSError, ValueError, SyntaxError):
                continue  # reported already, if the app needs it
            for module in _needed(tree):
                yield str(here / name), module


def _needed(tree: ast.AST) -> Iterator[str]:
    """Yields modules whose import must succeed: not for type checkers only, nor in a try."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for each in node.orelse:
                yield from _needed(ast.Module([each], []))
        elif isinstance(node, ast.Try) and any(map(_takes_import_errors, node.handlers)):
            continue
        else:
            yield from _needed(node)


def _takes_import_errors(handler: ast.ExceptHandler) -> bool:
    text = "" if handler.type is None else ast.unparse(handler.type)
    return not text or "ImportError" in text or "ModuleNotFound" in text or text == "Exception"
