"""New instances take the new way, running ones keep theirs."""

import json
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
def deliver(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Deliver; since version 2.0 the parcel is insured first."""
    steps = []
    if context.version == "2.0":
        steps.append((yield context.call_activity("insure", "parcel")))
    yield context.wait_for_external_event("Loaded")
    steps.append((yield context.call_activity("carry", "parcel")))
    return steps


@app.activity_trigger(input_name="what")
def insure(what: str) -> str:
    """Since version 2.0."""
    return f"{what} insured"


@app.activity_trigger(input_name="what")
def carry(what: str) -> str:
    """In every version."""
    return f"{what} carried"
