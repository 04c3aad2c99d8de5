"""An order as a saga: what was done is undone when a later step fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

PATIENT = df.RetryPolicy(timedelta(seconds=1), 3, backoff_coefficient=2)


class OutOfStock(Exception):
    """The warehouse has not enough."""


class CardRefused(df.NonRetryableError):
    """The bank says no; asking again does not help."""


@dataclass
class Order:
    """What somebody wants to have."""

    number: str
    article: str
    amount: int
    price: float


@dataclass
class Outcome:
    """What has become of an order."""

    status: str
    parcels: list[str] | None = None
    sold: int | None = None
    """So many of the article, with this order."""
    reason: str | None = None


@app.route(route="orders", methods=["POST"])
@app.durable_client_input
async def place(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start an order: the body has ``number``, ``article``, ``amount``, ``price``."""
    order = Order(**json.loads(req.get_body()))
    instance_id = await client.start_new("order_saga", order.number, order)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger
async def order_saga(context: df.DurableOrchestrationContext) -> Outcome:
    """Reserve, take the money, wait for approval, pack; undo what was done if that fails."""
    order = context.get_input(Order)
    undo: list[Callable[[], df.Task[None]]] = []
    try:
        await context.call_activity(reserve, order)
        undo.append(lambda: context.call_activity(release, order))

        await context.call_activity_with_retry(charge, PATIENT, order)
        undo.append(lambda: context.call_activity(refund, order))

        if order.price > 100:
            context.set_custom_status("waits for approval")
            is_approved = await context.wait_for_external_event(
                "Approval", bool, timeout=timedelta(days=2)
            )
            if not is_approved:
                raise PermissionError("not approved")

        context.set_custom_status("packing")
        parcels = await context.map(pack, range(order.amount), max_concurrency=2)
        sold = df.EntityId("sales", order.article)
        total = await context.call_entity(sold, "add", order.amount, int)
    except (OutOfStock, CardRefused, PermissionError, TimeoutError) as error:
        context.logger.warning("order %s is undone: %s", order.number, type(error).__name__)
        for step in reversed(undo):
            await step()
        reason = error.failure.error_message if isinstance(error, df.TaskFailedError) else error
        return Outcome("undone", reason=str(reason))
    return Outcome("sent", parcels, total)


@app.activity_trigger
def reserve(order: Order) -> None:
    """Lay the goods aside."""
    if order.amount > 10:
        raise OutOfStock(f"only 10 of {order.article}")


@app.activity_trigger
def release(order: Order) -> None:
    """Put them back."""


@app.activity_trigger
def charge(order: Order) -> None:
    """Take the money."""
    if order.price > 1000:
        raise CardRefused("over the limit")


@app.activity_trigger
def refund(order: Order) -> None:
    """Give it back."""


@app.activity_trigger
def pack(number: int) -> str:
    """Pack one parcel."""
    return f"parcel {number + 1}"


@app.entity_trigger
def sales(context: df.DurableEntityContext) -> None:
    """How many of an article were sold."""
    total = context.get_state(lambda: 0) + context.get_input()
    context.set_state(total)
    context.set_result(total)
