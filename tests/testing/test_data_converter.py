"""An app's own converter writes and reads every payload: `DFApp(data_converter=...)`."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass
from typing import Any

import azure.functions as func
import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import DurableTestHost


class Sealing(df.DataConverter):
    """Never gives the same text twice, and reads what is not sealed too, as the docs advise."""

    numbers = itertools.count()

    def serialize(self, value: Any) -> str:
        sealed = base64.b64encode(super().serialize(value).encode()).decode()
        return json.dumps({"sealed": sealed, "nonce": next(self.numbers)})

    def deserialize(self, text: str, expected_type: Any = None) -> Any:
        body = json.loads(text)
        if isinstance(body, dict) and "sealed" in body:
            text = base64.b64decode(body["sealed"]).decode()
        return super().deserialize(text, expected_type)


@dataclass
class Order:
    article: str
    amount: int = 1


@dataclass
class Question:
    instance_id: str


def new_app(converter: df.DataConverter | None = None) -> df.DFApp:
    blueprint = df.Blueprint()

    @blueprint.activity_trigger
    def reserve(order: Order) -> Order:
        assert isinstance(order, Order), order
        return Order(order.article, order.amount + 1)

    @blueprint.activity_trigger
    async def spell(text: str) -> str:
        return text.upper()

    @blueprint.activity_trigger
    @blueprint.durable_client_input
    async def ask(about: Question, client: df.DurableOrchestrationClient) -> Any:
        status = await client.get_status(about.instance_id)
        return status.input_

    @blueprint.entity_trigger
    def stock(context: df.DurableEntityContext) -> None:
        held = context.get_state(list)
        if context.operation_name == "put":
            held.append(context.get_input()["article"])
            context.set_state(held)
        context.set_result(held)

    @blueprint.orchestration_trigger
    async def sell(context: df.DurableOrchestrationContext) -> Any:
        order = context.get_input(Order)
        reserved = await context.call_activity(reserve, order)
        loud = await context.call_activity_with_retry(
            spell, df.RetryOptions(1, 2), reserved.article
        )
        shelf = df.EntityId("stock", "shelf")
        context.signal_entity(shelf, "put", {"article": "secret cup"})
        held = await context.call_entity(shelf, "put", {"article": "secret pot"})
        nod = await context.wait_for_external_event("nod", Order)
        below = await context.call_sub_orchestrator(echo, {"secret": nod.amount})
        own = await context.call_activity("ask", Question(context.instance_id))
        return {"loud": loud, "held": held, "below": below, "nod": nod.article, "own": own}

    @blueprint.orchestration_trigger
    def echo(context: df.DurableOrchestrationContext) -> Any:
        given = context.get_input()
        if isinstance(given, dict):
            context.continue_as_new(["secret", given["secret"]])
        return given

    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS, data_converter=converter)
    app.register_functions(blueprint)
    return app


OUTPUT = {
    "loud": "SECRET TEA",
    "held": ["secret cup", "secret pot"],
    "below": ["secret", 7],
    "nod": "secret nod",
    "own": {"article": "secret tea", "amount": 1},
}


async def sold(host: DurableTestHost) -> Any:
    sale = await host.start("sell", Order("secret tea"))
    await host.raise_event(sale, "nod", Order("secret nod", 7))
    return sale


SEALED = pytest.mark.durable_app(new_app(Sealing()))


@pytest.mark.durable_app(new_app(Sealing()), strict_replay=True)
async def test_no_payload_is_stored_plainly_and_all_arrive(durable_host: DurableTestHost) -> None:
    host = durable_host
    sale = await sold(host)
    assert await sale.result() == OUTPUT
    assert sale.input == {"article": "secret tea", "amount": 1}
    state = await host.client.read_entity_state(df.EntityId("stock", "shelf"))
    assert state.entity_state == ["secret cup", "secret pot"]
    [status] = [s for s in await host.client.get_status_all() if s.instance_id == sale.id]
    assert status.output == OUTPUT
    assert [call.input for call in sale.calls()][:2] == [
        {"article": "secret tea", "amount": 1},
        "secret tea",
    ]

    rows = host._store.peek(lambda connection: list(connection.iterdump()))
    stored = "\n".join(rows).lower()
    assert "sealed" in stored
    assert "secret" not in stored


@SEALED
async def test_stubs_give_and_get_plain_values(durable_host: DurableTestHost) -> None:
    given: list[Any] = []
    durable_host.stub_activity("reserve", calls=lambda order: given.append(order) or order)
    durable_host.stub_orchestrator("echo", returns="stubbed")
    sale = await sold(durable_host)
    assert (await sale.result())["below"] == "stubbed"
    assert given == [{"article": "secret tea", "amount": 1}]


@SEALED
async def test_what_is_not_sealed_is_read_too(durable_host: DurableTestHost) -> None:
    sale = await durable_host.start("sell", Order("secret tea"))
    plain = {"article": "plain", "amount": 2}
    await durable_host.raise_event(sale, "nod", plain, raw=True)
    output = await sale.result()
    assert (output["nod"], output["below"]) == ("plain", ["secret", 2])


@SEALED
async def test_it_survives_a_crash_at_every_commit(durable_host: DurableTestHost) -> None:
    async def scenario(host: DurableTestHost) -> Any:
        return await (await sold(host)).result()

    assert await durable_host.crash_everywhere(scenario) > 8


@pytest.mark.durable_app(new_app())
async def test_without_a_converter_all_is_as_before(durable_host: DurableTestHost) -> None:
    output = await (await sold(durable_host)).result()
    assert {**output, "own": json.loads(output["own"])} == OUTPUT


class Broken(df.DataConverter):
    def serialize(self, value: Any) -> str:
        return "no JSON" if value in ("bad", "nono") else super().serialize(value)


broken = df.DFApp(data_converter=Broken())


@broken.orchestration_trigger
def gives(context: df.DurableOrchestrationContext) -> str:
    return context.get_input(str) * 2


@pytest.mark.durable_app(broken)
async def test_a_converter_that_gives_no_json_is_named(durable_host: DurableTestHost) -> None:
    with pytest.raises(TypeError, match=r"Broken.serialize must return a JSON text"):
        await durable_host.start("gives", "bad")
    run = await durable_host.start("gives", "no")
    await run.wait()
    run.assert_failed("Broken.serialize must return a JSON text")
