"""Resident memory of the host and its worker over many instances: it must stay where it is.

    python benchmarks/memory.py [INSTANCES]

Starts short chains over HTTP on the sample app and prints the resident memory of both processes
every 2,000 instances. Reads /proc, so it runs on Linux.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "local"))

from host_process import WEBHOOK, HostProcess, copy_app  # noqa: E402  # found above

STEP = 2000
SAMPLE = ROOT / "samples" / "function_chaining_v2"


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmRSS of {pid}")


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    path = f"{WEBHOOK}/orchestrators/chaining_orchestrator?timeout=60&pollingInterval=1"
    with (
        tempfile.TemporaryDirectory() as scratch,
        HostProcess(copy_app(SAMPLE, Path(scratch) / "app")) as host,
        ThreadPoolExecutor(16) as pool,
    ):
        print("instances   host MiB   worker MiB")
        for done in range(STEP, count + 1, STEP):
            replies = pool.map(lambda _: host.call("POST", path).status, range(STEP))
            assert set(replies) == {200}
            [worker] = children(host._process.pid)
            host_mib, worker_mib = resident_mib(host._process.pid), resident_mib(worker)
            print(f"{done:9}   {host_mib:8.1f}   {worker_mib:10.1f}", flush=True)


if __name__ == "__main__":
    main()
