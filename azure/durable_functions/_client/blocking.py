"""Runs the client's coroutines for functions that are not async.

They share one event loop on a thread of its own, so that they share its connections too.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_ENDING_SECONDS = 5.0


class _Loop:
    """An event loop that runs on a thread of its own until the process ends."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="durable-client", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())  # closes connections
        finally:
            self.loop.close()

    def end(self) -> None:
        """Close its connections and let the thread end."""
        if self.process == os.getpid():  # a forked child has no such thread
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_ENDING_SECONDS)


_lock = threading.Lock()
_current: _Loop | None = None


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Give what a coroutine gives, or raise what it raises; the calling thread waits.

    Raises:
        RuntimeError: An event loop runs on the calling thread, which must not be blocked.
    """
    if is_on_a_loop():
        work.close()
        raise RuntimeError(
            "SyncDurableOrchestrationClient blocks the event loop that runs on this thread. Code "
            "that is async uses DurableOrchestrationClient, with await"
        )
    # The coroutine sees the context variables of the caller, as those of a trace.
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # of no effect unless the wait itself was interrupted
        raise


def is_on_a_loop() -> bool:
    """Whether an event loop runs on the calling thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _loop() -> asyncio.AbstractEventLoop:
    global _current
    with _lock:
        if _current is None or _current.process != os.getpid():
            _current = _Loop()
        return _current.loop


@atexit.register
def _end() -> None:
    global _current
    with _lock:
        ended, _current = _current, None
    if ended is not None:
        ended.end()
