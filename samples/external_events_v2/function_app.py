"""An approval that races a timer."""

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
def approval(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Wait for the event Approval, but not longer than the input says (seconds)."""
    due = context.current_utc_datetime + timedelta(seconds=context.get_input() or 60)
    timer = context.create_timer(due)
    decision = context.wait_for_external_event("Approval")
    winner = yield context.task_any([decision, timer])
    if winner is timer:
        return (yield context.call_activity("escalate", "nobody has decided"))
    timer.cancel()
    return (yield context.call_activity("process", decision.result))


@app.activity_trigger(input_name="decision")
def process(decision: Any) -> str:
    """Do what was decided."""
    return "approved" if decision else "rejected"


@app.activity_trigger(input_name="reason")
def escalate(reason: str) -> str:
    """Tell somebody else."""
    return f"escalated: {reason}"
