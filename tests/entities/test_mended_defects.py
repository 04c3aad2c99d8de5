"""Defects of release 1.7.0's entities that are mended: the numbers of sdk.md 8.4."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import pytest

import azure.durable_functions as df

Context = df.DurableEntityContext


def run(
    entity: Callable[[Context], Any], *operations: str | dict[str, Any], **trigger: Any
) -> dict[str, Any]:
    batch = [
        {"name": item, "input": None, "isSignal": False} if isinstance(item, str) else item
        for item in operations
    ]
    address = {"name": "counter", "key": "a"}
    text = json.dumps({"self": address, "exists": False, "state": None, "batch": batch, **trigger})
    answer: dict[str, Any] = json.loads(df.Entity.create(entity)(text))
    return answer


def results(answer: dict[str, Any]) -> list[Any]:
    return [json.loads(item["result"]) for item in answer["results"]]


def test_the_clock_can_be_patched_in_the_module() -> None:
    moments = [datetime(2026, 1, 15, 10, 0, second, tzinfo=timezone.utc) for second in (0, 3)]

    with (
        mock.patch("azure.durable_functions.entity.datetime") as clock,
        mock.patch("azure.durable_functions.entity.timezone", wraps=timezone, utc=timezone.utc),
    ):
        clock.now.side_effect = moments
        [result] = run(lambda context: context.set_result(1), "one")["results"]

    assert (result["startTime"], result["duration"]) == (moments[0].timestamp() * 1000, 3000)


def test_a_result_belongs_to_its_operation() -> None:
    """sdk.md Q90."""

    def entity(context: Context) -> None:
        if context.operation_name == "one":
            context.set_result(1)

    assert results(run(entity, "one", "two")) == [1, None]


def test_a_result_is_what_it_was_when_the_operation_ended() -> None:
    """sdk.md Q91."""
    items: list[int] = []

    def entity(context: Context) -> None:
        items.append(len(items))
        context.set_result(items)

    assert results(run(entity, "a", "b")) == [[0], [0, 1]]


def test_state_that_was_set_before_an_exception_stays() -> None:
    """sdk.md Q92."""

    def entity(context: Context) -> None:
        context.set_state(7)
        raise ValueError("too late")

    answer = run(entity, "set")

    assert (answer["entityState"], answer["results"][0]["isError"]) == ("7", True)


def test_state_that_is_changed_in_place_is_kept() -> None:
    """sdk.md Q93."""

    def entity(context: Context) -> None:
        context.get_state()["n"] = 2

    assert run(entity, "x", exists=True, state='{"n": 1}')["entityState"] == '{"n": 2}'


def test_a_result_after_destruct_leaves_an_entity_without_state() -> None:
    """sdk.md Q94."""

    def entity(context: Context) -> None:
        context.destruct_on_exit()
        context.set_result("gone")

    answer = run(entity, "x", exists=True, state="1")

    assert (answer["entityExists"], answer["entityState"]) == (True, "null")


async def _async_entity(context: Context) -> None:
    context.set_state(1)


def _generator_entity(context: Context) -> Any:
    yield context.set_state(1)


@pytest.mark.parametrize("entity", [_async_entity, _generator_entity], ids=["async", "generator"])
def test_entities_that_do_not_run_say_so(entity: Callable[[Context], Any]) -> None:
    """sdk.md Q96."""
    answer = run(entity, "x")

    assert answer["results"][0]["isError"] is True
    assert "must be a plain function" in results(answer)[0]


def test_a_result_that_cannot_be_sent_fails_its_operation_only() -> None:
    """sdk.md Q97."""

    def entity(context: Context) -> None:
        context.set_result(object() if context.operation_name == "bad" else 2)

    answer = run(entity, "bad", "good")

    assert [item["isError"] for item in answer["results"]] == [True, False]


def test_unknown_keys_are_ignored_and_a_missing_input_is_none() -> None:
    """sdk.md Q98."""

    def entity(context: Context) -> None:
        context.set_result([context.get_input()])

    assert results(run(entity, {"name": "x"}, later="release")) == [[None]]


def test_an_operation_without_input_gets_none() -> None:
    """sdk.md Q63."""

    def reads(context: Context) -> None:
        context.set_result([context.get_input()])

    assert results(run(reads, {"name": "op", "input": None, "isSignal": True})) == [[None]]


@pytest.mark.parametrize(
    ("text", "value"),
    [('"5"', 5), ("5", 5), ('"null"', None), (None, None), ('"words"', "words"), ("[1]", [1])],
    ids=["twice", "once", "null", "missing", "not JSON", "list"],
)
def test_inputs_may_be_encoded_once_or_twice(text: str | None, value: object) -> None:
    """sdk.md Q64."""

    def entity(context: Context) -> None:
        context.set_result([context.get_input()])

    assert results(run(entity, {"name": "x", "input": text})) == [[value]]


def test_entity_ids_can_be_hashed_and_keys_may_hold_an_at_sign() -> None:
    """sdk.md Q99."""
    assert len({df.EntityId("a", "b"), df.EntityId("a", "b")}) == 1
    assert df.EntityId.get_entity_id("@name@k@y") == df.EntityId("name", "k@y")
    assert df.EntityId("A", "k") != df.EntityId("a", "k")


def test_a_context_outside_an_operation_has_no_name() -> None:
    with pytest.raises(Exception, match="Entity operation is unassigned"):
        _ = Context("n", "k", False, None).operation_name


def test_the_text_null_is_no_state() -> None:
    def counter(context: Context) -> None:
        seen = [context.get_state(lambda: 7), context.get_state(lambda: 7)]
        context.set_result(seen)

    assert results(run(counter, "get", state="null")) == [[7, 7]]


def test_an_initializer_must_be_callable() -> None:
    with pytest.raises(Exception, match="initializer argument needs to be a callable function"):
        Context("n", "k", False, None).get_state(5)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ("[]", "must be a JSON object with the object self"),
        ('{"self": {"name": "n"}, "batch": []}', r"lacks self\.key"),
        ('{"self": {"name": "n", "key": "k"}}', "lacks an array in batch"),
    ],
    ids=["array", "no key", "no batch"],
)
def test_a_trigger_that_is_none_is_refused_by_name(trigger: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        df.Entity.create(lambda context: None)(trigger)


def test_an_operation_that_raises_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def entity(context: Context) -> None:
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise RuntimeError("broken") from error

    run(entity, "explode")

    [record] = caplog.records
    assert record.levelname == "ERROR"
    text = record.getMessage()
    assert text.startswith("Operation 'explode' of entity @counter@a failed: RuntimeError: broken")
    assert f'File "{__file__}"' in text
    assert "caused by KeyError: 'cause'" in text
    assert "azure/durable_functions/entity.py" not in text
