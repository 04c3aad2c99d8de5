"""What an orchestrator catches: by its own class, with what is known of the failure."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions import TaskFailedError

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]

WORKER_TEXT = (
    'Result: Failure\nException: ValueError: bad\nluck\nStack:   File "function_app.py", line 3'
)


class OutOfStock(Exception):
    pass


class Hidden:
    class Lost(Exception):
        pass


class NeedsTwo(Exception):
    def __init__(self, one: Any, two: Any) -> None:
        super().__init__(one, two)


def caught(recorded: dict[str, Any] | None, *, raises: Any = (), **fields: Any) -> TaskFailedError:
    """What an orchestrator catches for a TaskFailed event."""
    found: list[TaskFailedError] = []

    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_activity("A", 1, raises=raises)
        except Exception as error:
            found.append(error)  # type: ignore[arg-type]

    history = History().episode()
    history._add(6, TaskScheduledId=0, FailureDetails=recorded, **fields)
    history.replay(orchestrator)
    [error] = found
    return error


def recorded(error_type: str, message: str = "text", inner: Any = None) -> dict[str, Any]:
    return {
        "ErrorType": error_type,
        "ErrorMessage": message,
        "StackTrace": "  File x",
        "InnerFailure": inner,
    }


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, ZeroDivisionError, LookupError])
def test_pythons_own_exceptions_are_caught_by_their_class(kind: type[Exception]) -> None:
    error = caught(recorded(kind.__name__), Reason="reason", Details="details")

    assert isinstance(error, kind)
    assert isinstance(error, TaskFailedError)
    assert (str(error), error.args) == ("reason \n details", ("reason \n details",))
    assert error.failure.error_type == kind.__name__


def test_exceptions_in_sight_are_caught_by_their_class() -> None:
    name = f"{__name__}.OutOfStock"
    assert isinstance(caught(recorded(name), Reason="r", Details="d"), OutOfStock)
    assert isinstance(caught(recorded("OutOfStock"), Reason="r", Details="d"), OutOfStock)


def test_exceptions_beside_a_typed_activity_are_in_sight() -> None:
    shop: dict[str, Any] = {"df": df, "app": df.DFApp()}
    exec(
        "class SoldOut(Exception): ...\n"
        "@app.activity_trigger(input_name='names')\n"
        "def buy(names: list[bytes]) -> None: ...",
        shop,
    )

    def buying(context: Context) -> Generator[Any, Any, Any]:
        try:
            yield context.call_activity(shop["buy"], ["tea"])
        except shop["SoldOut"] as error:
            return error.failure.error_message

    history = History().episode()
    history._add(6, TaskScheduledId=0, Reason="x failed:  SoldOut: no tea", Details="")
    assert history.replay(buying)["output"] == "no tea"


def test_exceptions_out_of_sight_are_named_by_raises() -> None:
    name = f"{__name__}.Hidden.Lost"
    assert not isinstance(caught(recorded(name), Reason="r", Details="d"), Hidden.Lost)
    seen = caught(recorded(name), raises=[Hidden.Lost], Reason="r", Details="d")
    assert isinstance(seen, Hidden.Lost)


@pytest.mark.parametrize(
    "name",
    [
        *("StopIteration", "StopAsyncIteration", "KeyboardInterrupt", "SystemExit", "Exception"),
        *("json.JSONDecodeError", "UnicodeDecodeError", "no.such.Thing", f"{__name__}.NeedsTwo"),
    ],
)
def test_what_cannot_be_told_stays_a_plain_failure(name: str) -> None:
    error = caught(recorded(name), Reason="r", Details="d")

    assert type(error) is TaskFailedError
    assert error.failure.error_type == name


def test_two_classes_of_one_name_are_none() -> None:
    twin = type("OutOfStock", (Exception,), {"__module__": "elsewhere"})
    error = caught(recorded("OutOfStock"), raises=[twin], Reason="r", Details="d")

    assert type(error) is TaskFailedError


@pytest.mark.parametrize(
    ("reason", "details"),
    [
        ("Activity function 'A' failed:  ValueError: bad\nluck", "no details"),
        ("failed", WORKER_TEXT),
        ("failed", json.dumps({"InnerException": {"Message": WORKER_TEXT}})),
        (
            "failed",
            json.dumps(
                {"Message": "x", "InnerException": {"InnerException": {"Message": WORKER_TEXT}}}
            ),
        ),
    ],
)
def test_what_old_hosts_send_is_read_from_the_workers_text(reason: str, details: str) -> None:
    error = caught(None, Reason=reason, Details=details)

    assert isinstance(error, ValueError)
    assert error.failure.error_message == "bad\nluck"
    if "Stack" in details:
        assert error.failure.stack_trace == '  File "function_app.py", line 3'


def test_nothing_known_is_a_plain_failure() -> None:
    error = caught(None, Reason=None, Details=None)

    assert type(error) is TaskFailedError
    assert str(error) == "None \n None"


def test_causes_are_told() -> None:
    inner = recorded(f"{__name__}.OutOfStock")
    failure = caught(recorded("ValueError", inner=inner), Reason="r", Details="d").failure

    assert failure.inner_failure is not None
    assert failure.is_caused_by(OutOfStock)
    assert failure.is_caused_by("OutOfStock")
    assert failure.is_caused_by(ValueError)
    assert not failure.is_caused_by(KeyError)


def test_a_failure_can_be_copied_and_pickled() -> None:
    error = caught(recorded("KeyError", "key"), Reason="r", Details="d")

    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(again, TaskFailedError)
        assert (str(again), again.failure) == (str(error), error.failure)


def test_what_leaves_towards_the_worker_is_as_before() -> None:
    def careless(context: Context) -> Orchestration:
        yield context.call_activity("A", 1)

    history = History().episode()
    history._add(
        6, TaskScheduledId=0, Reason="r", Details="d", FailureDetails=recorded("ValueError")
    )
    with pytest.raises(Exception, match="r \n d") as told:
        df.Orchestrator.create(careless)(json.dumps(history.trigger()))

    assert type(told.value) is Exception


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: df.RetryOptions(1, 3, backoff_coefficient=0.5), "backoff_coefficient must be"),
        (lambda: df.RetryOptions(1, 3, jitter=2), "jitter must be a share"),
        (lambda: df.RetryOptions(1, 0, jitter=0.5), "max_number_of_attempts must be"),
        (lambda: df.RetryOptions(1, 3, retry_timeout_in_milliseconds=0), "retry_timeout"),
        (lambda: df.RetryPolicy(5, 3), "first_retry_interval must be a timedelta"),  # type: ignore[arg-type]
    ],
)
def test_a_retry_policy_that_cannot_be_is_refused_where_it_is_made(make: Any, told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        make()


@pytest.mark.parametrize("timeout", [0, -5])
def test_a_time_out_that_cannot_be_is_refused_at_the_call(timeout: int) -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("A", 1, timeout=timeout)

    assert "must be longer than nothing" in History().replay(orchestrator)["error"]


def test_declared_retry_fields_travel_in_the_action() -> None:
    options = df.RetryOptions(
        1000,
        3,
        backoff_coefficient=2,
        max_retry_interval_in_milliseconds=5000,
        retry_timeout_in_milliseconds=60_000,
    )

    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("A", options, 1)

    [listed] = History().replay(orchestrator)["actions"][0]
    [action] = listed["compoundActions"]
    assert action["retryOptions"] == {
        "firstRetryIntervalInMilliseconds": 1000,
        "maxNumberOfAttempts": 3,
        "backoffCoefficient": 2,
        "maxRetryIntervalInMilliseconds": 5000,
        "retryTimeoutInMilliseconds": 60_000,
    }


def _answer_of(program: Any) -> tuple[str, dict[str, Any]]:
    """What an orchestrator's failure says after one activity, and its answer."""
    history = [
        {"EventType": 12},
        {"EventType": 0, "Name": "Main"},
        {"EventType": 4, "EventId": 0, "Name": "A"},
        {"EventType": 12},
        {"EventType": 5, "TaskScheduledId": 0, "Result": "1"},
    ]
    common = {"EventId": -1, "IsPlayed": True, "Timestamp": "2026-01-15T10:00:00Z"}
    trigger = {
        "history": [{**common, **event} for event in history],
        "input": None,
        "instanceId": "abc",
        "isReplaying": True,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 3,
    }
    with pytest.raises(Exception) as raised:  # noqa: PT011  # the whole text is looked at
        df.Orchestrator.create(program)(json.dumps(trigger))
    text, _, answer = str(raised.value).rpartition("\n\n$OutOfProcData$:")
    return text, json.loads(answer)


