"""The state matrix of http-api.md section 9, over HTTP against a started host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from host_process import WEBHOOK, HostProcess

APP = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def waits(context):
    got = yield context.wait_for_external_event("go")
    if got == "fail":
        raise ValueError("as asked")
    return got
"""

STATES = ("missing", "Running", "Suspended", "Completed", "Failed", "Terminated")
MATRIX: dict[str, tuple[int, ...]] = {
    "GET status": (404, 202, 202, 200, 200, 200),
    "start with this id": (202, 500, 500, 202, 202, 202),
    "raise event": (404, 202, 202, 410, 410, 410),
    "terminate": (404, 202, 202, 410, 410, 410),
    "suspend": (404, 202, 500, 410, 410, 410),
    "resume": (404, 500, 202, 410, 410, 410),
    "rewind": (404, 500, 500, 410, 202, 410),
    "restart, new id": (400, 202, 202, 202, 202, 202),
    "restart, same id": (400, 500, 500, 202, 202, 202),
    "purge by id": (404, 200, 200, 200, 200, 200),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    with HostProcess(folder) as started:
        yield started


class Instances:
    """Brings instances into a state."""

    def __init__(self, host: HostProcess) -> None:
        self._host = host

    def make(self, state: str, instance_id: str) -> None:
        if state == "missing":
            return
        self.call("start with this id", instance_id)
        self.reach("Running", instance_id)
        if state in ("Completed", "Failed"):
            event = "fail" if state == "Failed" else "fine"
            self.post(f"instances/{instance_id}/raiseEvent/go", event)
        elif state != "Running":
            operation = "suspend" if state == "Suspended" else "terminate"
            self.post(f"instances/{instance_id}/{operation}?reason=asked")
        self.reach(state, instance_id)

    def reach(self, state: str, instance_id: str) -> dict[str, Any]:
        for _ in range(5000):
            shown: dict[str, Any] = self.get(f"instances/{instance_id}").json
            if shown["runtimeStatus"] == state:
                return shown
        raise AssertionError(f"{instance_id} did not become {state}")

    def get(self, path: str) -> Any:
        return self._host.call("GET", f"{WEBHOOK}/{path}")

    def post(self, path: str, body: object = None) -> Any:
        return self._host.call("POST", f"{WEBHOOK}/{path}", body)

    def call(self, operation: str, instance_id: str) -> Any:
        base = f"instances/{instance_id}"
        if operation == "GET status":
            return self.get(base)
        if operation == "purge by id":
            return self._host.call("DELETE", f"{WEBHOOK}/{base}")
        if operation == "start with this id":
            return self.post(f"orchestrators/waits/{instance_id}")
        if operation == "raise event":
            return self.post(f"{base}/raiseEvent/other", 1)
        if operation.startswith("restart"):
            is_new = "true" if operation.endswith("new id") else "false"
            return self.post(f"{base}/restart?restartWithNewInstanceId={is_new}")
        return self.post(f"{base}/{operation}")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", MATRIX)
def test_each_operation_answers_as_the_matrix_says(
    operation: str, state: str, host: HostProcess
) -> None:
    instances = Instances(host)
    instance_id = f"{operation}-{state}".replace(" ", "_").replace(",", "")
    instances.make(state, instance_id)

    reply = instances.call(operation, instance_id)

    assert reply.status == MATRIX[operation][STATES.index(state)]


def test_reasons_are_shown_as_output(host: HostProcess) -> None:
    instances = Instances(host)
    instances.make("Suspended", "reasons")
    assert instances.get("instances/reasons").json["output"] == "asked"
    instances.post("instances/reasons/resume?reason=go+on")
    assert instances.reach("Running", "reasons")["output"] == "go on"


def test_a_status_that_forbids_it_is_told_in_the_extensions_words(host: HostProcess) -> None:
    instances = Instances(host)
    instances.make("Running", "words")

    resumed = instances.call("resume", "words").json
    rewound = instances.call("rewind", "words").json
    restarted = instances.call("restart, new id", "not-there").json

    assert resumed["ExceptionMessage"] == (
        "Cannot resume the orchestration instance words because instance is in the Running state."
    )
    assert resumed["ExceptionType"] == "System.InvalidOperationException"
    assert rewound["ExceptionMessage"] == (
        "The rewind operation is only supported on failed orchestration instances."
    )
    assert restarted["Message"] == "InstanceId does not match a valid orchestration instance."
    assert restarted["ExceptionMessage"] == (
        "An orchestrastion with the instanceId not-there was not found."
    )


def test_purging_by_filter_takes_ended_instances_in_the_range(host: HostProcess) -> None:
    instances = Instances(host)
    instances.make("Completed", "purged")
    instances.make("Running", "kept")

    def purge(query: str) -> Any:
        return host.call("DELETE", f"{WEBHOOK}/instances?{query}")

    refused = purge("createdTimeTo=2100-01-01")
    assert refused.status == 400
    assert refused.json == "Please provide value for 'createdTimeFrom' parameter."
    assert purge("createdTimeFrom=2100-01-01").status == 404
    assert purge("createdTimeFrom=2000-01-01&runtimeStatus=Running").status == 404
    purged = purge("createdTimeFrom=2000-01-01&runtimeStatus=Running,Completed")
    assert purged.status == 200
    assert purged.json["instancesDeleted"] >= 1
    assert instances.get("instances/purged").status == 404
    assert instances.get("instances/kept").status == 202
