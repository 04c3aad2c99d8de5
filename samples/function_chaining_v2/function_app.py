"""Three activities, one after the other: the smallest durable workflow."""

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
    """Start the orchestrator that the URL names."""
    instance_id = await client.start_new(req.route_params["functionName"])
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def chaining_orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Call the activity three times and collect what it gives."""
    outputs = []
    for word in ("One", "Two", "Three"):
        outputs.append((yield context.call_activity("durable_activity", word)))
    return outputs


@app.activity_trigger(input_name="word")
def durable_activity(word: str) -> str:
    """Give a word back; slowly, if the app setting STEP_SECONDS says so."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    return word
