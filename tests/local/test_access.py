"""Who may drive the host: no web page of another site, and nobody without the key from outside."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from furl import furl
from host_process import WEBHOOK, HostProcess, copy_app

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.web.access import Access
from azure.durable_functions.local.web.cors import Cors

SAMPLES = Path(__file__).parent.parent.parent / "samples"
START = f"{WEBHOOK}/orchestrators/chaining_orchestrator"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("access") / "app"
    with HostProcess(copy_app(SAMPLES / "function_chaining_v2", folder)) as running:
        yield running


@pytest.fixture(scope="module")
def open_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder = tmp_path_factory.mktemp("access") / "app"
    app = copy_app(SAMPLES / "function_chaining_v2", folder)
    with HostProcess(app, "--address", "0.0.0.0") as running:
        yield running


@pytest.mark.parametrize("path", [START, "/api/orchestrators/chaining_orchestrator"])
def test_a_page_of_another_site_cannot_start_anything(host: HostProcess, path: str) -> None:
    reply = host.call("POST", path, raw=b"", headers={"Origin": "https://evil.example"})

    assert (reply.status, reply.body) == (403, b"")


def test_a_page_of_our_own_can(host: HostProcess) -> None:
    assert host.call("POST", START, headers={"Origin": host.url}).status == 202


def test_a_page_of_another_site_cannot_fetch_but_may_link(host: HostProcess) -> None:
    def fetched(**headers: str) -> int:
        named = {f"Sec-Fetch-{name.capitalize()}": value for name, value in headers.items()}
        return host.call("GET", f"{WEBHOOK}/instances", headers=named).status

    assert fetched(site="cross-site", mode="no-cors", dest="image") == 403
    assert fetched(site="same-site", mode="cors", dest="empty") == 403
    assert fetched(site="cross-site", mode="navigate", dest="iframe") == 403
    assert fetched(site="cross-site", mode="navigate", dest="document") == 403
    assert fetched(site="cross-site", mode="navigate", dest="document", user="?1") == 200
    assert fetched(site="cross-site", mode="navigate", dest="iframe", user="?1") == 403
    assert fetched(site="same-origin", mode="cors", dest="empty") == 200
    assert fetched(site="none", mode="navigate", dest="document") == 200


def test_a_get_that_names_a_foreign_page_is_refused(host: HostProcess) -> None:
    def status(origin: str) -> int:
        return host.call("GET", f"{WEBHOOK}/instances", headers={"Origin": origin}).status

    assert status("https://evil.example") == 403
    assert status("null") == 403
    assert status(host.url) == 200


@pytest.mark.parametrize("path", [START, "/api/orchestrators/chaining_orchestrator"])
def test_answers_with_keys_are_kept_by_nobody(host: HostProcess, path: str) -> None:
    reply = host.call("POST", path, raw=b"")

    assert b"code=" in reply.body
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_foreign_host_name_is_refused(host: HostProcess) -> None:
    reply = host.call("GET", f"{WEBHOOK}/instances", headers={"Host": "evil.example"})

    assert reply.status == 403


def test_on_loopback_no_key_is_needed(host: HostProcess) -> None:
    for query in ({}, {"code": ""}, {"code": "wrong"}):
        assert host.call("GET", f"{WEBHOOK}/instances", query=query).status == 200


def test_from_outside_the_key_is_needed(open_host: HostProcess) -> None:
    refused = open_host.call("POST", START)
    wrong = open_host.call("POST", START, query={"code": "wrong"})

    assert (refused.status, refused.body) == (401, b"")
    assert wrong.status == 401
    assert any("requests need the access key" in line for line in open_host.lines)
    assert not any("code=" in line and "..." not in line for line in open_host.lines)


def test_an_anonymous_function_stays_open_and_its_links_hold_the_key(
    open_host: HostProcess,
) -> None:
    started = open_host.call("POST", "/api/orchestrators/chaining_orchestrator")
    link = started.json["statusQueryGetUri"].partition(WEBHOOK)[2]

    assert open_host.call("GET", WEBHOOK + link).status in (200, 202)


def test_the_key_may_come_as_a_header_which_wins() -> None:
    access = Access.of_address("0.0.0.0", "secret")

    assert access.has_key({"x-functions-key": "secret"}, "wrong")
    assert not access.has_key({"x-functions-key": "wrong"}, "secret")
    assert access.has_key({}, "secret")
    assert not access.has_key({}, None)


def test_named_hosts_are_ours() -> None:
    access = Access.of_address("10.0.0.5", "secret", ["dev.example"])

    assert not access.is_foreign("GET", {"host": "dev.example:7071"})
    assert not access.is_foreign("GET", {"host": "10.0.0.5:7071"})
    assert access.is_foreign("GET", {"host": "other.example"})
    assert access.is_foreign("GET", {"host": "[broken"})
    own_page = {"host": "localhost", "origin": "http://localhost"}
    assert access.is_foreign("POST", own_page, is_rpc=True)


def test_on_every_interface_addresses_and_the_machines_names_are_ours() -> None:
    access = Access.of_address("0.0.0.0", "secret")

    assert not access.is_foreign("GET", {"host": "192.168.3.4:7071"})
    assert not access.is_foreign("GET", {"host": "[fe80::1]:7071"})
    assert not access.is_foreign("GET", {"host": f"{socket.gethostname().upper()}:7071"})
    assert access.is_foreign("GET", {"host": "evil.example:7071"})


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "10.0.0.5"])
def test_the_workers_door_answers_under_the_names_of_loopback_alone(address: str) -> None:
    access = Access.of_address(address, "secret", ["dev.example"])

    assert not access.is_foreign("GET", {"host": "127.0.0.1:17071"}, is_rpc=True)
    for name in ("10.0.0.5", "dev.example", socket.gethostname(), "evil.example"):
        assert access.is_foreign("GET", {"host": f"{name}:17071"}, is_rpc=True)


def test_the_workers_door_wants_the_secret_of_the_run_and_gives_no_key_away(
    tmp_path: Path,
) -> None:
    (tmp_path / "function_app.py").write_text(SHOWS_ITS_BINDING)
    with HostProcess(tmp_path, "--enableAuth") as host:
        door, query = host.call("GET", "/api/door").json
        without = furl(door).set(path="/durabletask/").url
        for path in ("orchestrators/noop", "instances", "entities/Counter"):
            assert host.call("GET", f"{without}{path}").status == 404
            assert host.call("GET", f"{without}wrong/{path}").status == 404
        started = host.call("POST", f"{door}orchestrators/noop")

        assert started.status == 202
        assert query.partition("=")[2] not in f"{started.body!r} {started.headers}"


SHOWS_ITS_BINDING = """
import json
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def noop(context):
    return "ok"


