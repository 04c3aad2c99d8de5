"""`make demo`: a workflow that survives the death of its host.

Starts the local host on the chaining sample with slow steps, starts an instance over HTTP, kills
the host in the middle of it, starts the host again, and shows the instance coming to its end. Exit
status 0 only if its output is right.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

SAMPLE = Path(__file__).parent / "function_chaining"
WEBHOOK = "/runtime/webhooks/durabletask"
EXPECTED = ["One", "Two", "Three"]
STEP_SECONDS = "1"


def say(text: str) -> None:
    print(f"\n>>> {text}", flush=True)


class Host:
    """`durable start` in a process of its own; what it prints is shown."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "azure.durable_functions", "start", str(folder)]
        self._process = subprocess.Popen(
            [*command, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "STEP_SECONDS": STEP_SECONDS, "PYTHONUNBUFFERED": "1"},
        )
        self._ready = threading.Event()
        self.url = ""
        threading.Thread(target=self._show, daemon=True).start()
        if not self._ready.wait(60) or not self.url:
            self.kill()
            sys.exit("the host did not start; see its output above")

    def _show(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(f"    {line}", end="", flush=True)
            listening = re.search(r"Listening on (http://\S+)", line)
            if listening:
                self.url = listening[1]
                self._ready.set()
        self._ready.set()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def request(self, method: str, path: str) -> Any:
        with urlopen(Request(self.url + path, method=method), timeout=30) as answer:
            return json.load(answer)

    def status(self, instance_id: str) -> Any:
        query = "?showHistory=true&showHistoryOutput=true"
        return self.request("GET", f"{WEBHOOK}/instances/{instance_id}{query}")


def steps_done(status: Any) -> int:
    return sum(event["EventType"] == "TaskCompleted" for event in status.get("historyEvents", ()))


def watch(host: Host, instance_id: str, *, until_steps: int | None = None) -> Any:
    """Show the status whenever it changes, until the instance has ended or come so far."""
    shown = None
    while True:
        status = host.status(instance_id)
        line = f"{status['runtimeStatus']}, {steps_done(status)} of {len(EXPECTED)} steps done"
        if line != shown:
            print(f"    {line}", flush=True)
            shown = line
        if status["runtimeStatus"] not in ("Pending", "Running"):
            return status
        if until_steps is not None and steps_done(status) >= until_steps:
            return status
        time.sleep(0.1)


def show_timeline(status: Any) -> None:
    say("Its timeline:")
    for event in status["historyEvents"]:
        name = event.get("FunctionName") or ""
        result = json.dumps(event["Result"]) if event.get("Result") is not None else ""
        print(f"    {event['Timestamp'][11:23]:13}{event['EventType']:20} {name:22} {result}")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "function_chaining"
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns(".durable", "__pycache__"))

        say(f"Starting the local host on samples/{SAMPLE.name}; each step takes a second.")
        host = Host(folder)
        try:
            say("Starting an instance: POST /api/orchestrators/DurableOrchestration")
            started = host.request("POST", "/api/orchestrators/DurableOrchestration")
            print(f"    its id is {started['id']}")
            watch(host, started["id"], until_steps=1)

            say("Killing the host (SIGKILL) while the second step is running.")
            host.kill()
            say("Starting it again.")
            host = Host(folder)
            say("The instance goes on where it was:")
            status = watch(host, started["id"])
            show_timeline(status)
        finally:
            host.stop()

    say(f"{status['runtimeStatus']} with the output {json.dumps(status['output'])}")
    if status["runtimeStatus"] == "Completed" and status["output"] == EXPECTED:
        print("    Nothing was lost.\n")
        return 0
    print(f"    Expected {json.dumps(EXPECTED)}: something is wrong.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
