"""Agents as orchestrations, in memory: what they ask for, and what becomes of it."""

from __future__ import annotations

import importlib.metadata
import json
import threading
from typing import Any

import azure.functions as func
import pytest
from agents import Agent, RunConfig, Runner, function_tool
from fake_models import ScriptedProvider, call, outputs
from pydantic import BaseModel

import azure.durable_functions as df
from azure.durable_functions.openai_agents import DurableAIAgentContext, runner
from azure.durable_functions.testing import DurableTestHost


class Forecast(BaseModel):
    city: str
    degrees: int


def guide(asked: Any) -> Any:
    got = outputs(asked)
    if not got:
        return [call("weather", "c1", city="Rome"), call("weather", "c2", city="Oslo")]
    return " and ".join(got)


def careful(asked: Any) -> Any:
    return outputs(asked)[0] if outputs(asked) else [call("broken", "c1", city="Rome")]


def nested(asked: Any) -> Any:
    if not outputs(asked):
        return [call("ask_guide", "c1", input="Where?"), call("shout", "c2", text="hey")]
    return " / ".join(outputs(asked))


def desk(asked: Any) -> Any:
    return [call(asked["handoffs"][0].tool_name, "c1")]


PROVIDER = ScriptedProvider(
    default=guide,
    careful=careful,
    nested=nested,
    desk=desk,
    billing=lambda asked: "paid back",
    structured=lambda asked: json.dumps({"city": "Rome", "degrees": 25}),
    refusing=lambda asked: 1 / 0,
)
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator(model_provider=PROVIDER, model_retry_options=None)
def ask(context: DurableAIAgentContext) -> Any:
    tool = context.create_activity_tool(weather, retry_options=None)
    return Runner.run_sync(Agent(name="Guide", tools=[tool]), "How is it?").final_output


@app.activity_trigger
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sun in {city}"


@app.activity_trigger
def broken(city: str) -> str:
    raise ValueError(f"no satellite over {city}")


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def ask_carefully(context: DurableAIAgentContext) -> Any:
    tool = context.create_activity_tool(broken, retry_options=df.RetryOptions(1000, 2))
    agent = Agent(name="Careful", tools=[tool], model="careful")
    try:
        return Runner.run_sync(agent, "How is it?").final_output
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, df.TaskFailedError):
            cause = cause.__cause__
        return f"{isinstance(cause, ValueError)}: {'no satellite' in str(cause)}"


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator(model_retry_options=df.RetryOptions(1000, 3))
def ask_in_vain(context: DurableAIAgentContext) -> Any:
    return Runner.run_sync(Agent(name="Refusing", model="refusing"), "?").final_output


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def hand_over(context: DurableAIAgentContext) -> Any:
    billing = Agent(name="Billing", model="billing")
    run = Runner.run_sync(Agent(name="Desk", model="desk", handoffs=[billing]), "my money")
    return {"by": run.last_agent.name, "told": run.final_output}


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def structured(context: DurableAIAgentContext) -> Any:
    agent = Agent(name="S", model="structured", output_type=Forecast)
    forecast = Runner.run_sync(agent, "Rome?").final_output
    assert isinstance(forecast, Forecast)
    return forecast


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def approved(context: DurableAIAgentContext) -> Any:
    told = Runner.run_sync(Agent(name="Billing", model="billing"), "?").final_output
    by = json.loads((yield context.wait_for_external_event("Approval")))
    done = yield context.call_activity("weather", by, expected_type=str)
    return [told, by, done]


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
async def awaiting(context: DurableAIAgentContext) -> Any:
    told = Runner.run_sync(Agent(name="Billing", model="billing"), "?").final_output
    try:
        await context.call_activity(broken, "Rome")
    except ValueError:
        return [told, await context.call_activity(weather, "Oslo")]


THREADS: set[bool] = set()


