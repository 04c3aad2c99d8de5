"""Values of Python's own and the usual libraries' types travel as plain JSON, without hooks."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions._wire import payloads, typed
from azure.durable_functions.testing import DurableTestHost

Context = df.DurableOrchestrationContext
MOMENT = datetime(2026, 1, 15, 10, 30, 0, 123456, tzinfo=timezone.utc)


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Line:
    article: str
    price: Decimal
    amount: int = 1


@dataclass
class Order:
    number: UUID
    lines: list[Line]
    placed: datetime
    colour: Colour | None = None
    tags: set[str] = field(default_factory=set)
    by_name: dict[str, Line] = field(default_factory=dict)


ORDER = Order(
    UUID(int=5),
    [Line("tea", Decimal("1.10")), Line("cup", Decimal("7"), 2)],
    MOMENT,
    Colour.RED,
    {"b", "a"},
    {"tea": Line("tea", Decimal("1.10"))},
)

ROUND_TRIPS: list[tuple[Any, Any]] = [
    (ORDER, Order),
    ([ORDER], list[Order]),
    (None, Order | None),
    (ORDER, Order | None),
    ({"one": ORDER}, dict[str, Order]),
    (MOMENT, datetime),
    (date(2026, 1, 15), date),
    (timedelta(days=1, microseconds=5), timedelta),
    (Colour.RED, Colour),
    (UUID(int=7), UUID),
    (Decimal("0.1"), Decimal),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    (Point(1, 2), Point),
    ({1, 2}, set[int]),
    (frozenset("ab"), frozenset[str]),
    (b"\x00\xff", bytes),
]


@pytest.mark.parametrize(("value", "kind"), ROUND_TRIPS, ids=[str(kind) for _, kind in ROUND_TRIPS])
def test_a_value_comes_back_as_it_went(value: Any, kind: Any) -> None:
    text = payloads.encode(value)

    assert payloads.decode(text, kind) == value
    assert type(payloads.decode(text, kind)) is type(value)
    assert "__class__" not in text


def test_the_text_is_plain_json_and_the_same_everywhere() -> None:
    assert json.loads(payloads.encode(ORDER)) == {
        "number": "00000000-0000-0000-0000-000000000005",
        "lines": [
            {"article": "tea", "price": "1.10", "amount": 1},
            {"article": "cup", "price": "7", "amount": 2},
        ],
        "placed": "2026-01-15T10:30:00.123456+00:00",
        "colour": "red",
        "tags": ["a", "b"],
        "by_name": {"tea": {"article": "tea", "price": "1.10", "amount": 1}},
    }


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ('{"amount": 5}', Line, "the value is no Line"),
        ('{"article": "a", "price": "x"}', Line, r"the value\.price must be Decimal, got str"),
        ('[{"article": "a", "price": []}]', list[Line], r"the value\[0\]\.price must be Decimal"),
        ("5", Order, "the value must be Order, got int"),
        ('"green"', Colour, "the value must be Colour"),
        ("[1]", tuple[int, str], "must be tuple"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text: str, kind: Any, told: str) -> None:
    with pytest.raises(typed.DoesNotFit, match=told):
        payloads.decode(text, kind)


def test_models_of_libraries_decode_themselves() -> None:
    msgspec = pytest.importorskip("msgspec")
    attrs = pytest.importorskip("attrs")
    made = {"Model": msgspec.defstruct("Model", [("when", datetime), ("n", int)])}
    made["Plain"] = attrs.make_class("Plain", {"n": attrs.field(type=int)})
    for kind, fields in ((made["Model"], {"when": MOMENT, "n": 1}), (made["Plain"], {"n": 1})):
        value = kind(**fields)
        assert payloads.decode(payloads.encode(value), kind) == value
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Approval", by=(str, ...), at=(datetime, ...))
    value = model(by="Ada", at=MOMENT)
    assert payloads.decode(payloads.encode([value]), list[model])[0] == value


def test_models_of_libraries_are_written_by_the_names_they_are_read_by() -> None:
    msgspec = pytest.importorskip("msgspec")
    fields = [("order_id", int), ("tags", set[str])]
    struct = msgspec.defstruct("Struct", fields, rename="camel", tag=True)
    value = struct(order_id=3, tags={"b", "a", "c"})
    text = payloads.encode([value])
    assert json.loads(text) == [{"type": "Struct", "orderId": 3, "tags": ["a", "b", "c"]}]
    assert payloads.decode(text, list[struct]) == [value]

    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", order_id=(int, pydantic.Field(alias="orderId")))
    value = model(orderId=3)
    assert payloads.decode(payloads.encode(value), model) == value


def test_annotations_without_a_hash_are_looked_through() -> None:
    assert payloads.decode('["1.5"]', list[Annotated[Decimal, {"unit": "EUR"}]]) == [Decimal("1.5")]


app = df.DFApp()


@app.activity_trigger(input_name="order")
def discount(order: Order) -> list[Line]:
    assert isinstance(order, Order)
    return [Line(line.article, line.price / 2) for line in order.lines]


@app.activity_trigger(input_name="names")
async def greet(names: list[str] | None) -> tuple[str, ...]:
    return tuple(f"Hello {name}" for name in names or ())


@app.orchestration_trigger(context_name="context")
def sell(context: Context) -> Generator[Any, Any, Any]:
    order = context.get_input(Order)
    lines = yield context.call_activity(discount, order)
    assert all(isinstance(line, Line) for line in lines)
    greeted = yield context.call_activity(greet, ["Ada"])
    assert greeted == ("Hello Ada",)
    approved = yield context.wait_for_external_event("approved", Line)
    stored = yield context.call_entity(df.EntityId("Shelf", "a"), "put", approved, Line)
    return [lines, stored]


@app.orchestration_trigger(context_name="context", input_type=list[Line])
def priced(context: Context) -> Generator[Any, Any, Any]:
    lines = context.get_input()
    assert all(isinstance(line, Line) for line in lines)
    return [line.price for line in lines]
    yield


@app.entity_trigger(context_name="context")
def Shelf(context: df.DurableEntityContext) -> None:
    context.set_state(context.get_input(Line))
    context.set_result(context.get_state(expected_type=Line))


@pytest.mark.parametrize("raw", [False, True])
def test_a_whole_app_speaks_in_its_own_types(raw: bool) -> None:
    with DurableTestHost(app, strict_replay=True) as host:
        instance = host.start("sell", ORDER)
        host.raise_event(instance, "approved", Line("pot", Decimal("9.5")), raw=raw)

        assert instance.result() == [
            [
                {"article": "tea", "price": "0.55", "amount": 1},
                {"article": "cup", "price": "3.5", "amount": 1},
            ],
            {"article": "pot", "price": "9.5", "amount": 1},
        ]


@pytest.mark.parametrize("as_text", [True, False])
def test_a_declared_type_is_that_of_an_array_too(as_text: bool) -> None:
    text = payloads.encode(ORDER.lines)
    history = History(input=text if as_text else json.loads(text))

    handle: Any = priced._function._func  # type: ignore[attr-defined]
    assert json.loads(handle(json.dumps(history.trigger())))["output"] == ["1.10", "7"]


@pytest.mark.parametrize(
    ("sent", "expected", "got"),
    [("5", int, 5), ("[1]", list, [1]), ("text", str, "text"), ("5", None, "5"), ("no", int, "no")],
)
def test_an_event_is_decoded_once_more_only_for_a_type_it_does_not_fit(
    sent: str, expected: Any, got: Any
) -> None:
    def waiting(context: Context) -> Generator[Any, Any, Any]:
        return (yield context.wait_for_external_event("go", expected))

    assert History().episode().raised("go", sent).replay(waiting)["output"] == got


def test_what_nobody_knows_is_refused_in_the_codecs_words() -> None:
    with pytest.raises(TypeError, match="does not expose a `to_json`"):
        payloads.encode({"deep": object()})
