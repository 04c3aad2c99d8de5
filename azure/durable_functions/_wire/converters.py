"""Payloads that an app writes and reads by rules of its own, `DFApp(data_converter=...)`.

A converter stands between values and their JSON texts wherever a payload leaves or enters a
function: inputs, outputs, results, events, an entity's operations and state, and what a client
sends and is shown. Source: docs/payloads.md.
"""

from __future__ import annotations

from typing import Any

from . import payloads


class DataConverter:
    """Writes and reads payloads as this package does; subclasses add to that, or replace it."""

    def serialize(self, value: Any) -> str:
        """JSON text of a value, which is never None.

        Raises:
            TypeError: The value cannot be encoded.
        """
        return payloads.encode(value)

    def deserialize(self, text: str, expected_type: Any = None) -> Any:
        """Value of a JSON text.

        Args:
            text: What `serialize` gave, or what something else has sent: a caller by HTTP, an
                instance started before the app had a converter. Blanks may differ.
            expected_type: A class or an annotation, if one is known.

        Raises:
            ValueError: The text is not JSON.
            TypeError: It does not fit the expected type.
        """
        return payloads.decode(text, expected_type)


class Expected:
    """Stands for an expected type where a converter is to read the value."""

    def __init__(self, converter: DataConverter, kind: Any) -> None:
        self._converter = converter
        self.kind = kind

    def read(self, text: str) -> Any:
        """The value of a text."""
        return self._converter.deserialize(text, self.kind)


def expected(converter: DataConverter | None, kind: Any) -> Any:
    """What `payloads.decode` is to be told."""
    return kind if converter is None else Expected(converter, kind)


def converted(converter: DataConverter | None, value: Any) -> Any:
    """What to encode in place of a value: plain JSON, if there is a converter.

    Raises:
        TypeError: The converter cannot encode the value, or did not give the text of JSON.
    """
    if converter is None or value is None:
        return value
    text = converter.serialize(value)
    try:
        return payloads.parse(text)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"{type(converter).__name__}.serialize must return a JSON text, and did not for a "
            f"value of type {type(value).__name__}"
        ) from error
