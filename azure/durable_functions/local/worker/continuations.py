"""The episode that a worker runs right behind an activity, before the host has asked for it.

It saves a call for each step of a chain. The host gives what the orchestrator is to be given along
with the activity, behind its payload, but for the two events that the activity's result makes.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

NO_LIMIT = sys.maxsize, 0
"""For `Places`: the host alone counts, and no worker begins anything by itself."""


class Places:
    """How many orchestrators may run at once (host.md 9.3).

    The host counts those that it asks for, but what a worker begins by itself it only hears of.
    """

    def __init__(self, count: int, share: int) -> None:
        """Make them.

        Args:
            count: How many orchestrators may run in all workers together.
            share: While fewer run in this one, it may begin another by itself.
        """
        self._count = count
        self._share = share
        self._running = 0
        self._waiting: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()

    def begin(self, run: Callable[[], object]) -> None:
        """Have one that the host asks for begun: now, or by `give_back`, which is to follow."""
        with self._lock:
            if self._running >= self._count:
                self._waiting.append(run)
                return
            self._running += 1
        run()

    def take(self) -> bool:
        """Take a place for one that nobody has asked for, if there is one; as for `begin`."""
        with self._lock:
            if self._running >= self._share:
                return False
            self._running += 1
            return True

    def give_back(self) -> None:
        """One has run."""
        with self._lock:
            if not self._waiting:
                self._running -= 1
                return
            run = self._waiting.popleft()
        run()


def put_behind(payload: bytes, around: tuple[str, str]) -> tuple[bytes, tuple[int, int]]:
    """Add to an activity's payload what stands before and behind the events of its result.

    Returns:
        The frame's payload, and where in it the two begin: ``around`` of the header's ``then``.
    """
    before, behind = (text.encode("utf-8") for text in around)
    begin = len(payload)
    return b"".join((payload, before, behind)), (begin, begin + len(before))


def own(header: Mapping[str, Any], payload: bytes) -> bytes:
    """The activity's payload, of that of its frame."""
    return payload[: header["then"]["around"][0]] if "then" in header else payload


_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def _unescaped(value: Any) -> str:
    """JSON text as the host writes it, which escapes little."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if text.isascii():
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _quoted(result: str) -> str:
    """An activity's result as the event has it: a JSON string, which holds JSON text."""
    if "\\u" in result:
        try:
            result = _unescaped(json.loads(result))
        except (ValueError, RecursionError):  # a number of too many digits, say
            pass
    return _unescaped(result)


def following(
    then: Mapping[str, Any], payload: bytes, now: datetime, result: str
) -> tuple[str, bytes]:
    """What the orchestrator behind an activity is given: its trigger, or its session's new events.

    Args:
        then: Of the activity's header: ``around``; ``events``, what stands before the time of the
            first event, before the result, and before the time of the second event; ``since``, the
            time of the episode before, as the store writes it.
        payload: Of the activity's frame.
        now: Naive UTC.
        result: The activity's, JSON text.

    Returns:
        The episode's time as the store writes it, which is later than ``since``, whatever the clock
        says; and the payload.
    """
    moment = now.isoformat(timespec="microseconds")
    if moment <= then["since"]:
        after = datetime.fromisoformat(then["since"]) + timedelta(microseconds=1)
        moment = after.isoformat(timespec="microseconds")
    time = f'"{moment.rstrip("0").rstrip(".")}Z"'  # as the host writes it
    first, second, third = then["events"]
    text = "null" if result == "null" else _quoted(result)
    events = f",{first}{time}{second}{text}{third}{time}}}".encode()
    begin, end = then["around"]
    return moment, b"".join((payload[begin:end], events, payload[end:]))
