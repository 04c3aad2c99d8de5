"""What a test with the test kit takes.

python benchmarks/kit.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost

HEADS = ["work", "whole test"]

app = df.DFApp()


@app.activity_trigger(input_name="number")
def step(number: int) -> int:
    return number + 1


@app.orchestration_trigger(context_name="context")
def month(context: Any) -> Any:
    number = 0
    for _ in range(50):
        number = yield context.call_activity("step", number)
    yield context.create_timer(context.current_utc_datetime + timedelta(days=30))
    for _ in range(50):
        number = yield context.call_activity("step", number)
    return number


@app.orchestration_trigger(context_name="context")
def fan_out(context: Any) -> Any:
    return len((yield context.task_all([context.call_activity("step", k) for k in range(1000)])))


def measure(orchestrator: str, expected: int, **options: Any) -> float:
    """Milliseconds from making the host to its end."""
    began = time.perf_counter()
    with DurableTestHost(app, **options) as host:
        assert host.start(orchestrator).result() == expected
    return 1000 * (time.perf_counter() - began)


def rows(rounds: int) -> Iterator[list[str]]:
    """A row for each test."""
    cases: list[tuple[str, str, int, dict[str, Any]]] = [
        ("30 days and a chain of 100 activities", "month", 100, {}),
        ("the same with strict_replay", "month", 100, {"strict_replay": True}),
        ("fan-out of 1 000", "fan_out", 1000, {}),
    ]
    for title, orchestrator, expected, options in cases:
        times = [measure(orchestrator, expected, **options) for _ in range(rounds + 1)][1:]
        yield [title, f"{statistics.median(times):.0f} ms"]


if __name__ == "__main__":
    for row in rows(7):
        print(*row, sep=": ")
