"""App settings that change which actions a history leads to. Source: sdk.md 7.

**Instances in flight across the change of package.** Release 1.7.0 has defects that change which
actions a history leads to. We mend them, so a history recorded with 1.7.0 may replay differently
here. With ``AZURE_FUNCTIONS_DURABLE_COMPAT=1.7.0`` every one of them is back: early events, event
names, compounds, timers, signals (protocol.md 15: D1, D3, D7, D8, D10, D17, D18; sdk.md 8: Q10,
Q12, Q14-Q19, Q24, Q45, Q47-Q49).

**Who runs retries.** Steps that the host makes take ids that the action list says nothing of, so
for some programs no list makes the extension go on when the code does (see `pacing`). Attempts and
waits of the SDK are entries like all others; ``AZURE_FUNCTIONS_DURABLE_RETRIES=sdk`` asks for them
(extension-engine.md F3).
"""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "AZURE_FUNCTIONS_DURABLE_COMPAT"
OFFICIAL = "1.7.0"


def is_official() -> bool:
    """Whether the defects of the official release are wanted.

    Raises:
        ValueError: The variable has another value.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return False
    if value.strip() != OFFICIAL:
        raise ValueError(f"{VARIABLE} must be {OFFICIAL} or not set, got {value!r}")
    return True


RETRIES_VARIABLE = "AZURE_FUNCTIONS_DURABLE_RETRIES"
_ARE_IN_SDK = {"sdk": True, "host": False, "": False}


def retries_in_sdk(options: Any) -> bool:
    """Whether the SDK makes the attempts and waits of such retry options.

    Args:
        options: `RetryOptions`, or a class of the user's that is like it.

    Raises:
        ValueError: The app setting has a value that means nothing.
    """
    if getattr(options, "runs_in_sdk", False):
        return True
    value = os.environ.get(RETRIES_VARIABLE, "").strip().lower()
    if value not in _ARE_IN_SDK:
        raise ValueError(f"{RETRIES_VARIABLE} must be 'sdk', 'host' or not set, got {value!r}")
    return _ARE_IN_SDK[value]
