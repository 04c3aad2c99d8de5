"""What the client escapes the receiver undoes; what cannot travel is refused at once.

Source: extension.md X20, X51. `arrives` is what the genuine extension was measured to do.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import azure.functions as func
import pytest
import traveller
from host_process import HostProcess
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from recording_server import binding

import azure.durable_functions as df
from azure.durable_functions._client import queries
from azure.durable_functions.testing import DurableTestHost

MEASURED = {
    "x%41y": "xAy",
    "x%2By": "x+y",
    "x%25y": "x%y",
    "x%C3%A9y": "xéy",
    "x%23y": "x#y",
    "x%u0041y": "x%u0041y",
    "x%zzy": "x%zzy",
    "x%": "x%",
    "a%4": "a%4",
    "..": None,
    ".": None,
    "a..": "a..",
    "x\x00y": None,
    "x\x7fy": "x\x7fy",
    "x\x85y": "x\x85y",
    "x\\y": "x\\y",
    "\ufeffx": "\ufeffx",
    "x\u2028y": "x\u2028y",
    "x;y": "x;y",
    "x=y&z": "x=y&z",
    "~.-_x": "~.-_x",
    " x": " x",
    "x ": "x ",
    "é": "é",
    "a+b": "a b",
    "a/b": None,
}
"""Of the genuine extension 3.19: the id that came of one that was sent percent-encoded."""

STRANGE = st.text(st.sampled_from(" %+/\\#?&=;:,.@$'\"|~<>{}[]^`!*()-_4aAf\x00\x07\x7f\x85éß漢😀"))
TEXTS = st.one_of(STRANGE, st.text(max_size=12)).filter(bool)


def arrives(text: str) -> str | None:
    """The text that is found in a path where `text` was put, by the extension's two decodings."""
    if text in (".", "..") or "\x00" in text:
        return None
    try:
        path = quote(text, safe="").replace("%2B", "+")
    except UnicodeEncodeError:
        return None
    once = unquote_plus(path)
    twice = unquote(once)
    return None if "/" in twice else twice


@pytest.mark.parametrize("text", MEASURED, ids=repr)
def test_the_model_of_the_extension_is_what_was_measured(text: str) -> None:
    assert arrives(text) == MEASURED[text]


@given(TEXTS)
@settings(max_examples=1000)
def test_exactly_what_would_not_arrive_is_refused(text: str) -> None:
    if arrives(text) == text:
        assert unquote(queries.name_segment("event_name", text)) == text
    else:
        with pytest.raises(ValueError, match=r"^event_name ") as refused:
            queries.name_segment("event_name", text)
        assert repr(text) in str(refused.value)


RULES = {
    "@a": "must not start with @",
    "a#b": "must not contain /",
    "a?b": "must not contain /",
    "a\\b": "must not contain /",
    "a\nb": "control characters",
    "a\x85b": "control characters",
    "a/b": "must not contain /",
    "a+b": "arrives as a blank",
    "a%2Fb": "'%2F' is decoded as an escape",
    "a" * 257: "must not exceed 256 characters",
    "..": "a step in a path",
    "a\ud800": "half of a surrogate pair",
}


@pytest.mark.parametrize("text", RULES, ids=repr)
def test_a_new_id_is_held_against_the_extensions_rules(text: str) -> None:
    client = df.DurableOrchestrationClient(binding("http://h/"))
    for work in (
        client.start_new("X", text),
        client.restart("old", new_instance_id=text),
    ):
        with pytest.raises(ValueError, match=RULES[text]):
            work.send(None)


def test_what_exists_may_be_addressed_though_it_could_not_be_started() -> None:
    for text in ("@counter@a", "a#b", "a" * 300, "parent:1"):
        assert unquote(queries.name_segment("instance_id", text)) == text


@pytest.mark.parametrize("key", ["a/b", "a#b", "a\\b", "a\x07", "a+b", "$", ".."], ids=repr)
def test_a_key_that_would_not_arrive_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="entity key"):
        queries.key_segment(key)


def test_a_forgotten_await_is_told_where_its_result_is_used() -> None:
    client = df.DurableOrchestrationClient(binding("http://h/"))
    request = func.HttpRequest("POST", "http://h/api", body=b"")
    with pytest.raises(TypeError, match=r"start_new\(\) gives before it is awaited: write await"):
        client.create_check_status_response(request, client.start_new("X"))  # type: ignore[arg-type]  # the mistake


