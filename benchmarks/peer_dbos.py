"""The engine's figures with DBOS on a SQLite file, in the folder given.

Prints a JSON object: steps a second on chains and fan-out, milliseconds of one chain of 5.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS  # type: ignore[import-not-found,unused-ignore]


@DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
def nothing(value: int) -> int:
    return value


@DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
def chain(count: int) -> int:
    value = 0
    for _ in range(count):
        value = nothing(value)
    return value


@DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
def fan_out(count: int) -> int:
    queue = DBOS.retrieve_queue("steps")
    handles = [queue.enqueue(nothing, number) for number in range(count)]
    return len([handle.get_result() for handle in handles])


def main(folder: str) -> None:
    logging.disable(logging.CRITICAL)
    database = f"sqlite:///{Path(folder) / 'dbos.sqlite'}"
    config: Any = {"name": "bench", "system_database_url": database, "run_admin_server": False}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("steps")
    chain(1)
    began = time.perf_counter()
    handles = [DBOS.start_workflow(chain, 5) for _ in range(200)]
    assert [handle.get_result() for handle in handles] == [0] * 200
    chains = 1000 / (time.perf_counter() - began)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        chain(5)
        times.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    assert DBOS.start_workflow(fan_out, 200).get_result() == 200
    fanned = 200 / (time.perf_counter() - began)
    print(json.dumps({"chains": chains, "latency": statistics.median(times), "fan_out": fanned}))
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
