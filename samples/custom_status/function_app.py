"""An orchestration that tells how far it is."""

import json
import os
import time
from collections.abc import Generator
from typing import Any

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start the orchestrator that the URL names; the request's JSON body is its input."""
    body = req.get_body()
    instance_id = await client.start_new(
        req.route_params["functionName"], client_input=json.loads(body) if body else None
    )
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def bake(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Say before each step which one it is."""
    steps = ["mix", "knead", "bake"]
    done = []
    for number, step in enumerate(steps, 1):
        context.set_custom_status({"step": step, "number": number, "of": len(steps)})
        done.append((yield context.call_activity("work", step)))
    context.set_custom_status({"step": "done"})
    return done


@app.activity_trigger(input_name="step")
def work(step: str) -> str:
    """Do a step; slowly, if the app setting STEP_SECONDS says so."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    return f"{step}: done"
