"""Whatever is wrong is told clearly, with a status that says so, and nothing accepted is lost."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess, copy_app

SAMPLES = Path(__file__).parent.parent.parent / "samples"
CHAIN = SAMPLES / "function_chaining"
DECORATED = SAMPLES / "function_chaining_v2"


def start_and_fail(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "azure.durable_functions", "start", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_folder_without_an_app_is_named(tmp_path: Path) -> None:
    ended = start_and_fail(tmp_path)

    assert ended.returncode == 1
    assert f"{tmp_path} contains no function app" in ended.stderr
    assert "Give the app's folder" in ended.stderr


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = start_and_fail(tmp_path / "missing")

    assert ended.returncode == 1
    assert f"{tmp_path / 'missing'} is not a folder" in ended.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"version": "2.0"', "is not JSON: Expecting ',' delimiter in line 1, column 18"),
        ("[]", "must hold a JSON object, got list"),
        ("{}", 'version must be "2.0", got null'),
        (
            json.dumps({"version": "2.0", "extensions": {"durableTask": {"hubName": "my-hub"}}}),
            "extensions.durableTask.hubName must be 3 to 45 letters and digits with a letter first "
            '(for instance "myhub"), got "my-hub"',
        ),
        (
            json.dumps(
                {
                    "version": "2.0",
                    "extensions": {"durableTask": {"maxConcurrentActivityFunctions": "ten"}},
                }
            ),
            "extensions.durableTask.maxConcurrentActivityFunctions must be a whole number ≥ 1, "
            'got "ten"',
        ),
    ],
    ids=["not JSON", "not an object", "no version", "hub name", "wrong type"],
)
def test_a_broken_host_json_is_told_by_file_key_and_rule(
    tmp_path: Path, content: str, told: str
) -> None:
    app = copy_app(DECORATED, tmp_path / "app")
    (app / "host.json").write_text(content)

    ended = start_and_fail(app)

    assert ended.returncode == 1
    assert f"{app / 'host.json'}" in ended.stderr
    assert told in ended.stderr


def test_a_port_in_use_is_told_with_the_way_out(tmp_path: Path) -> None:
    app = copy_app(DECORATED, tmp_path / "app")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = start_and_fail(app, "--port", port)

    assert ended.returncode == 1
    assert f"Port {port} is unavailable" in ended.stderr
    assert "--port" in ended.stderr


def test_a_second_host_on_the_same_store_is_refused(tmp_path: Path) -> None:
    app = copy_app(DECORATED, tmp_path / "app")
    with HostProcess(app):
        ended = start_and_fail(app, "--port", 0)

    assert ended.returncode == 1
    assert "is in use by another running host" in ended.stderr


def reset(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "azure.durable_functions", "reset", str(folder), *arguments]
    return subprocess.run(
        command, input="n\n", capture_output=True, text=True, timeout=30, check=False
    )


def test_reset_deletes_the_store_unless_a_host_runs_or_nobody_agrees(tmp_path: Path) -> None:
    app = copy_app(DECORATED, tmp_path / "app")
    with HostProcess(app):
        ended = reset(app, "--yes")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "is in use by another running host" in ended.stderr
    [store] = (app / ".durable").glob("*.sqlite")
    assert reset(app).returncode == 1
    assert store.exists()
    ended = reset(app, "--yes")
    assert (ended.returncode, ended.stdout) == (0, f"Deleted {store}.\n")
    assert not store.exists()
    assert reset(app, "--yes").stdout == "There was nothing to delete.\n"


@pytest.fixture
def half_broken(tmp_path: Path) -> Path:
    app = copy_app(CHAIN, tmp_path / "app")
    broken = app / "Broken"
    broken.mkdir()
    (broken / "__init__.py").write_text("import no_such_module\n\ndef main(x): return x\n")
    binding = {"name": "x", "type": "activityTrigger", "direction": "in"}
    (broken / "function.json").write_text(json.dumps({"bindings": [binding]}))
    return app


def test_a_function_that_does_not_load_leaves_the_others_alone(half_broken: Path) -> None:
    with HostProcess(half_broken) as host:
        finished = host.run("DurableOrchestration")

    assert finished["output"] == ["One", "Two", "Three"]
    console = "\n".join(host.lines)
    assert "The 'Broken' function is in error" in console
    assert "No module named 'no_such_module'" in console
    assert "requirements.txt" in console


def test_strict_exits_when_a_function_does_not_load(half_broken: Path) -> None:
    ended = start_and_fail(half_broken, "--port", 0, "--strict")

    assert ended.returncode == 1
    assert "The 'Broken' function is in error" in ended.stderr


def test_an_app_that_does_not_import_leaves_the_host_alive(tmp_path: Path) -> None:
    app = copy_app(DECORATED, tmp_path / "app")
    (app / "function_app.py").write_text("raise RuntimeError('not today')\n")

    with HostProcess(app) as host:
        reply = host.call("GET", "/api/anything")

    assert reply.status == 503
    assert b"RuntimeError: not today" in reply.body
    console = "\n".join(host.lines)
    assert "Worker failed to load" in console
    assert "RuntimeError: not today" in console


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("bad") / "app"
    with HostProcess(copy_app(DECORATED, folder)) as running:
        yield running


def test_an_unknown_orchestrator_fails_and_names_the_known(host: HostProcess) -> None:
    shown = host.run("chaining_orchestrater")

    assert shown["runtimeStatus"] == "Failed"
    text = (
        "The function 'chaining_orchestrater' doesn't exist, is disabled, or is not an "
        "orchestrator function. Additional info: The following are the known orchestrator "
        "functions: 'chaining_orchestrator'."
    )
    assert shown["output"] == f"Orchestrator function 'chaining_orchestrater' failed: {text}"
    told = f"{text} Did you mean 'chaining_orchestrator'?"
    host.until(lambda: any(told in line for line in host.lines))


def test_malformed_json_gives_400_and_starts_nothing(host: HostProcess) -> None:
    before = len(host.call("GET", f"{WEBHOOK}/instances").json)

    reply = host.call("POST", f"{WEBHOOK}/orchestrators/chaining_orchestrator", raw=b"{nope")

    assert reply.status == 400
    assert reply.json["Message"] == "Invalid JSON content"
    assert len(host.call("GET", f"{WEBHOOK}/instances").json) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/instances/nobody", 404),
        ("POST", "/instances/nobody/terminate", 404),
        ("POST", "/instances/nobody/raiseEvent/go", 404),
        ("POST", "/instances/nobody/fly", 404),
        ("GET", "/orchestrators/chaining_orchestrator", 404),
        ("GET", "", 404),
    ],
)
def test_what_is_not_there_gives_404_without_a_body(
    host: HostProcess, method: str, path: str, status: int
) -> None:
    reply = host.call(method, f"{WEBHOOK}{path}")

    assert (reply.status, reply.body) == (status, b"")


def test_an_event_needs_json_and_a_living_instance(host: HostProcess) -> None:
    ended = host.run("chaining_orchestrator")["instanceId"]
    path = f"{WEBHOOK}/instances/{ended}"

    assert host.call("POST", f"{path}/raiseEvent/go", raw=b"text").status == 410
    assert host.call("POST", f"{path}/terminate").status == 410


@pytest.mark.parametrize(
    ("instance_id", "told"),
    [
        ("@me", "must not start with @"),
        ("a%23b", "must not contain"),
        ("a%3Fb", "must not contain"),
        ("x" * 257, "must not exceed 256 characters"),
    ],
    ids=["at sign", "hash", "question mark", "too long"],
)
def test_a_bad_instance_id_gives_400(host: HostProcess, instance_id: str, told: str) -> None:
    reply = host.call("POST", f"{WEBHOOK}/orchestrators/chaining_orchestrator/{instance_id}")

    assert reply.status == 400
    assert told in reply.json["ExceptionMessage"]
