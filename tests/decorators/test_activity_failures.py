"""What the worker sees of an activity that raises."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import azure.durable_functions as df

STRUCTURED = "ActivityMiddleware.StructuredActivityFailure"


class OutOfStock(Exception):
    def __init__(self, article: str, left: int) -> None:
        super().__init__(f"no {article}")
        self.failure_properties = {"left": left}


class Stubborn(df.NonRetryableError):
    """Makes its objects in a way of its own."""

    def __new__(cls, *, card: str) -> Stubborn:
        return super().__new__(cls, card)

    def __init__(self, *, card: str) -> None:
        super().__init__(card)


def raising(error: BaseException) -> Callable[..., Any]:
    """The function that the worker gets of an activity which raises."""
    app = df.DFApp()

    @app.activity_trigger(input_name="given")
    def activity(given: str) -> None:
        raise error

    function: Any = app.get_functions()[0].get_user_function()
    return function  # type: ignore[no-any-return]


def raised(function: Callable[..., Any]) -> BaseException:
    try:
        function(given="x")
    except BaseException as error:
        return error
    raise AssertionError("it has not raised")


def told(error: BaseException) -> dict[str, Any]:
    """What the extension reads, if the worker sends the structured form."""
    assert type(error).__name__ == STRUCTURED
    assert "\n" not in str(error)
    found: dict[str, Any] = json.loads(str(error))
    return found


@pytest.mark.parametrize("error", [ValueError("bad"), df.RetryAfter(5), SystemExit(3)])
def test_what_needs_nothing_of_ours_travels_as_officially(error: BaseException) -> None:
    assert raised(raising(error)) is error


def test_a_final_failure_travels_in_the_structured_form() -> None:
    error = df.NonRetryableError("never\nagain")
    error.__cause__ = KeyError("card")

    seen = raised(raising(error))

    found = told(seen)
    assert found["errorType"] == "NonRetryableError"
    assert (found["errorMessage"], found["isNonRetriable"]) == ("never\nagain", True)
    inner = found["innerFailure"]
    assert (inner["errorType"], inner["errorMessage"]) == ("KeyError", "'card'")
    assert f'File "{__file__}"' in found["stackTrace"]
    assert "_wire" not in found["stackTrace"]
    # The worker's own traceback still leads to the user's line.
    assert __file__ in "".join(traceback.format_tb(seen.__traceback__))


def test_who_calls_the_activity_itself_sees_the_exception_that_it_raised() -> None:
    seen = raised(raising(Stubborn(card="stolen")))
    assert isinstance(raised(raising(df.NonRetryableError("never"))), df.NonRetryableError)
    assert told(seen)["errorMessage"] == "stolen"

    app = df.DFApp()

    @app.activity_trigger
    def activity(given: str) -> None:
        raise df.NonRetryableError("never")

    with pytest.raises(df.NonRetryableError) as direct:
        activity("x")
    assert type(direct.value) is df.NonRetryableError


def test_a_failure_whose_cause_is_final_is_final() -> None:
    error = ValueError("no card")
    error.__cause__ = df.NonRetryableError("never")

    found = told(raised(raising(error)))

    assert (found["errorType"], found["isNonRetriable"]) == ("ValueError", True)


def test_properties_of_an_exception_travel() -> None:
    found = told(raised(raising(OutOfStock("tea", 3))))

    assert found["errorType"].endswith("OutOfStock")
    assert found["properties"] == {"left": 3}
    assert "isNonRetriable" not in found


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (2**53 + 1, str(2**53 + 1)),
        (float("inf"), "inf"),
        ((1, [None, True]), [1, [None, True]]),
        ({1: "one"}, {"1": "one"}),
        ("\ud800", "\\ud800"),
        (SimpleNamespace(a=1), "namespace(a=1)"),
    ],
)
def test_properties_that_json_does_not_know_do_not_hide_the_failure(value: Any, sent: Any) -> None:
    error = ValueError("bad")
    error.failure_properties = {"value": value}  # type: ignore[attr-defined]

    assert told(raised(raising(error)))["properties"] == {"value": sent}


def test_an_exception_whose_text_cannot_be_had_is_told() -> None:
    class Broken(df.NonRetryableError):
        def __str__(self) -> str:
            raise RuntimeError

    found = told(raised(raising(Broken())))

    assert found["errorMessage"] == "<its text cannot be had: RuntimeError>"


def test_a_class_with_the_extension_s_name_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRUCTURED_FAILURES", "1")
    error = type(STRUCTURED, (Exception,), {})('{"errorType": "X"}')

    assert raised(raising(error)) is error
    assert told(raised(raising(ValueError("bad"))))["errorType"] == "ValueError"


def test_async_and_function_json_activities_do_the_same() -> None:
    async def charge(given: str) -> None:
        raise df.NonRetryableError("never")

    main = df.Activity.create(charge)

    assert asyncio.iscoroutinefunction(main)
    with pytest.raises(df.NonRetryableError) as seen:
        asyncio.run(main(given="x"))
    assert told(seen.value)["errorMessage"] == "never"


def test_typed_activities_do_the_same() -> None:
    def charge(given: list[bytes]) -> None:
        raise df.NonRetryableError("never")

    assert told(raised(lambda given: df.Activity.create(charge)(given=[])))["isNonRetriable"]