@function_tool
def shout(text: str) -> str:
    """Say it louder; a plain tool, run anew at each replay."""
    THREADS.add(threading.current_thread().name.startswith("durable-agent"))
    return text.upper()


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def nest(context: DurableAIAgentContext) -> Any:
    inner = Agent(name="Guide", tools=[context.create_activity_tool(weather)])
    as_tool = inner.as_tool(tool_name="ask_guide", tool_description="Ask the guide.")
    agent = Agent(name="Outer", model="nested", tools=[as_tool, shout])
    return Runner.run_sync(agent, "?").final_output


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def misuse(context: DurableAIAgentContext) -> Any:
    return [
        _error_of(lambda: Runner.run_streamed(Agent(name="A"), "?")),
        _error_of(lambda: Runner.run(Agent(name="A"), "?").send(None)),
        _error_of(lambda: Runner.run_sync(Agent(name="A", model=PROVIDER.get_model("x")), "?")),
    ]


def _error_of(attempt: Any) -> str:
    try:
        attempt()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


@app.activity_trigger
async def ask_elsewhere(text: str) -> str:
    """Ordinary use of the Agents package, beside orchestrations of the same process."""
    config = RunConfig(model_provider=PROVIDER, tracing_disabled=True)
    run = await Runner.run(Agent(name="Billing", model="billing"), text, run_config=config)
    return str(run.final_output)


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def mixed(context: DurableAIAgentContext) -> Any:
    told = Runner.run_sync(Agent(name="Billing", model="billing"), "?").final_output
    elsewhere = yield context.call_activity(ask_elsewhere, "?")
    return [told, elsewhere]


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def approving(context: DurableAIAgentContext) -> Any:
    """Newer releases interrupt a run for tools that need an approval."""
    options: dict[str, Any] = {"needs_approval": True}
    pay = function_tool(lambda city: f"paid {city}", name_override="broken", **options)
    agent: Any = Agent(name="Careful", model="careful", tools=[pay])
    run: Any = Runner.run_sync(agent, "Pay!")
    state = run.to_state()
    for asked in run.interruptions:
        approved = yield context.wait_for_external_event("Approval", bool)
        (state.approve if approved else state.reject)(asked)
    return Runner.run_sync(agent, state).final_output


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def configured(context: DurableAIAgentContext) -> Any:
    """Newer releases take a dictionary too, and a conversation that the service keeps."""
    options: dict[str, Any] = {
        "run_config": {"model": "billing", "tracing_disabled": True},
        "conversation_id": "conv_1",
    }
    return Runner.run_sync(Agent(name="A"), "?", **options).final_output


STRICT = pytest.mark.durable_app(app, strict_replay=True)


async def output_of(host: DurableTestHost, name: str) -> Any:
    return await (await host.start(name)).result()


@STRICT
async def test_calls_of_tools_that_a_model_asks_for_together_are_scheduled_together(
    durable_host: DurableTestHost,
) -> None:
    run = await durable_host.start("ask")
    assert await run.result() == "sun in Rome and sun in Oslo"
    scheduled = [e for e in run.history if e["EventType"] == 4]
    assert [e["Name"] for e in scheduled] == ["run_model", "weather", "weather", "run_model"]
    assert scheduled[1]["Timestamp"] == scheduled[2]["Timestamp"]
    assert [call.input for call in run.calls("weather")] == ["Rome", "Oslo"]


