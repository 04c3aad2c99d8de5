"""Payloads as text and back: azure-functions' codec, and a short way round it where it is plain.

The codec builds an encoder for every value and asks the environment three times for every decode:
2.5 and 2.2 us, and a replay does one of each per step. Values of JSON's own types mean the same in
every mode of the codec, so for those the encoder, the quoting and the scanner of the standard
library are called directly (0.2 us each). Everything else goes to the codec itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, Protocol

from . import df_serialization

LONG = 2048
_CONTROLS = (*map(chr, range(32)), chr(127))

_encode_plain = json.JSONEncoder().encode
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # not in the stubs
_CODECS_OWN: tuple[Any, ...] = (str, int, float, bool, list, dict, Any)
_CONTAINERS = frozenset((dict, list, tuple, float))

quote_short = encode_basestring_ascii
"""As `quote`, for a text of less than `LONG`: without a call of Python's, 0.05 us less."""


def quote(text: str) -> str:
    """A text as a JSON string.

    Raises:
        TypeError: It is no text.
    """
    if len(text) < LONG or not text.isascii():
        return encode_basestring_ascii(text)
    # The standard library looks at each character (12 us for 10 KiB); searching for those that need
    # care runs at the memory's speed (2 us), and the payload of a payload has but two kinds.
    for character in _CONTROLS:
        if character in text:
            return encode_basestring_ascii(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def encode(value: Any) -> str:
    """JSON text of a value, as `df_dumps` gives it.

    Raises:
        TypeError: The value cannot be encoded.
    """
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]  # any class
    if kind is str:
        return quote_short(value) if len(value) < LONG else quote(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return int.__repr__(value)
    if kind in _CONTAINERS:
        try:
            return _encode_plain(value)
        except TypeError:
            pass  # an object of the user's inside, which the codec may know
    try:
        return df_serialization.df_dumps(value)
    except TypeError:
        text = _encode_typed(value)
        if text is None:
            raise
        return text


def _encode_typed(value: Any) -> str | None:
    """What the codec refuses, as plain JSON; None if we do not know it either."""
    from . import typed  # imports a dozen modules, which plain payloads do without

    try:
        return json.dumps(value, default=typed.to_plain)
    except TypeError:
        return None


def parse(text: str | bytes) -> Any:
    """Value of a JSON text by the standard's rules alone, as `json.loads` gives it.

    Raises:
        json.JSONDecodeError: The text is not JSON.
    """
    try:
        value, end = _scan(text, 0)  # type: ignore[arg-type]  # bytes it refuses
    except (StopIteration, ValueError, TypeError):
        return json.loads(text)  # blanks before it, bytes, or an error that it words
    return value if end == len(text) else json.loads(text)


def decode(text: Any, expected_type: Any = None) -> Any:
    """Value of a JSON text, as `df_loads` gives it.

    Raises:
        ValueError: The text is not JSON, or names a module that is not loaded.
        TypeError: It is no text, or does not fit the expected type, as an object of another class.
    """
    # The codec says once that types are advisable; until then it is asked.
    if expected_type is None and df_serialization.has_advised():
        return decode_advised(text)
    if expected_type is not None and expected_type not in _CODECS_OWN and type(text) is str:
        if isinstance(expected_type, Expected):
            return expected_type.read(text)
        from . import typed

        if typed.is_typed(expected_type):
            value = parse(text)
            is_envelope = isinstance(value, dict) and "__class__" in value and "__data__" in value
            if not is_envelope:
                return typed.from_plain(value, expected_type)
    # An object's key stands there plainly, or by an escape.
    if expected_type is not None and type(text) is str and ("__class__" in text or "\\u" in text):
        from . import payload_classes

        expected_type = payload_classes.checked(parse(text), expected_type)
    return df_serialization.df_loads(text, expected_type)


def decode_advised(text: Any, expected_type: Any = None) -> Any:
    """As `decode`, once `df_serialization.has_advised`: 0.1 us less."""
    if expected_type is not None:
        return decode(text, expected_type)
    # Without an object there is nothing to make a class of; with one, its key would have to stand
    # there, plainly or by an escape.
    if type(text) is str and ("{" not in text or ("__class__" not in text and "\\u" not in text)):
        try:
            value, end = _scan(text, 0)
        except (StopIteration, ValueError):
            pass  # leading blanks, or an error that the codec words
        else:
            if end == len(text):
                return value
    return df_serialization.df_loads(text)


class Converter(Protocol):
    """What this module asks of an app's `converters.DataConverter`."""

    def serialize(self, value: Any) -> str:
        """JSON text of a value."""
        ...

    def deserialize(self, text: str, expected_type: Any = None) -> Any:
        """Value of a JSON text."""
        ...


class Expected:
    """Stands for an expected type where a converter is to read the value."""

    def __init__(self, converter: Converter, kind: Any) -> None:
        self._converter = converter
        self.kind = kind

    def read(self, text: str) -> Any:
        """The value of a text."""
        return self._converter.deserialize(text, self.kind)


def expected(converter: Converter | None, kind: Any) -> Any:
    """What `decode` is to be told."""
    return kind if converter is None else Expected(converter, kind)


def converted(converter: Converter | None, value: Any) -> Any:
    """What to encode in place of a value: plain JSON, if there is a converter.

    Raises:
        TypeError: The converter cannot encode the value, or did not give the text of JSON.
    """
    if converter is None or value is None:
        return value
    text = converter.serialize(value)
    try:
        return parse(text)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"{type(converter).__name__}.serialize must return a JSON text, and did not for a "
            f"value of type {type(value).__name__}"
        ) from error
