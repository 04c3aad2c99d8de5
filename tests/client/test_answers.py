"""What the host says reaches the caller. Source: extension.md 1.10, its table and its duties."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from recording_server import RecordingServer, binding, talk

import azure.durable_functions as df
from azure.durable_functions import OrchestrationRuntimeStatus as Status

Call = Callable[[df.DurableOrchestrationClient], Awaitable[Any]]
COUNTER = df.EntityId("Counter", "a")
FULL = "the disk is full"
UNEXPECTED = "The operation failed with an unexpected status code"
RUNNING = "An Orchestration instance with the status Running already exists."
UNKNOWN = "The function 'X' doesn't exist, is disabled, or is not an orchestrator function."


def asked(call: Call, status: int, body: Any) -> Any:
    """What a client makes of one answer."""

    async def answer(*_: Any, **__: Any) -> list[Any]:
        return [status, body]

    client = df.DurableOrchestrationClient(binding("http://h/"))
    client._post_async_request = client._get_async_request = client._delete_async_request = answer

    async def run() -> Any:
        return await call(client)

    return asyncio.run(run())


def raised(call: Call, status: int, body: Any) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its text is compared as a whole
        asked(call, status, body)
    return caught.value


def second_form(message: str, exception: str, kind: str = "System.Exception") -> dict[str, Any]:
    return {
        "Message": message,
        "ExceptionMessage": exception,
        "ExceptionType": kind,
        "StackTrace": None,
    }


OFFICIAL: dict[str, tuple[Call, int, str]] = {
    "get_status": (lambda c: c.get_status("i"), 418, f"{UNEXPECTED} 418"),
    "get_status_all": (lambda c: c.get_status_all(), 500, f"{UNEXPECTED} 500"),
    "purge": (lambda c: c.purge_instance_history("i"), 412, f"{UNEXPECTED} 412"),
    "purge by": (
        lambda c: c.purge_instance_history_by(datetime(2026, 1, 1)),
        500,
        f"{UNEXPECTED} 500",
    ),
    "raise_event": (
        lambda c: c.raise_event("i", "E"),
        500,
        "Webhook returned unrecognized status code 500",
    ),
    "raise_event, refused": (
        lambda c: c.raise_event("i", "E"),
        400,
        "Only application/json request content is supported",
    ),
    "terminate": (lambda c: c.terminate("i", "why"), 500, f"{UNEXPECTED} 500"),
    "suspend": (lambda c: c.suspend("i", "why"), 500, f"{UNEXPECTED} 500"),
    "resume": (lambda c: c.resume("i", "why"), 500, f"{UNEXPECTED} 500"),
    "rewind": (lambda c: c.rewind("i", "why"), 404, "No instance with ID i found."),
    "restart": (lambda c: c.restart("i"), 400, f"{UNEXPECTED} 400"),
    "restart, taken": (lambda c: c.restart("i", False), 409, f"{UNEXPECTED} 409"),
    "signal_entity": (lambda c: c.signal_entity(COUNTER, "op"), 400, f"{UNEXPECTED} 400"),
    "read_entity_state": (lambda c: c.read_entity_state(COUNTER), 500, f"{UNEXPECTED} 500"),
}
BODIES: dict[str, Any] = {
    "second form": second_form("Something went wrong", FULL),
    "first form": {"Message": FULL},
    "text": FULL,
    "none": None,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_text_stays_and_the_reason_stands_beside_it(name: str, body: str) -> None:
    call, status, text = OFFICIAL[name]

    error = raised(call, status, BODIES[body])

    assert str(error) == text
    assert error.reason == (None if body == "none" else FULL)
    assert error.status_code == status
    assert (FULL in "".join(getattr(error, "__notes__", ()))) is (body != "none")


@pytest.mark.skipif(not hasattr(BaseException, "add_note"), reason="no notes before Python 3.11")
def test_a_traceback_shows_the_reason() -> None:
    error = raised(lambda c: c.suspend("i", "why"), 500, second_form("Oh", FULL))

    assert traceback.format_exception_only(error) == [
        f"Exception: {UNEXPECTED} 500\n",
        f"The host says: Oh {FULL}\n",
    ]


STARTS: dict[str, tuple[int, Any, str]] = {
    "400, second form": (400, second_form("incorrect", UNKNOWN), UNKNOWN),
    "400, first form": (400, {"Message": UNKNOWN}, UNKNOWN),
    "409": (409, {"Message": RUNNING}, RUNNING),
    "404": (404, None, "The host has not started 'X' with the id 'i': status 404, no reason"),
    "500 as officially": (500, {"Message": "a", "ExceptionMessage": "b"}, "{'Message': 'a', "),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_refused_start_raises_the_reason(name: str) -> None:
    status, body, text = STARTS[name]

    assert str(raised(lambda c: c.start_new("X", "i"), status, body)).startswith(text)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, {"Message": RUNNING}),
        (409, second_form("A non-terminal instance", RUNNING)),
        (500, second_form("Oh", RUNNING, "DurableTask.OrchestrationAlreadyExistsException")),
    ],
    ids=["3.19", "3.19, second form", "before 3.19"],
)
def test_an_id_that_is_taken_has_an_error_of_its_own(status: int, body: Any) -> None:
    error = raised(lambda c: c.start_new("X", "i"), status, body)

    assert type(error) is df.OrchestrationAlreadyExistsError
    assert (str(error), error.instance_id) == (RUNNING, "i")


def test_a_restart_of_what_runs_has_that_error_with_the_official_text() -> None:
    error = raised(lambda c: c.restart("i", False), 409, second_form("Oh", RUNNING))

    assert type(error) is df.OrchestrationAlreadyExistsError
    assert (str(error), error.reason) == (f"{UNEXPECTED} 409", RUNNING)


STATUS = {
    "createdTime": "2026-01-15T10:00:00Z",
    "lastUpdatedTime": "2026-01-15T10:00:01Z",
    "runtimeStatus": "Failed",
    "instanceId": "i",
}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, second_form("Something went wrong", "Token PropertyName in state Property")),
        (500, {"Message": "no"}),
        (500, ""),
        (400, second_form("Oh", "no")),
    ],
    ids=["second form", "first form", "empty", "400"],
)
def test_an_error_is_no_missing_instance(status: int, body: Any) -> None:
    error = raised(lambda c: c.get_status("i"), status, body)

    assert str(error) == f"{UNEXPECTED} {status}"


@pytest.mark.parametrize("status", [200, 500], ids=["200", "500 with the flag"])
def test_a_failed_instance_is_no_error(status: int) -> None:
    assert asked(lambda c: c.get_status("i"), status, STATUS).runtime_status is Status.Failed


@pytest.mark.parametrize("body", ["", "a text"])
def test_what_is_missing_is_falsy(body: str) -> None:
    assert not asked(lambda c: c.get_status("i"), 404, body)


def test_waiting_for_completion_does_not_wait_for_an_error_to_go_away() -> None:
    error = raised(
        lambda c: c.wait_for_completion_or_create_check_status_response(None, "i"),  # type: ignore[arg-type]  # as officially
        500,
        second_form("Oh", FULL),
    )

    assert error.reason == FULL


def purged(*statuses: Status) -> str:
    server = RecordingServer(status=404)
    talk(server, lambda c: c.purge_instance_history_by(datetime(2026, 1, 1), None, statuses))
    return server.asked[0].target.partition("Z&")[2]


def test_a_purge_by_filter_never_takes_what_runs() -> None:
    assert purged() == "runtimeStatus=Completed,Failed,Canceled,Terminated"
    assert purged(Status.Failed) == "runtimeStatus=Failed"
    assert purged(Status.Running, Status.Failed, Status.Pending) == "runtimeStatus=Failed"
    with pytest.raises(ValueError, match="runtime_status Running, Suspended: only instances that"):
        purged(Status.Running, Status.Suspended)


RECURSIVE: dict[str, tuple[Call, Call, str]] = {
    name: (
        lambda c, name=name: getattr(c, name)("i", "why"),
        lambda c, name=name: getattr(c, name)("i", "why", recursive=True),
        "&recursive=true",
    )
    for name in ("terminate", "suspend", "resume")
}
RECURSIVE["purge"] = (
    lambda c: c.purge_instance_history("i"),
    lambda c: c.purge_instance_history("i", recursive=True),
    "?recursive=true",
)
RECURSIVE["purge by filter"] = (
    lambda c: c.purge_instance_history_by(datetime(2026, 1, 1)),
    lambda c: c.purge_instance_history_by(datetime(2026, 1, 1), recursive=True),
    "&recursive=true",
)


@pytest.mark.parametrize("name", RECURSIVE)
def test_recursive_is_sent_only_when_it_is_asked_for(name: str) -> None:
    plain, recursive, suffix = RECURSIVE[name]

    def target(call: Call) -> str:
        server = RecordingServer(status=202, answers=[(404 if "purge" in name else 202, None, {})])
        talk(server, call)
        return server.asked[0].target

    assert target(recursive) == target(plain) + suffix


def restarted(**arguments: Any) -> str:
    server = RecordingServer(status=202, answer={"id": "new"})
    assert talk(server, lambda c: c.restart("old", **arguments)) == "new"
    return server.asked[0].target.partition("/instances/")[2]


def test_restart_takes_a_new_id_and_a_version() -> None:
    assert restarted(new_instance_id="n 1") == "old/restartWithOptions?newInstanceId=n%201"
    assert (
        restarted(new_instance_id="n", version="2.0")
        == "old/restartWithOptions?newInstanceId=n&version=2.0"
    )
    keeps_id = restarted(restart_with_new_instance_id=False, version="2")
    assert keeps_id == "old/restartWithOptions?newInstanceId=old&version=2"
    made = restarted(version="2").partition("newInstanceId=")[2]
    assert len(made.removesuffix("&version=2")) == 32


def test_restart_refuses_arguments_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match=r"keeps the id 'old'.*leave one of them out"):
        restarted(restart_with_new_instance_id=False, new_instance_id="n")


def test_a_new_id_that_is_taken_is_told_in_the_hosts_words() -> None:
    call: Call = lambda c: c.restart("i", new_instance_id="n")  # noqa: E731
    error = raised(call, 409, second_form("A non-terminal instance", RUNNING))

    assert type(error) is df.OrchestrationAlreadyExistsError
    assert (str(error), error.instance_id) == (RUNNING, "n")


def test_a_host_without_the_operation_is_told_apart_from_an_unknown_instance() -> None:
    unknown = second_form("InstanceId does not match", "No instance with ID 'i' was found.")
    call: Call = lambda c: c.restart("i", new_instance_id="n")  # noqa: E731

    assert "the Durable Task extension 3.19 has it" in str(raised(call, 404, None))
    assert raised(call, 400, unknown).reason == "No instance with ID 'i' was found."
