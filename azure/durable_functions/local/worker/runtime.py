"""The worker's loop: loads the app, tells the host what is in it, answers invocations."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from . import app_loader
from .functions import Functions
from .invocation_context import invocation
from .link import Frame, Link
from .raised import describe as describe_error

if TYPE_CHECKING:
    from .frames import Cancel, Invoke, More


def run(socket_fd: int, root: str, only: Sequence[str], places: tuple[int, int]) -> None:
    """Serve the functions of an app, or those that are named, until the host is gone."""
    asyncio.run(_serve(socket_fd, Path(root), only, places))
    # Threads of user code may still run; nobody waits for their results any more.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _serve(socket_fd: int, root: Path, only: Sequence[str], places: tuple[int, int]) -> None:
    connection = socket.socket(fileno=socket_fd)
    host_is_gone = asyncio.Event()
    functions: Functions

    def begin(frame: Frame) -> None:  # the host is silent until it has been told what there is
        if frame.header["type"] == "invoke":
            functions.begin(cast("Invoke", frame.header), frame.payload, answer)
        elif frame.header["type"] in ("more", "cancel"):
            functions.steer(cast("More | Cancel", frame.header))

    def answer(frame: Frame) -> None:
        try:
            host.send(frame)
        except Exception as error:  # what cannot be sent must not leave the host waiting
            number = frame.header["id"]
            host.send(Frame({"type": "result", "id": number, "error": describe_error(error)}))

    host = Link(connection, begin, host_is_gone.set)
    forward_logs(host.send)
    _leave_hints_to_the_host()
    app = app_loader.load(root, only)
    functions = Functions(app.functions, places)
    host.send(describe(app))
    await host_is_gone.wait()


def _leave_hints_to_the_host() -> None:
    """Each worker would give them again when it imports the SDK; the host gives them once."""
    for beginning in (
        "This app uses the legacy Python v1 programming model",
        "Your application is currently configured to use Extension Bundles V1",
    ):
        warnings.filterwarnings("ignore", message=beginning)


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


_PLAIN = {
    *vars(logging.makeLogRecord({})),
    *("message", "asctime", "taskName"),
    *("instance_id", "function_name", "is_replaying"),  # of the SDK's filter
}
_MOST_EXTRA = 32 * 1024


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What the app has given as `extra`, as far as it can be sent."""
    found = {name: value for name, value in vars(record).items() if name not in _PLAIN}
    if not found:
        return {}
    text = json.dumps(found, default=str, skipkeys=True)
    is_short = len(text) <= _MOST_EXTRA
    return {"extra": json.loads(text, parse_constant=str) if is_short else "too long"}


class _HostHandler(logging.Handler):
    def __init__(self, send: Callable[[Frame], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        function, invocation_id, instance_id = invocation()
        try:
            text = self.format(record)
            header = {
                "type": "log",
                "level": record.levelno,
                "logger": record.name,
                "function": function,
                "invocationId": invocation_id,
                "instanceId": instance_id,
                **_extra(record),
            }
            self._send(Frame(header, text.encode("utf-8", "backslashreplace")))
        except Exception:  # as every handler: a record that cannot be written must not end the app
            self.handleError(record)
