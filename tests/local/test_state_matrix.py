"""What each operation answers in each state (extension.md 1.9), over HTTP."""

from __future__ import annotations

import re
import time
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

STATES = ("missing", "Pending", "Running", "Suspended", "Completed", "Failed", "Terminated")
WAITING_FOR_ITS_VERSION = "9"
MATRIX: dict[str, tuple[int, ...]] = {
    "GET status": (404, 202, 202, 202, 200, 200, 200),
    "GET status, 500 on failure": (404, 202, 202, 202, 200, 500, 200),
    "start with this id": (202, 409, 409, 409, 202, 202, 202),
    "raise event": (404, 202, 202, 202, 410, 410, 410),
    "raise event, wrong type": (404, 400, 400, 400, 410, 410, 410),
    "raise event, no JSON": (404, 400, 400, 400, 410, 410, 410),
    "terminate": (404, 202, 202, 202, 410, 410, 410),
    "suspend": (404, 202, 202, 500, 410, 410, 410),
    "resume": (404, 500, 500, 202, 410, 410, 410),
    "rewind": (404, 412, 412, 412, 412, 202, 412),
    "restart, new id": (400, 202, 202, 202, 202, 202, 202),
    "restart, same id": (400, 409, 409, 409, 202, 202, 202),
    "restartWithOptions, other id": (400, 202, 202, 202, 202, 202, 202),
    "restartWithOptions, same id": (400, 409, 409, 409, 202, 202, 202),
    "restartWithOptions, no id": (400, 400, 400, 400, 400, 400, 400),
    "purge by id": (404, 412, 412, 412, 200, 200, 200),
    "unknown": (404, 404, 404, 404, 404, 404, 404),
}
BODIES: dict[tuple[int, str], str] = {
    (409, "start"): '{{"Message":"An Orchestration instance with the status {state} already '
    'exists."}}',
    (404, "rewind"): '"No orchestration with instance ID \\"${id}\\" found."',
    (412, "rewind"): '"This orchestration has status {state}, but only orchestrations in the '
    '\\"Failed\\" state can be rewound."',
    (412, "purge"): '"Only orchestrations in a terminal state can be purged, but the orchestration '
    'with instance ID {id} has status {state}"',
    (200, "purge"): '{{"instancesDeleted":1}}',
}
"""By status and the first word of the operation; others without a text here have no body."""
PROBLEMS: dict[tuple[int, str], tuple[str, str, str]] = {
    (400, "restart"): (
        "InstanceId does not match a valid orchestration instance.",
        "No instance with ID '{id}' was found. (Parameter 'instanceId')",
        "System.ArgumentException",
    ),
    (409, "restart"): (
        "A non-terminal instance with this instance ID already exists.",
        "An Orchestration instance with the status {state} already exists.",
        "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
    ),
    (500, "suspend"): (
        "Something went wrong while processing your request",
        "Cannot suspend the orchestration instance {id} because instance is in the {state} state.",
        "System.InvalidOperationException",
    ),
    (500, "resume"): (
        "Something went wrong while processing your request",
        "Cannot resume the orchestration instance {id} because instance is in the {state} state.",
        "System.InvalidOperationException",
    ),
}
"""The same for bodies with exceptions: message, exception's message, type."""


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
        if state == "Pending":
            self.post(f"orchestrators/waits/{instance_id}?version={WAITING_FOR_ITS_VERSION}")
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
        end = time.monotonic() + 30
        while time.monotonic() < end:
            shown: dict[str, Any] = self.get(f"instances/{instance_id}").json
            if shown["runtimeStatus"] == state:
                return shown
        raise AssertionError(f"{instance_id} did not become {state}")

    def get(self, path: str) -> Any:
        return self._host.call("GET", f"{WEBHOOK}/{path}")

    def post(self, path: str, body: object = None, **more: Any) -> Any:
        return self._host.call("POST", f"{WEBHOOK}/{path}", body, **more)

    def call(self, operation: str, instance_id: str) -> Any:
        base = f"instances/{instance_id}"
        if operation.startswith("GET status"):
            flag = "true" if "500" in operation else "false"
            return self.get(f"{base}?returnInternalServerErrorOnFailure={flag}")
        if operation == "purge by id":
            return self._host.call("DELETE", f"{WEBHOOK}/{base}")
        if operation == "start with this id":
            return self.post(f"orchestrators/waits/{instance_id}")
        if operation == "raise event":
            return self.post(f"{base}/raiseEvent/other", 1)
        if operation.startswith("raise event"):
            kind = "text/plain" if operation.endswith("type") else "application/json"
            headers = {"Content-Type": kind}
            return self.post(f"{base}/raiseEvent/other", raw=b"{", headers=headers)
        if operation.startswith("restartWithOptions"):
            new_id = {"other id": f"{instance_id}-2", "same id": instance_id, "no id": ""}
            wanted = new_id[operation.partition(", ")[2]]
            return self.post(f"{base}/restartWithOptions?newInstanceId={wanted}")
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
    known = {"state": state, "id": instance_id}
    kind = re.split("[ ,]|With", operation)[0]
    if operation.endswith("no id"):
        assert reply.json == {"Message": "A new orchestration instance ID must be provided."}
    elif (reply.status, kind) in PROBLEMS:
        told = [text.format(**known) for text in PROBLEMS[reply.status, kind]]
        assert list(reply.json) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
        assert list(reply.json.values())[:3] == told
    elif (reply.status, kind) in BODIES:
        assert reply.body.decode() == BODIES[reply.status, kind].format(**known)
    elif reply.status in (404, 410):
        assert reply.body == b""


def test_reasons_are_shown_as_output(host: HostProcess) -> None:
    instances = Instances(host)
    instances.make("Suspended", "reasons")
    assert instances.get("instances/reasons").json["output"] == "asked"
    instances.post("instances/reasons/resume?reason=go+on")
    assert instances.reach("Running", "reasons")["output"] == "go on"


@pytest.mark.ours("an orchestration that runs is never purged by a filter")
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
