"""Durable HTTP: requests that the host sends for an orchestration."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine
from recording_server import RecordingServer

import azure.durable_functions as df
from azure.durable_functions.local import http_sender
from azure.durable_functions.local.engine.invoker import HttpFailed
from azure.durable_functions.local.http_sender import DurableHttpSender
from azure.durable_functions.local.store.database import Database

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


def asking(method: str, path: str, **keywords: Any) -> Any:
    def orchestrator(context: Context) -> Orchestration:
        base: str = context.get_input()
        return (yield context.call_http(method, f"{base}{path}", **keywords))

    return orchestrator


def ask(server: RecordingServer, orchestrator: Any) -> tuple[str, Any]:
    async def scenario() -> tuple[str, Any]:
        async with server, Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            text = f'"\\"{server.base_url}\\""'
            instance_id = await engine.hub.start_instance("main", input_text=text)
            await engine.settle()
            return await engine.result(instance_id)

    return asyncio.run(scenario())


def test_any_status_is_a_result_with_the_headers_that_are_not_the_bodys() -> None:
    server = RecordingServer(answers=[(404, {"why": "gone"}, {"X-Reason": "gone"})])

    status, answer = ask(server, asking("GET", "thing"))

    assert status == "Completed"
    assert answer["statusCode"] == 404
    assert answer["content"] == '{"why": "gone"}'
    assert answer["headers"]["X-Reason"] == "gone"
    assert not {"content-type", "content-length"} & {name.lower() for name in answer["headers"]}


def test_content_goes_out_as_json_text_with_the_callers_headers() -> None:
    server = RecordingServer(answers=[(200, {}, {}), (200, {}, {})])

    def orchestrator(context: Context) -> Orchestration:
        base: str = context.get_input()
        yield context.call_http("POST", f"{base}a", {"n": 1}, {"Content-Type": "application/json"})
        yield context.call_http("PUT", f"{base}b", "plain", is_raw_str=True)

    assert ask(server, orchestrator)[0] == "Completed"
    first, second = server.asked
    assert (first.method, first.body) == ("POST", '{"n": 1}')
    assert first.headers["content-type"] == "application/json"
    assert (second.method, second.body) == ("PUT", "plain")
    assert second.headers["content-type"].startswith("text/plain")


def test_a_202_is_simply_the_result() -> None:
    server = RecordingServer(answers=[(202, {}, {"Location": "/elsewhere", "Retry-After": "1"})])

    assert ask(server, asking("POST", "slow"))[1]["statusCode"] == 202
    assert len(server.asked) == 1


def test_no_answer_fails_the_task_with_the_reason() -> None:
    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_http("GET", "http://127.0.0.1:9/")
        except Exception as error:
            return str(error)

    async def scenario() -> tuple[tuple[str, Any], list[dict[str, Any]]]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            return await engine.result(instance_id), await engine.history(instance_id)

    (status, text), recorded = asyncio.run(scenario())
    assert status == "Completed"
    assert "127.0.0.1:9" in text
    [scheduled] = [event for event in recorded if event["EventType"] == 4]
    assert scheduled["Name"] == "BuiltIn::HttpActivity"


def test_what_cannot_be_sent_is_told() -> None:
    def orchestrator(context: Context) -> Orchestration:
        texts = []
        source = df.ManagedIdentityTokenSource("https://graph.microsoft.com")
        for keywords in (
            {"headers": {"Content-Type": "multipart/form-data"}, "content": "x"},
            {"token_source": source},
            {"headers": {"X-Bad": "a\r\nb"}},
        ):
            try:
                yield context.call_http("POST", "http://127.0.0.1:9/", **keywords)
            except Exception as error:
                texts.append(str(error).partition("\n")[0].strip())
        return texts

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            return await engine.result(instance_id)

    multipart, token, _ = asyncio.run(scenario())[1]
    assert multipart == "Multipart content is not supported"
    assert "azure-identity" in token


def test_a_request_that_was_under_way_at_the_end_is_sent_again(tmp_path: Path) -> None:
    class Hanging:
        def __init__(self) -> None:
            self.sent: list[Mapping[str, Any]] = []
            self.is_hanging = True

        async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
            self.sent.append(request)
            if self.is_hanging:
                await asyncio.Event().wait()
            raise HttpFailed("the end")

    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_http("GET", "http://example.invalid/")
        except Exception:
            return "told"

    async def scenario() -> None:
        http = Hanging()
        invoker = DirectInvoker({"main": orchestrator}, {})
        store = tmp_path / "hub.sqlite"
        first = Engine(invoker, Database(store), http=http)
        first.database.open()
        await first.start()
        await first.hub.start_instance("main", instance_id="one")
        while not http.sent:
            await asyncio.sleep(0)
        await first.stop(patience_seconds=0)
        await first.database.close()
        http.is_hanging = False
        async with Engine(invoker, Database(store), first.clock, http=http) as second:
            await second.settle()
            assert await second.result("one") == ("Completed", "told")
        assert len(http.sent) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("uri", ["", "no url", "http://[broken", "ftp://a.example/"])
def test_an_address_that_is_none_fails_the_task(uri: str) -> None:
    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_http("GET", uri)
        except Exception:
            return "told"

    async def scenario() -> tuple[str, Any]:
        async with Engine(DirectInvoker({"main": orchestrator}, {})) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.settle()
            return await engine.result(instance_id)

    assert asyncio.run(scenario()) == ("Completed", "told")


def sent(
    answers: list[tuple[int, Any, dict[str, str]]], **request: Any
) -> tuple[list[dict[str, Any]], RecordingServer, RecordingServer]:
    """Send a request twice; ``ELSEWHERE`` in a header is another origin. Gives what came of it."""

    async def scenario() -> tuple[list[dict[str, Any]], RecordingServer, RecordingServer]:
        there = RecordingServer(status=200, answer="there")
        async with RecordingServer(status=200, answer="here") as here, there:
            here.answers = [
                (status, told, {n: v.replace("ELSEWHERE", there.base_url) for n, v in h.items()})
                for status, told, h in answers
            ]
            http = DurableHttpSender()
            asked = {"method": "GET", "uri": f"{here.base_url}first", **request}
            try:
                return [await http.send(asked), await http.send(asked)], here, there
            finally:
                await http.close()

    return asyncio.run(scenario())


SECRETS = {"Authorization": "Bearer t", "x-functions-key": "k", "Cookie": "c=1", "X-Other": "o"}


def test_secrets_do_not_follow_a_redirection_to_another_origin() -> None:
    found, here, there = sent([(302, None, {"Location": "ELSEWHEREsecond"})], headers=SECRETS)

    assert [each["content"] for each in found] == ['"there"', '"here"']
    assert here.asked[0].headers["x-functions-key"] == "k"
    [asked] = there.asked
    assert asked.headers["x-other"] == "o"
    assert not {"authorization", "x-functions-key", "cookie"} & set(asked.headers)


def test_they_follow_one_within_the_origin() -> None:
    _, here, _ = sent([(307, None, {"Location": "second"})], headers=SECRETS)

    assert here.asked[1].target.endswith("/second")
    assert here.asked[1].headers["authorization"] == "Bearer t"


def test_a_post_that_is_redirected_becomes_a_get_as_in_browsers() -> None:
    asking = {"method": "POST", "content": "text"}
    _, moved, _ = sent([(303, None, {"Location": "second"})], **asking)
    _, kept, _ = sent([(308, None, {"Location": "second"})], **asking)

    assert [(each.method, each.body) for each in moved.asked[:2]] == [
        ("POST", "text"),
        ("GET", None),
    ]
    assert [(each.method, each.body) for each in kept.asked[:2]] == [("POST", "text")] * 2


def test_redirections_without_end_fail() -> None:
    with pytest.raises(HttpFailed, match="more than 10 redirections"):
        sent([(302, None, {"Location": "again"})] * 20)


def test_a_cookie_of_one_answer_goes_into_no_other_request() -> None:
    _, here, _ = sent([(200, "a", {"Set-Cookie": "session=1"})])

    assert len(here.asked) == 2
    assert all("cookie" not in asked.headers for asked in here.asked)


def test_an_answer_that_is_too_large_fails_however_small_it_was_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_sender, "MAX_ANSWER_BYTES", 10_000)

    assert len(sent([(200, "x" * 5000, {})])[0][0]["content"]) == 5002
    with pytest.raises(HttpFailed, match="more than 10000 bytes"):
        sent([(200, "x" * 50_000, {})])


@pytest.mark.parametrize("charset", ["zip", "idna", "nonsense"])
def test_a_charset_that_is_none_of_texts_is_read_as_utf_8(charset: str) -> None:
    found, _, _ = sent([(200, "plain", {"Content-Type": f"text/plain; charset={charset}"})])

    assert found[0]["content"] == '"plain"'
