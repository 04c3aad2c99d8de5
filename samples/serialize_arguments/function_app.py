"""Objects of one's own as inputs and outputs."""

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func
from orders import Order

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
def place_order(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Hand an object to an activity and go on with the object it gives."""
    order = Order(**context.get_input())
    paid = yield context.call_activity("pay", order)
    return {"article": paid.article, "is_paid": paid.is_paid, "kind": type(paid).__name__}


@app.activity_trigger(input_name="order")
def pay(order: Order) -> Order:
    """Give the order back as paid."""
    return Order(order.article, is_paid=True)
