"""Names of the app's durable functions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

Kind = Literal["orchestrator", "activity", "entity"]


class Registry:
    """Names of the durable functions; compared ignoring case, shown as written."""

    def __init__(
        self,
        orchestrators: Iterable[str] = (),
        activities: Iterable[str] = (),
        entities: Iterable[str] = (),
    ) -> None:
        self._names: dict[Kind, dict[str, str]] = {
            "orchestrator": {name.lower(): name for name in orchestrators},
            "activity": {name.lower(): name for name in activities},
            "entity": {name.lower(): name for name in entities},
        }

    def find(self, kind: Kind, name: str) -> str | None:
        """The name as registered; None if there is no such function."""
        return self._names[kind].get(name.lower())

    def unknown(self, kind: Kind, name: str) -> str:
        """What the extension tells somebody who asks for a function that is not there."""
        article = "an" if kind in ("orchestrator", "activity", "entity") else "a"
        text = (
            f"The function '{name}' doesn't exist, is disabled, or is not {article} {kind} "
            "function. Additional info: "
        )
        known = sorted(self._names[kind].values(), key=str.lower)
        if not known:
            return f"{text}No {kind} functions are currently registered!"
        names = ", ".join(f"'{name}'" for name in known)
        return f"{text}The following are the known {kind} functions: {names}."

    def explained(self, kind: Kind, name: str) -> str:
        """The same with the name that was probably meant."""
        nearest = difflib.get_close_matches(name.lower(), self._names[kind], 1)
        hint = f" Did you mean '{self._names[kind][nearest[0]]}'?" if nearest else ""
        return f"{self.unknown(kind, name)}{hint}"

    def unknown_call(self, kind: Kind, name: str) -> str:
        """What an orchestrator is told that calls it, which the extension never tells (X55)."""
        return (
            f"{self.explained(kind, name)} On Azure this call would wait for ever, without a line "
            "in any log."
        )
