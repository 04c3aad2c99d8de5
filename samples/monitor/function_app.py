"""An orchestration that looks again and again, without a history that grows."""

import json
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
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
def monitor(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Look whether a file is there; if not, begin anew after a pause."""
    job = context.get_input()
    if (yield context.call_activity("is_there", job["path"])):
        return f"{job['path']} was there at look {job.get('looks', 0) + 1}"
    context.set_custom_status(f"looked {job.get('looks', 0) + 1} times")
    pause = timedelta(seconds=job.get("seconds", 5))
    yield context.create_timer(context.current_utc_datetime + pause)
    context.continue_as_new({**job, "looks": job.get("looks", 0) + 1})
    return None


@app.activity_trigger(input_name="path")
def is_there(path: str) -> bool:
    """Whether a file exists."""
    return Path(path).exists()
