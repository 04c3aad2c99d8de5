"""The commands about instances and entities, with a running host and with a stopped one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from host_process import HostProcess, copy_app

from azure.durable_functions.local.cli.main import main
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.state_folder import StateFolder

APP = Path(__file__).parent / "apps" / "conformance"


class Commands:
    """``durable COMMAND ...`` for one app folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0, typed: str | None = None) -> Result:
        result = CliRunner().invoke(
            main, [*arguments, "--script-root", str(self.folder)], input=typed
        )
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with HostProcess(copy_app(APP, tmp_path_factory.mktemp("commands") / "app")) as host:
        yield Commands(host.folder)


@pytest.fixture
def stopped(tmp_path: Path) -> Commands:
    return Commands(copy_app(APP, tmp_path / "app"))


def test_an_instance_is_started_waited_for_and_shown(running: Commands) -> None:
    waited = running("start-new", "Chain", "--id", "chain-1", "--wait", "20")
    assert json.loads(waited.stdout) == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]

    shown = running("show", "chain-1").stdout
    assert "Completed" in shown
    assert "Hello Seattle!" in shown
    assert running.json("show", "chain-1")["name"] == "Chain"
    assert running.json("history", "chain-1")[-1]["EventType"] == "ExecutionCompleted"
    assert "TaskCompleted" in running("history", "chain-1").stdout


def test_exit_codes_tell_how_it_ended(running: Commands) -> None:
    failed = running("start-new", "Fails", "--wait", "20", code=5)
    assert "Failed: Orchestrator function 'Fails' failed" in failed.stderr
    running("start-new", "Stuck", "--wait", "0", code=6)
    unknown = running("start-new", "Chian", code=3)
    assert unknown.stderr.endswith("Did you mean 'Chain'?\n")
    running("show", "nobody", code=3)
    running("start-new", "Chain", "--input", "no json", code=2)
    running("purge", code=2)


def test_input_comes_as_json_from_the_line_a_file_or_standard_input(
    running: Commands, tmp_path: Path
) -> None:
    (tmp_path / "input.json").write_text("3")
    for given, typed in (("3", None), (f"@{tmp_path / 'input.json'}", None), ("-", "3")):
        waited = running("start-new", "FanOut", "--input", given, "--wait", "20", typed=typed)
        assert waited.stdout == "3\n"


def test_an_event_lets_an_instance_go_on(running: Commands) -> None:
    started = running("start-new", "--function-name", "Approval").stdout.strip()
    running("raise-event", started, "approval", "--event-data", '{"by": "me"}')
    wait_for(running, started, "Completed")
    assert running.json("show", started)["output"] == {"by": "me"}
    running("raise-event", started, "approval", code=4)


def test_an_instance_is_paused_ended_and_started_again(running: Commands) -> None:
    started = running("start-new", "Stuck").stdout.strip()
    wait_for(running, started, "Running")
    running("suspend", started, "--reason", "a break")
    wait_for(running, started, "Suspended")
    running("suspend", started, code=4)
    refused = {
        ("purge", started, "--yes"): "Only orchestrations in a terminal state can be purged",
        ("rewind", started): "This orchestration has status Suspended, but only orchestrations in",
        ("restart", started, "--same-id"): "with the status Suspended already exists.",
        ("start-new", "Stuck", "--id", started): "with the status Suspended already exists.",
    }
    for command, told in refused.items():
        [line] = running(*command, code=4).stderr.splitlines()
        assert told in line
    running("resume", started)
    running("terminate", started, "--reason", "enough")
    wait_for(running, started, "Terminated")
    assert running.json("show", started)["output"] == "enough"
    running("rewind", started, code=4)
    again = running("restart", started).stdout.strip()
    assert again != started
    assert running("restart", started, "--same-id").stdout.strip() == started
    running("restart", "nobody", code=3)


def test_an_instance_is_started_again_under_an_id_and_a_version(running: Commands) -> None:
    running("start-new", "Chain", "--id", "source", "--wait", "20")
    assert running("restart", "source", "--new-id", "target+1").stdout == "target+1\n"
    wait_for(running, "target+1", "Completed")
    other = running("restart", "source", "--version", "8").stdout.strip()
    assert running.json("show", other)["version"] == "8"
    running("restart", "source", "--same-id", "--version", "9")
    assert running.json("show", "source")["version"] == "9"
    refused = running("restart", "source", "--new-id", "@counter@a", code=4)
    assert "Orchestration instance IDs must not start with @." in refused.stderr
    running("restart", "nobody", "--new-id", "x", code=3)
    running("restart", "source", "--new-id", "x", "--same-id", code=2)