@app.route("door")
@app.durable_client_input(client_name="client")
async def door(req, client):
    found = client._orchestration_bindings
    key = found.management_urls["statusQueryGetUri"].rpartition("&")[2]
    return json.dumps([found.rpc_base_url, key])
"""

PAGE = {"Origin": "https://shop.example"}


@pytest.fixture(scope="module")
def host_with_cors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    app = copy_app(SAMPLES / "function_chaining_v2", tmp_path_factory.mktemp("cors") / "app")
    with HostProcess(app, "--cors", "https://shop.example,https://b.example") as started:
        yield started


def test_a_permitted_page_may_send_and_read(host_with_cors: HostProcess) -> None:
    path = f"{WEBHOOK}/instances"
    asks = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "x-a"}

    preflight = host_with_cors.call("OPTIONS", path, headers={**PAGE, **asks})
    reply = host_with_cors.call("POST", f"{path}/nobody/terminate", headers=PAGE)

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert preflight.headers["Access-Control-Allow-Methods"] == "DELETE"
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-a"
    assert reply.status == 404
    assert reply.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_another_page_may_not(host_with_cors: HostProcess) -> None:
    headers = {"Origin": "https://else.example"}

    reply = host_with_cors.call("POST", f"{WEBHOOK}/instances/x/terminate", headers=headers)

    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_every_origin_with_credentials_is_refused() -> None:
    with pytest.raises(SettingsError, match="name the origins"):
        Cors.of_text("*", with_credentials=True)
    assert Cors.of_text("*", with_credentials=False).permits("http://anybody.example")


def test_the_key_can_be_asked_for_on_loopback_too() -> None:
    access = Access.of_address("127.0.0.1", "secret", is_key_wanted=True)

    assert not access.has_key({}, None)
    assert access.has_key({}, "secret")


@pytest.mark.parametrize(
    "sent",
    [
        "GET /api/x?code={key}&name=grün HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/x HTTP/1.1\r\nHost: localhost\r\nX-Functions-Key : {key}\r\n\r\n",
        "{key} nonsense\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n",
        "POST /runtime/webhooks/durabletask/instances/x/raiseEvent/go HTTP/1.1\r\n"
        "Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX{key}\r\n",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {key}\r\n\r\n",
    ],
    ids=["umlaut", "header", "no HTTP", "chunk", "broken chunk", "length"],
)
def test_nothing_of_a_malformed_request_gets_into_the_log(host: HostProcess, sent: str) -> None:
    key = "SECRETKEY0123456789"
    before = len(host.lines)
    with socket.create_connection(("127.0.0.1", int(furl(host.url).port or 0)), 5) as connection:
        connection.sendall(sent.format(key=key).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1000)
    host.call("GET", "/")  # what was logged before has been written

    assert b"200" not in answer[:20]
    said = "\n".join(host.lines[before:])
    assert key not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", [START, "/api/orchestrators/chaining_orchestrator"])
def test_a_compressed_body_is_refused_and_not_unpacked(host: HostProcess, path: str) -> None:
    packed = gzip.compress(b" " * 1000)
    reply = host.call("POST", path, raw=packed, headers={"Content-Encoding": "gzip"})

    assert reply.status == 415
    assert b"Content-Encoding is not supported" in reply.body


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "utf-7", "hex"])
def test_odd_charsets_are_refused(host: HostProcess, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    reply = host.call("POST", START, raw=b"1", headers=headers)

    assert reply.status == 400
    assert b"is not supported; send UTF-8" in reply.body
