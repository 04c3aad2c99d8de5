"""What becomes of a failure on the way through the engine, and what people read of it."""

from __future__ import annotations

import asyncio
import builtins
import json
import traceback
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine, run_to_end
from hypothesis import given, settings
from hypothesis import strategies as st

import azure.durable_functions as df
from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions._wire.failure_details import STRUCTURED
from azure.durable_functions._wire.handles import guarded
from azure.durable_functions.local import failure_texts
from azure.durable_functions.local.engine.invoker import Failure
from azure.durable_functions.local.engine.texts import failures

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]

BASE = {"errorType": "mod.ValueError", "errorMessage": "structured"}
EMPTY = {
    "ErrorType": "",
    "ErrorMessage": "",
    "StackTrace": None,
    "InnerFailure": None,
    "IsNonRetriable": False,
    "Properties": None,
}
TOLD = {**EMPTY, "ErrorType": "mod.ValueError", "ErrorMessage": "structured"}
NESTED = {**BASE, "innerFailure": {**BASE, "isNonRetriable": True}}


def event_of(type_name: str, message: str) -> dict[str, Any]:
    details = {"ErrorType": type_name, "ErrorMessage": message}
    return failures.activity_failed("probe", Failure(type_name, message, "stack", details))


# What the extension 3.19.0 has made of these texts.
@pytest.mark.parametrize(
    ("text", "details"),
    [
        (json.dumps(BASE), TOLD),
        ("{}", EMPTY),
        (json.dumps({"errorType": "X"}), {**EMPTY, "ErrorType": "X"}),
        (json.dumps({**BASE, "stackTrace": None, "isNonRetriable": None}), TOLD),
        (json.dumps(BASE) + "\nmore", TOLD),
        (json.dumps({**BASE, "isNonRetriable": True}), {**TOLD, "IsNonRetriable": True}),
        (json.dumps(NESTED), {**TOLD, "InnerFailure": {**TOLD, "IsNonRetriable": True}}),
        (
            json.dumps({**BASE, "properties": {"i": 1, "s": "t", "n": None, "b": True, "l": [1]}}),
            {**TOLD, "Properties": {"i": 1.0, "s": "t", "n": None, "b": True, "l": [1.0]}},
        ),
    ],
)
def test_a_structured_failure_is_read_as_the_extension_reads_it(text: str, details: Any) -> None:
    assert event_of(STRUCTURED, text) == {
        "Reason": "Activity function 'probe' failed with an unhandled exception.",
        "Details": None,
        "FailureDetails": details,
    }


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        "text",
        json.dumps({**BASE, "foo": 1}),
        json.dumps({"error_type": "ValueError", "error_message": "m"}),
        json.dumps({"errorType": "A.B", "errorMessage": "a\ud800b"}),
        json.dumps({**BASE, "innerFailure": "x"}),
        json.dumps({**BASE, "properties": {"n": float("nan")}}),
    ],
)
def test_what_the_extension_does_not_take_for_one_is_a_plain_failure(text: str) -> None:
    event = event_of(STRUCTURED, text)

    assert event["Reason"] == f"Activity function 'probe' failed:  {STRUCTURED}: {text}"
    assert "RpcException" in event["Details"]


def retrying(error: Exception) -> Any:
    """Calls an activity that raises with the host's retries, catches that, and calls another."""

    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_activity_with_retry("charge", df.RetryOptions(1000, 3))
        except df.TaskFailedError as failed:
            told = yield context.call_activity("note", failed.failure.error_message)
            return [told, failed.failure.is_non_retriable]

    def charge(nothing: Any) -> None:
        raise error

    return orchestrator, {"charge": guarded(charge), "note": lambda text: text}


@pytest.mark.parametrize("is_final", [True, False])
def test_a_final_failure_ends_the_host_s_retries_without_a_timer(is_final: bool) -> None:
    async def scenario() -> None:
        kind = df.NonRetryableError if is_final else ValueError
        orchestrator, activities = retrying(kind("never"))
        invoker = DirectInvoker({"main": orchestrator}, activities)
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()

            assert await engine.result(instance_id) == ("Completed", ["never", is_final])
            assert invoker.started["charge(null)"] == (1 if is_final else 3)
            kinds = [event["EventType"] for event in await engine.history(instance_id)]
            assert kinds.count(10) == (0 if is_final else 3)
            scheduled = [
                event["EventId"]
                for event in await engine.history(instance_id)
                if event["EventType"] == 4
            ]
            assert scheduled == ([0, 1] if is_final else [0, 2, 4, 6])

    asyncio.run(scenario())


def test_a_child_that_fails_for_good_is_not_tried_again() -> None:
    def parent(context: Context) -> Orchestration:
        try:
            yield context.call_sub_orchestrator_with_retry("child", df.RetryOptions(1000, 3))
        except df.NonRetryableError as error:
            return [type(error).__name__, error.failure.error_message, str(error)]

    def child(context: Context) -> Orchestration:
        yield context.call_activity("charge")

    def charge(nothing: Any) -> None:
        raise df.NonRetryableError("never")

    async def scenario() -> None:
        activities = {"charge": guarded(charge)}
        invoker = DirectInvoker({"main": parent, "child": child}, activities)
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()

            status, output = await engine.result(instance_id)
            assert (status, output[:2]) == ("Completed", ["TaskFailedNonRetryableError", "never"])
            assert output[2].startswith("Orchestrator function 'child' failed: Activity function ")
            assert invoker.started["charge(null)"] == 1

    asyncio.run(scenario())


