"""The episode that a worker runs right behind an activity, before the host has asked for it.

It saves a call for each step of a chain. The host gives the rest of what the orchestrator is given
along with the activity; the worker puts the activity's result into it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any


class Places:
    """How many orchestrators may run at once in this worker (host.md 9.3).

    The host counts those that it asks for, but not those that a worker runs by itself.
    """

    def __init__(self, count: int) -> None:
        """Make them.

        Args:
            count: How many; 0 if that is left to the host, and nothing runs behind an activity.
        """
        self._free = threading.Semaphore(count) if count else None

    def __enter__(self) -> None:
        """Take one as soon as one is free."""
        if self._free is not None:
            self._free.acquire()

    def __exit__(self, *exc_info: object) -> None:
        """Let somebody else have it."""
        self.give_back()

    def take(self) -> bool:
        """Take one if one is free just now."""
        return self._free is not None and self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """Let somebody else have it."""
        if self._free is not None:
            self._free.release()


def own(header: Mapping[str, Any], payload: bytes) -> bytes:
    """What a function itself is given; behind it stands what may follow."""
    return payload[: header["then"]["around"][0]] if "then" in header else payload


def following(
    then: Mapping[str, Any], payload: bytes, now: datetime, result: str
) -> tuple[str, bytes]:
    """What the orchestrator behind an activity is given: its trigger, or its session's new events.

    Args:
        then: Of the activity's header: ``around``, the places in the payload of what stands before
            and behind the two events that the result makes; ``events``, what stands before the time
            of the first, before the time of the second, and before its result; ``since``, the time
            of the episode before, as the store writes it.
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
    text = "null" if result == "null" else json.dumps(result)
    events = f",{first}{time}{second}{time}{third}{text}}}".encode()
    begin, end = then["around"]
    return moment, b"".join((payload[begin:end], events, payload[end:]))
