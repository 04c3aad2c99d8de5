"""A counter that lives on between calls."""

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


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> None:
    """Add to a number, reset it, or tell it."""
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    elif context.operation_name == "reset":
        total = 0
    context.set_state(total)
    context.set_result(total)


@app.orchestration_trigger(context_name="context")
def count_visit(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Add one visit and tell how many there were."""
    visits = df.EntityId("counter", "visits")
    return (yield context.call_entity(visits, "add", 1))


@app.route(route="counters/{key}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def add(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Add the number in the body to a counter; nobody waits for the result."""
    entity = df.EntityId("counter", req.route_params["key"])
    await client.signal_entity(entity, "add", req.get_json())
    return func.HttpResponse(status_code=202)


@app.route(route="counters/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell the state of a counter."""
    found = await client.read_entity_state(df.EntityId("counter", req.route_params["key"]))
    if not found.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.entity_state), mimetype="application/json")
