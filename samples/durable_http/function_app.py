"""An orchestrator that asks a web service, and waits as long as that says 202."""

import json
from collections.abc import Generator
from datetime import timedelta
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
def fetch(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """GET the URL that is the input, again where and when a 202 says so; give what came."""
    answer = yield context.call_http("GET", context.get_input())
    while answer["statusCode"] == 202:
        pause = timedelta(seconds=int(answer["headers"].get("Retry-After", 5)))
        yield context.create_timer(context.current_utc_datetime + pause)
        answer = yield context.call_http("GET", answer["headers"]["Location"])
    return {"status": answer["statusCode"], "content": answer["content"]}


@app.route(route="slow-report", methods=["GET"])
def slow_report(req: func.HttpRequest) -> func.HttpResponse:
    """A service that asks to come again once, as long-running ones do."""
    if "ready" in req.params:
        return func.HttpResponse("the report")
    later = {"Location": f"{req.url}?ready=1", "Retry-After": "1"}
    return func.HttpResponse(status_code=202, headers=later)
