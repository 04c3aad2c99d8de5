"""What an app folder can hold, and what the host makes of it (host.md 2-6, 9-13)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess, copy_app

from azure.durable_functions.local.engine.invoker import WorkerLost, WorkerRetired
from azure.durable_functions.local.engine.lost_workers import LostWorkers
from azure.durable_functions.local.worker.conversions import encode_starts

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = copy_app(APPS / "hosting", tmp_path_factory.mktemp("hosting") / "app")
    with HostProcess(folder) as running:
        yield running


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = copy_app(APPS / "folders", tmp_path_factory.mktemp("folders") / "app")
    with HostProcess(folder, "--no-watch") as running:
        yield running


def notes(host: HostProcess) -> str:
    path = host.folder / "notes"
    return path.read_text() if path.exists() else ""


def test_settings_fill_routes_and_the_hub_name(host: HostProcess) -> None:
    assert host.call("GET", "/api/filled").body == b"by a setting"
    assert any("Task hub HostingHub" in line for line in host.lines)


def test_a_disabled_function_is_404_and_named(host: HostProcess) -> None:
    assert host.call("GET", "/api/off").status == 404
    assert "Function off is disabled." in host.lines
    assert host.call("GET", "/admin/functions/off").json["isDisabled"] is True


def test_forms_and_files_arrive(host: HostProcess) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="who"\r\n\r\nme\r\n'
        b'--x\r\nContent-Disposition: form-data; name="doc"; filename="a.txt"\r\n\r\ntext\r\n'
        b"--x--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = host.call("POST", "/api/form", raw=body, headers=kind)
    assert reply.json == {"form": {"who": "me"}, "files": {"doc": "text"}}

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = host.call("POST", "/api/form", raw=b"who=you+both", headers=kind)
    assert reply.json["form"] == {"who": "you both"}


def test_a_body_that_is_no_json_is_the_functions_to_judge(host: HostProcess) -> None:
    assert host.call("POST", "/api/json", raw='{"ä": 1}'.encode()).json == {"ä": 1}
    assert host.call("POST", "/api/json", raw=b"{").status == 400


def test_what_a_function_gives_decides_the_response(host: HostProcess) -> None:
    assert host.call("GET", "/api/nothing").status == 500
    raw = host.call("GET", "/api/bytes")
    assert (raw.body, raw.headers["Content-Type"]) == (b"\x00\xff", "application/octet-stream")


def test_custom_headers_are_on_every_answer(host: HostProcess) -> None:
    for path in ("/api/filled", "/api/unknown", "/admin/host/status"):
        assert host.call("GET", path).headers["X-Served-By"] == "us"


def test_the_context_names_the_invocation_and_its_threads_are_attributed(
    host: HostProcess,
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen = host.call("GET", "/api/context", headers={"traceparent": parent}).json

    assert (seen["name"], seen["directory"]) == ("context", str(host.folder))
    assert seen["parent"] == parent
    host.until(lambda: any(seen["id"] in line and "Executed" in line for line in host.lines))
    assert any("said in a thread of its own" in line for line in host.lines)


def test_log_levels_of_host_json_decide_by_category(host: HostProcess) -> None:
    assert host.call("GET", "/api/quiet").body == b"done"
    host.call("GET", "/api/filled")
    host.until(lambda: any("Executed 'Functions.filled'" in line for line in host.lines))
    assert not any("too quiet" in line or "Functions.quiet" in line for line in host.lines)


def test_an_output_of_type_durable_client_starts_instances(host: HostProcess) -> None:
    assert host.call("GET", "/api/begin").body == b"begun"
    assert host.finished("by-output")["output"] == 5


def test_a_timer_runs_at_start_and_is_tried_again(host: HostProcess) -> None:
    host.until(lambda: "stubborn 2" in notes(host))
    assert [line for line in notes(host).splitlines() if line.startswith("stubborn")] == [
        "stubborn None None False",
        "stubborn 1 ValueError: not yet False",
        "stubborn 2 ValueError: not yet False",
    ]


def test_a_timer_is_run_by_hand(host: HostProcess) -> None:
    assert host.call("POST", "/admin/functions/by_hand", {"input": ""}).status == 202
    host.until(lambda: "by hand False ['Last', 'LastUpdated', 'Next']" in notes(host))


def test_a_schedule_that_is_not_valid_is_told_and_harms_nothing(host: HostProcess) -> None:
    [told] = [line for line in host.lines if "'impossible' function is in error" in line]
    assert "'0 99 * * * *'" in told
    assert "minute" in told
    status = host.call("GET", "/admin/functions/impossible/status").json
    assert "'0 99 * * * *'" in status["errors"][0]


def test_what_is_not_emulated_is_said_and_run_by_hand(host: HostProcess) -> None:
    assert any("on_job: queueTrigger  (not emulated" in line for line in host.lines)
    assert sum("'reply' of type queue is not emulated" in line for line in host.lines) == 1
    assert sum("'blob' of type blob is not emulated" in line for line in host.lines) == 1
    assert host.call("POST", "/admin/functions/on_job", {"input": "dig"}).status == 202
    host.until(lambda: "job dig None" in notes(host))


def test_an_orchestrator_cannot_be_run_by_hand(host: HostProcess) -> None:
    assert host.call("POST", "/admin/functions/once", {"input": ""}).status == 202
    host.until(lambda: any("once cannot be run by hand" in line for line in host.lines))


def test_the_admin_api_describes_functions(host: HostProcess) -> None:
    found = {item["name"]: item for item in host.call("GET", "/admin/functions").json}

    assert found["filled"]["invoke_url_template"] == f"{host.url}/api/filled"
    assert found["on_job"]["config"]["bindings"][-1]["type"] == "queueTrigger"
    assert host.call("GET", "/admin/functions/ONCE").json == found["once"]
    assert host.call("GET", "/admin/functions/nope").status == 404
    assert host.call("GET", "/admin/functions/once/status").json == {}
    assert host.call("POST", "/admin/host/ping").status == 200


def test_folders_share_code_and_answer_through_outputs(folders: HostProcess) -> None:
    assert folders.call("GET", "/v1/greet/Ada").body == b"Hello Ada!!!"
    assert folders.call("GET", "/v1/greet").body == b"Hello you!!!"
    assert folders.call("GET", "/v1/greet/4").status == 404


def test_script_file_and_entry_point_are_followed(folders: HostProcess) -> None:
    assert folders.call("GET", "/v1/Renamed").body == b"Hello handler!"


def test_function_json_can_switch_a_function_off(folders: HostProcess) -> None:
    assert folders.call("GET", "/v1/Off").status == 404
    assert folders.call("GET", "/v1/Switched").body == b"on"
    assert "Function Off is disabled." in folders.lines


def test_a_faulty_folder_is_told_with_the_missing_module(folders: HostProcess) -> None:
    text = "\n".join(folders.lines)
    assert "The 'Faulty' function is in error" in text
    assert "'not_installed_anywhere' cannot be imported" in text
    assert "requirements.txt" in text


def test_only_named_functions_are_loaded(tmp_path: Path) -> None:
    folder = copy_app(APPS / "folders", tmp_path / "app")
    with HostProcess(folder, "--functions", "greet Off", settings={"SWITCH": "1"}) as host:
        assert host.call("GET", "/v1/greet/Ada").status == 200
        assert host.call("GET", "/v1/Renamed").status == 404
        assert not any("Faulty" in line for line in host.lines)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"methods": 5}, "methods must be a list of texts, got 5"),
        ({"route": "{x:int(}"}, "{x:int(}"),
        ({"name": "a b"}, "not a valid binding name"),
        ({"route": "%NO_SUCH_SETTING%"}, "'NO_SUCH_SETTING', which is not set"),
        ({"authLevel": None, "retry": "abc"}, "'retry' of function.json must be a JSON object"),
    ],
)
def test_an_odd_function_json_harms_only_its_function(
    tmp_path: Path, part: dict[str, object], told: str
) -> None:
    folder = copy_app(APPS / "folders", tmp_path / "app")
    config = json.loads((folder / "Switched" / "function.json").read_text())
    config.update({key: part.pop(key) for key in ("retry",) if key in part})
    config["bindings"][0].update(part)
    (folder / "Switched" / "function.json").write_text(json.dumps(config))
    with HostProcess(folder) as host:
        [line] = [line for line in host.lines if "'Switched' function is in error" in line]
        assert told in line
        assert host.call("GET", "/v1/greet/Ada").status == 200


def test_a_name_to_load_that_no_function_has_is_told(tmp_path: Path) -> None:
    folder = copy_app(APPS / "folders", tmp_path / "app")
    with HostProcess(folder, "--functions", "Nope") as host:
        assert any("There is no function 'Nope'" in line for line in host.lines)
        assert not any("No job functions found" in line for line in host.lines)


@pytest.mark.parametrize(
    "wrong", [5, "x", {"InstanceId": "a"}, {"FunctionName": "f", "InstanceId": 5}]
)
def test_what_cannot_be_started_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"durableClient|Expecting"):
        encode_starts(wrong)


def test_a_worker_that_the_host_has_ended_is_nobodys_fault() -> None:
    lost = LostWorkers()
    assert not any(lost.is_guilty("activity", WorkerRetired()) for _ in range(9))
    assert [lost.is_guilty("activity", WorkerLost()) for _ in range(3)] == [False, False, True]


ASGI = """
import azure.functions as func

