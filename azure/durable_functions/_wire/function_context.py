"""Fields of a message that this release does not know, kept as attributes. Source: sdk.md 2.9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class FunctionContext:
    """Every keyword becomes an attribute."""

    def __init__(self, **kwargs: Any) -> None:
        self.__dict__.update(kwargs)

    if TYPE_CHECKING:  # any attribute may be there

        def __getattr__(self, name: str) -> Any: ...
