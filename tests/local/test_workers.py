"""User code in its own process: what happens when one of the two sides is gone."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess, copy_app

SAMPLES = Path(__file__).parent.parent.parent / "samples"
PROBE = """
import os

@app.activity_trigger(input_name="seconds")
def worker_id(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()

@app.activity_trigger(input_name="path")
def dies_once(path: str) -> str:
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), 9)
    return "survived"

@app.activity_trigger(input_name="nothing")
def always_dies(nothing) -> None:
    os.kill(os.getpid(), 9)

@app.orchestration_trigger(context_name="context")
def ask(context):
    name, given = context.get_input()
    return (yield context.call_activity(name, given))
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = copy_app(SAMPLES / "function_chaining_v2", tmp_path / "app")
    with (folder / "function_app.py").open("a") as script:
        script.write(PROBE)
    return folder


def is_alive(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(process_id: int) -> bool:
    for _ in range(200):
        if not is_alive(process_id):
            return True
        threading.Event().wait(0.05)
    return False


def test_a_killed_host_leaves_no_worker_and_loses_nothing(app: Path) -> None:
    host = HostProcess(app)
    host.start()
    worker = host.run("ask", ["worker_id", 0])["output"]
    started = host.call("POST", f"{WEBHOOK}/orchestrators/ask", ["worker_id", 0.2])

    host.kill()

    assert wait_until_gone(worker)
    with HostProcess(app) as again:
        finished = again.finished(started.json["id"])
        assert re.search(r"1 unfinished instance", "\n".join(again.lines))
    assert finished["runtimeStatus"] == "Completed"
    assert finished["output"] != worker


def test_a_killed_worker_is_replaced_and_its_work_repeated(app: Path, tmp_path: Path) -> None:
    with HostProcess(app) as host:
        finished = host.run("ask", ["dies_once", str(tmp_path / "died")])

    assert finished["output"] == "survived"
    assert any("has ended; starting another one" in line for line in host.lines)


def test_an_activity_that_kills_three_workers_fails(app: Path) -> None:
    with HostProcess(app) as host:
        finished = host.run("ask", ["always_dies", None])
        after = host.run("chaining_orchestrator")

    assert finished["runtimeStatus"] == "Failed"
    assert (
        "Activity function 'always_dies' failed: it has ended 3 worker processes"
        in (finished["output"])
    )
    assert after["output"] == ["One", "Two", "Three"]


def test_in_process_runs_the_app_inside_the_host(app: Path) -> None:
    with HostProcess(app, "--in-process") as host:
        process = host.run("ask", ["worker_id", 0])["output"]
        os.kill(process, signal.SIGTERM)
        status = host.stop()

    assert status == 0


def test_a_stopped_host_ends_with_status_zero(app: Path) -> None:
    host = HostProcess(app)
    host.start()
    worker = host.run("ask", ["worker_id", 0])["output"]

    assert host.stop() == 0
    assert wait_until_gone(worker)
