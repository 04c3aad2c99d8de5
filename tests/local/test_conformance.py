"""The conformance statements of host.md section 15, over HTTP against a started host.

Each is a function marked with its number. Real time passes only where the statement needs it.
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

import pytest
from furl import furl
from host_process import WEBHOOK, HostProcess, Reply, copy_app

CHOSEN = shlex.split(os.environ.get("CONFORMANCE_OPTIONS", ""))
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
CHECKS: dict[str, Check] = {}
"""By the numbers of the statements and what they say."""


def statement(*numbers: int) -> Callable[[Check], Check]:
    def note(check: Check) -> Check:
        CHECKED.update(numbers)
        named = check.__name__.replace("_", " ")
        CHECKS[f"{' '.join(map(str, numbers))}: {named}"] = check
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
def what_is_no_orchestrator_is_refused(hub: Hub) -> None:
    for name in ("Nope", "Hello"):
        reply = hub.post(f"orchestrators/{name}")
        assert reply.status == 400
        assert reply.json["Message"] == "One or more of the arguments submitted is incorrect"
        text = reply.json["ExceptionMessage"]
        assert text.startswith(
            f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function."
        )
        assert "'Chain'" in text


@statement(9)
def names_ignore_case(hub: Hub) -> None:
    assert hub.run("cHAIN")["runtimeStatus"] == "Completed"


@statement(10)
def a_body_that_is_no_json_starts_nothing(hub: Hub) -> None:
    wanted = unique()
    reply = hub.post(f"orchestrators/Chain/{wanted}", raw=b"{")
    assert (reply.status, reply.json["Message"]) == (400, "Invalid JSON content")
    assert hub.get(f"instances/{wanted}").status == 404


@statement(11)
def no_body_is_no_input(hub: Hub) -> None:
    assert hub.run("Chain")["input"] is None


@statement(12, 13, 14)
def ids_that_break_a_rule_are_refused(hub: Hub) -> None:
    for instance_id, told in (
        ("@x", "must not start with @"),
        ("a%23b", "must not contain"),
        ("a%3Fb", "must not contain"),
        ("a%5Cb", "must not contain"),
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
    assert reply.status == 500
    assert reply.json["ExceptionMessage"] == (
        "An Orchestration instance with the status Running already exists."
    )
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
    wanted = unique()
    reply = hub.post(f"orchestrators/Chain/{wanted}?timeout=1&pollingInterval=5")
    assert reply.status == 400
    assert {"1", "5"} <= set(re.findall(r"\d+", reply.json["ExceptionMessage"]))
    assert hub.get(f"instances/{wanted}").status != 404


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


@statement(38)
def a_running_activity_is_shown_as_scheduled(hub: Hub) -> None:
    instance_id = hub.running("SlowOnce", "0.5")
    [scheduled] = [e for e in hub.history(instance_id) if e["EventType"] == "TaskScheduled"]
    assert scheduled["Name"] == "Slow"


@statement(41, 93)
def timers_show_when_they_fire(hub: Hub) -> None:
    began = time.monotonic()
    shown = hub.run("Timer2")
    assert time.monotonic() - began >= 2
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


@statement(50)
def created_times_bound_the_list(hub: Hub) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    instance_id = hub.start("Chain")
    after = datetime.now(timezone.utc) + timedelta(seconds=1)
    first, last = (f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in (before, after))
    assert instance_id in listed(hub, f"createdTimeFrom={first}&createdTimeTo={last}")
    assert instance_id not in listed(hub, f"createdTimeFrom={last}")
    assert instance_id not in listed(hub, f"createdTimeTo={first}")


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
def a_running_instance_can_be_purged_for_good(hub: Hub) -> None:
    instance_id = hub.running("Timer2")
    assert hub.call("DELETE", f"instances/{instance_id}").status == 200
    time.sleep(2.2)
    assert hub.get(f"instances/{instance_id}").status == 404


@statement(56, 57, 58, 59)
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


@statement(74, 76)
def ended_and_unknown_instances_take_nothing(hub: Hub) -> None:
    for operation in ("suspend", "resume", "rewind"):
        assert hub.post(f"instances/nobody/{operation}").status == 404
        for status in ("Completed", "Terminated"):
            assert hub.post(f"instances/{hub.in_status(status)}/{operation}").status == 410
    assert hub.post(f"instances/{hub.in_status('Running')}/rewind").status == 500


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
    assert hub.post(f"instances/{hub.in_status('Running')}/{same}").status == 500
    reply = hub.post("instances/nobody/restart")
    text = "InstanceId does not match a valid orchestration instance."
    assert (reply.status, reply.json["Message"]) == (400, text)


@statement(80, 81, 82)
def routes_are_those_of_the_extension(hub: Hub) -> None:
    instance_id = hub.in_status("Running")
    assert hub.post(f"instances/{instance_id}/unknownOp").status == 404
    assert hub.post(f"instances/{instance_id}").status == 404
    assert hub.get(f"instances/{instance_id}/terminate").status == 404
    reply = hub.post("makeprimary")
    assert (reply.status, reply.body) == (200, b"")
    assert hub.post(f"INSTANCES/{instance_id}/Terminate").status == 202


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
    reply = hub.post("entities/x/a?op=add", 1)
    assert reply.status == 400
    assert list(reply.json) == ["Message"]
    assert reply.json["Message"].startswith(
        "The function 'x' doesn't exist, is disabled, or is not an entity function."
    )
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
    assert state(hub, key, None).status == 404
    assert find() == []


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


@statement(102)
def an_unknown_activity_fails_the_instance(hub: Hub) -> None:
    shown = hub.run("NoSuch")
    text = "The function 'foo' doesn't exist, is disabled, or is not an activity function."
    assert shown["runtimeStatus"] == "Failed"
    assert text in shown["output"]


@statement(107)
def a_plain_string_is_answered_as_text(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/ping")
    assert (reply.status, reply.body) == (200, b"pong")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@statement(108)
def a_wrong_method_on_a_route_is_404(hub: Hub) -> None:
    reply = hub.host.call("POST", "/api/ping")
    assert (reply.status, reply.body) == (404, b"")


@statement(109)
def a_route_constraint_that_fails_is_no_match(hub: Hub) -> None:
    assert hub.host.call("GET", "/api/items/7").json["route_params"] == {"id": "7"}
    assert hub.host.call("GET", "/api/items/x").status == 404


@statement(110)
def a_catch_all_takes_the_rest_of_the_path(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/files/a/b/c")
    assert reply.json["route_params"] == {"path": "a/b/c"}


@statement(111)
def literals_ignore_case_and_values_keep_it(hub: Hub) -> None:
    reply = hub.host.call("GET", "/API/nAMES/MixedCase")
    assert reply.json["route_params"] == {"name": "MixedCase"}


@statement(112)
def a_function_that_raises_is_500_and_the_host_goes_on(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/boom")
    assert (reply.status, reply.body) == (500, b"")
    assert hub.host.call("GET", "/api/ping").status == 200


@statement(113)
def binary_bodies_pass_unchanged(hub: Hub) -> None:
    body = bytes(range(256)) * 9
    reply = hub.host.call("POST", "/api/mirror", raw=body)
    assert reply.body == body
    assert reply.headers["Content-Type"] == "application/octet-stream"


@statement(114)
def repeated_parameters_are_joined_and_empty_ones_dropped(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/echo?a=1&a=2&b=&c=x")
    assert reply.json["params"] == {"a": "1,2", "c": "x"}


@statement(115)
def status_headers_and_cookies_pass_through(hub: Hub) -> None:
    reply = hub.host.call("GET", "/api/teapot")
    assert (reply.status, reply.headers["X-Pot"]) == (418, "tea")
    cookies = [value for name, value in reply.headers.items() if name == "Set-Cookie"]
    assert cookies == ["a=1; Path=/", "b=2; Secure"]


@statement(116)
def without_key_check_no_code_matters(hub: Hub) -> None:
    for query in ({}, {"code": "wrong"}, {"code": "right"}):
        assert hub.host.call("GET", "/admin/host/status", query=query).status == 200


@statement(117)
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


@statement(118)
def the_host_says_that_it_runs(hub: Hub) -> None:
    reply = hub.host.call("GET", "/admin/host/status")
    assert (reply.status, reply.json["state"]) == (200, "Running")


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_statement(check: Check, hub: Hub) -> None:
    check(hub)


def test_statement_17_any_state_may_be_replaced(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    host_json = json.loads((folder / "host.json").read_text())
    host_json["extensions"]["durableTask"]["overridableExistingInstanceStates"] = "AnyState"
    (folder / "host.json").write_text(json.dumps(host_json))
    with HostProcess(folder, *CHOSEN) as host:
        hub = Hub(host)
        instance_id = hub.running("Stuck")
        assert hub.start("Chain", None, instance_id) == instance_id
        assert hub.ended(instance_id)["name"] == "Chain"


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


def test_statement_116_with_the_key_check_on_a_call_needs_the_key(tmp_path: Path) -> None:
    with HostProcess(copy_app(APP, tmp_path / "app"), "--enableAuth", *CHOSEN) as host:
        assert host.call("GET", "/admin/host/status").status == 401
        started = host.call("POST", "/api/start/Chain")
        key = furl(started.json["statusQueryGetUri"]).args["code"]
        assert host.call("GET", "/admin/host/status", query={"code": key}).status == 200


def test_statement_119_a_broken_app_is_loaded_as_soon_as_it_is_mended(tmp_path: Path) -> None:
    folder = copy_app(APP, tmp_path / "app")
    code = (folder / "function_app.py").read_text()
    (folder / "function_app.py").write_text("raise RuntimeError('half done')\n")
    with HostProcess(folder, *CHOSEN) as host:
        assert host.call("GET", "/api/ping").status == 404
        assert any("Worker failed to load" in line for line in host.lines)
        (folder / "function_app.py").write_text(code)
        end = time.monotonic() + 20
        while host.call("GET", "/api/ping").status == 404:
            assert time.monotonic() < end
        assert Hub(host).run("Chain")["runtimeStatus"] == "Completed"


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
