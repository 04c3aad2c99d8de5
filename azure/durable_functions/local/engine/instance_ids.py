"""Ids of instances and keys of entities: which are refused. Source: extension.md X51."""

from __future__ import annotations

import re

from .errors import BadArgument

_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_LONGEST_INSTANCE_ID = 256


def has_forbidden_character(text: str) -> bool:
    """Whether a text holds what no id may."""
    return _FORBIDDEN.search(text) is not None


def check_instance_id(instance_id: str, parameter: str = "instanceId") -> None:
    """Refuse ids that no instance should have, in the extension's words (extension.md X51).

    Args:
        instance_id: The id.
        parameter: What the text calls it.

    Raises:
        BadArgument: The id breaks a rule.
    """
    rule = None
    if instance_id.startswith("@"):
        rule = "Orchestration instance IDs must not start with @."
    elif has_forbidden_character(instance_id):
        rule = "Orchestration instance IDs must not contain /, \\, #, ?, or control characters."
    elif len(instance_id) > _LONGEST_INSTANCE_ID:
        rule = f"Instance ID lengths must not exceed {_LONGEST_INSTANCE_ID} characters."
    if rule is not None:
        raise BadArgument(f"{rule} (Parameter '{parameter}')")
