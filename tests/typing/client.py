"""An app as a user's type checker sees it: checked against the installed wheel, never run."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any
from uuid import UUID

import azure.functions as func
from typing_extensions import assert_type

import azure.durable_functions as df
from azure.durable_functions.models import TaskBase
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.ReplaySchema import ReplaySchema
from azure.durable_functions.models.Task import WhenAllTask
from azure.durable_functions.models.utils.entity_utils import EntityId

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def orchestrator(context: df.DurableOrchestrationContext) -> Generator[TaskBase, Any, list[str]]:
    assert_type(context.instance_id, str)
    assert_type(context.version, str | None)
    assert_type(context.is_replaying, bool)
    assert_type(context.current_utc_datetime, datetime)
    assert_type(context.new_uuid(), str)
    assert_type(context.new_guid(), UUID)
    assert_type(context.call_activity("greet", "x"), TaskBase)
    options = df.RetryOptions(1000, 3)
    assert_type(options.max_number_of_attempts, int)
    greeting = yield context.call_activity_with_retry("greet", options, "x")
    return [greeting]


@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("orchestrator", None, {"a": 1})
    assert_type(instance_id, str)
    status = await client.get_status(instance_id)
    assert_type(status, DurableOrchestrationStatus)
    assert_type(status.runtime_status, df.OrchestrationRuntimeStatus | None)
    assert_type((await client.purge_instance_history(instance_id)).instances_deleted, int)
    return client.create_check_status_response(req, instance_id)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> None:
    assert_type(context.entity_name, str)
    context.set_result(context.get_state(lambda: 0))


assert_type(EntityId("a", "b"), df.EntityId)
assert_type(WhenAllTask([], ReplaySchema.V3).is_completed, bool)
