"""Decorators read the function's signature, and what they give is still the user's function."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass
from typing import Any

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import FunctionBuilder
from history_kit import History
from recording_server import binding

import azure.durable_functions as df
from azure.durable_functions.testing import EntityBatch, FakeOrchestrationContext


@dataclass
class Order:
    article: str


@pytest.fixture
def app() -> df.DFApp:
    return df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def names_of_bindings(function: Any) -> list[str]:
    return [each["name"] for each in json.loads(str(function.build()))["bindings"]]


def test_names_are_read_from_the_signature(app: df.DFApp) -> None:
    @app.orchestration_trigger()
    def orchestrator(ctx: Any) -> None: ...

    @app.activity_trigger()
    def activity(amount: int, context: func.Context) -> None: ...

    @app.entity_trigger()
    def entity(me: Any) -> None: ...

    @app.route(route="x")
    @app.durable_client_input()
    async def starter(req: func.HttpRequest, durable: df.DurableOrchestrationClient) -> None: ...

    @app.durable_client_input()
    async def plain(req: Any, client: Any) -> None: ...

    assert names_of_bindings(orchestrator) == ["ctx"]
    assert names_of_bindings(activity) == ["amount"]
    assert names_of_bindings(entity) == ["me"]
    assert names_of_bindings(starter)[0] == "durable"
    assert [each.name for each in plain._function.get_bindings()] == ["client"]


def test_parentheses_may_be_left_out(app: df.DFApp) -> None:
    @app.orchestration_trigger
    def orchestrator(context: Any) -> None: ...

    @app.activity_trigger
    def activity(amount: int) -> int:
        return amount

    @app.entity_trigger
    def entity(context: Any) -> None: ...

    @app.durable_client_input
    async def starter(client: Any) -> None: ...

    assert names_of_bindings(orchestrator) == ["context"]
    assert names_of_bindings(activity) == ["amount"]
    assert names_of_bindings(entity) == ["context"]
    assert [each.name for each in starter._function.get_bindings()] == ["client"]


def test_parameters_of_other_bindings_are_not_the_input(app: df.DFApp) -> None:
    @app.activity_trigger()
    @app.blob_input(arg_name="blob", path="a/b", connection="C")
    @app.durable_client_input()
    def activity(amount: int, blob: bytes, client: df.DurableOrchestrationClient) -> None: ...

    assert names_of_bindings(activity)[-1] == "amount"


@pytest.mark.parametrize(
    ("decorator", "function", "told"),
    [
        ("orchestration_trigger", lambda: None, "must take one parameter, its context, but takes"),
        ("entity_trigger", lambda a, b: None, "its context, but takes a, b"),
        ("activity_trigger", lambda: None, "must take a parameter for its input"),
        ("activity_trigger", lambda a, b: None, r'say which .*activity_trigger\(input_name="a"\)'),
        ("durable_client_input", lambda req: None, "one called client, but takes req"),
    ],
)
def test_a_signature_that_does_not_tell_is_refused(
    app: df.DFApp, decorator: str, function: Any, told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        getattr(app, decorator)()(function)


def test_annotations_that_the_worker_refuses_are_hidden_from_it_and_kept(app: df.DFApp) -> None:
    @app.activity_trigger
    def book(orders: list[Order] | None) -> dict[str, Order]:
        return {order.article: order for order in orders or ()}

    seen = book._function._func
    assert seen.__annotations__ == {"orders": object, "return": object}
    assert seen(orders=[{"article": "tea"}]) == {"tea": {"article": "tea"}}
    assert book([Order("tea")]) == {"tea": Order("tea")}


def test_a_decorated_activity_can_be_called(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="number")
    async def add_one(number: int) -> int:
        return number + 1

    assert isinstance(add_one, FunctionBuilder)
    assert asyncio.run(add_one(1)) == 2
    assert asyncio.run(add_one(number=2)) == 3


def test_a_decorated_orchestrator_is_the_function_unless_it_is_given_a_trigger(
    app: df.DFApp,
) -> None:
    @app.orchestration_trigger(context_name="context")
    async def sell(context: df.DurableOrchestrationContext) -> int:
        paid: int = await context.call_activity("pay", 3)
        return paid + 1

    fake = FakeOrchestrationContext(None, activities={"pay": 3})
    called = sell(fake)
    assert inspect.iscoroutine(called)
    called.close()
    assert fake.run(sell) == 4

    text = json.dumps(History().trigger())
    for given in (text, func.OrchestrationContext(text)):
        anything: Any = given
        state: Any = sell(anything)
        assert json.loads(state)["actions"][0][0]["functionName"] == "pay"


def test_a_decorated_entity_is_the_function_unless_it_is_given_a_batch(app: df.DFApp) -> None:
    @app.entity_trigger(context_name="context")
    def counter(context: df.DurableEntityContext) -> str:
        context.set_result(5)
        return context.entity_name

    class Fake:
        entity_name = "counter"
        set_result = staticmethod(print)

    fake: Any = Fake()
    assert counter(fake) == "counter"
    batch: Any = EntityBatch("counter", "a").add("any").trigger()
    answer: Any = counter(batch)
    assert json.loads(answer)["results"][0]["result"] == "5"


def test_a_decorated_starter_takes_a_client_or_the_binding_s_text(app: df.DFApp) -> None:
    @app.durable_client_input(client_name="client")
    async def starter(req: Any, client: df.DurableOrchestrationClient) -> Any:
        return client

    double: Any = object()
    text: Any = binding("http://h/")
    assert asyncio.run(starter(None, double)) is double
    assert asyncio.run(starter(None, client=double)) is double
    made = asyncio.run(starter(req=None, client=text))
    assert isinstance(made, df.DurableOrchestrationClient)


@pytest.mark.parametrize("given", [tuple, list])
def test_awaiting_all_of_a_tuple_gives_a_tuple_and_yielding_it_a_list(given: type) -> None:
    def tasks(context: df.DurableOrchestrationContext) -> Any:
        return given([context.call_activity("a"), context.call_activity("b")])

    async def awaits(context: df.DurableOrchestrationContext) -> str:
        return type(await context.task_all(tasks(context))).__name__

    def yields(context: df.DurableOrchestrationContext) -> Any:
        return type((yield context.task_all(tasks(context)))).__name__

    context = {"activities": {"a": 1, "b": 2}}
    assert FakeOrchestrationContext(None, **context).run(awaits) == given.__name__
    assert FakeOrchestrationContext(None, **context).run(yields) == "list"


def test_a_task_can_be_annotated_with_its_result() -> None:
    def typed(task: df.Task[int]) -> None: ...

    assert inspect.signature(typed, eval_str=True).parameters["task"].annotation == df.Task[int]
