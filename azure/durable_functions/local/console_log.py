"""Writes log records to the console and the log file. Source: host.md 5.5, 11.2, 11.3.

Every record has a category, named as in the Functions host: ``Function.NAME.User`` for the app's
own records, ``Function.NAME`` for its invocations, ``Host.Triggers.DurableTask`` for the host.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.worker.link import Frame

HOST_CATEGORY = "Host.Triggers.DurableTask"
_OURS = "azure.durable_functions.local"
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_LEVEL_NAMES = {
    logging.DEBUG: "Debug",
    logging.INFO: "Information",
    logging.WARNING: "Warning",
    logging.ERROR: "Error",
    logging.CRITICAL: "Critical",
}
_RESET = "\x1b[0m"
_MEMBERS = {
    "instance_id": "instanceId",
    "function_name": "functionName",
    "invocation_id": "invocationId",
    "user_extra": "extra",
}
"""Attributes of records, and their names as JSON members."""
_LOGGER = "user_logger"
"""The attribute with the logger's name in the app."""
_LARGEST_FILE = 50 * 1024 * 1024
_NUMBERS = (1, 2, 3)
"""Suffixes of rotated files, newest first."""


@dataclass(frozen=True)
class LogOptions:
    """The options of the command line about log lines."""

    is_verbose: bool = False
    user_level: int | None = None
    as_json: bool = False
    json_file: Path | None = None
    names_instances: bool = True
    """Whether text lines about an instance end with its ID."""


@dataclass
class Levels:
    """The lowest level that is shown for each category."""

    options: LogOptions = field(default_factory=LogOptions)
    configured: Mapping[str, int] = field(default_factory=dict[str, int])
    """``logging.logLevel`` of host.json."""
    _known: dict[str, int] = field(default_factory=dict[str, int], init=False)

    def of(self, category: str) -> int:
        """Returns the level of the longest prefix in host.json, else the default (host.md 11.3)."""
        if category not in self._known:
            self._known[category] = self._find(category)
        return self._known[category]

    def _find(self, category: str) -> int:
        is_user = category.endswith(".User")
        if is_user and self.options.user_level is not None:
            return self.options.user_level
        lower = category.lower()
        prefixes = [name for name in self.configured if lower.startswith(name.lower())]
        if prefixes:
            return self.configured[max(prefixes, key=len)]
        default = next((v for k, v in self.configured.items() if k.lower() == "default"), 20)
        if category.startswith("Function."):
            return default
        return min(default, logging.DEBUG) if self.options.is_verbose else logging.WARNING


def category_of(logger_name: str) -> str:
    """Returns the category of a logger."""
    return HOST_CATEGORY if logger_name.startswith(_OURS) else logger_name


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def _harmless(text: str) -> str:
    """Escapes text so that it cannot control a terminal or look like another record."""
    if _CONTROLS.search(text):
        text = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
    return text.replace("\n[", "\n  [")


class ConsoleFormatter(logging.Formatter):
    """``[2024-05-01T12:00:00.123Z] text [instance]``, coloured by level on a terminal."""

    def __init__(self, *, is_terminal: bool, names_instances: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._names_instances = names_instances

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line, followed by the traceback if there is one."""
        text = _text(self, record)
        instance_id = getattr(record, "instance_id", None)
        if instance_id is not None and self._names_instances:
            first, line_break, rest = text.partition("\n")
            text = f"{first} [{instance_id}]{line_break}{rest}"
        line = f"[{_moment(record)}] {_harmless(text)}"
        colour = _COLOURS.get(record.levelno)
        return f"{colour}{line}{_RESET}" if self._is_terminal and colour else line


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # it is not generic in Python 3.10


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, category, logger, message, and its subject."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the object as JSON."""
        shown: dict[str, Any] = {
            "time": _moment(record),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname),
            "category": category_of(record.name),
            "logger": getattr(record, _LOGGER, record.name),
            "message": _text(self, record),
        }
        for attribute, name in _MEMBERS.items():
            value = getattr(record, attribute, None)
            if value is not None:
                shown[name] = value
        return json.dumps(shown, ensure_ascii=False)


class _BufferedHandler(_StreamHandler):
    """Writes all records of one iteration of the host's event loop at its end, in one write.

    Every write wakes the reader of the output: with one write per record, the four lines of a step
    of a chain took a third of its time. Other threads write at once, after what is buffered.
    """

    host_loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, stream: TextIO, *, closes: bool = False) -> None:
        super().__init__(stream)
        self._closes = closes
        self._buffered: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._buffered.append(f"{self.format(record)}{self.terminator}")
            loop = self._running_host_loop()
            if loop is None:
                self.flush()
            elif len(self._buffered) == 1:
                loop.call_soon(self._flush_later, record)
        except Exception:  # as in every handler: a failed write must not stop the host
            self.handleError(record)

    def flush(self) -> None:
        self.acquire()
        try:
            buffered, self._buffered = self._buffered, []
            if buffered:
                self._write("".join(buffered))
            super().flush()
        finally:
            self.release()

    def close(self) -> None:
        if self._closes:
            self.flush()
            self.stream.close()
        super().close()

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:  # half a surrogate pair must not lose the other lines
            encoding = self.stream.encoding or "utf-8"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def _flush_later(self, first: logging.LogRecord) -> None:
        try:
            self.flush()
        except Exception:
            self.handleError(first)

    def _running_host_loop(self) -> asyncio.AbstractEventLoop | None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        return loop if loop is self.host_loop else None


