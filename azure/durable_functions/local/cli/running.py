"""``durable start``: runs a host until Ctrl-C. Source: host.md 12.1 and 12.5."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

from azure.durable_functions.local import operating_system
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.console_log import Console
from azure.durable_functions.local.host import LocalHost
from azure.durable_functions.local.options import HostOptions

logger = logging.getLogger("azure.durable_functions.local")

_REPEAT_SECONDS = 60.0
_INTERRUPTED = 130
"""The exit code of a process that Ctrl-C has ended at once."""

Result = TypeVar("Result")


async def run_until_signal(options: HostOptions, console: Console) -> None:
    """Runs a host until Ctrl-C or SIGTERM.

    Raises:
        SettingsError, StoreError, WorkerFailed: The host cannot start or continue.
    """
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop_requested.is_set():
            os._exit(_INTERRUPTED)  # a second Ctrl-C exits at once; the store survives that
        stop_requested.set()
        console.say("Stopping; running functions have a moment to finish.")

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            continue
    await _run(options, console, stop_requested)


async def _run(options: HostOptions, console: Console, stop_requested: asyncio.Event) -> None:
    """Runs a host until a stop is requested; restarts it when host.json has changed."""
    console.buffer()
    operating_system.raise_descriptor_limit()
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    setup = Setup.read(options.folder)
    while not stop_requested.is_set():
        async with AsyncExitStack() as stack:
            opening = LocalHost.open(options, console, setup, stack)
            host = await _unless_stopped(opening, stop_requested)
            if host is not None:
                options = replace(options, port=host.port, is_fresh=False)
                await _unless_stopped(host.run(), stop_requested)


class LoopErrors:
    """Logs what asyncio reports; that files have run out at most once a minute.

    asyncio reports it for every connection that it cannot accept.
    """

    def __init__(self) -> None:
        self._logged_at = -_REPEAT_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Logs one report."""
        if "out of system resource" not in str(context.get("message")):
            loop.default_exception_handler(context)
        elif loop.time() - self._logged_at >= _REPEAT_SECONDS:
            self._logged_at = loop.time()
            logger.error(
                "Cannot accept connections: %s. They wait until others end; raise the limit of "
                "open files (ulimit -n) if this lasts",
                context.get("exception"),
            )


async def _unless_stopped(
    work: Coroutine[Any, Any, Result], stop_requested: asyncio.Event
) -> Result | None:
    """Returns the result of some work; None if a stop was requested, which cancels the work."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop_requested.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
