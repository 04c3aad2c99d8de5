"""A phone number is verified: a code is sent, and the person has three tries and some time."""

import json
import logging
import random
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
def verify_phone(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Send a code and wait for the event Code, at most three times and a minute and a half."""
    code = yield context.call_activity("send_code", context.get_input())
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=90))
    for tries_left in (2, 1, 0):
        answer = context.wait_for_external_event("Code")
        winner = yield context.task_any([answer, timer])
        if winner is timer:
            return "too late"
        if answer.result == code:
            timer.cancel()
            return "verified"
        context.set_custom_status(f"wrong, {tries_left} tries left")
    timer.cancel()
    return "too many tries"


@app.activity_trigger(input_name="phone")
def send_code(phone: str) -> int:
    """Make up a code and "send" it: here it is only logged."""
    code = random.SystemRandom().randint(1000, 9999)
    logging.info("The code for %s is %s", phone, code)
    return code
