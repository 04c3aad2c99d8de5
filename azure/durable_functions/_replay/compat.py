"""The switch for instances in flight across the change of package. Source: sdk.md 7.

Release 1.7.0 has defects that change which actions a history leads to. We mend them, so a history
recorded with 1.7.0 may replay differently here. With ``AZURE_FUNCTIONS_DURABLE_COMPAT=1.7.0`` every
one of them is back: early events, event names, compounds, timers, signals (protocol.md 15: D1, D3,
D7, D8, D10, D17, D18; sdk.md 8: Q10, Q12, Q14-Q19, Q24, Q45, Q47-Q49).
"""

from __future__ import annotations

import os

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
