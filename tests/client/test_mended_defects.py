"""Defects of release 1.7.0's client that are mended: one test for each number of sdk.md 8.3."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import azure.functions as func
import pytest
from recording_server import RecordingServer, binding, talk

import azure.durable_functions as df
from azure.durable_functions import OrchestrationRuntimeStatus as Status
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus

COUNTER = df.EntityId("Counter", "a")
BASE = "http://127.0.0.1:17071/durabletask/"


class Parcel:
    def __init__(self, weight: int) -> None:
        self.weight = weight

    @staticmethod
    def to_json(parcel: Parcel) -> int:
        return parcel.weight


def client(base_url: str | None = BASE) -> df.DurableOrchestrationClient:
    return df.DurableOrchestrationClient(binding(base_url))


def request(url: str) -> func.HttpRequest:
    return func.HttpRequest("POST", url, body=b"")


def test_events_and_signals_take_custom_objects() -> None:
    """sdk.md Q61."""
    for call in (
        lambda c: c.raise_event("i", "E", Parcel(1)),
        lambda c: c.signal_entity(COUNTER, "op", Parcel(1)),
    ):
        server = RecordingServer()
        talk(server, call)
        assert json.loads(json.loads(server.asked[0].body or ""))["__data__"] == 1


@pytest.mark.parametrize("value", [0, False, "", [], {}], ids=repr)
def test_falsy_inputs_of_signals_are_sent(value: object) -> None:
    """sdk.md Q62."""
    server = RecordingServer()

    talk(server, lambda c: c.signal_entity(COUNTER, "op", value))

    assert server.asked[0].body == json.dumps(json.dumps(value))


def test_ids_and_names_are_escaped_in_urls() -> None:
    """sdk.md Q65."""
    strange = "i d&%z=é"
    server = RecordingServer(status=202, answer={"id": strange})
    talk(server, lambda c: c.start_new("Orch", strange, version="1&2"))
    assert server.asked[0].target == (
        "/durabletask/orchestrators/Orch/i%20d&%25z=%C3%A9?version=1%262"
    )

    server = RecordingServer()
    talk(server, lambda c: c.raise_event("a:b,c", "an event", None, "h&b"))
    assert server.asked[0].target == (
        "/durabletask/instances/a:b,c/raiseEvent/an%20event?taskHub=h%26b"
    )


def test_the_odd_names_of_the_connection_are_kept() -> None:
    """sdk.md Q66."""
    server = RecordingServer(status=200, answer=1)
    talk(server, lambda c: c.read_entity_state(COUNTER, "hub", "conn"))
    assert server.asked[0].target.endswith("?taskHub=hub&connectionName=conn")

    server = RecordingServer()
    talk(server, lambda c: c.rewind("i", "why", "hub", "conn"))
    assert server.asked[0].target.endswith("?reason=why&taskHub=hub&connection=conn")


def test_aware_times_of_filters_are_converted() -> None:
    """sdk.md Q67."""
    zone = timezone(timedelta(hours=2))
    server = RecordingServer(status=200, answer=[])

    talk(server, lambda c: c.get_status_by(datetime(2026, 1, 1, 2, tzinfo=zone)))

    assert server.asked[0].target.endswith("?createdTimeFrom=2026-01-01T00:00:00.000000Z")


def test_the_history_is_found_under_the_hosts_key() -> None:
    """sdk.md Q70."""
    events = [{"EventType": "ExecutionStarted"}]
    status = DurableOrchestrationStatus.from_json({"historyEvents": events})

    assert status.history == events
    assert status.historyEvents == events  # type: ignore[attr-defined]  # as officially


def test_answer_keys_that_equal_a_property_are_ignored() -> None:
    """sdk.md Q71."""
    status = DurableOrchestrationStatus.from_json({"instance_id": "x", "instanceId": "i"})

    assert status.instance_id == "i"


def test_an_unknown_status_stays_text() -> None:
    """sdk.md Q72."""
    assert DurableOrchestrationStatus(runtimeStatus="Dreaming").runtime_status == "Dreaming"


@pytest.mark.parametrize("instance_id", ["", None], ids=repr)
def test_a_status_needs_an_instance_id(instance_id: Any) -> None:
    """sdk.md Q73."""
    with pytest.raises(ValueError, match="instance_id"):
        asyncio.run(client().get_status(instance_id))


@pytest.mark.parametrize("answer", [{"odd": 1}, ["odd"], "odd"], ids=repr)
def test_a_refusal_without_a_reason_gives_the_body(answer: object) -> None:
    """sdk.md Q74."""
    server = RecordingServer(status=400, answer=answer)

    with pytest.raises(Exception) as raised:  # noqa: PT011  # officially a plain Exception
        talk(server, lambda c: c.start_new("Orch"))

    assert str(raised.value) == str(answer)


def test_restart_gives_the_new_id() -> None:
    """sdk.md Q76."""
    server = RecordingServer(status=202, answer={"id": "new", "statusQueryGetUri": "..."})

    assert talk(server, lambda c: c.restart("old")) == "new"


def test_restart_of_an_unknown_instance_tells_the_hosts_reason() -> None:
    """sdk.md Q77."""
    told = "InstanceId does not match a valid orchestration instance."
    server = RecordingServer(status=400, answer={"Message": told, "ExceptionMessage": "X?"})

    with pytest.raises(Exception, match=told):
        talk(server, lambda c: c.restart("old"))


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume"])
def test_operations_on_a_finished_instance_succeed_silently(operation: str) -> None:
    """sdk.md Q78."""
    server = RecordingServer(status=410)

    assert talk(server, lambda c: getattr(c, operation)("i", "why")) is None


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "rewind"])
def test_a_reason_may_be_left_out(operation: str) -> None:
    """sdk.md Q79."""
    server = RecordingServer(status=202)

    talk(server, lambda c: getattr(c, operation)("i", None))

    assert server.asked[0].target.endswith(f"/{operation}?reason=")


def test_a_relative_request_url_keeps_the_bindings_origin() -> None:
    """sdk.md Q83."""
    links = client().get_client_response_links(request("/api/x"), "i")

    assert links["statusQueryGetUri"].startswith("http://localhost:7071/runtime")


def test_links_take_the_requests_origin() -> None:
    links = client().get_client_response_links(request("https://public.example/api/x?y=1"), "IID")

    assert links["statusQueryGetUri"] == (
        "https://public.example/runtime/webhooks/durabletask/instances/IID"
        "?taskHub=Hub&connection=Storage&code=KEY"
    )
    assert links["id"] == "IID"


def test_the_client_knows_its_task_hub() -> None:
    """sdk.md Q84."""
    assert client().task_hub_name == "Hub"


def test_the_check_status_response_is_json() -> None:
    """sdk.md Q85."""
    response = client().create_check_status_response(request("http://h/api"), "i")

    assert response.mimetype == "application/json"
    assert response.headers["Retry-After"] == "10"
    assert (
        response.get_body()
        == json.dumps(client().get_client_response_links(request("http://h/api"), "i")).encode()
    )


def wait(statuses: list[dict[str, Any]], **arguments: int) -> tuple[func.HttpResponse, int]:
    server = RecordingServer(answers=[(200, status, {}) for status in statuses])
    response = talk(
        server,
        lambda c: c.wait_for_completion_or_create_check_status_response(
            request("http://h/api"), "i", **arguments
        ),
    )
    return response, len(server.asked)


def status_of(state: Status, output: object = None) -> dict[str, Any]:
    times = {"createdTime": "2026-01-15T10:00:00Z", "lastUpdatedTime": "2026-01-15T10:00:01Z"}
    return {"name": "X", "instanceId": "i", "runtimeStatus": state.value, "output": output, **times}


def test_a_text_output_is_given_raw() -> None:
    """sdk.md Q86."""
    response, asked = wait([status_of(Status.Completed, "text")])

    assert (response.status_code, response.get_body(), asked) == (200, b"text", 1)


def test_a_failure_is_500_with_the_status() -> None:
    response, _ = wait([status_of(Status.Failed, "boom")])

    assert response.status_code == 500
    assert json.loads(response.get_body())["output"] == "boom"


def test_an_instance_that_takes_too_long_gives_the_links() -> None:
    running = [status_of(Status.Running)] * 4
    response, asked = wait(running, timeout_in_milliseconds=20, retry_interval_in_milliseconds=10)

    assert response.status_code == 202
    assert asked in (1, 2, 3)  # as fast as the machine is


def test_an_interval_above_the_time_out_is_refused() -> None:
    with pytest.raises(Exception, match=r"Total timeout .* should be bigger than retry timeout"):
        wait([], timeout_in_milliseconds=500, retry_interval_in_milliseconds=1000)


CALLS_WITHOUT_BASE = {
    "start_new": lambda c: c.start_new("Orch"),
    "get_status": lambda c: c.get_status("i"),
    "get_status_all": lambda c: c.get_status_all(),
    "purge": lambda c: c.purge_instance_history("i"),
    "raise_event": lambda c: c.raise_event("i", "E"),
    "terminate": lambda c: c.terminate("i", "why"),
    "restart": lambda c: c.restart("i"),
    "signal_entity": lambda c: c.signal_entity(COUNTER, "op"),
    "read_entity_state": lambda c: c.read_entity_state(COUNTER),
}


@pytest.mark.parametrize("name", CALLS_WITHOUT_BASE)
def test_without_an_rpc_address_every_call_says_so(name: str) -> None:
    """sdk.md Q88."""
    with pytest.raises(ValueError, match="has not RPC base url"):
        asyncio.run(CALLS_WITHOUT_BASE[name](client(None)))


def test_rewind_without_an_rpc_address_keeps_its_own_text() -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # compared as a whole
        asyncio.run(client(None).rewind("i", "why"))

    assert str(raised.value) == (
        "The Python SDK only supports RPC endpoints."
        "Please remove the `localRpcEnabled` setting from host.json"
    )
