"""An app folder's function_app.py: its models log each answer, and may kill their worker once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import azure.functions as func
from agents import Agent, RunConfig, Runner
from fake_models import ScriptedProvider, call, outputs

import azure.durable_functions as df

LOG = Path(__file__).with_name("answers.log")


def talker(asked: Any) -> Any:
    who = asked["system_instructions"]
    got = outputs(asked)
    deadly = Path(__file__).with_name("deadly")
    if len(got) == 2 and deadly.exists():
        deadly.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    with LOG.open("a") as log:
        log.write(f"{who} {len(got)}\n")
    return (
        f"{who} has {', '.join(got)}" if len(got) == 4 else [call("count", f"c{len(got)}", n=who)]
    )


PROVIDER = ScriptedProvider(default=talker)
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger
@app.durable_openai_agent_orchestrator(model_provider=PROVIDER)
def talk(context: Any) -> Any:
    who = context.get_input(str)
    tool = context.create_activity_tool(count)
    return Runner.run_sync(Agent(name="A", instructions=who, tools=[tool]), "Go").final_output


@app.activity_trigger
def count(n: str) -> str:
    return f"{n}!"


@app.route(route="beside/{who}", methods=["POST"])
async def beside(req: func.HttpRequest) -> func.HttpResponse:
    """Ordinary use in the same process."""
    agent = Agent(name="B", instructions=req.route_params["who"], model="plain")
    provider = ScriptedProvider(plain=lambda asked: asked["system_instructions"])
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    run = await Runner.run(agent, "Go", run_config=config)
    return func.HttpResponse(str(run.final_output))
