"""Some activities side by side, and one that puts their results together."""

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
def fan_out_fan_in(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Ask how many, run that many activities side by side, and sum what they give."""
    count = yield context.call_activity("how_many", context.get_input())
    tasks = [context.call_activity("parrot", value) for value in range(count)]
    values = yield context.task_all(tasks)
    return (yield context.call_activity("add_up", values))


@app.activity_trigger(input_name="wanted")
def how_many(wanted: int | None) -> int:
    """Give the number of activities to run."""
    return wanted or 5


@app.activity_trigger(input_name="value")
def parrot(value: int) -> int:
    """Give back what it got."""
    return value


@app.activity_trigger(input_name="values")
def add_up(values: list[int]) -> int:
    """Sum what the others gave."""
    return sum(values)