@pytest.mark.durable_app(app)
async def test_instances_of_the_official_package_go_on_one_call_after_the_other(
    durable_host: DurableTestHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.7.0")
    run = await durable_host.start("ask")
    assert await run.result() == "sun in Rome and sun in Oslo"
    moments = [e["Timestamp"] for e in run.history if e["EventType"] == 4]
    assert len(set(moments)) == 4


@STRICT
async def test_results_belong_to_calls_and_not_to_their_order(
    durable_host: DurableTestHost,
) -> None:
    """OA4: the first activity is tried twice, so that the second one ends before it."""
    durable_host.stub_activity("weather", raises=ConnectionError("busy"), times=1)
    run = await durable_host.start("nest")
    assert await run.result() == "sun in Rome and sun in Oslo / HEY"


@STRICT
async def test_a_failed_tool_is_delivered_at_its_call(durable_host: DurableTestHost) -> None:
    run = await durable_host.start("ask_carefully")
    told = await run.result()
    assert told == "True: True"
    assert len(run.calls("broken")) == 2


@STRICT
async def test_models_are_asked_again_and_their_failure_fails_the_run(
    durable_host: DurableTestHost,
) -> None:
    run = await durable_host.start("ask_in_vain")
    await run.wait()
    run.assert_failed("division by zero")
    assert len(run.calls("run_model")) == 3


@STRICT
async def test_each_agent_asks_its_own_model(durable_host: DurableTestHost) -> None:
    PROVIDER.asked.clear()
    told = await output_of(durable_host, "hand_over")
    assert json.loads(told) == {"by": "Billing", "told": "paid back"}
    assert [name for name, _ in PROVIDER.asked] == ["desk", "billing"]


@STRICT
async def test_structured_outputs_are_checked_and_sent_as_json(
    durable_host: DurableTestHost,
) -> None:
    assert json.loads(await output_of(durable_host, "structured")) == {
        "city": "Rome",
        "degrees": 25,
    }
    schema = PROVIDER.asked[-1][1]["output_schema"]
    assert (schema.name(), schema.is_plain_text()) == ("Forecast", False)
    assert "degrees" in schema.json_schema()["properties"]


@STRICT
async def test_a_person_approves_between_two_steps(durable_host: DurableTestHost) -> None:
    run = await durable_host.start("approved")
    await durable_host.raise_event(run, "Approval", "Ada")
    assert json.loads(await run.result()) == ["paid back", "Ada", "sun in Ada"]


@STRICT
async def test_async_orchestrators_may_have_agents(durable_host: DurableTestHost) -> None:
    assert json.loads(await output_of(durable_host, "awaiting")) == ["paid back", "sun in Oslo"]


@STRICT
@pytest.mark.skipif(importlib.metadata.version("openai-agents") == "0.2.4", reason="since 0.8")
async def test_a_run_goes_on_when_a_person_has_approved_a_tool(
    durable_host: DurableTestHost,
) -> None:
    run = await durable_host.start("approving")
    await durable_host.settle()
    assert run.status == "Running"
    await durable_host.raise_event(run, "Approval", True)
    assert await run.result() == "paid Rome"


@STRICT
@pytest.mark.skipif(importlib.metadata.version("openai-agents") == "0.2.4", reason="since 0.3")
async def test_options_of_newer_releases_work(durable_host: DurableTestHost) -> None:
    assert await output_of(durable_host, "configured") == "paid back"
    assert PROVIDER.asked[-1][1]["conversation_id"] == "conv_1"


@STRICT
async def test_an_agent_may_be_a_tool(durable_host: DurableTestHost) -> None:
    assert await output_of(durable_host, "nest") == "sun in Rome and sun in Oslo / HEY"


@STRICT
async def test_what_cannot_be_says_so(durable_host: DurableTestHost) -> None:
    streamed, asynchronous, as_object = json.loads(await output_of(durable_host, "misuse"))
    assert streamed == "RuntimeError: Durable Functions do not support streaming."
    assert asynchronous == "RuntimeError: Durable Functions do not support asynchronous runs."
    assert as_object.startswith("ValueError:")
    assert "must be a string" in as_object


@STRICT
async def test_ordinary_runs_in_the_same_process_are_untouched(
    durable_host: DurableTestHost,
) -> None:
    assert json.loads(await output_of(durable_host, "mixed")) == ["paid back", "paid back"]
    config = RunConfig(model_provider=PROVIDER, tracing_disabled=True)
    run = await Runner.run(Agent(name="B", model="billing"), "?", run_config=config)
    assert run.final_output == "paid back"
    assert isinstance(runner.get_default_agent_runner(), runner.DispatchingRunner)


@pytest.mark.durable_app(app)
async def test_it_ends_the_same_with_a_crash_at_every_commit(
    durable_host: DurableTestHost,
) -> None:
    async def scenario(host: DurableTestHost) -> Any:
        return await output_of(host, "nest")

    assert await durable_host.crash_everywhere(scenario) > 8


@STRICT
async def test_nothing_is_left_behind(durable_host: DurableTestHost) -> None:
    for _ in range(3):
        await output_of(durable_host, "nest")
    waiting = await durable_host.start("approved")
    await durable_host.settle()
    assert waiting.status == "Running"
    assert [t for t in threading.enumerate() if t.name == "durable-agent"] == []