def test_orders_reach_children_where_they_are_to(running: Commands) -> None:
    child = "tree-child"
    running("start-new", "Parent", "--id", "tree", "--input", '{"child": "Stuck"}')
    for _ in range(500):
        if child in running("show", "tree").stdout:
            break
    wait_for(running, child, "Running")
    assert running.json("show", child)["parentInstanceId"] == "tree"
    for command, status in (("suspend", "Suspended"), ("resume", "Running")):
        said = running(command, "tree", "--recursive").stdout
        assert "tree and its children" in said
        wait_for(running, "tree", status)
        wait_for(running, child, status)
    running("terminate", "tree", "--recursive", "--reason", "enough")
    wait_for(running, child, "Terminated")
    assert running.json("show", child)["output"] == "enough"
    assert running("purge", "tree", "--recursive", "--yes").stdout == "Deleted 2 instance(s).\n"
    running("show", child, code=3)
    running("rewind", "tree", "--recursive", code=2)  # it always reaches them


def test_a_failed_instance_is_rewound(running: Commands) -> None:
    started = running("start-new", "FailOnce", "--id", "rewound").stdout.strip()
    wait_for(running, started, "Failed")
    running("rewind", started)
    wait_for(running, started, "Completed")


def test_entities_are_signalled_and_listed(running: Commands) -> None:
    running("signal", "Counter", "by hand", "add", "--input", "4")
    found: list[Any] = []
    while not found or found[0]["state"] is None:
        found = [e for e in running.json("entities") if e["entityId"]["key"] == "by hand"]
    assert found[0]["state"] == 4
    assert "by hand" in running("entities", "Counter").stdout
    running("signal", "Nothing", "key", "add", code=3)


def test_lists_are_filtered_and_read_to_their_end(running: Commands) -> None:
    for number in range(3):
        running("start-new", "Chain", "--id", f"listed-{number}", "--wait", "20")
    wanted = ("list", "--prefix", "listed-", "--runtime-status", "completed")
    assert [item["instanceId"] for item in running.json(*wanted)] == [
        f"listed-{number}" for number in reversed(range(3))
    ]
    assert len(running.json(*wanted, "--top", "2")) == 2
    assert "3 instances" in running(*wanted).stdout
    newest = running.json(*wanted, "--top", "1")
    assert [item["instanceId"] for item in newest] == ["listed-2"]
    assert running.json(*wanted, "--created-after", "2999-01-01") == []


def test_a_list_is_filtered_by_name_and_custom_status_and_has_no_entities(
    running: Commands,
) -> None:
    running("start-new", "Approval", "--id", "told-1")
    wait_for(running, "told-1", "Running")
    running("signal", "Counter", "apart", "add", "--input", "4")
    assert {item["name"] for item in running.json("list", "--name", "chain")} <= {"Chain"}
    assert "told-1" in running("list", "--name", "APPROVAL").stdout
    told = running.json("list", "--custom-status", '"Waiting"', "--prefix", "told-")
    assert [item["instanceId"] for item in told] == ["told-1"]
    assert running.json("list", "--custom-status", "nobody has said this") == []
    everything = running("list").stdout
    assert "@counter@apart" not in everything
    assert "durable entities" in everything


def test_what_an_instance_waits_for_is_shown_and_why_it_was_suspended(running: Commands) -> None:
    running("start-new", "Approval", "--id", "waiting-1")
    wait_for(running, "waiting-1", "Running")
    assert "event approval since" in running("show", "waiting-1").stdout
    assert running.json("show", "waiting-1")["waitsFor"][0]["kind"] == "event"
    running("suspend", "waiting-1", "--reason", "a look")
    wait_for(running, "waiting-1", "Suspended")
    lines = running("show", "waiting-1").stdout.splitlines()
    assert [line.split() for line in lines if "a look" in line] == [["Reason", "a", "look"]]


def test_purging_asks_and_tells_how_many(running: Commands) -> None:
    running("start-new", "Chain", "--id", "purged", "--wait", "20")
    running("purge", "purged", code=1, typed="n\n")
    assert "Deleted 1 instance(s)." in running("purge", "purged", "--yes").stdout
    running("purge", "purged", "--yes", code=3)
    nothing = running("purge", "--created-before", "2001-01-01", "--yes")
    assert "Deleted 0 instance(s)." in nothing.stdout


