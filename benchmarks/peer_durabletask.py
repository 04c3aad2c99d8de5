"""The engine's figures with durabletask and its backend in memory; nothing is on disk.

Prints a JSON object: activities a second on chains and fan-out, milliseconds of one chain of 5.
"""

from __future__ import annotations

import json
import logging
import socket
import statistics
import time
from typing import Any

from durabletask import client as clients  # type: ignore[import-not-found,unused-ignore]
from durabletask import task as tasks
from durabletask import worker as workers
from durabletask.testing import create_test_backend


def nothing(context: Any, value: int) -> int:
    return value


def chain(context: Any, count: int) -> Any:
    value = 0
    for _ in range(count):
        value = yield context.call_activity(nothing, input=value)
    return value


def fan_out(context: Any, count: int) -> Any:
    waited = [context.call_activity(nothing, input=number) for number in range(count)]
    return len((yield tasks.when_all(waited)))


def main() -> None:
    logging.disable(logging.CRITICAL)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    backend = create_test_backend(port=port)
    address = f"localhost:{port}"
    worker = workers.TaskHubGrpcWorker(host_address=address)
    worker.add_orchestrator(chain)
    worker.add_orchestrator(fan_out)
    worker.add_activity(nothing)
    worker.start()
    client = clients.TaskHubGrpcClient(host_address=address)

    def start(function: Any, count: int) -> str:
        return str(client.schedule_new_orchestration(function, input=count))

    def result(instance_id: str) -> Any:
        state = client.wait_for_orchestration_completion(instance_id, timeout=120)
        return json.loads(state.serialized_output)

    def run(function: Any, count: int) -> Any:
        return result(start(function, count))

    run(chain, 1)
    began = time.perf_counter()
    # One wait at a time: many of them take all threads of the backend.
    started = [start(chain, 5) for _ in range(200)]
    assert [result(instance_id) for instance_id in started] == [0] * 200
    chains = 1000 / (time.perf_counter() - began)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        run(chain, 5)
        times.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    assert run(fan_out, 1000) == 1000
    fanned = 1000 / (time.perf_counter() - began)
    print(json.dumps({"chains": chains, "latency": statistics.median(times), "fan_out": fanned}))
    worker.stop()
    backend.stop()


if __name__ == "__main__":
    main()
