"""The conformance statements of host.md section 15, as extension.md renews them, over HTTP.

Each is a function marked with its number; all but those that are marked as ours hold for the
extension too. Real time passes only where the statement needs it.
CONFORMANCE_OPTIONS holds further options of ``durable start`` (``make conformance``).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from furl import furl
from host_process import WEBHOOK, HostProcess, Reply, copy_app

CHOSEN = shlex.split(os.environ.get("CONFORMANCE_OPTIONS", ""))
OF_NOTHING = 200 if "--worker-python" in CHOSEN else 404
"""Of a read of an entity that is gone; the official package leaves a state there (X52)."""
APP = Path(__file__).parent / "apps" / "conformance"
JSON = "application/json; charset=utf-8"
LINKS = [
    *("id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri"),
    *("purgeHistoryDeleteUri", "restartPostUri", "suspendPostUri", "resumePostUri"),
]
STATUS_KEYS = [
    *("name", "instanceId", "runtimeStatus", "input", "customStatus", "output"),
    *("createdTime", "lastUpdatedTime"),
]
NO_DELAY = (
    "The value needs to translate in milliseconds to -1 (signifying an infinite timeout), 0, or a "
    "positive integer less than or equal to the maximum allowed timer duration. (Parameter 'delay')"
)
ENDED = ("Completed", "Failed", "Terminated")


class Hub:
    """The management API of a started host."""

    def __init__(self, host: HostProcess) -> None:
        self.host = host

    def call(self, method: str, path: str, body: object = None, **more: Any) -> Reply:
        return self.host.call(method, f"{WEBHOOK}/{path}", body, **more)

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def post(self, path: str, body: object = None, **more: Any) -> Reply:
        return self.call("POST", path, body, **more)

    def start(self, name: str, body: object = None, instance_id: str | None = None) -> str:
        path = f"orchestrators/{name}" + (f"/{instance_id}" if instance_id else "")
        reply = self.post(path, body)
        assert reply.status == 202, reply
        started: str = reply.json["id"]
        return started

    def until(self, instance_id: str, *statuses: str) -> dict[str, Any]:
        """The instance's status object as soon as it has one of the statuses."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            shown: dict[str, Any] = self.get(f"instances/{instance_id}").json
            if shown["runtimeStatus"] in statuses:
                return shown
        raise AssertionError(f"{instance_id} stays {shown}")

    def ended(self, instance_id: str) -> dict[str, Any]:
        return self.until(instance_id, *ENDED)

    def run(self, name: str, body: object = None) -> dict[str, Any]:
        return self.ended(self.start(name, body))

    def running(self, name: str, body: object = None) -> str:
        instance_id = self.start(name, body)
        self.until(instance_id, "Running")
        return instance_id

    def history(self, instance_id: str, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        events: list[dict[str, Any]] = self.get(
            f"instances/{instance_id}?showHistory=true&{asked}"
        ).json["historyEvents"]
        return events

    def in_status(self, status: str) -> str:
        """An instance that has come to a status."""
        if status == "Running":
            return self.running("Stuck")
        if status in ("Suspended", "Terminated"):
            instance_id = self.running("Stuck")
            operation = "suspend" if status == "Suspended" else "terminate"
            self.post(f"instances/{instance_id}/{operation}?reason=asked")
            self.until(instance_id, status)
            return instance_id
        return str(self.run("Chain" if status == "Completed" else "Fails")["instanceId"])


Check = Callable[[Hub], None]
CHECKED: set[int] = set()
CHECKS: list[Any] = []
KILLED = "the extension's host that stands in here does not find its storage again"
FUNCTIONS_HOST = "the Functions host answers it, not the extension"


def statement(*numbers: int, ours: str | None = None) -> Callable[[Check], Check]:
    """Note a check of some statements; `ours` says why the extension need not fulfil it."""

    def note(check: Check) -> Check:
        CHECKED.update(numbers)
        named = f"{' '.join(map(str, numbers))}: {check.__name__.replace('_', ' ')}"
        marks = () if ours is None else pytest.mark.ours(ours)
        CHECKS.append(pytest.param(check, id=named, marks=marks))
        return check

    return note


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = copy_app(APP, tmp_path_factory.mktemp("conformance") / "app")
    with HostProcess(folder, *CHOSEN) as host:
        yield Hub(host)


def unique() -> str:
    return uuid.uuid4().hex[:12]


# -- 15.1 Start ------------------------------------------------------------------------------


@statement(1, 2, 3)
def started_instances_are_answered_with_links(hub: Hub) -> None:
    reply = hub.post("orchestrators/Chain")
    assert reply.status == 202
    assert reply.headers["Content-Type"] == JSON
    assert reply.headers["Retry-After"] == "10"
    assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
    assert list(reply.json) == LINKS
    assert re.fullmatch("[0-9a-f]{32}", reply.json["id"])


@statement(4)
def a_given_id_is_used(hub: Hub) -> None:
    wanted = unique()
    assert hub.start("Chain", None, wanted) == wanted
    assert hub.get(f"instances/{wanted}").json["instanceId"] == wanted


@statement(5, 6)
def links_carry_hub_connection_and_key(hub: Hub) -> None:
    links = hub.post("orchestrators/Chain").json
    for name in LINKS[1:]:
        assert re.search(r"[?&]taskHub=ConfHub&connection=\w+&code=[\w-]+", links[name])
        assert links[name].startswith(hub.host.url)
    assert "{eventName}" in links["sendEventPostUri"]
    assert "reason={text}" in links["terminatePostUri"]
    port = hub.host.url.rpartition(":")[2]
    other = hub.host.call("POST", f"http://127.0.0.1:{port}{WEBHOOK}/orchestrators/Chain")
    assert other.json["statusQueryGetUri"].startswith(f"http://127.0.0.1:{port}/")


@statement(7, 8)
def what_is_no_orchestrator_is_accepted_and_fails(hub: Hub) -> None:
    for name in ("Nope", "Chian", "Hello"):
        shown = hub.run(name)
        assert (shown["name"], shown["runtimeStatus"]) == (name, "Failed")
        told, _, names = shown["output"].partition(" functions: ")
        assert told == (
            f"Orchestrator function '{name}' failed: The function '{name}' doesn't exist, is "
            "disabled, or is not an orchestrator function. Additional info: The following are the "
            "known orchestrator"
        )
        assert re.fullmatch(r"'\w+'(, '\w+')+\.", names)
        assert "'Chain'" in names
        assert "'Hello'" not in names
    waited = hub.post("orchestrators/Nope?timeout=20&pollingInterval=1")
    assert (waited.status, waited.json["runtimeStatus"]) == (200, "Failed")


@statement(9)
def names_ignore_case(hub: Hub) -> None:
    assert hub.run("cHAIN")["runtimeStatus"] == "Completed"


@statement(10)
def a_body_that_is_no_json_starts_nothing(hub: Hub) -> None:
    wanted = unique()
    for raw in (b"nope", b"nul", b'"abc', b"1 2", b"{} x", b"a=b"):
        reply = hub.post(f"orchestrators/Chain/{wanted}", raw=raw)
        assert (reply.status, reply.json["Message"]) == (400, "Invalid JSON content")
        assert reply.json["ExceptionType"] == "Newtonsoft.Json.JsonReaderException"
        assert hub.get(f"instances/{wanted}").status == 404


@statement(10, ours="the extension answers 500 where the text ends too early (X9)")
def a_body_that_is_cut_off_starts_nothing_either(hub: Hub) -> None:
    for raw in (b"{", b'{"a":', b"[1,"):
        reply = hub.post("orchestrators/Chain", raw=raw)
        assert (reply.status, reply.json["Message"]) == (400, "Invalid JSON content")


@statement(11)
def no_body_is_no_input(hub: Hub) -> None:
    assert hub.run("Chain")["input"] is None


@statement(12, 13, 14, ours="the extension checks no id on start (X3, X4)")
def ids_that_break_a_rule_are_refused(hub: Hub) -> None:
    for instance_id, told in (
        ("@x", "must not start with @"),
        ("a%23b", "must not contain"),
        ("a%3Fb", "must not contain"),
        ("a%5Cb", "must not contain"),
        ("a%01b", "must not contain"),
        ("x" * 257, "Instance ID lengths must not exceed 256 characters."),
    ):
        reply = hub.post(f"orchestrators/Chain/{instance_id}")
        assert reply.status == 400
        assert told in reply.json["ExceptionMessage"]
    assert hub.post(f"orchestrators/Chain/{unique():x<256}").status == 202


@statement(15)
def a_running_id_is_protected(hub: Hub) -> None:
    instance_id = hub.in_status("Running")
    reply = hub.post(f"orchestrators/Chain/{instance_id}")
    told = "An Orchestration instance with the status Running already exists."
    assert (reply.status, reply.json) == (409, {"Message": told})
    assert reply.headers["Content-Type"] == JSON
    assert hub.get(f"instances/{instance_id}").json["name"] == "Stuck"


@statement(16)
def an_ended_id_is_replaced(hub: Hub) -> None:
    for status in ENDED:
        instance_id = hub.in_status(status)
        hub.start("Stuck", None, instance_id)
        shown = hub.until(instance_id, "Running")
        assert (shown["name"], shown["output"], shown["customStatus"]) == ("Stuck", None, None)


@statement(18, 64)
def other_methods_are_not_found(hub: Hub) -> None:
    for path in ("orchestrators/Chain", "instances/x/raiseEvent/y"):
        reply = hub.get(path)
        assert (reply.status, reply.body) == (404, b"")


@statement(19, 20, 21)
def waiting_answers_the_output_the_status_or_the_links(hub: Hub) -> None:
    waits = "?timeout=20&pollingInterval=1"
    reply = hub.post(f"orchestrators/Chain{waits}")
    assert (reply.status, reply.json[0]) == (200, "Hello Tokyo!")
    reply = hub.post(f"orchestrators/Fails{waits}")
    assert (reply.status, reply.json["runtimeStatus"]) == (200, "Failed")
    began = time.monotonic()
    reply = hub.post("orchestrators/Stuck?timeout=1&pollingInterval=1")
    assert (reply.status, list(reply.json)) == (202, LINKS)
    assert 0.9 < time.monotonic() - began < 5


@statement(22)
def an_interval_above_the_time_out_is_refused_though_it_has_started(hub: Hub) -> None:
    larger = "Total timeout {} should be bigger than retry timeout {}"
    for timeout, interval, told in (
        ("1", "5", larger.format(1, 5)),
        ("1e6", "1,00000000", larger.format(1000000, 100000000)),
        ("0.12345678", ".5", larger.format("0.1234567", "0.5")),
        ("NaN", "1", "TimeSpan does not accept floating point Not-a-Number values."),
        ("5", "-2", NO_DELAY),
    ):
        wanted = unique()
        query = f"timeout={timeout}&pollingInterval={interval}"
        reply = hub.post(f"orchestrators/Stuck/{wanted}?{query}")
        assert (reply.status, reply.json) == (400, {"Message": told})
        assert hub.get(f"instances/{wanted}").status != 404
    reply = hub.post("orchestrators/Stuck?timeout=1e300&pollingInterval=1")
    assert (reply.status, reply.json["ExceptionType"]) == (500, "System.OverflowException")
    assert reply.json["ExceptionMessage"] == (
        "TimeSpan overflowed because the duration is too long."
    )


@statement(23)
def half_a_wait_is_none(hub: Hub) -> None:
    for query in ("timeout=9", "pollingInterval=1", "timeout=x&pollingInterval=1"):
        assert hub.post(f"orchestrators/Stuck?{query}").status == 202


@statement(24)
def a_started_instance_is_there(hub: Hub) -> None:
    for _ in range(20):
        assert hub.get(f"instances/{hub.start('Chain')}").status != 404


# -- 15.2 Status -----------------------------------------------------------------------------


@statement(25, 54)
def unknown_instances_are_not_found(hub: Hub) -> None:
    for method in ("GET", "DELETE"):
        reply = hub.call(method, "instances/nobody")
        assert (reply.status, reply.body) == (404, b"")


@statement(26)
def unfinished_instances_are_accepted(hub: Hub) -> None:
    for status in ("Running", "Suspended"):
        path = f"instances/{hub.in_status(status)}?showInput=true"
        reply = hub.get(path)
        assert reply.status == 202
        assert reply.headers["Location"] == f"{hub.host.url}{WEBHOOK}/{path}"
        assert reply.headers["Retry-After"] == "5"


@statement(27)
def ended_instances_are_ok(hub: Hub) -> None:
    for status in ("Completed", "Terminated"):
        reply = hub.get(f"instances/{hub.in_status(status)}")
        assert reply.status == 200
        assert "Location" not in reply.headers


@statement(28)
def failed_instances_are_ok_unless_asked_otherwise(hub: Hub) -> None:
    path = f"instances/{hub.in_status('Failed')}"
    plain, asked = hub.get(path), hub.get(f"{path}?returnInternalServerErrorOnFailure=true")
    assert (plain.status, asked.status) == (200, 500)
    assert plain.json == asked.json


@statement(29, 30, 34)
def the_status_object_has_its_keys_in_order(hub: Hub) -> None:
    shown = hub.run("Chain")
    assert list(shown) == STATUS_KEYS
    for name in ("createdTime", "lastUpdatedTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown[name])
    assert shown["lastUpdatedTime"] >= shown["createdTime"]


@statement(31)
def inputs_are_stored_as_they_came(hub: Hub) -> None:
    for raw, told in (
        (b'{ "a" :  1.50 }', '{ "a" :  1.50 }'),
        (b"\xef\xbb\xbf [1,\n2] ", " [1,\n2] "),
        ('"é"'.encode("latin-1"), '"é"'),
    ):
        headers = {"Content-Type": "text/plain; charset=iso-8859-1"} if raw[0] == 34 else {}
        instance_id = hub.post("orchestrators/Chain", raw=raw, headers=headers).json["id"]
        shown = hub.ended(instance_id)
        assert shown["input"] == json.loads(told)
        assert hub.history(instance_id)[0]["Input"] == told


@statement(31)
def inputs_are_shown_as_they_came(hub: Hub) -> None:
    assert hub.run("Chain", {"a": 1})["input"] == {"a": 1}
    wanted = unique()
    started = hub.host.call("POST", f"/api/start/Chain/{wanted}", {"a": 1})
    assert started.status == 202
    shown = hub.ended(wanted)["input"]
    assert isinstance(shown, str)
    assert json.loads(shown) == {"a": 1}


@statement(32, 33)
def inputs_can_be_hidden(hub: Hub) -> None:
    instance_id = hub.start("Chain", 5)
    for value, shown in (("false", None), ("False", None), ("FALSE", None), ("0", 5)):
        assert hub.get(f"instances/{instance_id}?showInput={value}").json["input"] == shown


@statement(29)
def version_and_parent_have_their_places(hub: Hub) -> None:
    given = hub.post("orchestrators/Chain?version=1&version=2").json["id"]
    shown = hub.get(f"instances/{given}").json
    assert list(shown) == ["name", "version", *STATUS_KEYS[1:]]
    assert (shown["version"], shown["runtimeStatus"]) == ("1,2", "Pending")
    assert list(hub.ended(hub.post("orchestrators/Chain?version=").json["id"])) == STATUS_KEYS
    parent = hub.run("Parent")["instanceId"]
    child = hub.get(f"instances/{parent}-child").json
    assert list(child) == [*STATUS_KEYS[:2], "parentInstanceId", *STATUS_KEYS[2:]]
    assert child["parentInstanceId"] == parent
    [row] = hub.get(f"instances?instanceIdPrefix={parent}-child").json
    assert row == child
    hub.post(f"instances/{parent}-child/restart?restartWithNewInstanceId=false")
    assert list(hub.ended(f"{parent}-child")) == STATUS_KEYS


@statement(35, 36, 37, 39, 40)
def the_history_is_shown_merged(hub: Hub) -> None:
    instance_id = hub.run("Chain")["instanceId"]
    events = hub.history(instance_id)
    kinds = [event["EventType"] for event in events]
    assert kinds == ["ExecutionStarted", *["TaskCompleted"] * 3, "ExecutionCompleted"]
    assert events[0]["FunctionName"] == "Chain"
    assert not {"Name", "OrchestrationInstance", "Tags"} & events[0].keys()
    for event in events[1:4]:
        assert event["FunctionName"] == "Hello"
        assert event["ScheduledTime"] <= event["Timestamp"]
        assert not {"EventId", "IsPlayed", "TaskScheduledId"} & event.keys()
    assert events[-1]["OrchestrationStatus"] == "Completed"
    assert not any("Result" in event for event in events)
    assert hub.history(instance_id, showHistoryOutput="true")[1]["Result"] == "Hello Tokyo!"


EVENT_KEYS = {
    "ExecutionStarted": [
        *("EventType", "Input", "Correlation", "ParentTraceContext", "ScheduledStartTime"),
        *("Generation", "GenerateNewTrace", "Timestamp", "FunctionName"),
    ],
    "TaskScheduled": ["EventType", "Name", "Input", "ParentTraceContext", "Tags", "Timestamp"],
    "TaskCompleted": [
        *("EventType", "Result", "Timestamp", "ScheduledTime", "FunctionName", "Input")
    ],
    "TaskFailed": [
        *("EventType", "Reason", "Details", "FailureDetails", "Timestamp", "ScheduledTime"),
        *("FunctionName", "Input"),
    ],
    "SubOrchestrationInstanceCreated": [
        *("EventType", "Name", "InstanceId", "Input", "ClientSpanId", "Tags", "Timestamp")
    ],
    "SubOrchestrationInstanceCompleted": [
        *("EventType", "Result", "Timestamp", "ScheduledTime", "FunctionName", "InstanceId"),
        "Input",
    ],
    "SubOrchestrationInstanceFailed": [
        *("EventType", "Reason", "Details", "FailureDetails", "Timestamp", "ScheduledTime"),
        *("FunctionName", "InstanceId", "Input"),
    ],
    "TimerCreated": ["EventType", "FireAt", "Timestamp"],
    "TimerFired": ["EventType", "FireAt", "Timestamp"],
    "EventSent": ["EventType", "InstanceId", "Name", "Input", "Timestamp"],
    "EventRaised": ["EventType", "Name", "Input", "ParentTraceContext", "Timestamp"],
    "ExecutionSuspended": ["EventType", "Reason", "Timestamp"],
    "ExecutionResumed": ["EventType", "Reason", "Timestamp"],
    "ExecutionTerminated": ["EventType", "Input", "Timestamp"],
    "ExecutionCompleted": [
        *("EventType", "OrchestrationStatus", "Result", "FailureDetails", "Timestamp")
    ],
    "GenericEvent": ["Data", "EventType", "Timestamp"],
}


@statement(36, 37, 40)
def each_event_of_the_history_has_its_keys_in_order(hub: Hub) -> None:
    paused = hub.running("Approval")
    for operation, status in (("suspend", "Suspended"), ("resume", "Running")):
        hub.post(f"instances/{paused}/{operation}?reason={operation}ed")
        hub.until(paused, status)
    hub.post(f"instances/{paused}/raiseEvent/approval", 1)
    hub.ended(paused)
    rewound = hub.run("FailOnce")["instanceId"]
    hub.post(f"instances/{rewound}/rewind?reason=again")
    hub.until(rewound, "Completed")
    waiting = hub.running("Parent", {"child": "Stuck"})
    ended = [hub.run(name)["instanceId"] for name in ("Parent", "Fails", "Timer2", "CallsCounter")]
    failed = hub.run("Parent", {"child": "Fails"})["instanceId"]
    slow = hub.running("SlowOnce", "3")
    seen: set[str] = set()
    stopped = hub.in_status("Terminated")
    for instance_id in (paused, rewound, waiting, *ended, failed, slow, stopped):
        for event in hub.history(instance_id, showHistoryOutput="true"):
            kind = event["EventType"]
            seen.add(kind)
            assert list(event) == EVENT_KEYS[kind]
            assert event.get("FailureDetails") is None
            assert event["Timestamp"].endswith("Z")
            assert event.get("ScheduledTime", "+00:00").endswith("+00:00")
    assert seen == set(EVENT_KEYS)
    data = [e["Data"] for e in hub.history(rewound) if e["EventType"] == "GenericEvent"]
    assert data == [None, None, None, "again"]
    generation = hub.history(hub.run("CanCount", "4")["instanceId"])[0]["Generation"]
    assert generation is None
    assert hub.history(slow)[0]["Generation"] == 0


@statement(38)
def a_running_activity_is_shown_as_scheduled(hub: Hub) -> None:
    instance_id = hub.running("SlowOnce", "0.5")
    [scheduled] = [e for e in hub.history(instance_id) if e["EventType"] == "TaskScheduled"]
    assert scheduled["Name"] == "Slow"


@statement(93, ours="timers of the extension fire up to a second early (Y50)")
def timers_never_fire_early(hub: Hub) -> None:
    began = time.monotonic()
    hub.run("Timer2")
    assert time.monotonic() - began >= 2


@statement(41, 93)
def timers_show_when_they_fire(hub: Hub) -> None:
    shown = hub.run("Timer2")
    assert shown["output"] == "fired"
    created, fired = hub.history(shown["instanceId"])[1:3]
    assert (created["EventType"], fired["EventType"]) == ("TimerCreated", "TimerFired")
    assert created["FireAt"] == fired["FireAt"]
    assert "TimerId" not in fired


@statement(42, 96)
def a_failed_activity_is_told_in_the_extensions_words(hub: Hub) -> None:
    shown = hub.run("Fails")
    reason = "Activity function 'AlwaysFail' failed:  ValueError: always"
    [failed] = [e for e in hub.history(shown["instanceId"]) if e["EventType"] == "TaskFailed"]
    assert failed["Reason"] == reason
    assert shown["runtimeStatus"] == "Failed"
    assert shown["output"].startswith(f"Orchestrator function 'Fails' failed: {reason}")


@statement(43)
def the_custom_status_is_shown_while_running(hub: Hub) -> None:
    instance_id = hub.running("Approval")
    assert hub.get(f"instances/{instance_id}").json["customStatus"] == "waiting"


# -- 15.3 List and purge ---------------------------------------------------------------------


def listed(hub: Hub, query: str) -> list[str]:
    """Ids on all pages."""
    found: list[str] = []
    headers: dict[str, str] = {}
    while True:
        reply = hub.call("GET", f"instances?{query}", headers=headers)
        assert reply.status == 200
        found += [item["instanceId"] for item in reply.json]
        token = reply.headers["x-ms-continuation-token"]
        if not token:
            return found
        headers = {"x-ms-continuation-token": token}


@statement(44, 45)
def the_list_ends_with_an_empty_token(hub: Hub) -> None:
    hub.run("Chain")
    plain, slashed = hub.get("instances?top=5000"), hub.get("instances/?top=5000")
    assert plain.headers["x-ms-continuation-token"] == ""
    assert {item["instanceId"] for item in plain.json} == {
        item["instanceId"] for item in slashed.json
    }


@statement(46, 49)
def pages_follow_one_another_within_a_prefix(hub: Hub) -> None:
    prefix = f"Page{unique()}"
    ids = [hub.start("Chain", None, f"{prefix}-{number}") for number in range(5)]
    assert sorted(listed(hub, f"top=2&instanceIdPrefix={prefix}")) == ids
    assert len(hub.get(f"instances?top=2&instanceIdPrefix={prefix}").json) <= 2
    assert listed(hub, f"instanceIdPrefix={prefix.lower()}") == []


@statement(47, 48)
def statuses_are_a_list_or_repeated(hub: Hub) -> None:
    for status in ENDED[:2]:
        hub.in_status(status)
    joined = listed(hub, "runtimeStatus=Completed,Failed")
    assert joined == listed(hub, "runtimeStatus=Completed&runtimeStatus=Failed")
    assert joined
    assert set(joined) <= set(listed(hub, "runtimeStatus=Nonsense"))


@statement(48)
def a_number_without_a_status_fits_nothing(hub: Hub) -> None:
    hub.in_status("Completed")
    assert listed(hub, "runtimeStatus=99") == []
    assert listed(hub, "runtimeStatus=99, Completed,nonsense".replace(" ", "%20"))
    everything = listed(hub, "top=5000")
    assert set(listed(hub, "top=5000&runtimeStatus=completed")) >= set(everything)


@statement(47)
def inputs_of_a_list_are_hidden_only_from_a_filtered_one(hub: Hub) -> None:
    prefix = unique()
    hub.ended(hub.start("Chain", 5, f"{prefix}-1"))

    def inputs(query: str) -> set[object]:
        found = hub.get(f"instances?top=5000&showInput=false{query}").json
        return {item["input"] for item in found if item["instanceId"].startswith(prefix)}

    assert inputs("") == {5}
    assert inputs("&runtimeStatus=nonsense") == {5}
    for query in (f"&instanceIdPrefix={prefix}", "&createdTimeFrom=2000-01-01"):
        assert inputs(query) == {None}
    assert inputs("&runtimeStatus=Completed") == {None}


@statement(45, ours="the extension gives a token that leads to the same page again (X34)")
def a_page_holds_at_least_one_instance(hub: Hub) -> None:
    for top in ("0", "-1"):
        assert hub.get(f"instances?top={top}").status == 400


@statement(50)
def created_times_bound_the_list(hub: Hub) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    instance_id = hub.start("Chain")
    after = datetime.now(timezone.utc) + timedelta(seconds=1)
    first, last = (f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in (before, after))
    assert instance_id in listed(hub, f"createdTimeFrom={first}&createdTimeTo={last}")
    assert instance_id not in listed(hub, f"createdTimeFrom={last}")
    assert instance_id not in listed(hub, f"createdTimeTo={first}")
    assert instance_id in listed(hub, "createdTimeFrom=2-01-01")
    assert instance_id in listed(hub, "createdTimeTo=yesterday")


@statement(51)
def a_page_has_a_hundred_instances(hub: Hub) -> None:
    prefix = f"many{unique()}"
    for number in range(101):
        hub.start("Stuck", None, f"{prefix}-{number}")
    reply = hub.get(f"instances?instanceIdPrefix={prefix}")
    assert len(reply.json) == 100
    assert reply.headers["x-ms-continuation-token"]


@statement(52, 83, 84)
def an_entity_is_signalled_read_and_listed(hub: Hub) -> None:
    key = unique()
    reply = hub.post(f"entities/Counter/{key}?op=add", "5")
    assert (reply.status, reply.body) == (202, b"")
    assert state(hub, key, 5).json == 5
    [shown] = hub.get(f"instances?instanceIdPrefix=@counter@{key}").json
    assert shown["runtimeStatus"] == "Running"
    reply = hub.get("entities/counter/nobody")
    assert (reply.status, reply.body) == (404, b"")


@statement(53)
def purging_deletes_an_instance(hub: Hub) -> None:
    path = f"instances/{hub.in_status('Completed')}"
    reply = hub.call("DELETE", path)
    assert (reply.status, reply.json) == (200, {"instancesDeleted": 1})
    assert hub.get(path).status == 404


@statement(55)
def only_ended_instances_and_entities_can_be_purged(hub: Hub) -> None:
    for status in ("Running", "Suspended"):
        instance_id = hub.in_status(status)
        reply = hub.call("DELETE", f"instances/{instance_id}")
        assert (reply.status, reply.json) == (
            412,
            "Only orchestrations in a terminal state can be purged, but the orchestration with "
            f"instance ID {instance_id} has status {status}",
        )
        assert hub.get(f"instances/{instance_id}").status == 202
    key = unique()
    hub.post(f"entities/Counter/{key}?op=add", "5")
    state(hub, key, 5)
    for count in (1, 0):
        reply = hub.call("DELETE", f"instances/@counter@{key}")
        assert (reply.status, reply.json) == (200, {"instancesDeleted": count})
    assert hub.get(f"entities/counter/{key}").status == 404


@statement(56, 57, 58)
def purging_by_filter_takes_what_has_the_statuses(hub: Hub) -> None:
    running = hub.in_status("Running")
    completed, failed = hub.in_status("Completed"), hub.in_status("Failed")
    created = hub.get(f"instances/{running}").json["createdTime"]
    reply = hub.call("DELETE", "instances")
    text = "Please provide value for 'createdTimeFrom' parameter."
    assert (reply.status, reply.json) == (400, text)
    query = f"createdTimeFrom={created}&runtimeStatus="
    reply = hub.call("DELETE", f"instances?{query}Completed,Running")
    assert reply.json["instancesDeleted"] >= 1
    assert hub.get(f"instances/{completed}").status == 404
    assert hub.get(f"instances/{failed}").status == 200
    assert hub.get(f"instances/{running}").status == 202
    reply = hub.call("DELETE", "instances?createdTimeFrom=2100-01-01")
    assert (reply.status, reply.body) == (404, b"")


@statement(56, 57, 58, 59, ours="the extension purges running ones too if none is named (X41)")
def purging_by_filter_takes_what_has_ended_in_the_range(hub: Hub) -> None:
    running = hub.in_status("Running")
    completed, failed = hub.in_status("Completed"), hub.in_status("Failed")
    created = hub.get(f"instances/{running}").json["createdTime"]
    reply = hub.call("DELETE", "instances")
    text = "Please provide value for 'createdTimeFrom' parameter."
    assert (reply.status, reply.json) == (400, text)
    reply = hub.call("DELETE", f"instances?createdTimeFrom={created}&runtimeStatus=Completed")
    assert reply.json["instancesDeleted"] >= 1
    assert hub.get(f"instances/{completed}").status == 404
    assert hub.get(f"instances/{failed}").status == 200
    assert hub.call("DELETE", f"instances?createdTimeFrom={created}").status == 200
    assert hub.get(f"instances/{failed}").status == 404
    assert hub.get(f"instances/{running}").status == 202
    reply = hub.call("DELETE", "instances?createdTimeFrom=2100-01-01")
    assert (reply.status, reply.body) == (404, b"")


# -- 15.4 Instance operations ----------------------------------------------------------------


@statement(60)
def an_event_for_nobody_is_refused_whatever_its_body(hub: Hub) -> None:
    for instance_id, status in (
        ("nobody", 404),
        *((hub.in_status(status), 410) for status in ENDED),
    ):
        reply = hub.post(f"instances/{instance_id}/raiseEvent/x", raw=b"{")
        assert (reply.status, reply.body) == (status, b"")


@statement(61)
def an_event_must_be_of_type_json(hub: Hub) -> None:
    path = f"instances/{hub.in_status('Running')}/raiseEvent/x"
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": ""}):
        reply = hub.post(path, raw=b"1", headers=headers)
        assert reply.status == 400
        assert reply.json == {"Message": "Only application/json request content is supported"}


@statement(62)
def an_event_must_hold_json(hub: Hub) -> None:
    path = f"instances/{hub.in_status('Running')}/raiseEvent/x"
    for raw in (b"{", b""):
        reply = hub.post(path, raw=raw, headers={"Content-Type": "application/json"})
        assert (reply.status, reply.json["Message"]) == (400, "Invalid JSON content")


@statement(63)
def an_event_is_delivered(hub: Hub) -> None:
    instance_id = hub.running("Approval")
    reply = hub.post(f"instances/{instance_id}/raiseEvent/approval", {"by": "me"})
    assert (reply.status, reply.body) == (202, b"")
    assert hub.ended(instance_id)["output"] == {"by": "me"}


@statement(65)
def an_event_raised_at_once_is_delivered(hub: Hub) -> None:
    instance_id = hub.start("Approval")
    assert hub.post(f"instances/{instance_id}/raiseEvent/approval", 1).status == 202
    assert hub.ended(instance_id)["output"] == 1


@statement(66)
def early_events_are_taken_in_order(hub: Hub) -> None:
    instance_id = hub.start("TwoEvents")
    for number in (1, 2):
        hub.post(f"instances/{instance_id}/raiseEvent/approval", number)
    assert hub.ended(instance_id)["output"] == [1, 2]


@statement(67, 68)
def terminate_ends_with_the_reason(hub: Hub) -> None:
    assert hub.post("instances/nobody/terminate").status == 404
    instance_id = hub.in_status("Running")
    assert hub.post(f"instances/{instance_id}/terminate?reason=no+more").status == 202
    assert hub.until(instance_id, "Terminated")["output"] == "no more"
    assert hub.post(f"instances/{instance_id}/terminate").status == 410


@statement(69)
def children_of_a_terminated_parent_go_on(hub: Hub) -> None:
    parent = hub.start("Parent", {"child": "Stuck"})
    hub.until(parent, "Running")
    end = time.monotonic() + 10
    while hub.get(f"instances/{parent}-child").status == 404:
        assert time.monotonic() < end
    hub.post(f"instances/{parent}/terminate")
    hub.until(parent, "Terminated")
    assert hub.until(f"{parent}-child", "Running")


@statement(70, 71, 72, 73)
def suspended_instances_wait(hub: Hub) -> None:
    instance_id = hub.running("Approval")
    path = f"instances/{instance_id}"
    reply = hub.post(f"{path}/resume")
    assert reply.status == 500
    assert "Cannot resume the orchestration instance" in reply.json["ExceptionMessage"]
    assert hub.post(f"{path}/suspend?reason=a+pause").status == 202
    assert hub.until(instance_id, "Suspended")["output"] == "a pause"
    reply = hub.post(f"{path}/suspend")
    assert reply.status == 500
    assert "Cannot suspend the orchestration instance" in reply.json["ExceptionMessage"]
    assert hub.post(f"{path}/raiseEvent/approval", "yes").status == 202
    assert hub.get(path).json["runtimeStatus"] == "Suspended"
    assert hub.post(f"{path}/resume").status == 202
    assert hub.ended(instance_id)["output"] == "yes"
    other = hub.in_status("Suspended")
    assert hub.post(f"instances/{other}/terminate").status == 202
    hub.until(other, "Terminated")


@statement(74)
def ended_and_unknown_instances_take_nothing(hub: Hub) -> None:
    for operation in ("suspend", "resume"):
        assert hub.post(f"instances/nobody/{operation}").status == 404
        for status in ("Completed", "Terminated"):
            assert hub.post(f"instances/{hub.in_status(status)}/{operation}").status == 410


@statement(76)
def only_failed_instances_are_rewound(hub: Hub) -> None:
    reply = hub.post("instances/no'body$%22/rewind")
    text = 'No orchestration with instance ID "$no\'body$"" found.'
    assert (reply.status, reply.json) == (404, text)
    for status in ("Running", "Suspended", "Completed", "Terminated"):
        reply = hub.post(f"instances/{hub.in_status(status)}/rewind")
        assert (reply.status, reply.json) == (
            412,
            f"This orchestration has status {status}, but only orchestrations in the "
            '"Failed" state can be rewound.',
        )


@statement(75)
def a_rewound_instance_goes_on_where_it_failed(hub: Hub) -> None:
    instance_id = hub.run("FailOnce")["instanceId"]
    assert hub.post(f"instances/{instance_id}/rewind?reason=again").status == 202
    shown = hub.until(instance_id, "Completed")
    assert shown["output"] == instance_id
    notes = (hub.host.folder / "notes").read_text().splitlines()
    assert notes.count(f"Hello {instance_id}") == 1


@statement(77, 78, 79)
def restart_repeats_an_instance(hub: Hub) -> None:
    shown = hub.run("Chain", {"n": 1})
    reply = hub.post(f"instances/{shown['instanceId']}/restart")
    assert (reply.status, list(reply.json)) == (202, LINKS)
    again = hub.ended(reply.json["id"])
    assert again["instanceId"] != shown["instanceId"]
    for name in ("name", "input", "output"):
        assert again[name] == shown[name]
    same = "restart?restartWithNewInstanceId=false"
    reply = hub.post(f"instances/{shown['instanceId']}/{same}")
    assert (reply.status, reply.json["id"]) == (202, shown["instanceId"])
    reply = hub.post(f"instances/{hub.in_status('Running')}/{same}")
    assert reply.status == 409
    assert problem(reply) == ALREADY_EXISTS
    reply = hub.post("instances/nobody/restart")
    assert (reply.status, problem(reply)) == (400, NO_SUCH_INSTANCE)
    reply = hub.post(f"instances/{shown['instanceId']}/restart?timeout=1&pollingInterval=5")
    assert (reply.status, problem(reply)) == (
        400,
        (
            "InstanceId does not match a valid orchestration instance.",
            "Total timeout 1 should be bigger than retry timeout 5",
            "System.ArgumentException",
        ),
    )
    reply = hub.post(f"instances/{shown['instanceId']}/restart?timeout=5&pollingInterval=-5")
    assert problem(reply)[1:] == (NO_DELAY, "System.ArgumentOutOfRangeException")


def problem(reply: Reply) -> tuple[str, str, str]:
    """What the second form of an error body says."""
    said = reply.json
    assert list(said) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    return said["Message"], said["ExceptionMessage"], said["ExceptionType"]


NO_SUCH_INSTANCE = (
    "InstanceId does not match a valid orchestration instance.",
    "No instance with ID 'nobody' was found. (Parameter 'instanceId')",
    "System.ArgumentException",
)
ALREADY_EXISTS = (
    "A non-terminal instance with this instance ID already exists.",
    "An Orchestration instance with the status Running already exists.",
    "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
)


@statement(77, 78, 79)
def restart_with_options_chooses_id_and_version(hub: Hub) -> None:
    source, wanted = hub.run("Chain", {"n": 1})["instanceId"], unique()
    path = f"instances/{source}/restartWithOptions"
    for query in ("", "?newInstanceId=", "?newInstanceId=%20&version=1"):
        for place in (path, "instances/nobody/restartWithOptions"):
            reply = hub.post(f"{place}{query}")
            told = "A new orchestration instance ID must be provided."
            assert (reply.status, reply.json) == (400, {"Message": told})
    for new_id, rule in (
        ("@x", "Orchestration instance IDs must not start with @."),
        *(
            (
                f"a{character}b",
                "Orchestration instance IDs must not contain /, \\, #, ?, or control characters.",
            )
            for character in ("%2F", "%5C", "%23", "%3F", "%01", "%C2%85")
        ),
        ("x" * 257, "Instance ID lengths must not exceed 256 characters."),
    ):
        reply = hub.post(f"instances/nobody/restartWithOptions?newInstanceId={new_id}")
        told = f"{rule} (Parameter 'newInstanceId')"
        assert (reply.status, problem(reply)) == (400, (told, told, "System.ArgumentException"))
    reply = hub.post("instances/nobody/restartWithOptions?newInstanceId=fine")
    assert (reply.status, problem(reply)) == (400, NO_SUCH_INSTANCE)
    running = hub.in_status("Running")
    for place in (path, f"instances/{running}/restartWithOptions"):
        reply = hub.post(f"{place}?newInstanceId={running}")
        assert (reply.status, problem(reply)) == (409, ALREADY_EXISTS)

    reply = hub.post(f"{path}?newInstanceId={wanted}&version=3")
    assert (reply.status, reply.json["id"], list(reply.json)) == (202, wanted, LINKS)
    shown = hub.get(f"instances/{wanted}").json
    assert (shown["name"], shown["version"], shown["input"]) == ("Chain", "3", {"n": 1})
    waits = "timeout=20&pollingInterval=1"
    reply = hub.post(f"{path}?newInstanceId={source}&{waits}")
    assert (reply.status, reply.json[0]) == (200, "Hello Tokyo!")


@statement(80, 81, 82)
def routes_are_those_of_the_extension(hub: Hub) -> None:
    instance_id = hub.in_status("Running")
    assert hub.post(f"instances/{instance_id}/unknownOp").status == 404
    assert hub.post(f"instances/{instance_id}").status == 404
    assert hub.get(f"instances/{instance_id}/terminate").status == 404
    for method in ("POST", "GET"):
        reply = hub.call(method, "makeprimary")
        assert (reply.status, reply.body) == (200, b"")
    for path in (f"instances//{instance_id}", "", "orchestrators//x", "orchestrators/a/b/c"):
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PATCH"):
            reply = hub.call(method, path)
            assert (reply.status, reply.body) == (404, b"")
    assert hub.get(f"instances/{instance_id}/").status == 202
    assert hub.post(f"INSTANCES/{instance_id}/Terminate").status == 202


@statement(80)
def paths_are_decoded_as_forms_before_they_are_split(hub: Hub) -> None:
    suffix = unique()
    for path, wanted in (
        ("a+b", "a b"),
        ("a%2Bb", "a b"),
        ("a%20b", "a b"),
        ("a%252Bb", "a+b"),
        ("a%25zz", "a%zz"),
        ("a%2541", "aA"),
        ("%C3%A9~(a)", "é~(a)"),
    ):
        reply = hub.post(f"orchestrators/Stuck/{suffix}{path}")
        hub.post(f"instances/{suffix}{path}/terminate")
        assert (reply.status, reply.json["id"]) == (202, f"{suffix}{wanted}")
        link = reply.json["statusQueryGetUri"]
        encoded = quote_plus(wanted, safe="()").replace("~", "%7E")
        assert f"/instances/{suffix}{encoded}?" in link
        if "+" not in wanted:
            assert hub.host.call("GET", link).json["instanceId"] == f"{suffix}{wanted}"
        hub.until(f"{suffix}{path}", "Terminated")
    waiting = hub.running("Approval")
    for path in (f"instances/{waiting}/raiseEvent/", "orchestrators/Chain/"):
        for slash in ("a%2Fb", "a%252Fb"):
            reply = hub.post(f"{path}{slash}", 1)
            assert (reply.status, reply.body) == (404, b"")


# -- 15.5 Entities ---------------------------------------------------------------------------


def state(hub: Hub, key: str, wanted: object) -> Reply:
    """The read of a counter as soon as it has a value; None for gone."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        reply = hub.get(f"entities/counter/{key}")
        if (reply.json if reply.status == 200 else None) == wanted:
            return reply
    raise AssertionError(f"{key} is {reply}, not {wanted}")


@statement(85, 86)
def wrong_signals_are_refused(hub: Hub) -> None:
    for method in ("POST", "DELETE"):
        reply = hub.call(method, "entities/Xcounter/a?op=add")
        told = (
            "The function 'xcounter' doesn't exist, is disabled, or is not an entity function. "
            "Additional info: The following are the known entity functions: 'Counter'."
        )
        assert (reply.status, reply.json) == (400, {"Message": told})
        reply = hub.call(method, "entities")
        told = (
            "Invalid entity id: entity name must not be a null or empty string. "
            "(Parameter 'entityName')"
        )
        assert (reply.status, reply.json) == (400, {"Message": told})
    reply = hub.post("entities/Counter/a%23b?op=add")
    told = (
        "entityKey (Parameter 'Entity keys must not contain /, \\, #, ?, or control characters.')"
    )
    assert (reply.status, reply.json) == (400, {"Message": told})
    reply = hub.post(
        "entities/Counter/a?op=add", raw=b"{", headers={"Content-Type": "application/json"}
    )
    assert reply.status == 400
    assert reply.json["Message"].startswith("Could not parse JSON content: ")


@statement(87, 89)
def entities_are_listed_until_they_are_gone(hub: Hub) -> None:
    def find(query: str = "") -> list[dict[str, Any]]:
        found = hub.get(f"entities/counter?top=5000{query}").json
        return [item for item in found if item["entityId"]["key"] == key]

    key = unique()
    hub.post(f"entities/Counter/{key}?op=add", "3")
    state(hub, key, 3)
    [shown] = find()
    assert list(shown) == ["entityId", "lastOperationTime", "state"]
    assert (shown["entityId"]["name"], shown["state"]) == ("counter", None)
    assert find("&fetchState=true")[0]["state"] == 3
    hub.post(f"entities/Counter/{key}?op=delete")
    assert state(hub, key, None).status == OF_NOTHING
    assert find() == []


@statement(87)
def a_failed_first_operation_makes_no_entity(hub: Hub) -> None:
    key = unique()
    hub.post(f"entities/Counter/{key}?op=fail")
    hub.post(f"entities/Counter/{key}-next?op=add", "1")
    state(hub, f"{key}-next", 1)
    assert hub.get(f"entities/counter/{key}").status == OF_NOTHING


@statement(88)
def concurrent_signals_all_count(hub: Hub) -> None:
    key = unique()
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(hub.post, f"entities/Counter/{key}?op=add", "1") for _ in range(100)]
        assert {call.result().status for call in calls} == {202}
    state(hub, key, 100)


@statement(90)
def a_failing_operation_harms_nothing(hub: Hub) -> None:
    shown = hub.run("CallsCounter")
    assert shown["output"] == ["the counter cannot do that", 2]
    key = shown["instanceId"]
    hub.post(f"entities/Counter/{key}?op=fail")
    hub.post(f"entities/Counter/{key}?op=add", "1")
    state(hub, key, 3)


@statement(91)
def entities_cannot_be_put(hub: Hub) -> None:
    assert hub.call("PUT", "entities/counter/a").status == 404


# -- 15.6 Engine -----------------------------------------------------------------------------


@statement(92)
def a_fan_out_runs_side_by_side(hub: Hub) -> None:
    hub.run("FanOut", "2")
    began = time.monotonic()
    assert hub.run("FanOut", "20")["output"] == 20
    assert time.monotonic() - began < 1.5


@statement(94)
def an_open_timer_keeps_the_instance_running(hub: Hub) -> None:
    kept = hub.running("EventOrTimer", {"seconds": 2, "cancel": False})
    freed = hub.running("EventOrTimer", {"seconds": 600, "cancel": True})
    for instance_id in (kept, freed):
        hub.post(f"instances/{instance_id}/raiseEvent/approval", 1)
    assert hub.ended(freed)["output"] == "event"
    assert hub.get(f"instances/{kept}").json["runtimeStatus"] == "Running"
    assert hub.ended(kept)["output"] == "event"


@statement(95)
def an_eternal_orchestration_keeps_its_last_generation(hub: Hub) -> None:
    instance_id = hub.start("CanCount")
    created = hub.get(f"instances/{instance_id}").json["createdTime"]
    shown = hub.ended(instance_id)
    assert shown["output"] == 5
    assert shown["createdTime"] > created
    kinds = [event["EventType"] for event in hub.history(instance_id)]
    assert kinds.count("ExecutionStarted") == 1


@statement(97)
def a_raising_orchestrator_fails_with_its_text(hub: Hub) -> None:
    shown = hub.run("Raises")
    assert shown["runtimeStatus"] == "Failed"
    assert shown["output"] == "Orchestrator function 'Raises' failed: raised as asked"


@statement(98)
def a_retry_is_in_the_history(hub: Hub) -> None:
    shown = hub.run("Retry3")
    assert shown["runtimeStatus"] == "Completed"
    assert [event["EventType"] for event in hub.history(shown["instanceId"])] == [
        *("ExecutionStarted", "TaskFailed", "TimerCreated", "TimerFired"),
        *("TaskCompleted", "ExecutionCompleted"),
    ]


@statement(99)
def an_exhausted_retry_sets_one_more_timer(hub: Hub) -> None:
    shown = hub.run("RetryExhaust")
    assert shown["runtimeStatus"] == "Failed"
    kinds = [event["EventType"] for event in hub.history(shown["instanceId"])]
    assert kinds[-4:] == ["TaskFailed", "TimerCreated", "TimerFired", "ExecutionCompleted"]
    assert kinds.count("TaskFailed") == 2


@statement(100)
def a_child_is_an_instance_of_its_own(hub: Hub) -> None:
    shown = hub.run("Parent")
    child = hub.get(f"instances/{shown['instanceId']}-child").json
    assert child["name"] == "Chain"
    assert shown["output"] == ["child gave", child["output"]]


@statement(101)
def a_custom_status_has_a_limit(hub: Hub) -> None:
    shown = hub.run("BigStatus")
    assert shown["runtimeStatus"] == "Failed"
    assert "must not exceed 16 KB. The current payload size is 20 KB" in shown["output"]


@statement(102, ours="with the extension the call waits for ever, without a line in a log (X55)")
def an_unknown_activity_fails_the_instance(hub: Hub) -> None:
    shown = hub.run("NoSuch")
    text = "The function 'foo' doesn't exist, is disabled, or is not an activity function."
    assert shown["runtimeStatus"] == "Failed"
    assert text in shown["output"]
    assert "On Azure this call would wait for ever, without a line in any log." in shown["output"]


@statement(107, ours=FUNCTIONS_HOST)
def a_plain_string_is_answered_as_text(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/ping")
    assert (reply.status, reply.body) == (200, b"pong")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@statement(108, ours=FUNCTIONS_HOST)
def a_wrong_method_on_a_route_is_404(hub: Hub) -> None:
    reply = hub.host.call("POST", "/api/ping")
    assert (reply.status, reply.body) == (404, b"")


@statement(109, ours=FUNCTIONS_HOST)
def a_route_constraint_that_fails_is_no_match(hub: Hub) -> None:
    assert hub.host.call("GET", "/api/items/7").json["route_params"] == {"id": "7"}
    assert hub.host.call("GET", "/api/items/x").status == 404


@statement(110, ours=FUNCTIONS_HOST)
def a_catch_all_takes_the_rest_of_the_path(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/files/a/b/c")
    assert reply.json["route_params"] == {"path": "a/b/c"}


@statement(111, ours=FUNCTIONS_HOST)
def literals_ignore_case_and_values_keep_it(hub: Hub) -> None:
    reply = hub.host.call("GET", "/API/nAMES/MixedCase")
    assert reply.json["route_params"] == {"name": "MixedCase"}


@statement(112, ours=FUNCTIONS_HOST)
def a_function_that_raises_is_500_and_the_host_goes_on(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/boom")
    assert reply.status == 500  # with a body, but only for who sits at the machine
    assert hub.host.call("GET", "/api/ping").status == 200


@statement(113, ours=FUNCTIONS_HOST)
def binary_bodies_pass_unchanged(hub: Hub) -> None:
    body = bytes(range(256)) * 9
    reply = hub.host.call("POST", "/api/mirror", raw=body)
    assert reply.body == body
    assert reply.headers["Content-Type"] == "application/octet-stream"


@statement(114, ours=FUNCTIONS_HOST)
def repeated_parameters_are_joined_and_empty_ones_dropped(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/echo?a=1&a=2&b=&c=x")
    assert reply.json["params"] == {"a": "1,2", "c": "x"}


@statement(115, ours=FUNCTIONS_HOST)
def status_headers_and_cookies_pass_through(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/teapot")
    assert (reply.status, reply.headers["X-Pot"]) == (418, "tea")
    cookies = [value for name, value in reply.headers.items() if name == "Set-Cookie"]
    assert cookies == ["a=1; Path=/", "b=2; Secure"]


@statement(116, ours=FUNCTIONS_HOST)
def without_key_check_no_code_matters(hub: Hub) -> None:
    for query in ({}, {"code": "wrong"}, {"code": "right"}):
        assert hub.host.call("GET", "/admin/host/status", query=query).status == 200


@statement(117, ours=FUNCTIONS_HOST)
def functions_are_run_by_hand(hub: Hub) -> None:
    reply = hub.host.call("POST", "/admin/functions/Hello", {"input": '"by hand"'})
    assert (reply.status, reply.body) == (202, b"")
    assert hub.host.call("POST", "/admin/functions/Nope", {"input": ""}).status == 404
    assert hub.host.call("POST", "/admin/functions/Hello").status == 400
    notes = hub.host.folder / "notes"
    end = time.monotonic() + 20
    while not (notes.exists() and "Hello by hand" in notes.read_text()):
        assert time.monotonic() < end
        hub.host.call("GET", "/api/ping")


@statement(118, ours=FUNCTIONS_HOST)
def the_host_says_that_it_runs(hub: Hub) -> None:
    reply = hub.host.call("GET", "/admin/host/status")
    assert (reply.status, reply.json["state"]) == (200, "Running")


@pytest.mark.parametrize("check", CHECKS)
def test_statement(check: Check, hub: Hub) -> None:
    check(hub)


def test_statement_17_any_state_may_be_replaced_and_is_terminated(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    host_json = json.loads((folder / "host.json").read_text())
    settings = {"overridableExistingInstanceStates": "AnyState", "useAppLease": False}
    host_json["extensions"]["durableTask"].update(settings)
    (folder / "host.json").write_text(json.dumps(host_json))
    with HostProcess(folder, *CHOSEN) as host:
        hub = Hub(host)
        parent = hub.start("Parent", {"child": "Stuck"})
        child = f"{parent}-child"
        end = time.monotonic() + 20
        while hub.get(f"instances/{child}").status == 404:
            assert time.monotonic() < end
        for instance_id in (hub.until(child, "Running")["instanceId"], hub.in_status("Suspended")):
            assert hub.start("Chain", None, instance_id) == instance_id
            assert hub.ended(instance_id)["name"] == "Chain"
        told = (
            f"A new instance creation request has been issued for instance {child} which currently "
            "has status Running. Since the dedupe statuses of the creation request, [] (all "
            "statuses reusable), do not contain the orchestration's status, the orchestration has "
            "been terminated and a new instance with the same instance ID will be created."
        )
        assert told in hub.ended(parent)["output"]
        again = hub.running("Stuck")
        same = f"instances/{again}/restart?restartWithNewInstanceId=false"
        assert hub.post(same).json["id"] == again
        reply = hub.post("makeprimary")
        told = "Cannot make current app primary. This app is not using the AppLease feature."
        assert (reply.status, reply.json) == (400, {"Message": told})


@pytest.mark.ours(KILLED)
def test_statements_103_104_105_a_killed_host_loses_nothing(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    with HostProcess(folder, *CHOSEN) as host:
        hub = Hub(host)
        slow = hub.start("SlowOnce", "0.4")
        timer = hub.running("Timer2")
        approval = hub.start("Approval")
        assert hub.post(f"instances/{approval}/raiseEvent/approval", "kept").status == 202
        notes = folder / "notes"
        while not notes.exists() or "Slow 0.4" not in notes.read_text():
            hub.get(f"instances/{slow}")
        host.kill()
        host.start()
        assert hub.ended(slow)["output"] == 0.4
        assert notes.read_text().splitlines().count("Slow 0.4") == 2
        assert hub.ended(timer)["output"] == "fired"
        assert hub.ended(approval)["output"] == "kept"


@pytest.mark.ours(KILLED)
def test_statement_106_code_that_has_changed_is_found_out(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    with HostProcess(folder, *CHOSEN) as host:
        hub = Hub(host)
        instance_id = hub.running("Timer2")
        host.kill()
        code = (folder / "function_app.py").read_text()
        asked = "yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))"
        assert asked in code
        changed = 'yield context.call_activity("Hello", "you")'
        (folder / "function_app.py").write_text(code.replace(asked, changed))
        host.start()
        shown = hub.ended(instance_id)
        assert shown["runtimeStatus"] == "Failed"
        assert shown["output"].startswith("Non-Deterministic workflow detected")
        if "--worker-python" not in CHOSEN:  # the official package cannot tell the place
            assert re.search(r"function_app\.py, line \d+\)$", shown["output"])


@pytest.mark.ours(FUNCTIONS_HOST)
def test_statement_116_with_the_key_check_on_a_call_needs_the_key(tmp_path: Path) -> None:
    with HostProcess(copy_app(APP, tmp_path / "app"), "--enableAuth", *CHOSEN) as host:
        assert host.call("GET", "/admin/host/status").status == 401
        started = host.call("POST", "/api/start/Chain")
        key = furl(started.json["statusQueryGetUri"]).args["code"]
        assert host.call("GET", "/admin/host/status", query={"code": key}).status == 200


@pytest.mark.ours(FUNCTIONS_HOST)
def test_statement_119_a_broken_app_is_loaded_as_soon_as_it_is_mended(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    code = (folder / "function_app.py").read_text()
    (folder / "function_app.py").write_text("raise RuntimeError('half done')\n")
    with HostProcess(folder, *CHOSEN) as host:
        assert host.call("GET", "/api/ping").status == 503
        assert any("Worker failed to load" in line for line in host.lines)
        (folder / "function_app.py").write_text(code)
        end = time.monotonic() + 20
        while host.call("GET", "/api/ping").status == 503:
            assert time.monotonic() < end
        assert Hub(host).run("Chain")["runtimeStatus"] == "Completed"


@pytest.mark.ours(FUNCTIONS_HOST)
def test_statement_120_pages_of_permitted_origins_may_ask(tmp_path: Path) -> None:
    ours, other = "https://app.example", "https://evil.example"
    asked = {"Access-Control-Request-Method": "POST"}
    with HostProcess(copy_app(APP, tmp_path / "app"), "--cors", ours, *CHOSEN) as host:
        permitted = host.call("OPTIONS", "/api/echo", headers={"Origin": ours, **asked})
        assert permitted.status == 204
        assert permitted.headers["Access-Control-Allow-Origin"] == ours
        refused = host.call("OPTIONS", "/api/echo", headers={"Origin": other, **asked})
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_every_statement_is_checked() -> None:
    elsewhere = {17, 103, 104, 105, 106, 119, 120}
    assert sorted(CHECKED | elsewhere) == list(range(1, 121))
