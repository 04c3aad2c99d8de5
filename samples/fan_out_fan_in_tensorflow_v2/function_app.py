"""Images classified in parallel by a TensorFlow model."""

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func
from classifier import classify

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
def classify_all(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Classify all images side by side."""
    images = context.get_input()
    found = yield context.task_all([context.call_activity("classify_image", i) for i in images])
    return dict(zip(images, found, strict=True))


@app.activity_trigger(input_name="image")
def classify_image(image: str) -> str:
    """Tell what an image shows."""
    return classify(image)