def test_the_output_of_a_structured_failure_is_class_and_message() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity("note", 1)
        raise df.NonRetryableError("never")

    async def scenario() -> None:
        invoker = DirectInvoker({"main": main}, {"note": lambda text: text})
        async with Engine(invoker) as engine:
            instance_id = await engine.hub.start_instance("main")
            await engine.run_out()

            status, output = await engine.result(instance_id)
            assert (status, output) == ("Failed", "NonRetryableError: never")
            [ended] = [e for e in await engine.history(instance_id) if e["EventType"] == 1]
            assert ended["FailureDetails"]["IsNonRetriable"] is True

    asyncio.run(scenario())


def test_the_output_of_another_failure_is_the_official_text() -> None:
    def main(context: Context) -> Orchestration:
        yield context.call_activity("note", 1)
        raise ValueError("boom")

    ended = asyncio.run(run_to_end(main, {"note": lambda text: text}))

    assert ended == ("Failed", "Orchestrator function 'main' failed: boom")


BUILT_IN = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and kind.__name__ not in ("StopIteration", "StopAsyncIteration")
    and not issubclass(kind, (UnicodeError, getattr(builtins, "BaseExceptionGroup", UnicodeError)))
]


class Own(Exception):
    pass


chains = st.lists(
    st.tuples(st.sampled_from([*BUILT_IN, Own, df.NonRetryableError]), st.text()),
    min_size=1,
    max_size=6,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def sent(text: str) -> str:
    """Halves of surrogate pairs cannot travel; anything else does."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return sent(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {sent(key): cleaned(item) for key, item in value.items()}
    return value


@given(chains, st.dictionaries(st.text(), values, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_failure_goes_round_unchanged(
    links: list[tuple[type[Exception], str]], properties: dict[str, Any]
) -> None:
    errors = [kind(text) for kind, text in links]
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    errors[0].failure_properties = properties  # type: ignore[attr-defined]
    texts = [str(error) for error in errors]
    caught: list[df.TaskFailedError] = []

    def main(context: Context) -> Orchestration:
        try:
            yield context.call_activity("fails")
        except df.TaskFailedError as error:
            caught.append(error)

    def fails(nothing: Any) -> None:
        raise errors[0]

    status, _ = asyncio.run(run_to_end(main, {"fails": guarded(fails)}))

    assert status == "Completed"
    error = caught[-1]
    assert isinstance(error, links[0][0]) or links[0][0] is Own or _is_odd(links[0][0])
    failure: Any = error.failure
    assert failure.properties == cleaned(properties)
    finals = [kind is df.NonRetryableError for kind, _ in links]
    for place, ((kind, _), text) in enumerate(zip(links, texts, strict=True)):
        assert failure.error_type.rpartition(".")[2] == kind.__name__
        assert failure.error_message == sent(text)
        assert failure.is_non_retriable is any(finals[place:])
        failure = failure.inner_failure
    assert failure is None
    assert "fails" in str(error.failure.stack_trace)


def _is_odd(kind: type[Exception]) -> bool:
    """Whether the class cannot be joined with ours, so that the plain failure is raised."""
    try:
        type("Joined", (df.TaskFailedError, kind), {})("text")
    except TypeError:
        return True
    return kind is Exception or issubclass(kind, df.TaskFailedError)


def plain_event() -> str:
    """``Details`` of a plain failure, as the extension writes them."""
    return json.dumps({"$type": "System.Exception", "Message": " x \n {", "InnerException": None})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("boom", "boom"),
        (f"A failed:  ValueError: boom \n {plain_event()}", "A failed:  ValueError: boom"),
        ("O failed: gone \n None", "O failed: gone"),
        ('A failed:  E: b \n   File "x", line 3\n    x()', "A failed:  E: b"),
        (
            'O failed: A failed:  E: b \n   File "x" \n Message: O failed: A failed:  E: b',
            "O failed: A failed:  E: b",
        ),
        ("P failed: O failed: boom \n Message: O failed: boom", "P failed: O failed: boom"),
        (
            "P failed: O failed: boom \n Message: boom, StackTrace:    at System.X()",
            "P failed: O failed: boom",
        ),
        (
            f"P failed: O failed: A failed:  E: b \n {plain_event()} \n Message: O failed: "
            f"A failed:  E: b \n {plain_event()}",
            "P failed: O failed: A failed:  E: b",
        ),
        (
            'A failed:  E: {"$type": 1} \n {"$type": broken',
            'A failed:  E: {"$type": 1} \n {"$type": broken',
        ),
        (
            "A failed:  E: x \n Message: something else",
            "A failed:  E: x \n Message: something else",
        ),
    ],
)
def test_people_read_no_envelopes(text: str, shown: str) -> None:
    assert without_envelopes(text) == shown


@given(st.text())
def test_a_text_without_envelopes_stays_as_it_is(text: str) -> None:
    if " \n " not in text:
        assert without_envelopes(text) == text


def test_a_failure_is_told_with_frames_and_causes() -> None:
    inner = {**EMPTY, "ErrorType": "KeyError", "ErrorMessage": "'x'", "StackTrace": "  File b\n"}
    fields = {
        **EMPTY,
        "ErrorType": "azure.durable_functions._replay.failures.TaskFailedKeyError",
        "ErrorMessage": f"A failed:  KeyError: 'x' \n {plain_event()}",
        "StackTrace": "  File a",
        "InnerFailure": inner,
    }

    assert failure_texts.told(fields) == (
        "TaskFailedKeyError: A failed:  KeyError: 'x'\n  File a\ncaused by KeyError: 'x'\n  File b"
    )


def test_python_s_own_names_are_kept() -> None:
    told = "".join(traceback.format_exception_only(KeyError("x"))).strip()
    assert failure_texts.told({"ErrorType": "KeyError", "ErrorMessage": "'x'"}) == told
