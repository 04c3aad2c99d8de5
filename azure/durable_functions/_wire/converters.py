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
