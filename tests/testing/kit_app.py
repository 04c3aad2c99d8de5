"""An app that the tests of the test kit run."""

from __future__ import annotations

import json
from datetime import timedelta

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp()


@app.activity_trigger(input_name="amount")
def charge(amount: int) -> str:
    return f"charged {amount}"


@app.activity_trigger(input_name="name")
async def greet(name: str) -> str:
    return f"Hello {name}"


@app.orchestration_trigger(context_name="context")
def order(context):
    charged = yield context.call_activity("charge", context.get_input()["amount"])
    context.set_custom_status("charged")
    approval = context.wait_for_external_event("approved")
    timeout = context.create_timer(context.current_utc_datetime + timedelta(days=3))
    winner = yield context.task_any([approval, timeout])
    if winner is timeout:
        return [charged, "nobody approved"]
    timeout.cancel()
    return [charged, approval.result]


@app.orchestration_trigger(context_name="context")
def retried(context):
    policy = df.RetryOptions(60_000, 3)
    return (yield context.call_activity_with_retry("charge", policy, 5))


@app.orchestration_trigger(context_name="context")
def parent(context):
    child = yield context.call_sub_orchestrator("child", 4)
    total = yield context.call_entity(df.EntityId("Counter", "a"), "add", len(str(child)))
    answer = yield context.call_http("GET", "https://example.org/rate")
    return [child, total, json.loads(answer["content"])]


@app.orchestration_trigger(context_name="context")
def child(context):
    return (yield context.call_activity("charge", context.get_input()))


@app.orchestration_trigger(context_name="context")
def eternal(context):
    yield context.call_activity("greet", "moon")
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    context.continue_as_new(None)


@app.entity_trigger(context_name="context")
def Counter(context):  # entities are named like classes
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
        context.set_state(total)
    context.set_result(total)


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"], client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)
