"""An orchestration that lets others do parts of its work."""

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
def provision_devices(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Provision each device in an orchestration of its own, all side by side."""
    devices = context.get_input() or ["lamp", "door"]
    tasks = [
        context.call_sub_orchestrator("provision_device", device, f"{context.instance_id}:{device}")
        for device in devices
    ]
    return (yield context.task_all(tasks))


@app.orchestration_trigger(context_name="context")
def provision_device(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Two steps for one device."""
    device = context.get_input()
    key = yield context.call_activity("register", device)
    return (yield context.call_activity("configure", {"device": device, "key": key}))


@app.activity_trigger(input_name="device")
def register(device: str) -> str:
    """Give the device a key."""
    return f"key-of-{device}"


@app.activity_trigger(input_name="order")
def configure(order: dict[str, str]) -> str:
    """Tell the device its key."""
    return f"{order['device']} uses {order['key']}"
