"""``durable start`` as a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib import error, request

from furl import furl

WEBHOOK = "/runtime/webhooks/durabletask"
_LISTENING = re.compile(r"Listening on (http://\S+)")


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HostProcess:
    """A started host; its console is kept line by line."""

    def __init__(
        self, folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.url = ""
        self._arguments = arguments
        self._settings = settings or {}

    def __enter__(self) -> HostProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if raised is not None:
            print("\n".join(["The host printed:", *self.lines]))
        self.stop()

    def start(self) -> None:
        """Start the process; returns when it answers requests."""
        environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CI")}
        command = [sys.executable, "-m", "azure.durable_functions", "start", str(self.folder)]
        self._process = subprocess.Popen(
            [*command, "--port", "0", *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, **self._settings, "PYTHONUNBUFFERED": "1"},
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(30) or not self.url:
            self._process.kill()
            raise AssertionError("\n".join(["the host did not start:", *self.lines]))

    def stop(self) -> int:
        """End it as Ctrl-C does; gives the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._close()
        return status

    def kill(self) -> None:
        """End it as loss of power does."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Reply:
        """One HTTP request, to a path of the host or a whole URL; any status is a reply."""
        url = furl(path if path.startswith("http") else self.url + path)
        url.args.update(query or {})
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if body is not None else {}
        asked = request.Request(
            url.url, data=data, method=method, headers={**sent, **(headers or {})}
        )
        try:
            with request.urlopen(asked, timeout=60) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except error.HTTPError as refused:
            with refused:
                return Reply(refused.code, refused.headers, refused.read())

    def run(self, orchestrator: str, body: object = None) -> dict[str, Any]:
        """Start an instance, wait until it has ended, and give its status object."""
        started = self.call(
            "POST",
            f"{WEBHOOK}/orchestrators/{orchestrator}",
            body,
        )
        assert started.status == 202, started.body
        return self.finished(started.json["id"])

    def finished(self, instance_id: str) -> dict[str, Any]:
        """The status of an instance with its history, once it has ended."""
        for _ in range(600):
            reply = self.status(instance_id, showHistory=True, showHistoryOutput=True)
            if reply.status == 200:
                found: dict[str, Any] = reply.json
                return found
            threading.Event().wait(0.05)
        raise AssertionError(f"instance {instance_id} has not ended: {reply.body!r}")

    def until(self, holds: Callable[[], bool]) -> None:
        """Return as soon as something is so."""
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, "it has not become so within 30 s"
            threading.Event().wait(0.01)

    def status(self, instance_id: str, **query: object) -> Reply:
        return self.call("GET", f"{WEBHOOK}/instances/{instance_id}", query=query)

    def _read(self, ready: threading.Event) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            found = _LISTENING.search(line)
            if found:
                self.url = found[1]
                ready.set()
        ready.set()


def copy_app(source: Path, target: Path) -> Path:
    """An app folder without what earlier runs have left in it."""
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns(".durable", "__pycache__", "test_*.py")
    )
    return target
