"""Reads hand-written JSON files: comments are allowed, errors name file, key and rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from azure.durable_functions._errors import SettingsError
from azure.durable_functions._wire import depth, shapes

_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)

Choice = TypeVar("Choice", bound=str)


def read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file; ignores comments and a byte order mark.

    Raises:
        SettingsError: It is not JSON or not an object; names the position.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    bare = _COMMENTS.sub(lambda match: match[1] or " " * len(match[0]), text)
    if depth.is_too_deep(bare):
        raise SettingsError(f"{path} cannot be read: {depth.TOO_DEEP}")
    try:
        value = json.loads(bare)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    if not shapes.is_object(value):
        raise SettingsError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


class Reader:
    """Looks up keys in any case and checks the types of values.

    Its errors (`SettingsError`) name the key.
    """

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        self._path = path
        self._content = content
        self._asked: set[tuple[str, ...]] = set()

    def get(self, *keys: str) -> Any:
        """Returns the value at a path; None if there is none."""
        self._asked.add(tuple(key.lower() for key in keys))
        value: Any = self._content
        for key in keys:
            if not shapes.is_object(value):
                return None
            value = next((v for k, v in value.items() if k.lower() == key.lower()), None)
        return value

    def leaves(self) -> Iterator[tuple[str, ...]]:
        """Yields the paths, as written, of all values that were never read."""

        def walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
            if tuple(key.lower() for key in path) in self._asked:
                return
            if path and not (shapes.is_object(value) and value):
                yield path
                return
            for key, inner in value.items():
                yield from walk(inner, (*path, key))

        yield from walk(self._content, ())

    def section(self, *keys: str) -> dict[str, Any]:
        """Returns an object; an empty one if there is none."""
        value = self.get(*keys)
        if value is None:
            return {}
        if not shapes.is_object(value):
            raise self._wrong(keys, "must be an object", value)
        return value

    def texts(self, *keys: str) -> tuple[str, ...]:
        """Returns a list of texts; environment variables make it an object with numbers as keys."""
        value = self.get(*keys)
        if value is None:
            return ()
        found: Any = list(value.values()) if shapes.is_object(value) else value
        if not shapes.is_array(found) or not all(isinstance(item, str) for item in found):
            raise self._wrong(keys, "must be a list of texts", value)
        return tuple(found)

    def limit(self, *keys: str) -> int | None:
        """Returns a whole number of at least 1; None (no limit) for -1 or if there is none."""
        if self.get(*keys) in (None, -1, "-1"):
            return None
        return self.count(*keys, default=1)

    def text(self, *keys: str, default: str = "") -> str:
        """Returns a text."""
        value = self.get(*keys)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(keys, "must be a text", value)
        return value

    def count(self, *keys: str, default: int) -> int:
        """Returns a whole number of at least 1."""
        value = self.get(*keys)
        if value is None:
            return default
        if isinstance(value, str) and value.strip().isdigit():  # from an environment variable
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._wrong(keys, "must be a whole number ≥ 1", value)
        return value

    def flag(self, *keys: str, default: bool) -> bool:
        """Returns a boolean."""
        value = self.get(*keys)
        if value is None:
            return default
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise self._wrong(keys, "must be true or false", value)
        return value

    def choice(self, *keys: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        """Returns one of several texts, which may be in any case."""
        value = self.get(*keys)
        for choice in choices:
            if isinstance(value, str) and value.lower() == choice.lower():
                return choice
        if value is None or value == "":
            return default
        allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise self._wrong(keys, f"must be {allowed}", value)

    def _wrong(self, keys: tuple[str, ...], rule: str, value: object) -> SettingsError:
        return SettingsError(f"{self._path}: {'.'.join(keys)} {rule}, got {json.dumps(value)}")

    def wrong(self, key: str, rule: str, value: object) -> SettingsError:
        """Returns the error for a value that breaks a rule."""
        return SettingsError(f"{self._path}: {key} {rule}, got {json.dumps(value)}")