async def serve(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-kind", b"asgi")]})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b" " + body})

app = func.AsgiFunctionApp(app=serve, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
WSGI = """
import azure.functions as func

def serve(environ, start_response):
    start_response("201 Created", [("x-kind", "wsgi")])
    return [environ["PATH_INFO"].encode() + b" " + environ["wsgi.input"].read()]

app = func.WsgiFunctionApp(app=serve, http_auth_level=func.AuthLevel.ANONYMOUS)
"""


@pytest.mark.parametrize(("kind", "code"), [("asgi", ASGI), ("wsgi", WSGI)])
def test_an_app_of_a_web_framework_answers_every_path(tmp_path: Path, kind: str, code: str) -> None:
    (tmp_path / "function_app.py").write_text(code)
    host_json = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}
    (tmp_path / "host.json").write_text(json.dumps(host_json))
    with HostProcess(tmp_path) as host:
        reply = host.call("POST", "/some/path", raw=b"payload")
        assert (reply.status, reply.body) == (201, b"/some/path payload")
        assert reply.headers["x-kind"] == kind
        assert host.call("GET", f"{WEBHOOK}/instances").json == []


@pytest.mark.parametrize("options", [("--workers", "2"), ("--in-process",)])
def test_changed_code_is_loaded_and_instances_go_on_with_it(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    code = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
    return "OLD"

@app.route("which")
def which(req):
    return "OLD"
"""
    script = tmp_path / "function_app.py"
    script.write_text(code)
    with HostProcess(tmp_path, *options) as host:
        started = host.call("POST", f"{WEBHOOK}/orchestrators/waits").json["id"]
        host.until(lambda: host.status(started).json["runtimeStatus"] == "Running")

        script.write_text(code.replace("OLD", "broken ="))
        script.write_text("this is no python")
        host.until(lambda: host.call("GET", "/api/which").status == 503)
        assert b"SyntaxError" in host.call("GET", "/").body
        assert host.call("POST", f"{WEBHOOK}/instances/{started}/raiseEvent/go", 1).status == 202
        script.write_text(code.replace("OLD", "NEW"))

        host.until(lambda: host.call("GET", "/api/which").body == b"NEW")
        assert host.finished(started)["output"] == "NEW"


def test_a_changed_host_json_starts_the_host_again_unless_it_is_broken(tmp_path: Path) -> None:
    folder = copy_app(APPS / "folders", tmp_path / "app")
    with HostProcess(folder) as host:
        (folder / "host.json").write_text('{"version": "7.0"}')
        host.until(lambda: any("Ignoring the new host.json" in line for line in host.lines))
        assert host.call("GET", "/v1/greet/Ada").status == 200

        host_json = {"version": "2.0", "extensions": {"http": {"routePrefix": "v2"}}}
        (folder / "host.json").write_text(json.dumps(host_json))
        host.until(lambda: sum("Listening on" in line for line in host.lines) == 2)
        assert host.call("GET", "/v2/greet/Ada").status == 200


def test_a_missed_timer_is_made_up_for_at_the_next_start(tmp_path: Path) -> None:
    folder = copy_app(APPS / "hosting", tmp_path / "app")
    with HostProcess(folder) as host:
        host.until(lambda: "stubborn 2" in notes(host))
    remember_next_run(folder, "by_hand", "2020-01-01T00:00:00+00:00")
    with HostProcess(folder) as host:
        host.until(lambda: "by hand True" in notes(host))


def remember_next_run(folder: Path, timer: str, moment: str) -> None:
    """As if the host had been down since then."""
    with sqlite3.connect(folder / ".durable" / "HostingHub.sqlite") as store:
        key = {"name": f"timer:{timer}"}
        [text] = store.execute("SELECT value FROM settings WHERE name = :name", key).fetchone()
        changed = json.dumps({**json.loads(text), "next": moment})
        store.execute(
            "UPDATE settings SET value = :value WHERE name = :name", {"value": changed, **key}
        )
    store.close()


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(
        """
import asyncio
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
opened = asyncio.Event()

@app.route("wait")
async def wait(req):
    await opened.wait()
    return "waited"

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def open_it(timer):
    opened.set()
"""
    )
    limits = {"maxOutstandingRequests": 1, "maxConcurrentRequests": 1}
    host_json = {"version": "2.0", "extensions": {"http": limits}}
    (tmp_path / "host.json").write_text(json.dumps(host_json))
    with HostProcess(tmp_path) as host, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(host.call, "GET", "/api/wait")
        host.until(lambda: any("Executing 'Functions.wait'" in line for line in host.lines))
        assert host.call("GET", "/api/wait").status == 429
        host.call("POST", "/admin/functions/open_it", {"input": ""})
        assert waiting.result().body == b"waited"


def test_json_output_is_a_log_for_machines(tmp_path: Path) -> None:
    folder = copy_app(APPS / "folders", tmp_path / "app")
    log = tmp_path / "log.json"
    options = ("--enable-json-output", "--json-output-file", str(log))
    with HostProcess(folder, *options) as host:
        host.call("GET", "/v1/greet/Ada")
        host.until(lambda: "Executed 'Functions.Greet'" in log.read_text())
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    executed = next(e for e in entries if e["message"].startswith("Executed 'Functions.Greet'"))
    assert (executed["category"], executed["level"]) == ("Function.Greet", "Information")
    assert [json.loads(line) for line in host.lines if line]


BROKEN = "import azure.durable_functions as df\napp = df.DFApp()\ndef broken(\n"
ASKS = """
import azure.durable_functions as df
app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def main(context):
    return (yield context.call_activity(context.get_input(), 1))

@app.activity_trigger(input_name="n")
def stops(n):
    breakpoint()

@app.activity_trigger(input_name="n")
def debugs(n):
    import pdb; pdb.set_trace()
    return n

@app.activity_trigger(input_name="n")
def asks(n):
    return input("how many?")
"""


def test_while_the_app_does_not_load_every_route_answers_503_with_the_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(BROKEN)
    with HostProcess(tmp_path) as host:
        for path in ("/api/orders", "/"):
            reply = host.call("GET", path)
            assert reply.status == 503, path
            assert b"SyntaxError" in reply.body
        assert host.call("GET", f"{WEBHOOK}/instances").json == []


def test_the_text_of_an_exception_is_told_on_the_loopback_interface_only(tmp_path: Path) -> None:
    folder = copy_app(APPS / "conformance", tmp_path / "app")
    with HostProcess(folder) as here:
        reply = here.call("GET", "/api/boom")
        assert (reply.status, reply.headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
        assert b"function_app.py" in reply.body
    with HostProcess(folder, "--address", "0.0.0.0") as everywhere:
        reply = everywhere.call("GET", "/api/boom")
        assert (reply.status, reply.body) == (500, b"")


@pytest.mark.parametrize("name", ["stops", "debugs", "asks"])
def test_what_asks_for_a_terminal_in_a_worker_says_how_to_get_one(
    terminals: HostProcess, name: str
) -> None:
    finished = terminals.run("main", name)
    assert finished["runtimeStatus"] == "Failed"
    assert "--in-process" in finished["output"]
    assert "--in-process" in "\n".join(terminals.lines)


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("terminals")
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "function_app.py").write_text(ASKS)
    with HostProcess(folder) as running:
        yield running
