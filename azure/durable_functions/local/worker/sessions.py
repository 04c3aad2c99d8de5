"""Orchestrations that this worker keeps between episodes. Source: architecture.md section 4.

They save replaying; what they are asked for they answer like a replay, or not at all.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from .binding_types import MOST_SESSIONS
from .link import Frame

if TYPE_CHECKING:
    from .frames import Invoke

logger = logging.getLogger("azure.durable_functions")


class _Session(Protocol):
    is_finished: bool

    def answer(self, events: str | None) -> str: ...

    def close(self) -> None: ...


class Sessions:
    """Kept by name, the latest used; older ones are closed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[_Session, str]] = OrderedDict()
        """Each with the invocation that has left it as it is."""
        self._lock = threading.Lock()

    def answer(self, handle: Any, header: Invoke, payload: str) -> Frame:
        """Open a session with a trigger, or advance the one that is in the ``state`` asked for.

        A state has the id of the invocation that has left it: the host does not count each that
        it has asked for, and one that it has given up may end after the next one.

        Returns:
            The answer; its header says the new ``state`` if more may follow, or ``noSession`` if
            there is none that stands where it must.
        """
        name, wanted = header["session"], header.get("state")
        with self._lock:
            session, state = self._kept.pop(name, (None, None))
        if wanted is not None and state != wanted:
            if session is not None:
                _leave(session)
            return Frame({"noSession": True})
        if wanted is None:
            if session is not None:  # its episode was lost: the host begins again
                _leave(session)
            session = handle.open_session(payload)
        assert session is not None  # was there, or has been opened
        try:
            text = session.answer(None if wanted is None else payload)
        except BaseException:
            _leave(session)
            raise
        if session.is_finished:
            _leave(session)
            return Frame({}, text.encode("utf-8"))
        state = header["invocationId"]
        self._keep(name, session, state)
        return Frame({"state": state}, text.encode("utf-8"))

    def is_in(self, name: str, state: str) -> bool:
        """Whether a session is there and stands where it must; nothing is closed."""
        return self._kept.get(name, (None, None))[1] == state

    def _keep(self, name: str, session: _Session, state: str) -> None:
        with self._lock:
            dropped = [self._kept.pop(name)] if name in self._kept else []
            self._kept[name] = session, state
            if len(self._kept) > MOST_SESSIONS:
                dropped.append(self._kept.popitem(last=False)[1])
        for old, _ in dropped:
            _leave(old)


def _leave(session: _Session) -> None:
    """End a function in the middle; what it raises then concerns nobody, as after each replay."""
    try:
        session.close()
    except BaseException:
        logger.debug("An orchestration's code raised when it was left", exc_info=True)
