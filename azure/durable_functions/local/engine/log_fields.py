"""What log lines of the engine carry beside their text."""

from __future__ import annotations


def about(instance_id: str, function_name: str | None = None) -> dict[str, str | None]:
    """The `extra` of a log call for a line about an instance."""
    return {"instance_id": instance_id, "function_name": function_name}
