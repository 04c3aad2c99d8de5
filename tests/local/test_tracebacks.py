"""Where a failure of the app's code is told: with class, the user's frames and causes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from host_process import WEBHOOK, HostProcess

from azure.durable_functions.local.cli.main import main
from azure.durable_functions.local.worker import functions

APP = """
import azure.durable_functions as df

app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def report(context):
    answer = yield context.call_activity("ask", None)
    return answer["missing"]  # line 9

@app.activity_trigger(input_name="nothing")
def ask(nothing):
    return {"a": 1}

@app.orchestration_trigger(context_name="context")
def order(context):
    yield context.call_activity("bad", 1)  # line 17

@app.activity_trigger(input_name="n")
def bad(n):
    try:
        {}["key"]  # line 22
    except KeyError as error:
        raise RuntimeError("no file for invoice") from error  # line 24

@app.orchestration_trigger(context_name="context")
def pay(context):
    yield context.call_activity("charge", 1)

@app.activity_trigger(input_name="n")
def charge(n):
    raise df.NonRetryableError("never")  # line 32

@app.entity_trigger(context_name="context")
def counter(context):
    raise RuntimeError("the entity is broken")  # line 36
"""


@pytest.fixture(scope="module", params=[(), ("--sessions",)], ids=["replays", "sessions"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("tracebacks")
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "function_app.py").write_text(APP)
    with HostProcess(folder, *request.param) as running:
        yield running


def durable(host: HostProcess, *arguments: str) -> str:
    return CliRunner().invoke(main, [*arguments, "--script-root", str(host.folder)]).output


def failed(host: HostProcess, name: str) -> str:
    """What is printed of a new instance, of the name's id, when it has failed."""
    return durable(host, "start-new", name, "--id", name, "--wait", "20")


def test_an_orchestrator_s_exception_is_told_with_its_line(host: HostProcess) -> None:
    waited = failed(host, "report")
    shown = durable(host, "show", "report")
    logged = "\n".join(host.lines)

    for told in (waited, shown, logged):
        assert "KeyError: 'missing'" in told
        assert 'function_app.py", line 9, in report' in told
        assert "_replay" not in told


def test_an_activity_s_exception_is_told_with_its_cause_and_without_envelope(
    host: HostProcess,
) -> None:
    waited = failed(host, "order")
    shown = durable(host, "show", "order")

    for told in (waited, shown):
        flat = " ".join(told.split())
        for expected in ("RuntimeError: no file for invoice", "line 17, in order"):
            assert expected in flat
        for expected in ("line 24, in bad", "caused by KeyError: 'key'", "line 22, in bad"):
            assert expected in flat
        assert "$type" not in flat
        assert "HResult" not in flat
    history = durable(host, "history", "order")
    assert "RuntimeError: no file" in history
    assert "$type" not in history
    assert "\ncaused by KeyError: 'key'\n" in "\n".join(host.lines)


def test_a_structured_failure_is_told_as_the_exception_that_it_is(host: HostProcess) -> None:
    waited = failed(host, "pay")

    assert "pay: Failed: NonRetryableError: never" in waited
    assert "line 32, in charge" in waited
    logged = "\n".join(host.lines)
    assert "Exception: NonRetryableError: never" in logged
    assert "StructuredActivityFailure" not in logged


def test_the_status_has_the_details_that_the_app_itself_has_sent(host: HostProcess) -> None:
    failed(host, "pay")
    failed(host, "order")
    query = "?showHistory=true&showHistoryOutput=true"

    found: dict[str, list[Any]] = {}
    for name in ("pay", "order"):
        status = host.call("GET", f"{WEBHOOK}/instances/{name}{query}").json
        found[name] = [event.get("FailureDetails") for event in status["historyEvents"][1:]]

    assert [details["ErrorType"] for details in found["pay"]] == ["NonRetryableError"] * 2
    assert found["order"] == [None, None]


def test_what_the_status_says_stays_the_extension_s(host: HostProcess) -> None:
    failed(host, "report")
    query = "?showHistory=true&showHistoryOutput=true"

    status = host.call("GET", f"{WEBHOOK}/instances/report{query}").json
    with_failure = host.call("GET", f"{WEBHOOK}/instances/report?showFailure=true").json

    assert status["output"] == "Orchestrator function 'report' failed: 'missing'"
    assert "failure" not in status
    ended = status["historyEvents"][-1]
    assert ended["EventType"] == "ExecutionCompleted"
    assert ended["FailureDetails"] is None
    assert "Failure" not in ended
    assert with_failure["failure"]["ErrorType"] == "KeyError"
    assert list(with_failure) == [*(key for key in status if key != "historyEvents"), "failure"]


def test_an_entity_s_exception_is_an_error_in_the_log(host: HostProcess) -> None:
    durable(host, "signal", "counter", "a", "explode")

    told = "Operation 'explode' of entity @counter@a failed: RuntimeError: the entity is broken"
    host.until(lambda: any(told in line for line in host.lines))
    host.until(lambda: any('function_app.py", line 36, in counter' in line for line in host.lines))


def raised() -> Exception:
    import azure.durable_functions as df

    def main(context: Any) -> Any:
        raise KeyError("missing")

    try:
        df.Orchestrator.create(main)(
            '{"history": [{"EventType": 12, "EventId": -1, "IsPlayed": false, "Timestamp":'
            ' "2026-01-01T00:00:00Z"}, {"EventType": 0, "EventId": -1, "IsPlayed": false,'
            ' "Timestamp": "2026-01-01T00:00:00Z"}], "input": null, "instanceId": "i",'
            ' "isReplaying": false, "parentInstanceId": null, "upperSchemaVersion": 1}'
        )
    except Exception as error:
        return error
    raise AssertionError


def test_a_switch_keeps_the_sdk_s_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = functions.describe(raised())["details"]["InnerFailure"]
    assert Path(__file__).name in inner["StackTrace"]
    assert "executor.py" not in inner["StackTrace"]

    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_FULL_TRACEBACKS", "1")
    assert "executor.py" in functions.describe(raised())["details"]["InnerFailure"]["StackTrace"]


def test_an_exception_that_only_the_sdk_s_code_has_seen_is_told_with_its_frames() -> None:
    import azure.durable_functions as df

    with pytest.raises(ValueError, match="first_retry_interval") as seen:
        df.RetryOptions(0, 0)
    trace = seen.value.__traceback__
    assert trace is not None
    seen.value.__traceback__ = trace.tb_next

    assert "retry_options.py" in functions.describe(seen.value)["stack"]
