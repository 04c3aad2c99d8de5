"""What the README promises, without a key; with one (OPENAI_API_KEY) answers vary."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytest.importorskip("agents", reason="the extra [openai] is not installed")
pytestmark = [
    pytest.mark.skipif(
        "SAMPLES_WORKER_PYTHON" in os.environ, reason="not for the official package"
    ),
    pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="real models answer as they like"),
]


def test_agents_answer_over_http(start_sample) -> None:  # type: ignore[no-untyped-def]
    host = start_sample()
    said = "I want my money back"
    links = host.call("POST", "/api/start/support", said).json
    host.until(lambda: host.status(links["id"]).json["customStatus"] is not None)
    host.call("POST", links["sendEventPostUri"].replace("{eventName}", "Approval"), True)

    assert host.finished(links["id"])["output"] == '{"answer": "I propose to give the money back."}'


async def test_hello(durable_host: Any) -> None:
    greeting = await durable_host.start("hello", "hello")
    assert await greeting.result() == "You said hello, and that is read."
    assert [call.name for call in greeting.calls()] == ["run_model"]


async def test_tools_are_activities_that_run_side_by_side(durable_host: Any) -> None:
    asked = await durable_host.start("weather", "Rome or Oslo?")
    assert await asked.result() == "Rome has sun, 25 degrees; Oslo has rain, 8 degrees."
    names = [call.name for call in asked.calls()]
    assert names == ["run_model", "look_up_weather", "look_up_weather", "run_model"]


async def test_questions_are_answered_at_the_desk(durable_host: Any) -> None:
    asked = await durable_host.start("support", "when do you open")
    assert await asked.result() == '{"answer": "You said when do you open, and that is read."}'


async def test_a_person_may_refuse_what_the_agent_proposes(durable_host: Any) -> None:
    asked = await durable_host.start("support", "my money")
    await durable_host.settle()
    assert asked.custom_status == {"proposed": "I propose to give the money back."}
    await durable_host.raise_event(asked, "Approval", False)
    assert await asked.result() == '{"answer": "No refund."}'


async def test_no_answer_of_a_model_is_lost_in_a_crash(durable_host: Any) -> None:
    async def scenario(host: Any) -> Any:
        return await (await host.start("weather", "Rome or Oslo?")).result()

    assert await durable_host.crash_everywhere(scenario) > 4
