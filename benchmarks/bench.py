"""`make bench`: measures SDK and engine, prints the tables and writes `results.md`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import engine
import kit
import replay
from peers import OFFICIAL
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.md"


def show(console: Console, title: str, heads: list[str], rows: Iterator[list[str]]) -> list[str]:
    """Print a table as it grows; gives it as lines of Markdown."""
    lines = [f"## {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    table = Table(*heads, title=title)
    for row in rows:
        told = " | ".join(cell for cell in row[1:] if cell)
        console.print(f"  {row[0]}: {told}", highlight=False)
        table.add_row(*row)
        lines.append(f"| {' | '.join(row)} |")
    console.print(table)
    return [*lines, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if not OFFICIAL.exists():
        print("the official package is not installed: make official", file=sys.stderr)
        return 1
    console = Console(width=150)
    used = ", ".join(
        f"{name} {version(name)}" for name in ("azure-functions", "aiohttp", "msgspec")
    )
    lines = [
        "# Measured",
        "",
        f"On {datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {used}, with `make bench`: {options.rounds} "
        "interleaved rounds, medians. What each row is: [performance.md](../docs/performance.md).",
        "",
        *show(console, "SDK", replay.HEADS, replay.rows(options.rounds)),
        *show(console, "Test kit", kit.HEADS, kit.rows(options.rounds)),
        *show(console, "Engine", engine.HEADS, engine.rows(min(3, options.rounds))),
        f"One flush of this disk takes {engine.flush_milliseconds():.2f} ms.",
        "",
    ]
    RESULTS.write_text("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
