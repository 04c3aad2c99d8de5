"""An app as a user's type checker sees it: checked against the installed wheel, never run."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from azure.durable_functions.testing import FakeOrchestrationContext

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def orchestrator(context: df.DurableOrchestrationContext) -> Generator[TaskBase, Any, list[str]]:
    assert_type(context.instance_id, str)
    assert_type(context.version, str | None)
    assert_type(context.is_replaying, bool)
    assert_type(context.current_utc_datetime, datetime)
    assert_type(context.new_uuid(), str)
    assert_type(context.new_guid(), UUID)
    assert_type(context.call_activity("greet", "x"), df.Task[Any])
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


@app.route(route="begin")
@app.durable_client_input(client_name="client")
def blocks(req: func.HttpRequest, client: df.SyncDurableOrchestrationClient) -> func.HttpResponse:
    instance_id = client.start_new("orchestrator", "one", {"a": 1}, if_exists="skip")
    assert_type(instance_id, str)
    client.start_new("orchestrator", if_exists="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(client.get_status(instance_id), DurableOrchestrationStatus)
    assert_type(client.get_status_all(), list[DurableOrchestrationStatus])
    assert_type(client.restart(instance_id, new_instance_id="two", version="2"), str)
    client.terminate(instance_id, "why", recursive=True)
    purged = client.purge_instance_history(instance_id, recursive=True)
    assert_type(purged.instances_deleted, int)
    assert_type(client.read_entity_state(EntityId("a", "b")).entity_exists, bool)
    return client.create_check_status_response(req, instance_id)


@app.route(route="restart")
@app.durable_client_input(client_name="client")
async def again(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> None:
    try:
        assert_type(await client.start_new("orchestrator", "one", if_exists="error"), str)
    except df.OrchestrationAlreadyExistsError as error:
        assert_type(error.instance_id, str | None)
        assert_type(error.reason, str | None)
    assert_type(await client.restart("one", new_instance_id="two"), str)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> None:
    assert_type(context.entity_name, str)
    context.set_result(context.get_state(lambda: 0))


assert_type(EntityId("a", "b"), df.EntityId)
assert_type(WhenAllTask([], ReplaySchema.V3).is_completed, bool)


# -- what 1.8 infers ---------------------------------------------------------------------------


@dataclass
class Order:
    article: str


class Approval: ...


@app.activity_trigger
def add_one(number: int) -> int:
    return number + 1


@app.activity_trigger(input_name="order")
async def book(order: Order, context: func.Context) -> list[Order]:
    return [order]


@app.activity_trigger()
async def maybe(order: Order | None) -> Order | None:
    return order


@app.orchestration_trigger
def stepwise(context: df.DurableOrchestrationContext) -> Generator[df.Task[int], int, str]:
    got = yield context.call_activity(add_one, 1)
    assert_type(got, int)
    return str(got)


@app.orchestration_trigger()
async def sell(context: df.DurableOrchestrationContext) -> bytes:
    order = context.get_input(Order)
    assert_type(order, Order)
    assert_type(context.get_input(), Any)

    assert_type(await context.call_activity(add_one, 1), int)
    assert_type(await context.call_activity(book, order), list[Order])
    assert_type(await context.call_activity(maybe), Order | None)
    assert_type(await context.call_activity("named"), Any)
    assert_type(await context.call_activity("named", 1, Order), Order)
    assert_type(await context.call_activity("named", 1, list[Order]), list[Order])
    assert_type(await context.call_activity(add_one, 1, timeout=5), int)
    # fmt: off
    context.call_activity(add_one, "text")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    context.call_activity(add_one)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    context.map(add_one, ["text"], max_concurrency=1)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    # fmt: on

    policy = df.RetryPolicy(timedelta(seconds=1), 3)
    assert_type(await context.call_activity_with_retry(add_one, policy, 1), int)
    assert_type(await context.call_activity_with_retry(book, policy, order), list[Order])
    assert_type(await context.call_sub_orchestrator(sell, order), bytes)
    assert_type(await context.call_sub_orchestrator(stepwise, order), str)
    assert_type(await context.call_sub_orchestrator("named"), Any)
    assert_type(await context.call_sub_orchestrator_with_retry(sell, policy), bytes)
    assert_type(await context.call_http("GET", "https://example.com"), dict[str, Any])
    entity = df.EntityId("counter", "a")
    assert_type(await context.call_entity(entity, "get", None, int), int)

    assert_type(await context.wait_for_external_event("go", Approval), Approval)
    assert_type(await context.wait_for_external_event("go"), Any)
    both = (context.call_activity(add_one, 1), context.call_activity(book, order))
    assert_type(await context.task_all(both), tuple[int, list[Order]])
    number, booked = await context.task_all(both)
    assert_type(number, int)
    assert_type(booked, list[Order])
    tasks = [context.call_activity(add_one, n) for n in range(3)]
    assert_type(await context.task_all(tasks), list[int])
    assert_type(await context.task_all(tuple(tasks)), tuple[int, ...])
    assert_type(await context.task_all(tasks, return_exceptions=True), list[int | Exception])
    assert_type(await context.task_any(tasks), df.Task[int])
    assert_type(await (await context.task_any(tasks)), int)
    assert_type(await context.with_timeout(tasks[0], timedelta(days=1)), int)
    assert_type(await context.map(add_one, range(3), max_concurrency=2), list[int])
    tolerant = await context.map(add_one, range(3), max_concurrency=2, return_exceptions=True)
    assert_type(tolerant, list[int | Exception])
    strict = await context.map(add_one, range(3), max_concurrency=2, return_exceptions=False)
    assert_type(strict, list[int])
    one_fails = context.map(add_one, range(3), max_concurrency=2, tolerated_failures=1)
    assert_type(await one_fails, list[int | Exception])
    made = context.map(lambda n: context.call_activity(add_one, n), range(3), max_concurrency=2)
    assert_type(await made, list[int])
    timer = context.create_timer(timedelta(hours=1))
    winner = await context.task_any([timer, tasks[0]])
    if winner is not timer:
        timer.cancel()
    return b""


assert_type(add_one(1), int)
add_one("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_function_by_itself() -> None:
    assert_type(await maybe(None), Order | None)
    assert_type(await sell(FakeOrchestrationContext(None)), bytes)


@app.durable_client_input()
async def begin(client: df.DurableOrchestrationClient, size: int = 1) -> str:
    return await client.start_new("sell", None, size)
