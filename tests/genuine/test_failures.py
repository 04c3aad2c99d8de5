"""Whatever ends an orchestration on the extension, its output says what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from host_process import HostProcess, copy_app
from stack import ExtensionProcess

APP = Path(__file__).parent / "apps" / "failures"
NO_INPUT = "class <class 'function_app.NoJson'> does not expose a `to_json` function"
NO_TASK = "An orchestrator can only yield tasks that its context made, got"
NO_OUTPUT = "Object of type NoJson is not JSON serializable"
REASONS = {
    "raises": "raised as asked",
    "raises_at_once": "raised as asked",
    "raises_after_continue_as_new": "raised as asked",
    "raises_with_an_open_timer": "raised as asked",
    "returns_no_json": NO_OUTPUT,
    "returns_no_json_at_once": NO_OUTPUT,
    "sets_a_status_that_is_no_json": NO_OUTPUT,
    "yields_a_number": f"{NO_TASK} int",
    "yields_a_list": f"{NO_TASK} list; to wait for several tasks, yield context.task_all(...)",
    "gives_an_activity_no_json": NO_INPUT,
    "gives_a_child_no_json": NO_INPUT,
    "gives_an_entity_no_json": NO_INPUT,
    "signals_an_entity_no_json": NO_INPUT,
    "continues_with_no_json": NO_INPUT,
    "calls_without_a_name": "function_name cannot be empty",
    "waits_until_a_number": (
        "fireAt: Expected valid datetime object but got 5; create_timer takes a datetime, or a "
        "timedelta from now such as timedelta(seconds=5)"
    ),
}
"""Texts of the errors, by orchestrator; the first four are the app's own, the others ours."""
CALLS = {
    "lets_an_activitys_failure_out": (
        "Activity function 'fails' failed:  ValueError: the activity's own text"
    ),
    "calls_what_answers_no_json": (
        "Activity function 'answers_no_json' failed:  ValueError: activity trigger output must be "
        "json serializable (<function_app.NoJson object at "
    ),
    "lets_a_childs_failure_out": "Orchestrator function 'raises' failed: raised as asked \n ",
}
"""What the texts of those begin with that a call has failed."""


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = copy_app(APP, tmp_path_factory.mktemp("failures") / "app")
    with ExtensionProcess(folder) as host:
        yield host


@pytest.mark.parametrize("orchestrator", REASONS)
def test_a_failed_instance_tells_the_errors_own_text(
    orchestrator: str, extension: HostProcess
) -> None:
    ended = extension.run(orchestrator)

    assert ended["runtimeStatus"] == "Failed"
    expected = f"Orchestrator function '{orchestrator}' failed: {REASONS[orchestrator]}"
    assert ended["output"] == expected


@pytest.mark.parametrize("orchestrator", CALLS)
def test_a_failed_call_that_nobody_catches_tells_whose_failure_it_was(
    orchestrator: str, extension: HostProcess
) -> None:
    ended = extension.run(orchestrator)

    assert ended["runtimeStatus"] == "Failed"
    told = f"Orchestrator function '{orchestrator}' failed: {CALLS[orchestrator]}"
    assert ended["output"].startswith(told)
