"""Reads requirements.txt as pip does, as far as this package needs it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azure.durable_functions import _startup
from azure.durable_functions._errors import SettingsError

DISTRIBUTION = "azure-functions-durable"
_INCLUDE = re.compile(r"(?:-r|--requirement)[ =]*(\S+)")
_AT_URL = re.compile(r"azure[-_.]functions[-_.]durable(\[[^\]]*\])?\s*@", re.IGNORECASE)
_FUNCTIONS = re.compile(r"azure[-_.]functions\b(?![-_.]durable)", re.IGNORECASE)
_ONLY_LATER = re.compile(r"(>=|==|~=|===)\s*[2-9]")


@dataclass(frozen=True)
class Requirement:
    """One requirement and its lines."""

    file: Path
    text: str
    """The joined lines without comment, marker and hashes."""
    lines: tuple[str, ...]

    @property
    def is_functions(self) -> bool:
        """Whether it asks for azure-functions."""
        return _FUNCTIONS.match(self.text) is not None

    @property
    def is_package(self) -> bool:
        """Whether it asks for this package: from an index, a URL, or as a wheel."""
        return self.is_wheel or bool(
            _AT_URL.match(self.text) or _startup.REQUIREMENT.fullmatch(self.text)
        )

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel of this package in the app folder."""
        return _startup.WHEEL.search(self.text) is not None

    @property
    def excludes_release_1(self) -> bool:
        """Whether no release 1 of the package satisfies it."""
        return _ONLY_LATER.search(self.text) is not None

    @property
    def has_hash(self) -> bool:
        """Whether it requires a hash."""
        return any("--hash" in line for line in self.lines)


def read(path: Path) -> list[Requirement]:
    """Returns the requirements of a file and its included files; none if the file is missing.

    Raises:
        SettingsError: A file cannot be read.
    """
    return list(_read(path, set())) if path.is_file() else []


def keeps_release_2_out(root: Path) -> bool:
    """Returns whether an app's requirements.txt excludes release 2 of Microsoft's package.

    Raises:
        SettingsError: The file cannot be read.
    """
    path = root / "requirements.txt"
    lines = _startup.requirement_lines(text_of(path)) if path.is_file() else ()
    return any(map(_startup.excludes_v2, lines))


def text_of(path: Path) -> str:
    """Returns the text of a file in the Unicode encoding of its byte order mark.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        content = path.read_bytes()
        for mark, encoding in (
            (codecs.BOM_UTF8, "utf-8-sig"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if content.startswith(mark):
                return content.decode(encoding)
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _read(path: Path, seen: set[Path]) -> Iterator[Requirement]:
    if path in seen:
        return
    seen.add(path)
    waiting: list[str] = []
    for line in text_of(path).splitlines():
        waiting.append(line)
        if line.rstrip().endswith("\\"):
            continue
        requirement = _requirement(path, waiting)
        waiting = []
        included = _INCLUDE.fullmatch(requirement.text)
        yield requirement
        if included is not None and (path.parent / included[1]).is_file():
            yield from _read(path.parent / included[1], seen)
    if waiting:
        yield _requirement(path, waiting)


def _requirement(file: Path, lines: list[str]) -> Requirement:
    joined = " ".join(line.rstrip().rstrip("\\") for line in lines)
    text = re.sub(r"(^|\s)#.*$", "", joined)
    text = text.partition(" --hash")[0].partition(";")[0].strip()
    return Requirement(file, text, tuple(lines))
