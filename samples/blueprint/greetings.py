"""Everything about greetings: a starter, an orchestrator and its activity."""

from collections.abc import Generator
from typing import Any

import azure.functions as func

import azure.durable_functions as df

bp = df.Blueprint()


@bp.route(route="orchestrators/{functionName}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def http_start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start the orchestrator that the URL names."""
    instance_id = await client.start_new(req.route_params["functionName"])
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context")
def greet_all(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Greet three cities side by side."""
    cities = ["Tokyo", "Seattle", "London"]
    return (yield context.task_all([context.call_activity("greet", city) for city in cities]))


@bp.activity_trigger(input_name="city")
def greet(city: str) -> str:
    """Greet one city."""
    return f"Hello {city}!"
