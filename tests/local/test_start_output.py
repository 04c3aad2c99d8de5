"""What a start says and what it does not: no foreign advice, every schedule, every name."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from host_process import HostProcess

from azure.durable_functions.local import start_output
from azure.durable_functions.local.config import hidden_modules
from azure.durable_functions.local.config.host_json import read_host_json
from azure.durable_functions.local.timer_triggers import schedules
from azure.durable_functions.local.timer_triggers.timer_functions import TimerFunction
from azure.durable_functions.local.worker import app_loader
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo

ORCHESTRATOR = """
import azure.durable_functions as df
app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
"""
FOLDER = """
import azure.durable_functions as df

def one(context):
    return 1

main = df.Orchestrator.create(one)
"""
TRIGGER = {"name": "context", "type": "orchestrationTrigger", "direction": "in"}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"host.json": '{"version": "2.0"}', **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_app_without_http_functions_gets_no_advice_on_auth_levels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "function_app", raising=False)  # of another app
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    app = app_loader.load(write(tmp_path, {"function_app.py": ORCHESTRATOR}))
    app_loader.unload(tmp_path)
    assert [function.name for function in app.functions] == ["waits"]
    assert caplog.records == []
    logging.getLogger().warning("of the app")  # nothing else is kept back afterwards
    assert [record.message for record in caplog.records] == ["of the app"]


def test_settings_that_only_the_cloud_reads_are_no_news_but_an_old_bundle_is(
    tmp_path: Path,
) -> None:
    content = {
        "version": "2.0",
        "logging": {"applicationInsights": {"samplingSettings": {"isEnabled": True}}},
        "extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"},
    }
    write(tmp_path, {"host.json": json.dumps(content)})
    assert read_host_json(tmp_path, {}).notes == ()
    content["extensionBundle"] = {"id": "x", "version": "[1.*, 2.0.0)"}
    write(tmp_path, {"host.json": json.dumps(content)})
    [note] = read_host_json(tmp_path, {}).notes
    assert "old" in note


@pytest.mark.parametrize(
    ("requirements", "hints"), [("azure-functions-durable<2", 0), ("azure-functions-durable", 1)]
)
def test_the_hint_at_release_2_comes_once_and_only_without_the_pin(
    tmp_path: Path, requirements: str, hints: int
) -> None:
    function = json.dumps({"scriptFile": "__init__.py", "bindings": [TRIGGER]})
    files = {
        "One/__init__.py": FOLDER,
        "One/function.json": function,
        "requirements.txt": f"azure-functions\n{requirements}\n",
    }
    with HostProcess(write(tmp_path, files), "--workers", "2") as host:
        pass
    assert "\n".join(host.lines).count("release 2.x") == hints
    listed = subprocess.run(
        [sys.executable, "-m", "azure.durable_functions", "list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "release 2.x" not in listed.stdout + listed.stderr


def test_an_app_of_decorators_gets_no_hint_at_release_2(tmp_path: Path) -> None:
    function = FunctionInfo("one", [TRIGGER], "", "function_app.py", str(tmp_path))
    app = AppInfo([function], [], None, [], python="3.11.0")
    assert list(start_output.release_hint(app, tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0 17 4 1 3 *", "0 17 4 1 3 *, next run 2027-03-01 04:17:00 CET"),
        ("00:05:00", "00:05:00, next run 2026-12-01 10:05:00 UTC"),
    ],
)
def test_a_timer_function_shows_its_schedule_and_its_next_run(text: str, told: str) -> None:
    binding = {"name": "timer", "type": "timerTrigger", "schedule": text}
    function = FunctionInfo("nightly", [binding], "", "function_app.py", "/app")
    schedule = schedules.parse(text, {"WEBSITE_TIME_ZONE": "Europe/Berlin"})
    timer = TimerFunction(function, schedule, False, True, None)
    now = datetime(2026, 12, 1, 10, tzinfo=timezone.utc)
    assert timer.summary(now) == told
    app = AppInfo([function], [], None, [], python="3.11.0")
    listing = "".join(start_output.functions(app, [], {}, "", {"nightly": timer.summary(now)}))
    assert f"nightly: timerTrigger  {told}" in listing


def test_unfinished_instances_are_named_and_nobody_is_told_to_delete_them(tmp_path: Path) -> None:
    app = write(tmp_path, {"function_app.py": ORCHESTRATOR})
    with HostProcess(app) as host:
        path = "/runtime/webhooks/durabletask/orchestrators/waits/order-4711"
        host.call("POST", path)
        host.stop()
        host.lines.clear()
        host.start()
        assert "Resuming 1 unfinished instance: order-4711" in host.lines
        assert "--fresh" not in "\n".join(host.lines)


def test_many_unfinished_instances_end_with_their_number() -> None:
    assert start_output.unfinished(7, ["a", "b"]) == (
        "Resuming 7 unfinished instances: a, b and 5 more; 'durable list' shows them"
    )
    assert start_output.unfinished(2, ["a", "b"]) == "Resuming 2 unfinished instances: a, b"


def test_files_and_folders_that_hide_modules_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"queue.py": "", "http/__init__.py": "", "shop.py": "", "json/data.json": ""})
    assert [name for name, _ in hidden_modules.find(tmp_path)] == ["http", "queue.py"]


def test_a_start_that_fails_ends_with_the_file_that_hides_a_module(tmp_path: Path) -> None:
    write(tmp_path, {"function_app.py": ORCHESTRATOR, "queue.py": "def push(): ..."})
    said = subprocess.run(
        [sys.executable, "-m", "azure.durable_functions", "start", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    last = said.stderr.strip().splitlines()[-1]
    assert last.startswith("queue.py: it hides the module 'queue'")
