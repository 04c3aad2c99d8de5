"""Looks at the app folder when the package is imported. Source: sdk.md 1.6, Q2."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from azure.durable_functions._wire import shapes

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENT = re.compile(
    r"azure[-_.]functions[-_.]durable(\[[^\]]+\])?\s*(?P<specifier>(===|~=|[=!<>]=|[<>]).*)?",
    re.IGNORECASE,
)
"""A line of requirements.txt that speaks of this distribution, if it matches as a whole."""

WHEEL = re.compile(r"(^|/)azure_functions_durable-(?P<version>[^-/]+)-[^/]*\.whl$")
"""A line that names a wheel of it, as ``durable bundle`` writes it."""

CLAUSE = re.compile(r"(?P<operator>===|~=|[=!<>]=|[<>])\s*(?P<version>[^,\s]+)")
"""One clause of a version specifier."""

_COMMENT = re.compile(r"(^|\s)#.*$")
_JSON_NOISE = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def read_json_leniently(text: str) -> Any:
    """Parse JSON with comments and a byte order mark; None if that fails."""
    bare = _JSON_NOISE.sub(lambda match: match[1] or " ", text.lstrip("\ufeff"))
    try:
        return json.loads(bare)
    except ValueError:
        return None


def bundle_version(folder: str | Path) -> object:
    """``extensionBundle.version`` of the folder's host.json; None where there is none."""
    try:
        with open(os.path.join(folder, "host.json"), encoding="utf-8") as file:
            host: Any = read_json_leniently(file.read())
    except (OSError, UnicodeDecodeError):
        return None
    bundle = host.get("extensionBundle") if shapes.is_object(host) else None
    return bundle.get("version") if shapes.is_object(bundle) else None


def find_app_root() -> Path | None:
    """The first of AzureWebJobsScriptRoot and the current folder that has a host.json."""
    candidates = [os.environ.get("AzureWebJobsScriptRoot"), os.getcwd()]
    for candidate in candidates:
        if candidate and os.path.isfile(os.path.join(candidate, "host.json")):
            from pathlib import Path  # 1 ms, and only an app has a root

            return Path(candidate)
    return None


def requirement_lines(text: str) -> Iterator[str]:
    """Specifiers that requirements.txt gives for this distribution, but for lines with markers."""
    for line in text.splitlines():
        requirement = _COMMENT.sub("", line).strip()
        if ";" in requirement:
            continue
        wheel = WHEEL.search(requirement)
        if wheel is not None:
            yield f"=={wheel['version']}"
            continue
        match = REQUIREMENT.fullmatch(requirement)
        if match is not None and match["specifier"]:
            yield match["specifier"]


def release_parts(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``v2.0.0rc1`` gives (2, 0, 0)."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return () if match is None else tuple(int(part) for part in match[1].split("."))


def excludes_v2(specifier: str) -> bool:
    """Whether some clause of a specifier keeps version 2 and later out."""
    for clause in CLAUSE.finditer(specifier):
        parts = release_parts(clause["version"])
        if not parts:
            continue
        operator = clause["operator"]
        if operator in ("==", "===", "~=", "<=", "<") and parts[0] < 2:
            return True
        if operator == "<" and parts[0] == 2 and not any(parts[1:]):
            return True
    return False


def has_function_json(folder: str) -> bool:
    """Whether some direct sub-folder holds a function.json.

    Raises:
        OSError: The folder cannot be read.
    """
    return any(
        os.path.isfile(os.path.join(folder, child, "function.json")) for child in os.listdir(folder)
    )


def is_command() -> bool:
    """Whether this process is the ``durable`` command, and so no app."""
    started = getattr(sys, "orig_argv", [])
    with_module = started[1:3] == ["-m", "azure.durable_functions"]
    program = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    return with_module or program in ("durable", "durable.exe", "durable-script.py")


def has_agents() -> bool:
    """Whether what `openai_agents` needs seems to be installed; nothing of it is imported."""
    try:
        return all(importlib.util.find_spec(name) for name in ("agents", "openai", "pydantic"))
    except ValueError:  # a test has put something in the place of one of them
        return False