class _RotatingFile(_BufferedHandler):
    """A file that is rotated when it is large: FILE.1 is the newest old file, FILE.3 the oldest.

    The records of one iteration of the event loop always go to the same file.
    """

    def __init__(self, path: Path, largest: int = _LARGEST_FILE) -> None:
        super().__init__(path.open("a", encoding="utf-8"), closes=True)
        self._path = path
        self._largest = largest

    def flush(self) -> None:
        self.acquire()
        try:
            super().flush()
            if self.stream.tell() > self._largest:
                self._rotate()
        finally:
            self.release()

    def _rotate(self) -> None:
        """Continues in a new file, or in the same one if it cannot be renamed."""
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in _NUMBERS)]
        self.stream.close()
        try:
            for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                if newer.exists():
                    newer.replace(older)
        except OSError as error:
            print(f"The log file {self._path} cannot be rotated: {error}", file=sys.stderr)
        self.stream = self._path.open("a", encoding="utf-8")


class Console:
    """The host's output: log records, and the lines of its start."""

    def __init__(self, options: LogOptions) -> None:
        """Sends the log records of this process to the console from now on.

        Raises:
            SettingsError: The log file cannot be written.
        """
        self.levels = Levels(options)
        self._as_json = options.as_json
        handler = _BufferedHandler(sys.stdout)
        handler.setFormatter(
            JsonFormatter()
            if options.as_json
            else ConsoleFormatter(
                is_terminal=sys.stdout.isatty(), names_instances=options.names_instances
            )
        )
        self._handlers: list[_BufferedHandler] = [handler]
        if options.json_file is not None:
            try:
                file = _RotatingFile(options.json_file)
            except OSError as error:
                raise SettingsError(f"cannot write the log file: {error}") from None
            file.setFormatter(JsonFormatter())
            self._handlers.append(file)
        for each in self._handlers:
            each.addFilter(self._is_shown)
        # Not the root logger: with --in-process it belongs to the app.
        for name in (_OURS, "Function", "asyncio", "aiohttp"):
            source = logging.getLogger(name)
            source.propagate = False
            for each in self._handlers:
                source.addHandler(each)
        self.configure({})

    @property
    def is_verbose(self) -> bool:
        """Whether all of the host's log lines are shown."""
        return self.levels.options.is_verbose

    def buffer(self) -> None:
        """Writes the records of each iteration of the running event loop together, from now on."""
        for handler in self._handlers:
            handler.host_loop = asyncio.get_running_loop()

    def configure(self, levels: Mapping[str, int]) -> None:
        """Applies the levels of host.json."""
        self.levels = Levels(self.levels.options, levels)
        shown = [*levels.values(), self.levels.of("Function."), self.levels.of(HOST_CATEGORY)]
        for name in (_OURS, "Function"):
            # Records that no category shows are not even formatted.
            logging.getLogger(name).setLevel(min(shown))

    def say(self, line: str) -> None:
        """Writes a line of the start at once, also to a file or a pipe."""
        record = logging.LogRecord("Host.Startup", logging.INFO, "", 0, line.strip(), (), None)
        console, *files = self._handlers
        if self._as_json:
            console.emit(record)
        else:
            console.flush()
            print(line, file=console.stream, flush=True)
        for file in files:
            file.emit(record)
        for handler in self._handlers:
            handler.flush()

    def show_user_record(self, frame: Frame) -> None:
        """Writes a log record of user code in a worker."""
        header = frame.header
        source = str(header["logger"])
        function = header["function"]
        name = f"Function.{function}.User" if function else f"Function.{source}.User"
        level = int(header["level"])
        # azure-functions logs at each start which codec it uses; that helps nobody.
        if level < logging.WARNING and source.startswith("azure.functions"):
            return
        if level < self.levels.of(name):
            return
        text = frame.payload.decode("utf-8", "replace")
        record = logging.LogRecord(name, level, "", 0, "%s", (text,), None)
        record.instance_id = header.get("instanceId")
        record.function_name = function
        record.invocation_id = header["invocationId"]
        record.user_extra = header.get("extra")
        record.user_logger = source
        for handler in self._handlers:
            handler.handle(record)

    def _is_shown(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self.levels.of(category_of(record.name))


def _moment(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{formatter.formatException(record.exc_info)}"
    return text
