"""Agents as orchestrations: hello, tools as activities, a hand-off, a person's approval."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from typing import Any

import azure.functions as func
from agents import Agent, Runner
from scripted_models import support_desk

import azure.durable_functions as df
from azure.durable_functions.openai_agents import DurableAIAgentContext

# With a key the agents ask OpenAI, without one scripts that stand in for models.
models = None if os.environ.get("OPENAI_API_KEY") else support_desk()

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start one of the orchestrators; the body is what is said to it."""
    said = json.loads(req.get_body() or b'""')
    instance_id = await client.start_new(req.route_params["name"], None, said)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator(model_provider=models)
def hello(context: DurableAIAgentContext) -> Any:
    """One agent, one answer."""
    poet = Agent(name="Poet", instructions="You answer in one rhyming line.", model="gpt-4.1-mini")
    return Runner.run_sync(poet, context.get_input(str)).final_output


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def weather(context: DurableAIAgentContext) -> Any:
    """The agent looks the weather up, in all cities at once: its tool is an activity."""
    tool = context.create_activity_tool(look_up_weather)
    guide = Agent(
        name="Guide", instructions="Compare the weather.", tools=[tool], model="gpt-4.1-mini"
    )
    return Runner.run_sync(guide, context.get_input(str)).final_output


@app.activity_trigger
async def look_up_weather(city: str) -> str:
    """Tell the weather in a city.

    Args:
        city: Its name.
    """
    return {"Oslo": "rain, 8 degrees"}.get(city, "sun, 25 degrees")


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator
def support(context: DurableAIAgentContext) -> Generator[df.Task, Any, Any]:
    """A hand-off, and a person who has the last word on what the agent proposes."""
    refunds = Agent(
        name="Refunds",
        handoff_description="Decides on refunds.",
        instructions="Propose a refund as one sentence.",
        model="gpt-4.1",
    )
    desk = Agent(
        name="Desk",
        instructions="Answer questions; hand over what is about money.",
        handoffs=[refunds],
        model="gpt-4.1-mini",
    )
    run = Runner.run_sync(desk, context.get_input(str))
    if run.last_agent.name != "Refunds":
        return {"answer": run.final_output}
    context.set_custom_status({"proposed": run.final_output})
    approved = yield context.wait_for_external_event("Approval", bool)
    return {"answer": run.final_output if approved else "No refund."}
