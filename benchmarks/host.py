"""How long the local host takes to its first answer, and how much memory it and its workers hold.

    python benchmarks/host.py [ROUNDS]

Starts ``durable start`` on the sample app as a user does, each time with an empty store, sends
requests until one is answered, then lets everything rest and reads /proc (so it runs on Linux).
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import SAMPLE, children, resident_mib

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "local"))

from host_process import copy_app  # noqa: E402  # found above

MOST_SECONDS, MOST_HOST_MIB, MOST_WORKER_MIB = 0.9, 50, 45


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether a request is answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return client.recv(12) == b"HTTP/1.1 404"
    except OSError:
        return False


def measure(*options: str) -> tuple[float, float, float]:
    """Seconds to the first answer, MiB of the host, MiB of its largest worker."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_app(SAMPLE, Path(scratch) / "app")
        command = [str(Path(sys.executable).parent / "durable"), "start", str(folder)]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--port", str(port), *options], stdout=subprocess.DEVNULL
        )
        try:
            while not answers(port):
                time.sleep(0.002)
            took = time.perf_counter() - began
            time.sleep(2)
            workers = [resident_mib(child) for child in children(process.pid)]
            return took, resident_mib(process.pid), max(workers)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print("workers   first answer   host MiB   worker MiB   (medians)")
    for workers in (1, 2):
        found = [measure("--workers", str(workers)) for _ in range(rounds)]
        seconds, host_mib, worker_mib = (
            statistics.median(column) for column in zip(*found, strict=True)
        )
        print(f"{workers:7}   {seconds:10.3f} s   {host_mib:8.1f}   {worker_mib:10.1f}")
    print(
        f"wanted: at most {MOST_SECONDS} s, {MOST_HOST_MIB} MiB, {MOST_WORKER_MIB} MiB and the app"
    )


if __name__ == "__main__":
    main()
