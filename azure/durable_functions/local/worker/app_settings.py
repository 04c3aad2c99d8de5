"""App settings as functions and hosts read them. Source: host.md 2.5 and 10.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_YES = ("true", "1")
_NO = ("false", "0")


def lookup(environment: Mapping[str, str], name: str) -> str | None:
    """An app setting; ``A:B`` and ``A__B`` are the same one."""
    for spelling in (name, name.replace(":", "__"), name.replace("__", ":")):
        if spelling in environment:
            return environment[spelling]
    return None


def is_disabled(environment: Mapping[str, str], function: str, flag: Any = None) -> bool:
    """Whether a function is switched off.

    Args:
        environment: App settings; ``AzureWebJobs.NAME.Disabled`` wins over the flag.
        function: Its name.
        flag: ``disabled`` of its function.json: true, false, or the name of an app setting.
    """
    for name in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"):
        text = (lookup(environment, name) or "").strip().lower()
        if text in _YES + _NO:
            return text in _YES
    if isinstance(flag, str):
        return (lookup(environment, flag) or "").strip().lower() in _YES
    return flag is True
