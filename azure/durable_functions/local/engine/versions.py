"""Which instances this host may run. Source: protocol.md 13.7, host.md 8.21."""

from __future__ import annotations

import re
from typing import Literal

MatchStrategy = Literal["CurrentOrOlder", "Strict", "None"]
FailureStrategy = Literal["Reject", "Fail"]
OnNonDeterminism = Literal["fail", "wait"]
"""What becomes of an instance whose history the code does not fit."""

_DOTTED = re.compile(r"\d+(?:\.\d+){1,3}")


def matches(instance: str | None, worker: str | None, strategy: MatchStrategy) -> bool:
    """Whether an instance of one version may run on a worker of another; None is no version."""
    if strategy == "None":
        return True
    if strategy == "Strict":
        return (instance or "").strip() == (worker or "").strip()
    return not is_greater((instance or "").strip(), (worker or "").strip())


def is_greater(first: str, second: str) -> bool:
    """Whether one version comes after another.

    Blank comes first. Two to four dotted numbers compare as numbers; a number alone is text, as
    officially, so that ``10`` comes before ``2``.
    """
    if not first or not second:
        return bool(first) and not second
    if _DOTTED.fullmatch(first) and _DOTTED.fullmatch(second):
        return _numbers(first) > _numbers(second)
    return first.lower() > second.lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
