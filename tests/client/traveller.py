"""An app whose client sends ids and names on their way, and shows what arrived.

Used by the test kit in memory, and as the app folder of a local host.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    name = context.get_input(str)
    yield context.wait_for_external_event(name)
    return [context.instance_id, name]


@app.entity_trigger(context_name="context")
def keeper(context: df.DurableEntityContext) -> None:
    context.set_state([context.entity_key, context.get_input()])


@app.route(route="start", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    asked = req.get_json()
    await client.start_new("waits", asked["id"], asked["event"])
    found = await client.get_status(asked["id"])
    assert found.instance_id == asked["id"], found.instance_id
    return client.create_check_status_response(req, asked["id"])


@app.route(route="send", methods=["POST"])
@app.durable_client_input(client_name="client")
async def send(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    asked = req.get_json()
    await client.raise_event(asked["id"], asked["event"], "arrived")
    response = await client.wait_for_completion_or_create_check_status_response(
        req, asked["id"], 10_000, 20
    )
    return response.get_body().decode()


@app.route(route="keep", methods=["POST"])
@app.durable_client_input(client_name="client")
async def keep(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    asked = req.get_json()
    await client.signal_entity(df.EntityId("keeper", asked["key"]), "set", asked["value"])
    return "sent"


@app.route(route="kept", methods=["POST"])
@app.durable_client_input(client_name="client")
async def kept(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    entity = df.EntityId("keeper", req.get_json()["key"])
    return json.dumps((await client.read_entity_state(entity)).entity_state)