class NoJson:
    pass


class OwnOptions:
    """Retry options of a user's own class that cannot be sent."""

    max_number_of_attempts = 3
    retry_timeout_in_milliseconds = None

    def to_json(self) -> Any:
        raise RuntimeError("options that cannot be sent")


def _raises(context: Any) -> None:
    raise ValueError("its own text")


def _continues_and_raises(context: Any) -> None:
    context.continue_as_new(1)
    raise ValueError("its own text")


def _returns_no_json(context: Any) -> Any:
    return NoJson()


def _sets_a_status_that_is_no_json(context: Any) -> None:
    context.set_custom_status(NoJson())


def _sets_a_status_that_is_too_large(context: Any) -> None:
    context.set_custom_status({"text": "é" * 9000})


def _exits(context: Any) -> None:
    raise SystemExit("its own text")


def _cancels(context: Any) -> None:
    raise asyncio.CancelledError("its own text")


ENDS = {
    _raises: "its own text",
    _continues_and_raises: "its own text",
    _exits: "its own text",
    _cancels: "its own text",
    _returns_no_json: "Object of type NoJson is not JSON serializable",
    _sets_a_status_that_is_no_json: "Object of type NoJson is not JSON serializable",
    _sets_a_status_that_is_too_large: (
        "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. "
        "The current payload size is 17 KB."
    ),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_whatever_ends_an_orchestrator_its_actions_are_told_beside_the_error(end: Any) -> None:
    def program(context: Any) -> Any:
        yield context.call_activity("A")
        return end(context)

    text, answer = _answer_of(program)

    assert text == answer["error"] == ENDS[end]
    assert answer["isDone"] is False
    assert answer["actions"][0][0] == {"actionType": 0, "functionName": "A", "input": "null"}
    assert "customStatus" not in answer


def test_an_action_that_cannot_be_sent_ends_the_orchestration_with_the_others() -> None:
    def program(context: Any) -> Any:
        yield context.call_activity("A")
        options: Any = OwnOptions()
        yield context.call_activity_with_retry("B", options)

    text, answer = _answer_of(program)

    assert text == "options that cannot be sent"
    assert [action["functionName"] for action in answer["actions"][0]] == ["A"]


UNTOLD = "Activity function 'A' failed with an unhandled exception."
TYPE = "System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib]]"
STRUCTURED = "ActivityMiddleware.StructuredActivityFailure"


def structured(**fields: Any) -> dict[str, Any]:
    """FailureDetails as the extension fills them from a structured failure."""
    return {
        "ErrorType": "ValueError",
        "ErrorMessage": "bad luck",
        "StackTrace": '  File "function_app.py", line 3',
        "InnerFailure": None,
        "IsNonRetriable": False,
        "Properties": None,
        **fields,
    }


def test_a_structured_failure_tells_what_the_event_s_text_does_not() -> None:
    inner = structured(ErrorType="shop.OutOfStock", ErrorMessage="no tea", StackTrace=None)
    properties = {
        "left": 0.0,
        "share": 0.5,
        "of": [1.0, {"$type": TYPE, "all": 12.0}],
        "name": "tea",
    }
    details = structured(InnerFailure=inner, Properties=properties)

    error = caught(details, Reason=UNTOLD, Details=None)

    assert isinstance(error, ValueError)
    assert error.failure.properties == {
        "left": 0,
        "share": 0.5,
        "of": [1, {"all": 12}],
        "name": "tea",
    }
    assert type(error.failure.properties["left"]) is int
    assert error.failure.inner_failure is not None
    assert error.failure.inner_failure.error_message == "no tea"
    assert error.reason == "Activity function 'A' failed:  ValueError: bad luck"
    assert str(error) == f'{error.reason} \n   File "function_app.py", line 3'


def test_a_structured_failure_that_an_older_extension_passes_on_as_text_is_read_too() -> None:
    text = '{"errorType": "NonRetryableError", "errorMessage": "never", "isNonRetriable": true}'

    error = caught(
        None, Reason=f"Activity function 'A' failed:  {STRUCTURED}: {text}", Details="{}"
    )

    assert isinstance(error, df.NonRetryableError)
    assert error.failure.is_non_retriable
    assert str(error) == "Activity function 'A' failed:  NonRetryableError: never \n None"


@pytest.mark.parametrize("kind", [6, 9])
@pytest.mark.parametrize("is_final", [True, False])
def test_a_final_failure_ends_the_host_s_retries_and_takes_no_id(kind: int, is_final: bool) -> None:
    def orchestrator(context: Context) -> Orchestration:
        options = df.RetryOptions(1000, 3)
        try:
            if kind == 6:
                yield context.call_activity_with_retry("A", options)
            else:
                yield context.call_sub_orchestrator_with_retry("A", options)
        except df.TaskFailedError:
            return (yield context.call_activity("B"))

    details = structured(IsNonRetriable=is_final)
    history = History().episode()
    history._add(kind, TaskScheduledId=0, Reason="r", Details="d", FailureDetails=details)
    history.episode().done(1, "from B")

    assert history.replay(orchestrator).get("output") == ("from B" if is_final else None)


def test_what_only_the_text_calls_final_is_tried_again_by_the_host() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity_with_retry("A", df.RetryOptions(1000, 3))

    text = '{"errorType": "NonRetryableError", "errorMessage": "never", "isNonRetriable": true}'
    history = History().episode()
    history._add(
        6,
        TaskScheduledId=0,
        Reason=f"Activity function 'A' failed:  {STRUCTURED}: {text}",
        Details="{}",
        FailureDetails=None,
    )

    assert not history.replay(orchestrator)["isDone"]
    assert "error" not in history.replay(orchestrator)


@pytest.mark.parametrize("is_final", [True, False])
def test_a_policy_of_the_sdk_s_ends_with_a_final_failure(is_final: bool) -> None:
    def orchestrator(context: Context) -> Orchestration:
        policy = df.RetryPolicy(timedelta(seconds=1), 3)
        yield context.call_activity_with_retry("A", policy)

    history = History().episode()
    details = structured(IsNonRetriable=is_final)
    history._add(6, TaskScheduledId=0, Reason=UNTOLD, Details=None, FailureDetails=details)

    assert ("error" in history.replay(orchestrator)) is is_final


def test_the_wrapping_of_host_and_sdk_is_left_out_of_a_child_s_failure() -> None:
    told = structured(ErrorType="ValueError", IsNonRetriable=True)
    for wrapper in (
        "System.AggregateException",
        "azure.durable_functions._replay.failures.TaskFailedValueError",
        "azure.durable_functions._errors.TaskFailedError",
    ):
        error = caught(structured(ErrorType=wrapper, InnerFailure=told), Reason="r", Details="d")

        assert isinstance(error, ValueError)
        assert error.failure.error_message == "bad luck"


def failing_with(error: Exception) -> Any:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("A")
        raise error

    return orchestrator


def answer_of(orchestrator: Any, **trigger: Any) -> dict[str, Any]:
    return History(**trigger).episode().done(0).replay(orchestrator)


def test_an_orchestrator_s_final_failure_is_told_in_full() -> None:
    error = df.NonRetryableError("never")
    error.__cause__ = KeyError("card")

    told = answer_of(failing_with(error))["failureDetails"]

    assert told["ErrorType"] == "NonRetryableError"
    assert (told["ErrorMessage"], told["IsNonRetriable"]) == ("never", True)
    assert told["InnerFailure"]["ErrorType"] == "KeyError"
    assert "test_failures.py" in told["StackTrace"]
    assert "executor.py" not in told["StackTrace"]


def test_an_orchestrator_passes_on_what_it_has_not_caught() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("A")

    details = structured(IsNonRetriable=True, Properties={"left": 0.0})
    history = History().episode()
    history._add(6, TaskScheduledId=0, Reason=UNTOLD, Details=None, FailureDetails=details)

    answer = history.replay(orchestrator)

    assert answer["failureDetails"] == {**details, "Properties": {"left": 0}}
    assert answer["error"].startswith("Activity function 'A' failed:  ValueError: bad luck")


def test_other_failures_leave_as_with_the_official_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    final = failing_with(df.NonRetryableError("never"))

    assert "failureDetails" not in answer_of(failing_with(ValueError("boom")))
    assert "failureDetails" not in answer_of(final, upperSchemaVersionNew=None)
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.7.0")
    assert "failureDetails" not in answer_of(final)


def test_an_app_may_have_all_failures_told_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRUCTURED_FAILURES", "1")

    told = answer_of(failing_with(ValueError("boom")))["failureDetails"]

    assert (told["ErrorType"], told["ErrorMessage"]) == ("ValueError", "boom")
    assert told["IsNonRetriable"] is False


def test_a_switch_keeps_the_sdk_s_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_FULL_TRACEBACKS", "1")

    told = answer_of(failing_with(df.NonRetryableError("never")))["failureDetails"]

    assert "executor.py" in told["StackTrace"]


def test_a_child_s_message_is_read_without_the_envelope_behind_it() -> None:
    envelope = json.dumps({"$type": "System.Exception", "Message": " ValueError: bad"})
    told = "Orchestrator function 'c' failed: Activity function 'A' failed:  ValueError: bad"
    reason = f"{told} \n {envelope}"

    error = caught(None, Reason=reason, Details="Message: bad, StackTrace:    at System.X()")

    assert isinstance(error, ValueError)
    assert error.failure.error_message == "bad"
    assert str(error).startswith(reason)


class WithProperties(Exception):
    def __init__(self, text: str, left: int = 0) -> None:
        super().__init__(text)
        self.failure_properties = {"left": left}


def test_properties_of_the_class_are_those_that_were_sent() -> None:
    details = structured(ErrorType="WithProperties", Properties={"left": 3.0})

    error: Any = caught(details, Reason=UNTOLD, Details=None)

    assert isinstance(error, WithProperties)
    assert error.failure_properties == error.failure.properties == {"left": 3}


def test_so_does_one_behind_an_entry_that_has_another_form() -> None:
    def late(context: Any) -> Any:
        first = context.call_activity("A")
        yield context.task_any([first, context.call_activity("C")])
        yield context.task_any([first, context.wait_for_external_event("never")])
        options: Any = OwnOptions()
        yield context.call_activity_with_retry("B", options)

    text, answer = _answer_of(late)

    assert text == "options that cannot be sent"
    assert len(answer["actions"][0]) == 2
    assert answer["isDone"] is False