def test_a_moment_that_cannot_be_read_never_widens_a_filter(running: Commands) -> None:
    running("start-new", "Chain", "--id", "kept", "--wait", "20")
    told = running("purge", "--created-before", "last week", "--yes", code=2)
    assert "'last week' is not a time" in told.stderr
    running("list", "--created-after", "2024-99-01", code=2)
    assert running.json("show", "kept")["runtimeStatus"] == "Completed"


def test_a_function_that_is_run_by_hand_tells_its_result_or_its_failure(
    running: Commands, tmp_path: Path
) -> None:
    assert running("invoke", "Hello", "--input", '"command"').stdout == '"Hello command!"\n'
    assert running.json("invoke", "Hello", "--input", '"you"') == {"result": "Hello you!"}
    (tmp_path / "input.json").write_text('"file"')
    assert "Hello file!" in running("invoke", "hello", "--input", f"@{tmp_path}/input.json").stdout
    failed = running("invoke", "AlwaysFail", "--input", "1", code=5)
    assert "AlwaysFail failed: " in failed.stderr
    assert "function_app.py" in failed.stderr
    running("invoke", "nobody", code=3)


def test_an_http_function_that_is_run_by_hand_shows_its_answer(running: Commands) -> None:
    assert "pong" in running("invoke", "ping").stdout
    assert "boom failed: " in running("invoke", "boom", code=5).stderr


def test_orchestrators_are_not_run_by_hand_and_the_command_says_what_to_use(
    running: Commands,
) -> None:
    assert "durable start-new" in running("invoke", "Chain", code=4).stderr


def test_without_a_host_what_is_asked_takes_effect_at_its_start(stopped: Commands) -> None:
    stopped("list")
    said = stopped("start-new", "Chain", "--id", "early").stdout
    assert "no host is running" in said
    assert stopped.json("show", "early")["runtimeStatus"] == "Pending"
    stopped("start-new", "Approval", "--id", "asks")
    stopped("raise-event", "asks", "approval", "--event-data", "5")
    stopped("signal", "Counter", "k", "add", "--input", "4")
    stopped("start-new", "Nope", code=3)
    stopped("start-new", "Chain", "--wait", "1", code=6)
    assert "durable start" in stopped("invoke", "Hello", code=1).stderr

    with HostProcess(stopped.folder) as host:
        assert host.finished("early")["runtimeStatus"] == "Completed"
        assert host.finished("asks")["output"] == 5
        wait_for(stopped, "early", "Completed")
    assert stopped.json("entities")[0]["state"] == 4
    assert len(stopped.json("history", "early")) > 3


def test_a_host_elsewhere_is_reached_by_url_and_key(tmp_path: Path) -> None:
    with HostProcess(copy_app(APP, tmp_path / "app"), "--enableAuth") as host:
        runner = CliRunner()
        refused = runner.invoke(main, ["list", "--url", host.url])
        assert (refused.exit_code, "--code KEY" in refused.stderr) == (1, True)
        key = host.call("POST", "/api/start/Chain").json["id"]  # anonymous function: no key needed
        assert Commands(host.folder).json("show", key)["name"] == "Chain"  # from the store
    gone = runner.invoke(main, ["list", "--url", host.url])
    assert (gone.exit_code, "no host answers" in gone.stderr) == (1, True)
    assert runner.invoke(main, ["list", "--url", "localhost"]).exit_code == 1


def test_what_is_no_host_is_told() -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            """Requests are no news."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        refused = CliRunner().invoke(main, ["list", "--url", url])
        other.shutdown()
    assert refused.exit_code == 1
    assert "not a Durable Functions host" in refused.stderr


def test_the_address_of_a_killed_host_is_not_used_again(tmp_path: Path) -> None:
    commands = Commands(copy_app(APP, tmp_path / "app"))
    with HostProcess(commands.folder) as host:
        host.kill()
        commands("list")
        setup = Setup.read(commands.folder)
        state = StateFolder(setup.root, setup.read_host_json().hub_name)
        state.acquire()  # as a host that is starting
        assert "still starting" in commands("list", code=1).stderr
        state.release()
        host.start()
        assert commands.json("list") == []


def wait_for(commands: Commands, instance_id: str, status: str) -> None:
    for _ in range(500):
        if commands.json("show", instance_id)["runtimeStatus"] == status:
            return
    raise AssertionError(f"{instance_id} never became {status}")
