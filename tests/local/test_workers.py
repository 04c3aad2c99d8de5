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

@app.activity_trigger(input_name="path")
def writes_into_the_wrong_descriptor_once(path: str) -> str:
    if not os.path.exists(path):
        open(path, "w").close()
        for number in range(3, 21):
            try:
                os.write(number, bytes.fromhex("deadbeef") * 1000)
            except OSError:
                pass
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
    assert any("exited unexpectedly; starting a replacement" in line for line in host.lines)


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


def test_a_burst_is_spread_over_the_workers(app: Path) -> None:
    with (app / "function_app.py").open("a") as script:
        script.write(
            """
@app.orchestration_trigger(context_name="context")
def burst(context):
    return (yield context.task_all([context.call_activity("worker_id", 0.1) for _ in range(8)]))
"""
        )
    with HostProcess(app, "--workers", "2") as host:
        used = host.run("burst")["output"]
        assert sorted(used.count(worker) for worker in set(used)) == [4, 4]


def test_in_process_runs_the_app_inside_the_host(app: Path) -> None:
    with HostProcess(app, "--in-process") as host:
        process = host.run("ask", ["worker_id", 0])["output"]
        os.kill(process, signal.SIGTERM)  # one: a second one would end it at once
        status = host._process.wait(20)

    assert status == 0


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_an_app_finds_its_modules_and_those_of_pythonpath(tmp_path: Path, safe_path: str) -> None:
    app, elsewhere = tmp_path / "app", tmp_path / "elsewhere"
    for folder, module in ((app, "beside"), (elsewhere, "apart")):
        folder.mkdir()
        (folder / f"{module}.py").write_text("")
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "function_app.py").write_text(
        "import apart, beside\n"
        "import azure.durable_functions as df\n"
        "app = df.DFApp()\n"
        "@app.orchestration_trigger(context_name='context')\n"
        "def there(context):\n"
        "    return context.get_input()\n"
        "    yield\n"
    )
    settings = {"PYTHONPATH": str(elsewhere), "PYTHONSAFEPATH": safe_path}
    with HostProcess(app, settings=settings) as host:
        assert host.run("there", 1)["output"] == 1


def test_a_stopped_host_ends_with_status_zero(app: Path) -> None:
    host = HostProcess(app)
    host.start()
    worker = host.run("ask", ["worker_id", 0])["output"]

    assert host.stop() == 0
    assert wait_until_gone(worker)


ODDITIES = """
import asyncio
import re

@app.activity_trigger(input_name="kind")
def sync_oddity(kind: str):
    if kind == "stop iteration":
        next(iter([]))
    if kind == "system exit":
        raise SystemExit(3)
    if kind == "no text":
        class Silent(Exception):
            def __str__(self):
                raise RuntimeError("no words")
        raise Silent()

@app.activity_trigger(input_name="nothing")
async def cancelled(nothing) -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task

@app.activity_trigger(input_name="orchestrator")
@app.durable_client_input(client_name="client")
async def starts(orchestrator: str, client) -> str:
    return await client.start_new(orchestrator, "started-by-an-activity")

@app.activity_trigger(input_name="nothing")
def holds_the_interpreter(nothing) -> None:
    re.match(r"(a+)+$", "a" * 40 + "b")

@app.orchestration_trigger(context_name="context")
def kills_its_worker(context):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def odd_app(app: Path) -> Path:
    with (app / "function_app.py").open("a") as script:
        script.write(ODDITIES)
    return app


def test_whatever_a_function_raises_is_answered(odd_app: Path) -> None:
    with HostProcess(odd_app) as host:
        outputs = {
            kind: host.run("ask", ["sync_oddity", kind])["output"]
            for kind in ("stop iteration", "system exit", "no text")
        }
        outputs["cancelled"] = host.run("ask", ["cancelled", None])["output"]

    assert "RuntimeError: the function raised StopIteration" in outputs["stop iteration"]
    assert "SystemExit: 3" in outputs["system exit"]
    assert "Silent: <its text cannot be had" in outputs["no text"]
    assert "CancelledError" in outputs["cancelled"]


def test_an_activity_may_use_the_durable_client(odd_app: Path) -> None:
    with HostProcess(odd_app) as host:
        started = host.run("ask", ["starts", "chaining_orchestrator"])
        finished = host.finished("started-by-an-activity")

    assert started["output"] == "started-by-an-activity"
    assert finished["output"] == ["One", "Two", "Three"]


def test_who_only_stood_beside_a_killer_does_not_fail(odd_app: Path) -> None:
    with HostProcess(odd_app) as host:
        neighbour = host.call("POST", f"{WEBHOOK}/orchestrators/ask", ["worker_id", 1.0])
        killer = host.run("ask", ["always_dies", None])
        finished = host.finished(neighbour.json["id"])

    assert killer["runtimeStatus"] == "Failed"
    assert finished["runtimeStatus"] == "Completed"


def test_an_orchestrator_that_kills_three_workers_fails(odd_app: Path) -> None:
    with HostProcess(odd_app) as host:
        finished = host.run("kills_its_worker")

    assert finished["output"] == (
        "Orchestrator function 'kills_its_worker' failed: its code has ended 3 worker processes, "
        "one at each try"
    )


TROUBLE_BEHIND_ACTIVITIES = """
def _note(path):
    with open(path, "a") as notes:
        notes.write("x")

@app.activity_trigger(input_name="path")
def note(path: str) -> None:
    _note(path)

@app.activity_trigger(input_name="path")
async def note_async(path: str) -> None:
    _note(path)

