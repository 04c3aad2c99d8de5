"""An event loop for code that asks asyncio for the thread's."""

from __future__ import annotations

import asyncio as asyncio


def ensure_event_loop() -> None:
    """Give the thread a new event loop, unless one is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
