"""Orchestrations that this worker keeps between episodes. Source: architecture.md section 4.

They save replaying; what they are asked for they answer like a replay, or not at all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from .link import Frame
from .vocabulary import MOST_SESSIONS


class _Session(Protocol):
    seen: int
    is_finished: bool

    def answer(self, events: str | None) -> str: ...

    def close(self) -> None: ...


class Sessions:
    """Kept by name, the latest used; older ones are closed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, handle: Callable[..., Any], header: dict[str, Any], payload: str) -> Frame:
        """Open a session with a trigger, or advance the one that has seen ``seen`` events.

        Returns:
            The answer; its header says ``session`` if more may follow, or ``noSession`` if there
            is none that stands where it must. An SDK that has no sessions just replays.
        """
        name, seen = header["session"], header.get("seen")
        with self._lock:
            session = self._kept.pop(name, None)
        if seen is not None and (session is None or session.seen != seen):
            if session is not None:
                session.close()
            return Frame({"noSession": True})
        if seen is None:
            if session is not None:  # its episode was lost: the host begins again
                session.close()
            open_session = getattr(handle, "open_session", None)
            if open_session is None:
                return Frame({}, str(handle(payload)).encode("utf-8"))
            session = open_session(payload)
        assert session is not None  # was there, or has been opened
        try:
            text = session.answer(None if seen is None else payload)
        except BaseException:
            session.close()
            raise
        if session.is_finished:
            session.close()
            return Frame({}, text.encode("utf-8"))
        self._keep(name, session)
        return Frame({"session": True}, text.encode("utf-8"))

    def _keep(self, name: str, session: _Session) -> None:
        with self._lock:
            self._kept[name] = session
            oldest = self._kept.popitem(last=False)[1] if len(self._kept) > MOST_SESSIONS else None
        if oldest is not None:
            oldest.close()