def test_links_hold_the_escaped_id_and_name_the_plain_one() -> None:
    client = df.DurableOrchestrationClient(binding("http://h/"))
    links = client.create_http_management_payload("a b%é")

    assert links["id"] == "a b%é"
    assert "/instances/a%20b%25%C3%A9?" in links["statusQueryGetUri"]
    response = client.create_check_status_response(
        func.HttpRequest("POST", "http://h/api", body=b""), "a b%é"
    )
    assert response.headers["Location"].isascii()
    with pytest.raises(ValueError, match="instance_id 'a/b'"):
        client.create_http_management_payload("a/b")


def is_accepted(check: Any, *texts: str) -> bool:
    try:
        for text in texts:
            check("name", text)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def kit() -> Iterator[Any]:
    with DurableTestHost(traveller.app) as host:
        yield host


@given(TEXTS, TEXTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_ids_and_event_names_go_round_the_test_kit(kit: Any, text: str, event: str) -> None:
    assume(is_accepted(queries.new_id_segment, text))
    assume(is_accepted(queries.name_segment, event))
    client = kit.client
    assert client.start_new("waits", text, event, if_exists="replace") == text
    kit.settle()
    links = client.create_http_management_payload(text)
    shown = kit.http.get(links["statusQueryGetUri"])
    assert (shown.status, shown.json()["instanceId"]) == (202, text)

    raised = links["sendEventPostUri"].replace("{eventName}", quote(event, safe=""))
    if len(text) % 2:
        assert kit.http.post(raised, json="arrived").status == 202
    else:
        kit.raise_event(text, event, "arrived")
    kit.settle()
    assert client.get_status(text).output == [text, event]
    assert client.purge_instance_history(text).instances_deleted == 1


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_entity_keys_go_round_the_test_kit(kit: Any, key: str) -> None:
    try:
        queries.key_segment(key)
    except ValueError:
        with pytest.raises(ValueError, match="entity key"):
            kit.client.signal_entity(df.EntityId("keeper", key), "set", key)
        return
    entity = df.EntityId("keeper", key)
    kit.signal_entity(entity, "set", "value")
    assert kit.client.read_entity_state(entity).entity_state == [key, "value"]


def test_the_test_kit_refuses_an_event_that_cannot_travel_also_raw(kit: Any) -> None:
    for raw in (False, True):
        with pytest.raises(ValueError, match="'Upload/1' cannot be sent: '/' separates"):
            kit.raise_event("any", "Upload/1", 5, raw=raw)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("traveller")
    shutil.copy(Path(traveller.__file__), folder / "function_app.py")
    (folder / "host.json").write_text('{"version": "2.0"}')
    with HostProcess(folder) as process:
        yield process


@given(TEXTS, TEXTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_ids_and_event_names_go_round_a_host(host: HostProcess, text: str, event: str) -> None:
    assume(is_accepted(queries.new_id_segment, text))
    assume(is_accepted(queries.name_segment, event))
    asked = {"id": text, "event": event}
    began = host.call("POST", "/api/start", asked)
    assert (began.status, began.json["id"]) == (202, text)
    shown = host.call("GET", began.json["statusQueryGetUri"])
    assert shown.json["instanceId"] == text
    assert host.call("GET", began.headers["Location"]).json["instanceId"] == text

    assert json.loads(host.call("POST", "/api/send", asked).body) == [text, event]
    purged = host.call("DELETE", began.json["purgeHistoryDeleteUri"])
    assert purged.json == {"instancesDeleted": 1}


@given(st.lists(TEXTS, min_size=10, max_size=10))
@settings(max_examples=3, deadline=None)
def test_entity_keys_go_round_a_host(host: HostProcess, keys: list[str]) -> None:
    accepted = [key for key in keys if is_accepted(lambda _, key: queries.key_segment(key), key)]
    for key in accepted:
        assert host.call("POST", "/api/keep", {"key": key, "value": "v"}).status < 300
    for key in accepted:
        deadline = time.monotonic() + 10
        while (found := host.call("POST", "/api/kept", {"key": key}).json) is None:
            assert time.monotonic() < deadline
        assert found == [key, "v"]
