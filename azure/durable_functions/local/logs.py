"""What appears on the console. Source: host.md 5.5, 11.2, 11.3."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone

from azure.durable_functions.local.worker.link import Frame

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_RESET = "\x1b[0m"


class ConsoleFormatter(logging.Formatter):
    """``[2024-05-01T12:00:00.123Z] text``; coloured by level on a terminal only."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it if there is one."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        line = f"[{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z] {text}"
        colour = _COLOURS.get(record.levelno)
        return f"{colour}{line}{_RESET}" if self._is_terminal and colour else line


def configure(*, is_verbose: bool) -> None:
    """Send log records to the console: the host's from warnings up, user code's from info up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ConsoleFormatter(is_terminal=sys.stdout.isatty()))
    logging.getLogger("azure.durable_functions.local").setLevel(
        logging.DEBUG if is_verbose else logging.INFO
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def show_user_record(frame: Frame) -> None:
    """Print a log record that user code wrote in a worker."""
    header = frame.header
    name = f"Function.{header['function']}.User" if header["function"] else header["logger"]
    level = int(header["level"])
    # azure-functions tells at every start that its codec could be used otherwise: not the app's.
    least = logging.WARNING if str(header["logger"]).startswith("azure.functions") else logging.INFO
    if level >= least:
        user_logger = logging.getLogger(name)
        record = user_logger.makeRecord(
            name, level, "", 0, "%s", (frame.payload.decode("utf-8", "replace"),), None
        )
        for handler in logging.getLogger().handlers:
            handler.handle(record)
