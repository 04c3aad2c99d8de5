"""OpenAI's own client in the activity, beside a service that stands in for OpenAI's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from agents import Agent, Runner
from aiohttp import web
from pydantic import BaseModel

import azure.durable_functions as df
from azure.durable_functions.openai_agents import DurableAIAgentContext
from azure.durable_functions.testing import DurableTestHost

USAGE = {
    "input_tokens": 2,
    "output_tokens": 3,
    "total_tokens": 5,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "status": "completed",
    "name": "degrees",
    "arguments": '{"city": "Rome"}',
}


class Forecast(BaseModel):
    city: str
    degrees: int


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


class Service:
    """PendingAnswers ``POST /responses`` with one script entry after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a key"
        self.asked.append(await request.json())
        response = {
            "id": f"resp_{len(self.asked)}",
            "object": "response",
            "created_at": 0,
            "status": "completed",
            "model": "m",
            "output": [self.answers.pop(0)],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": USAGE,
        }
        return web.json_response(response)


app = df.DFApp()


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def forecast(context: DurableAIAgentContext) -> Any:
    other = Agent(name="Other", model="m")
    agent = Agent(
        name="Guide",
        instructions="Be exact.",
        model="m",
        tools=[context.create_activity_tool(degrees)],
        handoffs=[other],
        output_type=Forecast,
    )
    return Runner.run_sync(agent, "Rome?").final_output


@app.activity_trigger
def degrees(city: str) -> int:
    """Measure."""
    return len(city)


@pytest.fixture(autouse=True)
def _a_key_and_no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")


def test_a_run_with_a_key_asks_the_service_as_it_wants_to_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(CALL, message('{"city": "Rome", "degrees": 4}'))

    async def scenario() -> Any:
        server = web.Application()
        server.router.add_post("/responses", service.answer)
        runner = web.AppRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://{host}:{port}")
        async with DurableTestHost(app) as durable:
            output = await (await durable.start("forecast")).result()
        await runner.cleanup()
        return output

    assert json.loads(asyncio.run(scenario())) == {"city": "Rome", "degrees": 4}
    first, second = service.asked
    assert (first["model"], first["instructions"]) == ("m", "Be exact.")
    assert [tool["name"] for tool in first["tools"]] == ["degrees", "transfer_to_other"]
    assert first["tools"][0]["parameters"]["properties"]["city"]["type"] == "string"
    assert first["text"]["format"]["schema"]["required"] == ["city", "degrees"]
    assert first["input"] == [{"content": "Rome?", "role": "user"}]
    called, given = second["input"][1:]
    assert called == CALL
    assert given == {"call_id": "c1", "output": "4", "type": "function_call_output"}
