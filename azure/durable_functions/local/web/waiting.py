"""How long a start waits for the instance to end, as the extension reads it. Source: X15."""

from __future__ import annotations

import math

from azure.durable_functions._errors import DurableFunctionsError

_TICKS = 10_000_000
_LONGEST_SECONDS = 2**63 / _TICKS
_LONGEST_PAUSE_SECONDS = 4_294_967.294


class BadWait(DurableFunctionsError):
    """The parameters do not fit; the text is the extension's."""

    kind = "System.ArgumentException"


class BadPause(BadWait):
    """No timer takes such a pause."""

    kind = "System.ArgumentOutOfRangeException"


class TooLong(DurableFunctionsError):
    """A time is longer than any .NET knows; the text is the extension's."""


def checked_timeout(timeout: float, interval: float) -> float:
    """The time-out in seconds, if an instance can be waited for so long with such pauses.

    Raises:
        BadWait, TooLong: It cannot.
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
    """Cut to 100 ns, as a .NET time span is."""
    if math.isnan(seconds):
        raise BadWait("TimeSpan does not accept floating point Not-a-Number values.")
    if abs(seconds) >= _LONGEST_SECONDS:
        raise TooLong("TimeSpan overflowed because the duration is too long.")
    return math.trunc(seconds * _TICKS) / _TICKS


def _text(seconds: float) -> str:
    return repr(seconds).removesuffix(".0").upper()
