"""`start_new(if_exists=...)` against a host that does not know it. Source: extension.md X6-X8."""

from __future__ import annotations

from typing import Any

import pytest
from recording_server import RecordingServer, talk

import azure.durable_functions as df
from azure.durable_functions._client import existing

STARTED = (202, {"id": "i"}, {})
TAKEN = (409, {"Message": "An Orchestration instance with the status Running already exists."}, {})
NONE = (404, None, {})
DONE = (202, None, {})


def status(name: str) -> tuple[int, Any, dict[str, str]]:
    times = {"createdTime": "2026-01-15T10:00:00Z", "lastUpdatedTime": "2026-01-15T10:00:01Z"}
    return (202, {"instanceId": "i", "runtimeStatus": name, **times}, {})


def start(*answers: Any, if_exists: Any, version: str | None = None) -> tuple[str, list[str]]:
    server = RecordingServer(answers=list(answers), status=599)
    call = talk(server, lambda c: c.start_new("X", "i", None, version, if_exists=if_exists))
    assert not server.answers
    return call, [f"{asked.method} {asked.target[12:]}" for asked in server.asked]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing, "_PAUSES", (0,))


@pytest.mark.parametrize("rule", ["error", "skip"])
def test_a_free_id_is_started(rule: Any) -> None:
    began, asked = start(NONE, STARTED, if_exists=rule)

    assert began == "i"
    assert asked == ["GET /instances/i", f"POST /orchestrators/X/i?ifExists={rule}"]


def test_the_rule_stands_behind_a_version() -> None:
    _, asked = start(STARTED, if_exists="replace", version="2")

    assert asked == ["POST /orchestrators/X/i?version=2&ifExists=replace"]


@pytest.mark.parametrize("found", ["Running", "Completed"])
def test_error_refuses_also_what_has_ended(found: str) -> None:
    with pytest.raises(df.OrchestrationAlreadyExistsError) as raised:
        start(status(found), if_exists="error")

    assert str(raised.value) == (
        f"An Orchestration instance with the status {found} already exists."
    )
    assert raised.value.instance_id == "i"


@pytest.mark.parametrize("found", ["Running", "Completed"])
def test_skip_starts_nothing(found: str) -> None:
    assert start(status(found), if_exists="skip") == ("i", ["GET /instances/i"])


def test_somebody_may_be_faster() -> None:
    assert start(NONE, TAKEN, if_exists="skip")[0] == "i"
    with pytest.raises(df.OrchestrationAlreadyExistsError, match="status Running"):
        start(NONE, TAKEN, if_exists="error")


def test_replace_ends_what_runs_waits_for_that_and_starts_again() -> None:
    began, asked = start(
        TAKEN, DONE, status("Running"), status("Terminated"), STARTED, if_exists="replace"
    )

    assert began == "i"
    assert [line.partition("?")[0] for line in asked] == [
        "POST /orchestrators/X/i",
        "POST /instances/i/terminate",
        "GET /instances/i",
        "GET /instances/i",
        "POST /orchestrators/X/i",
    ]
    assert "reason=A%20new%20instance%20creation%20request%20has%20been%20issued" in asked[1]


@pytest.mark.parametrize("answer", [404, 410, 500])
def test_replace_goes_on_where_the_instance_has_just_changed(answer: int) -> None:
    assert start(TAKEN, (answer, None, {}), NONE, STARTED, if_exists="replace")[0] == "i"


def test_replace_gives_up_where_the_instance_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing, "_PATIENCE_SECONDS", -1)
    with pytest.raises(df.OrchestrationAlreadyExistsError):
        start(TAKEN, if_exists="replace")


def test_a_wrong_rule_is_named() -> None:
    with pytest.raises(ValueError, match=r"must be .error., .skip. or .replace., not 'ignore'"):
        start(if_exists="ignore")


def test_without_an_id_there_is_nothing_to_decide() -> None:
    server = RecordingServer(answer={"id": "made"})
    call = talk(server, lambda c: c.start_new("X", if_exists="error"))

    assert (call, server.asked[0].target) == ("made", "/durabletask/orchestrators/X")


def test_an_error_of_the_status_query_starts_nothing() -> None:
    server = RecordingServer(status=500, answer={"ExceptionMessage": "no", "Message": "oh"})
    with pytest.raises(Exception, match="unexpected status code 500"):
        talk(server, lambda c: c.start_new("X", "i", if_exists="error"))
    assert len(server.asked) == 1
