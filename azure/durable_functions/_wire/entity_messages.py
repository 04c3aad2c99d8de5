"""What orchestrations and entities send each other. Source: protocol.md 5.5, sdk.md 2.13."""

from __future__ import annotations

import json
from typing import Any

from .entity_id import EntityId
from .vocabulary import ENTITY_TIMEOUT_PREFIX


class RequestMessage:
    """A request to an entity; the SDK itself has no use for it."""

    def __init__(
        self,
        id_: str,
        name: str | None = None,
        signal: bool | None = None,
        input_: str | None = None,
        arg: Any = None,
        parent: str | None = None,
        lockset: list[EntityId] | None = None,
        pos: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.id = id_
        self.name = name
        self.signal = signal
        self.input = input_
        self.arg = arg
        self.parent = parent
        self.lockset = lockset
        self.pos = pos

    @classmethod
    def from_json(cls, json_str: str) -> RequestMessage:
        """Read the wire's text."""
        fields: dict[str, Any] = json.loads(json_str)
        fields["id_"] = fields.pop("id")
        return cls(**fields)


class ResponseMessage:
    """An entity's answer to a call."""

    def __init__(self, result: str | None, is_exception: bool = False) -> None:
        """Keep the answer.

        Args:
            result: JSON text. The text that a host sends for an entity that ran too long is no
                JSON; it is made so, and counts as a failure (protocol.md 5.4).
            is_exception: The operation failed.
        """
        if result is not None and result.lstrip().startswith(ENTITY_TIMEOUT_PREFIX):
            result = json.dumps(result)
            is_exception = True
        self.result = result
        self.is_exception = is_exception

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> ResponseMessage:
        """Read the wire's object; it is a failure iff it has the key ``exceptionType``."""
        return cls(result=d["result"], is_exception="exceptionType" in d)
