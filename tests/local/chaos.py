"""A storm of kills over a mixed load: `make chaos KILLS=1000`, a minute of it in `make check`.

Hosts and workers are killed (SIGKILL) at random moments. At the end every instance must have come
to its known end, no history may hold an event twice, and no acknowledged event may be missing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

from host_process import WEBHOOK, HostProcess, Reply, copy_app
from rich.progress import Progress

APP = Path(__file__).parent / "apps" / "chaos"
LISTENS = 4


@dataclass
class Expected:
    """An instance that was started, and what it must come to."""

    instance_id: str
    orchestrator: str
    given: Any
    output: Any
    events_acknowledged: list[int] = field(default_factory=list)
    """Words whose delivery the host has confirmed."""
    events_sent: int = 0


class Storm:
    """Load, kills and the reckoning."""

    def __init__(self, seed: int, folder: Path, workers: int) -> None:
        self._rng = random.Random(seed)
        # Half of the lives keep sessions: what one has begun the next one replays.
        sessions = {"AZURE_FUNCTIONS_DURABLE_SESSIONS": "0"}
        self._host = HostProcess(folder, "--workers", str(workers), settings=sessions)
        self._sessions = sessions
        self._instances: list[Expected] = []
        self.kills: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self._signals_sent = 0
        self._signals_acknowledged = 0

    def run(self, kills: int, seconds: float) -> None:
        self._host.start()
        end = time.monotonic() + seconds
        began = time.monotonic()
        with Progress() as progress:
            bar = progress.add_task("Killing", total=1.0)
            while sum(self.kills.values()) < kills and time.monotonic() < end:
                self._load(self._rng.uniform(0.05, 1.2))
                self._kill()
                elapsed = (time.monotonic() - began) / seconds
                progress.update(bar, completed=max(sum(self.kills.values()) / kills, elapsed))
        self._finish_events()

    def stop(self) -> None:
        self._host.stop()

    def _load(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            chance = self._rng.random()
            if chance < 0.45:
                self._start()
            elif chance < 0.6:
                self._signal()
            else:
                self._raise()
            time.sleep(0.02)

    def _kill(self) -> None:
        workers = self._workers()
        if workers and self._rng.random() < 0.4:
            os.kill(self._rng.choice(workers), signal.SIGKILL)
            self.kills["workers"] += 1
            return
        self._host.kill()
        self.kills["hosts"] += 1
        self._sessions["AZURE_FUNCTIONS_DURABLE_SESSIONS"] = self._rng.choice("01")
        self._host.start()

    def _workers(self) -> list[int]:
        """Process ids of the host's workers."""
        host = self._host._process.pid
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # it has ended in between
                if int(fields[1]) == host:
                    found.append(int(entry.name))
        return found

    def _ask(self, *arguments: Any) -> Reply | None:
        """A request; None if the connection broke and the outcome is not known."""
        try:
            reply = self._host.call(*arguments)
        except (URLError, HTTPException, OSError):
            self.requests["broken"] += 1
            return None
        self.requests["answered"] += 1
        return reply

    def _start(self) -> None:
        number = len(self._instances)
        given = self._rng.randrange(1, 12)
        orchestrator, output = self._rng.choice(
            [
                ("chain", given + 8),
                ("fan_out", sum(n * n for n in range(given))),
                ("parent", [given + 8, given + 9, given + 10]),
                ("sleeper", given),
                ("listener", list(range(LISTENS))),
                ("generations", 6),
                ("teller", 11 * given),
            ]
        )
        if orchestrator == "listener":
            given = LISTENS
        if orchestrator == "generations":
            given = 0
        expected = Expected(f"{orchestrator}-{number}", orchestrator, given, output)
        path = f"{WEBHOOK}/orchestrators/{orchestrator}/{expected.instance_id}"
        reply = self._ask("POST", path, given)
        while (
            reply is None
        ):  # it may have been stored: then a second start is refused or repeats it
            reply = self._ask("GET", f"{WEBHOOK}/instances/{expected.instance_id}")
            if reply is not None and reply.status == 404:
                reply = self._ask("POST", path, given)
        assert reply.status in (200, 202), reply
        self._instances.append(expected)

    def _signal(self) -> None:
        """One more for the tally that clients signal; without an answer it may count or not."""
        self._signals_sent += 1
        reply = self._ask("POST", f"{WEBHOOK}/entities/Tally/clients?op=add", 1)
        if reply is not None:
            assert reply.status == 202, reply
            self._signals_acknowledged += 1

    def _raise(self) -> None:
        listeners = [
            instance
            for instance in self._instances
            if instance.orchestrator == "listener" and instance.events_sent < LISTENS
        ]
        if listeners:
            self._raise_next(self._rng.choice(listeners))

    def _raise_next(self, listener: Expected) -> None:
        word = listener.events_sent
        path = f"{WEBHOOK}/instances/{listener.instance_id}/raiseEvent/word"
        reply = self._ask("POST", path, word)
        if reply is None:
            # Nobody knows whether it was stored: look before it is sent again.
            while (status := self._history(listener.instance_id)) is None:
                continue
            if word in status:
                listener.events_sent += 1
            return
        assert reply.status == 202, reply
        listener.events_acknowledged.append(word)
        listener.events_sent += 1

    def _history(self, instance_id: str) -> list[Any] | None:
        """Words that the instance has received; waits until it has taken all that is stored."""
        time.sleep(0.3)
        path = f"{WEBHOOK}/instances/{instance_id}?showHistory=true"
        reply = self._ask("GET", path)
        if reply is None or reply.json["runtimeStatus"] == "Pending":
            return None
        events = reply.json.get("historyEvents", [])
        return [json.loads(e["Input"]) for e in events if e["EventType"] == "EventRaised"]

    def _finish_events(self) -> None:
        for listener in self._instances:
            while listener.orchestrator == "listener" and listener.events_sent < LISTENS:
                self._raise_next(listener)

    def reckon(self) -> list[str]:
        """Everything that is not as it must be."""
        problems: list[str] = []
        for expected in self._instances:
            finished = self._host.finished(expected.instance_id)
            where = f"{expected.instance_id}({expected.given})"
            if (finished["runtimeStatus"], finished["output"]) != ("Completed", expected.output):
                problems.append(f"{where}: {finished['runtimeStatus']} {finished['output']!r:.300}")
            if expected.orchestrator != "listener":
                continue
            events = finished["historyEvents"]
            heard = [json.loads(e["Input"]) for e in events if e["EventType"] == "EventRaised"]
            lost = set(expected.events_acknowledged) - set(heard)
            if lost:
                problems.append(f"{where}: acknowledged but missing: {sorted(lost)}")
        problems += self._tally()
        problems += self._doubles()
        problems += [line for line in self._host.lines if re.search(r"Traceback|bug of", line)]
        return problems

    def _tally(self) -> list[str]:
        """Every acknowledged signal counts, and none counts twice."""
        least, most = self._signals_acknowledged, self._signals_sent
        counted, before = 0, -1
        while counted != before:  # the last signals may still be under way
            time.sleep(0.5)
            reply = self._host.call("GET", f"{WEBHOOK}/entities/tally/clients")
            before, counted = counted, reply.json if reply.status == 200 else 0
        is_right = least <= counted <= most
        return [] if is_right else [f"the tally is {counted}, not from {least} to {most}"]

    def _doubles(self) -> list[str]:
        """Ids that a stored history holds twice, as scheduled or as completed."""
        [store] = (self._host.folder / ".durable").glob("*.sqlite")
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        rows = connection.execute("SELECT instance_id, events FROM history").fetchall()
        connection.close()
        seen: Counter[tuple[str, str, int]] = Counter()
        for instance_id, text in ((row[0], text) for row in rows for text in row[1].split("\n")):
            event = json.loads(text)
            if event["EventId"] >= 0:
                seen[instance_id, "scheduled", event["EventId"]] += 1
            completes = event.get("TaskScheduledId", event.get("TimerId"))
            if completes is not None:
                seen[instance_id, "completed", completes] += 1
        return [f"twice in a history: {key}" for key, count in seen.items() if count > 1]

    @property
    def instances(self) -> Counter[str]:
        return Counter(instance.orchestrator for instance in self._instances)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(f"Kill storm with seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        storm = Storm(options.seed, copy_app(APP, Path(scratch) / "app"), options.workers)
        try:
            storm.run(options.kills, options.seconds)
            problems = storm.reckon()
        finally:
            storm.stop()
    print(f"kills: {dict(storm.kills)}; requests: {dict(storm.requests)}")
    print(f"instances: {dict(storm.instances)}")
    for problem in problems[:20]:
        print(f"  {problem}")
    print("everything came to its end" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
