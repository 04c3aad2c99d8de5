"""How long a start waits for the instance to end, as in the extension. Source: X15."""

from __future__ import annotations

import math

from azure.durable_functions._errors import DurableFunctionsError

_TICKS = 10_000_000
_LONGEST_SECONDS = 2**63 / _TICKS
_LONGEST_PAUSE_SECONDS = 4_294_967.294


class BadWait(DurableFunctionsError):
    """The parameters contradict each other; the text is the extension's."""

    kind = "System.ArgumentException"


class BadPause(BadWait):
    """The pause is out of the range of timers."""

    kind = "System.ArgumentOutOfRangeException"


class TooLong(DurableFunctionsError):
    """The time exceeds the range of .NET; the text is the extension's."""


def checked_timeout(timeout: float, interval: float) -> float:
    """Returns the time-out in seconds, after checking it and the pauses.

    Raises:
        BadWait, TooLong: The extension refuses such a wait.
    """
    timeout, interval = _span(timeout), _span(interval)
    if timeout < interval:
        raise BadWait(
            f"Total timeout {_text(timeout)} should be bigger than retry timeout {_text(interval)}"
        )
    if timeout > 0 and not 0 <= interval <= _LONGEST_PAUSE_SECONDS:
        raise BadPause(
            "The value needs to translate in milliseconds to -1 (signifying an infinite timeout), "
            "0, or a positive integer less than or equal to the maximum allowed timer duration. "
            "(Parameter 'delay')"
        )
    return timeout


def _span(seconds: float) -> float:
    """Returns a time truncated to 100 ns, like a .NET time span."""
    if math.isnan(seconds):
        raise BadWait("TimeSpan does not accept floating point Not-a-Number values.")
    if abs(seconds) >= _LONGEST_SECONDS:
        raise TooLong("TimeSpan overflowed because the duration is too long.")
    return math.trunc(seconds * _TICKS) / _TICKS


def _text(seconds: float) -> str:
    return repr(seconds).removesuffix(".0").upper()
