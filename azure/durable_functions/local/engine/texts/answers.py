"""Reads what an orchestrator has answered; of its actions only the new ones, where they show.

Each replay lists all actions again, and reading and comparing them is a good part of what a step of
a long chain costs. But up to the new ones the text of the list is, to the character, what the
answer before has listed, and those have been compared and counted. Source: protocol.md 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from azure.durable_functions._wire import depth, shapes
from azure.durable_functions._wire.vocabulary import ActionType

_HEAD = re.compile(
    r'\{("isDone": ?(?:true|false)(?:, ?"schemaVersion": ?[123])?), ?"actions": ?\[\['
)
"""As the SDKs begin; an answer that begins otherwise is read as any JSON."""
_SCHEMAS = (1, 2, 3)
Action = Mapping[str, Any]
_decode = json.JSONDecoder().raw_decode


class ProtocolError(Exception):
    """An orchestrator's answer does not follow the protocol; the text says where."""


class Listed(NamedTuple):
    """An answer's text, and where in it the actions stand."""

    text: str
    begin: int
    end: int


class OrchestratorAnswer(NamedTuple):
    """What an orchestrator has answered."""

    fields: Mapping[str, Any]
    """The result object, without ``actions``."""
    actions: list[dict[str, Any]]
    is_suffix: bool
    """These actions are only those behind the ones that the answer before has listed."""
    listed: Listed
    """For reading the next answer."""


def read(text: str, before: Listed | None = None) -> OrchestratorAnswer:
    """Read an answer.

    Args:
        text: The result object.
        before: The answer before, if all that it has asked for took effect.

    Raises:
        ProtocolError: It is not what an answer must be.
    """
    return _read_usual(text, before) or _read_any(text)


def flatten(actions: Sequence[Action]) -> Iterator[Action]:
    """The actions without the compounds around them, in the order in which ids are given."""
    for action in actions:
        if action.get("actionType") in (ActionType.WHEN_ANY, ActionType.WHEN_ALL):
            yield from flatten(action["compoundActions"])
        else:
            yield action


def _read_usual(text: str, before: Listed | None) -> OrchestratorAnswer | None:
    """Read an answer of the usual form; None if it has another one, or is none at all."""
    head = _HEAD.match(text)
    if head is None:
        return None
    begin = new_begin = head.end()
    known = "" if before is None else before.text[before.begin : before.end]
    is_suffix = known != "" and text.startswith(known, begin)
    has_comma = False
    if is_suffix:
        new_begin += len(known)
        has_comma = text.startswith(",", new_begin)
        new_begin += has_comma
    try:
        new, length = _decode(f"[{text[new_begin:]}")
        end = new_begin + length - len("[]")
        rest = text[end + len("]]") :]
        if depth.is_too_deep(rest):
            raise ProtocolError(f"the function's answer cannot be read: {depth.TOO_DEEP}")
        fields = json.loads(f"{{{head[1]}{rest}")
    except (ValueError, RecursionError):
        return None
    if is_suffix and bool(new) != has_comma:
        return None
    if not text.startswith("]]", end) or "actions" in fields:
        return None
    if fields.get("schemaVersion") not in _SCHEMAS:
        return None
    return OrchestratorAnswer(fields, _objects(new), is_suffix, Listed(text, begin, end))


def _read_any(text: str) -> OrchestratorAnswer:
    if depth.is_too_deep(text):
        raise ProtocolError(f"the function's answer cannot be read: {depth.TOO_DEEP}")
    try:
        answer: Any = json.loads(text)
    except ValueError:
        raise ProtocolError("the function's answer is not JSON") from None
    if not shapes.is_object(answer):
        raise ProtocolError("the function's answer is not a JSON object")
    if answer.get("schemaVersion") not in _SCHEMAS:
        raise ProtocolError(
            f"the answer's schemaVersion is {answer.get('schemaVersion')!r}, not 1, 2 or 3"
        )
    groups: Any = answer.pop("actions", None)
    if not shapes.is_array(groups) or len(groups) != 1 or not shapes.is_array(groups[0]):
        raise ProtocolError("the answer's actions must hold exactly one array")
    return OrchestratorAnswer(
        answer, _objects(groups[0]), is_suffix=False, listed=Listed(text, 0, 0)
    )


def _objects(actions: list[Any]) -> list[dict[str, Any]]:
    for action in actions:
        if not shapes.is_object(action):
            raise ProtocolError("one of the answer's actions is not a JSON object")
        given = action.get("input")
        if isinstance(given, str) and depth.is_too_deep(given):
            called = action.get("functionName") or action.get("name") or action.get("instanceId")
            raise ProtocolError(f"{called!r} cannot be called: {depth.TOO_DEEP}")
    return actions
