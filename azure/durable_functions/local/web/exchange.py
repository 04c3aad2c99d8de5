"""Requests and responses without an HTTP library, and the rules that all routes share.

Source: http-api.md 2 and 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from azure.durable_functions._wire import depth, timestamps

_SHORT_YEAR = re.compile(r"\d{1,3}-\d\d-\d\d(?:T|$)", re.A)
JSON_TYPE = "application/json; charset=utf-8"
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d[\d,]*)?\.?\d+|\d[\d,]*\.?)(?:e[+-]?\d+)?|nan|[+-]?infinity", re.I | re.A
)


@dataclass(frozen=True)
class Request:
    """An HTTP request."""

    method: str
    """Upper case."""
    url: str
    """Absolute, with the query, as the client sent it."""
    path: str
    """Below the base, still percent-encoded."""
    query_text: str
    headers: Mapping[str, str]
    """Names ignore case."""
    body: bytes
    has_body: bool
    is_of_worker: bool = False
    """Whether it came through the RPC port."""

    @property
    def segments(self) -> list[str]:
        """The parts of the path, as the extension reads them (extension.md X20, X21).

        Its web server decodes the whole path; the extension form-decodes the result again before
        it splits it: ``+`` and ``%2B`` are a blank, ``%2F`` and ``%252F`` separate parts.
        """
        path = unquote_plus(unquote(self.path)).strip("/")
        return path.split("/") if path else []

    @cached_property
    def query(self) -> Query:
        """The query string's parameters."""
        return Query(self.query_text)

    @property
    def origin(self) -> str:
        """Scheme and authority of the URL."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


class Query:
    """The parameters of a query string: names in any case, repeated ones joined by commas."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            self._values.setdefault(name.lower(), []).append(value)

    def text(self, name: str) -> str | None:
        """Returns the value; None if the parameter is missing."""
        values = self._values.get(name.lower())
        return None if values is None else ",".join(values)

    def flag(self, name: str) -> bool | None:
        """Returns ``true`` or ``false`` in any case; None for anything else."""
        text = (self.text(name) or "").strip().lower()
        return {"true": True, "false": False}.get(text)

    def number(self, name: str) -> float | None:
        """Returns a number in .NET's notation, including ``NaN``; None for anything else."""
        text = (self.text(name) or "").strip()
        return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None

    def integer(self, name: str) -> int | None:
        """Returns a whole number; None for anything else."""
        try:
            return int((self.text(name) or "").strip())
        except ValueError:
            return None

    def moment(self, name: str) -> datetime | None:
        """Returns a time in UTC, which is also the default zone; None for anything else."""
        text = (self.text(name) or "").strip()
        if not text:
            return None
        if len(text) > 6 and text[-6] == " ":  # an unescaped "+01:00"
            text = f"{text[:-6]}+{text[-5:]}"
        if _SHORT_YEAR.match(text):  # Python's notation of years before 1000
            text = text.partition("-")[0].zfill(4) + text[text.index("-") :]
        try:
            return timestamps.to_utc(timestamps.parse_moment(text))
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_json: bool = False


def empty(status: int) -> Answer:
    """Returns a response without a body."""
    return Answer(status)


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Returns a plain text response."""
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(status, text.encode("utf-8", "backslashreplace"), {**kind, **(headers or {})})


def as_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Returns a response with a JSON body: compact and unescaped."""
    try:
        text = _dump(value, allow_nan=False)
    except ValueError:  # NaN or an infinity, which JSON lacks; use .NET's notation
        value = json.loads(json.dumps(value), parse_constant=str)
        text = _dump(value)
    try:
        body = text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair can only travel escaped
        body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Answer(status, body, headers or {}, is_json=True)


_UTF_8 = ("utf-8", "utf8")
_CHARSETS = frozenset(
    (
        *("utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii"),
        *("iso-8859-1", "latin-1", "iso-8859-15", "windows-1252"),
    )
)
"""Accepted charsets besides UTF-8: some of Python's codecs take minutes to decode a text."""


def _dump(value: Any, *, allow_nan: bool = True) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=allow_nan)


class InvalidJson(ValueError):
    """A request body is not JSON, although it must be; the text says where."""


def read_text(request: Request) -> str:
    """Returns the text of a body in the charset of the request, or UTF-8.

    Raises:
        InvalidJson: The bytes are not valid in this charset.
    """
    charset = "utf-8-sig"
    content_type = request.headers.get("content-type", "")
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in _UTF_8:
            charset = value.strip('"').lower()
            if charset not in _CHARSETS:
                raise InvalidJson(f"the charset {charset[:40]!r} is not supported; send UTF-8")
    try:
        return request.body.decode(charset)
    except (ValueError, LookupError) as error:
        raise InvalidJson(str(error)) from None


def read_json_text(request: Request) -> str | None:
    """Returns the text of a JSON body unchanged; None if it is blank.

    Raises:
        InvalidJson: It is not JSON.
    """
    text = read_text(request)
    if not text.strip():
        return None
    if depth.is_too_deep(text):
        raise InvalidJson(depth.TOO_DEEP)
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error)) from None
    return text


def read_json(request: Request) -> Any:
    """Returns the value of a JSON body; None if it is blank.

    Raises:
        InvalidJson: It is not JSON.
    """
    text = read_json_text(request)
    return None if text is None else json.loads(text)


def problem(status: int, message: str) -> Answer:
    """Returns an error response of the first form (http-api.md 3.3)."""
    return as_json(status, {"Message": message})


def exception(status: int, message: str, text: str, kind: str) -> Answer:
    """Returns an error response of the second form; `kind` is the extension's exception type."""
    return as_json(
        status,
        {
            "Message": message,
            "ExceptionMessage": text,
            "ExceptionType": kind,
            "StackTrace": None,
        },
    )


def bad_argument(text: str) -> Answer:
    """Returns 400 for an argument that breaks a rule."""
    return exception(
        400, "One or more of the arguments submitted is incorrect", text, "System.ArgumentException"
    )


def unexpected(text: str, kind: str = "System.InvalidOperationException") -> Answer:
    """Returns 500 for something that is not possible in the current state."""
    return exception(500, "Something went wrong while processing your request", text, kind)
