"""Reads what an orchestrator has answered; of its actions only the new ones, where they show.

Each replay lists all actions again, and reading and comparing them is a good part of what a step of
a long chain costs. But up to the new ones the text of the list is, to the character, what the
answer before has listed, and those have been compared and counted. Source: protocol.md 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from azure.durable_functions._wire import shapes

from .decisions import ProtocolError

_HEAD = re.compile(
    r'\{("isDone": ?(?:true|false)(?:, ?"schemaVersion": ?[12])?), ?"actions": ?\[\['
)
"""As the SDKs begin; an answer that begins otherwise is read as any JSON."""
_SCHEMAS = (1, 2)
_decode = json.JSONDecoder().raw_decode


class Answer(NamedTuple):
    """What an orchestrator has answered."""

    fields: Mapping[str, Any]
    """The result object, without ``actions``."""
    actions: list[dict[str, Any]]
    is_continued: bool = False
    """These actions are only those behind the ones that the answer before has listed."""
    listed: str | None = None
    """Text of all of them, for reading the next answer; None if that would not help."""


def read(text: str, listed: str | None = None) -> Answer:
    """Read an answer.

    Args:
        text: The result object.
        listed: That of the answer before, if all that it has asked for took effect.

    Raises:
        ProtocolError: It is not what an answer must be.
    """
    return _read_usual(text, listed) or _read_any(text)


def _read_usual(text: str, listed: str | None) -> Answer | None:
    head = _HEAD.match(text)
    if head is None:
        return None
    begin = head.end()
    if not listed or not text.startswith(listed, begin):
        listed = ""
    middle = begin + len(listed)
    more = bool(listed) and text.startswith(",", middle)
    if more:
        middle += len(",")
    elif listed and not text.startswith("]", middle):
        return None
    rest = f"[{text[middle:]}"
    try:
        actions, end = _decode(rest)
        if not rest.startswith("]", end) or (more and not actions):
            return None
        fields = json.loads(f"{{{head[1]}{rest[end + 1 :]}")
    except ValueError:
        return None
    if "actions" in fields or fields.get("schemaVersion") not in _SCHEMAS:
        return None
    list_end = middle + end - len("[]")  # the one was put in front, the other is behind the list
    return Answer(fields, _objects(actions), bool(listed), text[begin:list_end])


def _read_any(text: str) -> Answer:
    try:
        answer: Any = json.loads(text)
    except ValueError:
        raise ProtocolError("the function's answer is not JSON") from None
    if not shapes.is_object(answer):
        raise ProtocolError("the function's answer is not a JSON object")
    if answer.get("schemaVersion") not in _SCHEMAS:
        raise ProtocolError(
            f"the answer's schemaVersion is {answer.get('schemaVersion')!r}, not 1 or 2"
        )
    groups: Any = answer.pop("actions", None)
    if not shapes.is_array(groups) or len(groups) != 1 or not shapes.is_array(groups[0]):
        raise ProtocolError("the answer's actions must hold exactly one array")
    return Answer(answer, _objects(groups[0]))


def _objects(actions: list[Any]) -> list[dict[str, Any]]:
    for action in actions:
        if not shapes.is_object(action):
            raise ProtocolError("one of the answer's actions is not a JSON object")
    return actions
