"""The worker's loop: loads the app, tells the host what is in it, answers invocations."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import app_loader
from .functions import Functions, invocation
from .functions import describe as describe_error
from .link import Frame, Link


def run(socket_fd: int, root: str, only: Sequence[str]) -> None:
    """Serve the functions of an app, or those that are named, until the host is gone."""
    asyncio.run(_serve(socket_fd, Path(root), only))
    # Threads of user code may still run; nobody waits for their results any more.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _serve(socket_fd: int, root: Path, only: Sequence[str]) -> None:
    connection = socket.socket(fileno=socket_fd)
    loop = asyncio.get_running_loop()
    host_is_gone = asyncio.Event()
    running: set[asyncio.Task[None]] = set()

    def begin(frame: Frame) -> None:
        if frame.header["type"] == "invoke":
            task = loop.create_task(answer(frame.header, frame.payload))
            running.add(task)
            task.add_done_callback(running.discard)

    host = await Link.connect(connection, begin, host_is_gone.set)
    forward_logs(lambda frame: loop.call_soon_threadsafe(host.send, frame))
    app = app_loader.load(root, only)
    functions = Functions(app.functions)

    async def answer(header: dict[str, Any], payload: bytes) -> None:
        try:
            host.send(await functions.invoke(header, payload))
        except Exception as error:  # an answer that cannot be sent must not leave the host waiting
            host.send(Frame({"type": "result", "id": header["id"], "error": describe_error(error)}))

    host.send(describe(app))
    await host_is_gone.wait()


def describe(app: app_loader.LoadedApp) -> Frame:
    """What the host is told of an app."""
    return Frame(
        {
            "type": "loaded",
            "functions": [function.describe() for function in app.functions],
            "errors": app.errors,
            "failure": app.failure,
            "mixedFolders": app.mixed_folders,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
        }
    )


def forward_logs(send: Callable[[Frame], object]) -> logging.Handler:
    """Let the host print the log records of user code (host.md 5.5)."""
    handler = _HostHandler(send)
    root = logging.getLogger()
    root.addHandler(handler)
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in ("1", "true")
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    return handler


class _HostHandler(logging.Handler):
    def __init__(self, send: Callable[[Frame], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        function, invocation_id = invocation()
        try:
            text = self.format(record)
            header = {
                "type": "log",
                "level": record.levelno,
                "logger": record.name,
                "function": function,
                "invocationId": invocation_id,
            }
            self._send(Frame(header, text.encode("utf-8", "backslashreplace")))
        except Exception:  # as every handler: a record that cannot be written must not end the app
            self.handleError(record)