@app.orchestration_trigger(context_name="context")
def in_trouble_once(context):
    activity, path, trouble = context.get_input()
    yield context.call_activity(activity, path)
    if not os.path.exists(path + "-before"):
        _note(path + "-before")
        if trouble == "dies":
            os.kill(os.getpid(), 9)
        time.sleep(30)
    return open(path).read()
"""


@pytest.mark.parametrize("trouble", ["dies", "hangs"])
@pytest.mark.parametrize(
    ("activity", "options"), [("note", []), ("note_async", []), ("note", ["--sessions"])]
)
def test_an_activity_is_not_blamed_for_what_its_worker_runs_next(
    app: Path, tmp_path: Path, activity: str, options: list[str], trouble: str
) -> None:
    """The worker goes on by itself; the activity has ended then, and stays so."""
    (app / "host.json").write_text('{"version": "2.0", "functionTimeout": "00:00:01"}')
    with (app / "function_app.py").open("a") as script:
        script.write(TROUBLE_BEHIND_ACTIVITIES)
    with HostProcess(app, *options) as host:
        given = [activity, str(tmp_path / "notes"), trouble]
        finished = host.run("in_trouble_once", given)

    assert finished["output"] == "x"
    executed = [line for line in host.lines if "Executed 'Functions." in line]
    outcomes = [re.sub(r".*Functions\.(\w+)' \((\w+),.*", r"\1 \2", line) for line in executed]
    assert outcomes == [
        "in_trouble_once Succeeded",
        f"{activity} Succeeded",
        "in_trouble_once Failed",
        "in_trouble_once Succeeded",
    ]


LOGGING_BEHIND_ACTIVITIES = """
import logging

@app.activity_trigger(input_name="value")
async def pass_async(value: str) -> None:
    pass

@app.activity_trigger(input_name="value")
def pass_sync(value: str) -> None:
    pass

@app.orchestration_trigger(context_name="context")
def notes(context):
    for number in range(4):
        logging.info("step %s", number)
        yield context.call_activity(context.get_input(), number)
"""


@pytest.mark.parametrize("activity", ["pass_sync", "pass_async"])
def test_what_an_episode_behind_an_activity_logs_stands_between_its_own_lines(
    app: Path, activity: str
) -> None:
    with (app / "function_app.py").open("a") as script:
        script.write(LOGGING_BEHIND_ACTIVITIES)
    with HostProcess(app) as host:
        host.run("notes", activity)

    matches = (re.search(r"Execut\w+ 'Functions\.notes'|step \d", line) for line in host.lines)
    lines = [found[0] for found in matches if found]
    begins, ends = "Executing 'Functions.notes'", "Executed 'Functions.notes'"
    told = [line for number in range(4) for line in (begins, f"step {number}", ends)]
    assert lines == [*told, begins, ends]


def test_code_that_never_lets_go_ends_with_the_host(odd_app: Path) -> None:
    host = HostProcess(odd_app)
    host.start()
    worker = host.run("ask", ["worker_id", 0])["output"]
    host.call("POST", f"{WEBHOOK}/orchestrators/ask", ["holds_the_interpreter", None])
    while host.call("GET", f"{WEBHOOK}/instances", query={"runtimeStatus": "Running"}).json == []:
        continue

    host.kill()

    assert wait_until_gone(worker)


def test_a_function_beyond_its_time_out_fails_and_the_host_goes_on(app: Path) -> None:
    host_json = app / "host.json"
    host_json.write_text('{"version": "2.0", "functionTimeout": "00:00:01"}')
    with HostProcess(app) as host:
        finished = host.run("ask", ["worker_id", 30])
        after = host.run("chaining_orchestrator")

    assert finished["runtimeStatus"] == "Failed"
    assert (
        "Timeout value of 00:00:01 was exceeded by function: Functions.worker_id"
        in (finished["output"])
    )
    assert after["runtimeStatus"] == "Completed"


def test_a_worker_that_no_longer_loads_is_reported_and_tried_again(app: Path) -> None:
    script = app / "function_app.py"
    whole = script.read_text()
    with HostProcess(app) as host:
        worker = host.run("ask", ["worker_id", 0])["output"]
        script.write_text("import no_such_module\n")
        os.kill(worker, signal.SIGKILL)
        while not any("no_such_module" in line for line in host.lines):
            threading.Event().wait(0.05)
        script.write_text(whole)
        finished = host.run("chaining_orchestrator")

    assert finished["output"] == ["One", "Two", "Three"]


def test_a_host_with_a_broken_app_leaves_instances_alone(app: Path) -> None:
    script = app / "function_app.py"
    whole = script.read_text()
    waits = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))
"""
    script.write_text(whole + waits)
    with HostProcess(app) as host:
        instance_id = host.call("POST", f"{WEBHOOK}/orchestrators/waits").json["id"]
    script.write_text("raise RuntimeError\n")
    with HostProcess(app) as host:
        path = f"{WEBHOOK}/instances/{instance_id}/raiseEvent/go"
        assert host.call("POST", path, "now").status == 202
    script.write_text(whole + waits)
    with HostProcess(app) as host:
        finished = host.finished(instance_id)

    assert finished["output"] == "now"


def test_a_worker_that_sends_no_messages_is_replaced_and_its_work_repeated(app: Path) -> None:
    with HostProcess(app) as host:
        flag = str(app / "flag")
        ended = host.run("ask", ["writes_into_the_wrong_descriptor_once", flag])

        assert ended["output"] == "survived"
        assert any("sent something that is not a valid message" in line for line in host.lines)
