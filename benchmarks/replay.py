"""Replay beside the official package: `make bench`.

Both packages run in interpreters of their own, in one run, rounds interleaved; results are compared
before anything is timed; shown are medians and medians of paired ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parent
OFFICIAL = ROOT / ".venv-official" / "bin" / "python"
BEGINNING = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)

CASES: list[tuple[str, str, int, int]] = [
    ("chain", "chain, n = 10", 10, 100),
    ("chain", "chain, n = 1 000", 1000, 100),
    ("chain", "chain, n = 10 000", 10_000, 100),
    ("chain", "chain, n = 1 000, 10 KiB payloads", 1000, 10_240),
    ("fan_out", "fan-out, n = 1 000", 1000, 100),
    ("fan_out", "fan-out, n = 10 000", 10_000, 100),
    ("any_loop", "task_any over a shrinking list, n = 1 000", 1000, 100),
    ("events", "events, n = 1 000", 1000, 100),
]


class Peer:
    """One package in one interpreter."""

    def __init__(self, python: Path, expected: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(HERE / "replay_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        where = Path(json.loads(self._read())).resolve()
        assert expected.resolve() in where.parents, where

    def time(self, case: str, triggers: list[str], *, floor: bool = False) -> tuple[float, str]:
        """Seconds per trigger, and the answers' hash."""
        assert self._process.stdin is not None
        asked = {"case": case, "triggers": triggers, "floor": floor}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        seconds, digest = json.loads(self._read())
        return seconds, digest

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def trigger(case: str, count: int, size: int, salt: int) -> str:
    """A finished instance of a case; the salt makes every text a new one."""
    history: list[dict[str, Any]] = []
    now = BEGINNING + timedelta(microseconds=salt)

    def event(kind: int, event_id: int = -1, **fields: Any) -> None:
        stamp = f"{now:%Y-%m-%dT%H:%M:%S.%f}1Z"
        common = {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp}
        history.append({**common, **fields})

    def completion(k: int) -> None:
        payload = json.dumps(f"{salt}-{k}".ljust(size, "x"))
        if case == "events":
            event(15, Name=f"event{k}", Input=payload)
        else:
            event(5, TaskScheduledId=k, Result=payload)

    event(12)
    event(0, Name=case, Version="", Input=json.dumps(str(count)))
    at_once = case in ("fan_out", "any_loop")
    if at_once:
        for k in range(count):
            event(4, k, Name="step")
        event(13)
    for k in range(count):
        if not at_once:
            if case == "chain":
                event(4, k, Name="step")
            event(13)
        if not at_once or k % 50 == 0:
            now += timedelta(milliseconds=7)
            event(12)
        completion(k)
    return json.dumps(
        {
            "history": history,
            "input": str(count),
            "instanceId": f"instance-{salt}",
            "isReplaying": True,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
        }
    )


def salts() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


def measure(
    ours: Peer, official: Peer, case: tuple[str, str, int, int], rounds: int, salt: Iterator[int]
) -> list[str]:
    kind, title, count, size = case
    repeats = max(1, 300 // count)
    check = [trigger(kind, count, size, next(salt))]
    assert ours.time(kind, check)[1] == official.time(kind, check)[1], f"{title}: results differ"
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        texts = [[trigger(kind, count, size, next(salt)) for _ in range(repeats)] for _ in range(3)]
        times.append(
            (
                ours.time(kind, texts[0])[0],
                official.time(kind, texts[1])[0],
                ours.time(kind, texts[2], floor=True)[0],
            )
        )
    own, theirs, least = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        title,
        f"{theirs * 1e3:.2f} ms",
        f"{own * 1e3:.2f} ms",
        f"{statistics.median(b / a for a, b, _ in times):.1f}x",
        f"{least * 1e3:.2f} ms",
        f"{statistics.median(a / c for a, _, c in times):.2f}x",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if not OFFICIAL.exists():
        print("the official package is not installed: make official", file=sys.stderr)
        return 1
    ours = Peer(Path(sys.executable), ROOT / "azure")
    official = Peer(OFFICIAL, OFFICIAL.parent.parent)
    salt = salts()
    heads = ["work", "official 1.7.0", "ours", "faster", "floor", "ours / floor"]
    rows = [measure(ours, official, case, options.rounds, salt) for case in CASES]
    ours.close()
    official.close()
    table = Table(*heads, title="One replay of a finished instance")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# Replay",
        "",
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d} ({machine}) with `make bench`, "
        f"{options.rounds} interleaved rounds, medians.",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    (HERE / "results.md").write_text("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
