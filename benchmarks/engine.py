"""What the local engine does in a second, over HTTP, with everything on disk before it counts.

    python benchmarks/engine.py [--rounds N]

Each row is a host of its own with an empty store; shown are medians. The time of one flush to this
disk is measured beside them, as it bounds what `synchronous=FULL` can do. Below them stand two
peers, where `make peers` has installed them: durabletask's backend in memory, and DBOS on SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
from peers import environment
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "local"))

from host_process import WEBHOOK, HostProcess, copy_app  # noqa: E402  # found above

APP = HERE / "apps" / "engine"
CONFIGURATIONS = (
    ("in the host, FULL", ("--in-process",)),
    ("1 worker, FULL", ()),
    ("2 workers, FULL", ("--workers", "2")),
    ("1 worker, NORMAL", ("--synchronous", "NORMAL")),
    ("1 worker, FULL, sessions", ("--sessions",)),
)
PEERS = (
    ("durabletask 1.12, in memory", "durabletask"),
    ("DBOS, SQLite", "dbos"),
)


class Client:
    """Asks a host over connections that stay open."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self._base = base
        self._session = session

    async def run(self, orchestrator: str, count: int) -> object:
        """Start an instance and give its output when it has ended."""
        url = f"{self._base}/orchestrators/{orchestrator}?timeout=120&pollingInterval=1"
        async with self._session.post(url, json=count) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def start(self, orchestrator: str) -> None:
        """Start an instance."""
        async with self._session.post(f"{self._base}/orchestrators/{orchestrator}") as answer:
            assert answer.status == 202, answer.status

    async def count_pending(self) -> int:
        """How many instances have not had their first turn; counts one page at most."""
        url = f"{self._base}/instances?runtimeStatus=Pending&top=100"
        async with self._session.get(url) as answer:
            return len(await answer.json())

    async def signal(self, key: str) -> None:
        """Send an entity an operation."""
        async with self._session.post(f"{self._base}/entities/counter/{key}?op=add") as answer:
            assert answer.status == 202, answer.status

    async def state(self, key: str) -> int:
        """Of an entity; 0 if it does not exist."""
        async with self._session.get(f"{self._base}/entities/counter/{key}") as answer:
            return int(await answer.json()) if answer.status == 200 else 0


async def chains(client: Client) -> float:
    """Activities a second: 200 chains of 5, side by side."""
    began = time.perf_counter()
    outputs = await asyncio.gather(*(client.run("chain", 5) for _ in range(200)))
    assert outputs == [0] * 200
    return 1000 / (time.perf_counter() - began)


async def latency(client: Client) -> float:
    """Milliseconds that one chain of 5 takes, alone."""
    times: list[float] = []
    for _ in range(30):
        began = time.perf_counter()
        await client.run("chain", 5)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


async def fan_out(client: Client) -> float:
    """Activities a second: one instance that fans out to 1,000."""
    began = time.perf_counter()
    assert await client.run("fan_out", 1000) == 1000
    return 1000 / (time.perf_counter() - began)


async def signals(client: Client) -> float:
    """Signals a second to one entity, until all have counted."""
    began = time.perf_counter()
    await asyncio.gather(*(client.signal("one") for _ in range(1000)))
    while await client.state("one") < 1000:
        await asyncio.sleep(0.002)
    return 1000 / (time.perf_counter() - began)


async def long_chain(client: Client) -> float:
    """Seconds that one chain of 1,000 takes, alone."""
    began = time.perf_counter()
    assert await client.run("chain", 1000) == 0
    return time.perf_counter() - began


async def timers(client: Client) -> float:
    """Milliseconds that one chain of 5 takes while 10,000 instances wait for a timer."""
    waiting = [client.start("sleeper") for _ in range(10_000)]
    for first in range(0, len(waiting), 500):
        await asyncio.gather(*waiting[first : first + 500])
    while await client.count_pending():
        await asyncio.sleep(0.05)
    return await latency(client)


MEASURES: tuple[tuple[str, Callable[[Client], Awaitable[float]]], ...] = (
    ("200 chains of 5, activities/s", chains),
    ("one chain of 5, ms", latency),
    ("fan-out of 1 000, activities/s", fan_out),
    ("1 000 signals to an entity, signals/s", signals),
    ("chain of 1 000, s", long_chain),
    ("one chain of 5 beside 10 000 timers, ms", timers),
)
HEADS = ["engine", *(name for name, _ in MEASURES)]


async def measure(options: tuple[str, ...]) -> list[float]:
    """One round on a fresh host."""
    with (
        tempfile.TemporaryDirectory(dir=HERE.parent) as scratch,
        HostProcess(copy_app(APP, Path(scratch) / "app"), "--no-watch", *options) as host,
    ):
        connector = aiohttp.TCPConnector(limit=256)  # so that 200 chains are side by side
        async with aiohttp.ClientSession(connector=connector) as session:
            client = Client(f"{host.url}{WEBHOOK}", session)
            await asyncio.gather(*(client.run("chain", 1) for _ in range(20)))  # warms up
            return [await work(client) for _, work in MEASURES]


def measure_peer(name: str) -> list[float]:
    """One round of a peer; it does not do everything."""
    python = HERE.parent / f".venv-{name}" / "bin" / "python"
    with tempfile.TemporaryDirectory(dir=HERE.parent) as scratch:
        ran = subprocess.run(
            [str(python), str(HERE / f"peer_{name}.py"), scratch],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )
    found = json.loads(ran.stdout.splitlines()[-1])
    return [found["chains"], found["latency"], found["fan_out"]]


def rows(rounds: int) -> Iterator[list[str]]:
    """A row for each configuration and peer."""
    for name, options in CONFIGURATIONS:
        yield _row(name, [asyncio.run(measure(options)) for _ in range(rounds)])
    for name, venv in PEERS:
        if (HERE.parent / f".venv-{venv}" / "ready").exists():
            yield _row(name, [measure_peer(venv) for _ in range(rounds)])


def _row(name: str, found: list[list[float]]) -> list[str]:
    medians = [statistics.median(column) for column in zip(*found, strict=True)]
    told = [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in medians]
    return [name, *told, *[""] * (len(MEASURES) - len(told))]


def flush_milliseconds() -> float:
    """How long this disk takes to write 4 KiB for good."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=HERE) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    table = Table(*HEADS)
    for row in rows(parser.parse_args().rounds):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"one flush of this disk: {flush_milliseconds():.2f} ms")


if __name__ == "__main__":
    main()
