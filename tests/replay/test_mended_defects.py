"""Defects of release 1.7.0 that are mended: one test for each number of sdk.md 8.2."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import warnings
from datetime import date, datetime, timedelta, timezone
from typing import Any
from unittest import mock

import azure.functions as func
import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions._errors import TaskFailedError
from azure.durable_functions.models.Task import TaskBase, WhenAnyTask

Context = df.DurableOrchestrationContext


def names(answer: dict[str, Any]) -> list[str]:
    """Names of the activities in an answer, in order."""
    found: list[str] = []

    def walk(actions: list[dict[str, Any]]) -> None:
        for action in actions:
            walk(action.get("compoundActions", []))
            if "functionName" in action:
                found.append(action["functionName"])

    walk(answer["actions"][0])
    return found


def test_early_events_wait_in_order_and_are_taken_once() -> None:
    """sdk.md Q10."""

    def two(context: Context) -> Any:
        yield context.call_activity("A")
        first = yield context.wait_for_external_event("E")
        second = yield context.wait_for_external_event("E")
        return [first, second]

    both = History().episode().raised("E", 1).raised("E", 2).episode().done(0)
    one = History().episode().raised("E", 1).episode().done(0)

    assert both.replay(two)["output"] == [1, 2]
    assert one.replay(two)["isDone"] is False


def test_simultaneous_waits_are_served_newest_first() -> None:
    """sdk.md Q11."""

    def stack(context: Context) -> Any:
        waits = [context.wait_for_external_event("E") for _ in range(2)]
        return (yield context.task_all(waits))

    assert History().episode().raised("E", 1).raised("E", 2).replay(stack)["output"] == [2, 1]


def test_names_of_events_ignore_case_and_keep_their_spelling() -> None:
    """sdk.md Q12."""

    def waits(context: Context) -> Any:
        task = context.wait_for_external_event("Straße")
        value = yield task
        return [value, task.id]

    answer = History().episode().raised("STRASSE", 1).replay(waits)

    assert answer["output"] == [1, "Straße"]
    assert answer["actions"][0][0]["externalEventName"] == "Straße"


def test_early_events_do_not_warn_and_doubles_are_not_kept() -> None:
    """sdk.md Q13."""

    def chain(context: Context) -> Any:
        first = yield context.call_activity("A")
        second = yield context.call_activity("B")
        return [first, second]

    with pytest.warns(UserWarning, match="Potential duplicate Task completion for TaskId: 0"):
        answer = History().done(0, 1).done(0, 9).done(1, 2).replay(chain)

    assert answer["output"] == [1, 2]


def test_a_failed_task_all_stays_failed() -> None:
    """sdk.md Q14."""

    def again(context: Context) -> Any:
        both = context.task_all([context.call_activity("A"), context.call_activity("B")])
        try:
            yield both
        except Exception:
            yield context.call_activity("C")
        try:
            yield both
        except Exception as error:
            return str(error)

    answer = History().failed(0).episode().done(1).done(2).replay(again)

    assert answer["output"] == "reason \n details"


def test_a_nested_task_all_fails_once() -> None:
    """sdk.md Q15."""

    def nested(context: Context) -> Any:
        inner = context.task_all([context.call_activity("A"), context.call_activity("B")])
        try:
            yield context.task_all([inner, context.call_activity("C")])
        except Exception:
            return (yield context.call_activity("Repair"))

    answer = History().failed(0).episode().done(1).done(2).done(3, "ok").replay(nested)

    assert answer["output"] == "ok"


def test_a_task_that_stands_twice_in_a_compound_is_listed_once() -> None:
    """sdk.md Q16."""

    def twice(context: Context) -> Any:
        a = context.call_activity("A")
        both = yield context.task_all([a, a])
        after = yield context.call_activity("B")
        return [both, after]

    def nested(context: Context) -> Any:
        a = context.call_activity("A")
        inner = context.task_any([a])
        yield context.task_all([inner, a])
        return (yield context.call_activity("B"))

    answer = History().done(0, 7).done(1, "after").replay(twice)
    assert answer["output"] == [[7, 7], "after"]
    assert names(answer) == ["A", "B"]
    assert names(History().done(0, 7).done(1, "x").replay(nested)) == ["A", "B"]


def test_a_finished_task_may_stand_twice() -> None:
    """sdk.md Q16."""

    def later(context: Context) -> Any:
        a = context.call_activity("A")
        yield a
        return (yield context.task_all([a, a]))

    assert History().done(0, 7).replay(later)["output"] == [7, 7]


def test_a_task_tells_every_compound_it_stands_in() -> None:
    """sdk.md Q17."""

    def shared(context: Context) -> Any:
        a, b = context.call_activity("A"), context.call_activity("B")
        first = context.task_all([a, b])
        second = context.task_any([a, b])
        won = yield second
        both = yield first
        return [won.result, both]

    assert History().done(1, "b").done(0, "a").replay(shared)["output"] == ["b", ["a", "b"]]


def test_a_child_that_was_yielded_alone_is_not_listed_again() -> None:
    """sdk.md Q18."""

    def alone(context: Context) -> Any:
        a = context.call_activity("A")
        both = context.task_all([a, context.call_activity("B")])
        yield a
        yield both
        return (yield context.call_activity("C"))

    answer = History().done(0).done(1).done(2, "end").replay(alone)

    assert names(answer) == ["A", "B", "C"]
    assert answer["output"] == "end"


def test_what_happens_to_the_callers_list_later_has_no_effect() -> None:
    """sdk.md Q19."""

    def changes(context: Context) -> Any:
        tasks = [context.call_activity("A")]
        compound = context.task_all(tasks)
        tasks.append(context.call_activity("Surprise"))
        return (yield compound)

    answer = History().done(0, 1).replay(changes)

    assert (names(answer), answer["output"]) == (["A"], [1])


def test_ten_thousand_finished_tasks_can_be_yielded_in_a_row() -> None:
    """sdk.md Q20."""

    def many(context: Context) -> Any:
        task = context.call_activity("A")
        for _ in range(10_000):
            value = yield task
        return value

    assert History().done(0, 7).replay(many)["output"] == 7


def test_deeply_nested_compounds_work_or_fail_inside_the_envelope() -> None:
    """sdk.md Q21."""

    def deep(context: Context) -> Any:
        task = context.call_activity("A")
        for _ in range(200):
            task = context.task_all([task])
        yield task
        return "done"

    assert History().done(0).replay(deep)["output"] == "done"


def test_time_stamps_that_nobody_reads_may_be_anything() -> None:
    """sdk.md Q22."""

    def chain(context: Context) -> Any:
        return (yield context.call_activity("A"))

    history = History().done(0, 1)
    history.events[-1]["Timestamp"] = "not a time at all"

    assert history.replay(chain)["output"] == 1


def test_a_shrinking_task_any_informs_each_task_once() -> None:
    """sdk.md Q23: 1.7.0 builds the tree of every earlier round again: quadratic."""
    told: list[int | None] = []

    def drain(context: Context) -> Any:
        remaining = [context.call_activity("A", number) for number in range(100)]
        while remaining:
            done = yield context.task_any(remaining)
            remaining.remove(done)
        return "all"

    history = History().episode()
    for number in range(100):
        history.done(number)
    original = WhenAnyTask.handle_completion

    def counting(self: WhenAnyTask, child: TaskBase) -> None:
        told.append(child.id if isinstance(child.id, int) else None)
        original(self, child)

    with mock.patch.object(WhenAnyTask, "handle_completion", counting):
        assert history.replay(drain)["output"] == "all"
    assert len(told) <= 2 * 100


def test_task_all_of_nothing_gives_an_empty_list() -> None:
    """sdk.md Q24."""

    def nothing(context: Context) -> Any:
        return [(yield context.task_all([])), (yield context.task_any([]))]

    assert History().replay(nothing)["output"] == [[], None]


def test_a_task_that_was_complete_already_leaves_the_replay_flag_alone() -> None:
    """sdk.md Q26."""

    def looks(context: Context) -> Any:
        first = context.call_activity("A")
        yield first
        seen = [context.is_replaying]
        yield context.task_all([])
        seen.append(context.is_replaying)
        yield context.call_activity("B")
        seen.append(context.is_replaying)
        yield first
        seen.append(context.is_replaying)
        return seen

    answer = History().episode().done(0).episode().done(1).replay(looks)

    assert answer["output"] == [True, True, False, False]


@pytest.mark.parametrize("value", [5, None, [1], "text"], ids=repr)
def test_yielding_something_else_can_be_caught(value: object) -> None:
    """sdk.md Q27."""

    def careless(context: Context) -> Any:
        try:
            yield value
        except TypeError as error:
            return str(error)

    assert "can only yield tasks" in History().replay(careless)["output"]


def test_yielding_a_list_suggests_task_all() -> None:
    """sdk.md Q27."""

    def careless(context: Context) -> Any:
        yield [context.call_activity("A")]

    assert "yield context.task_all(...)" in History().replay(careless)["error"]


def test_a_plain_function_that_raises_keeps_status_and_signals() -> None:
    """sdk.md Q28."""

    def plain(context: Context) -> None:
        context.set_custom_status("here")
        context.signal_entity(df.EntityId("Counter", "a"), "add", 1)
        raise ValueError("boom")

    answer = History().replay(plain)

    assert (answer["error"], answer["customStatus"]) == ("boom", "here")
    assert answer["actions"][0][0]["actionType"] == 9


def test_an_async_orchestrator_that_awaits_what_is_no_task_is_told_so() -> None:
    """sdk.md Q29."""

    async def modern(context: Context) -> None:
        await asyncio.sleep(0)

    assert "can only await tasks" in History().replay(modern)["error"]


class Parcel:
    def __init__(self, weight: int) -> None:
        self.weight = weight

    @staticmethod
    def to_json(parcel: Parcel) -> int:
        return parcel.weight

    @staticmethod
    def from_json(weight: int) -> Parcel:
        return Parcel(weight)


def test_an_orchestrator_may_return_a_custom_object() -> None:
    """sdk.md Q30."""
    answer = History().replay(lambda context: Parcel(3))

    assert answer["output"]["__data__"] == 3


def test_what_no_codec_takes_is_told_by_the_plain_encoder() -> None:
    """sdk.md Q30."""
    answer = History().replay(lambda context: {1, 2})

    assert answer["error"] == "Object of type set is not JSON serializable"


@pytest.mark.parametrize("status", ["", 0, False, {}, []], ids=repr)
def test_falsy_custom_statuses_are_sent(status: object) -> None:
    """sdk.md Q31."""

    def shows(context: Context) -> None:
        context.set_custom_status(status)

    assert History().replay(shows)["customStatus"] == status


def test_a_custom_status_that_cannot_be_sent_fails_inside_the_envelope() -> None:
    """sdk.md Q32."""

    def shows(context: Context) -> None:
        context.set_custom_status({1, 2})

    assert History().replay(shows)["error"] == "Object of type set is not JSON serializable"


@pytest.mark.parametrize("strict", ["", "1"], ids=["loose", "strict"])
def test_what_no_codec_takes_stays_in_the_envelope(
    strict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sdk.md Q30, Q32."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", strict)

    def odd(context: Context) -> Any:
        context.set_custom_status({1, 2})
        return {"of": object()}

    answer = History().replay(odd)

    assert "is not JSON serializable" in answer["error"]
    assert "customStatus" not in answer


def test_retried_calls_decode_with_the_expected_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sdk.md Q33."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    envelope = {"__class__": "Parcel", "__module__": __name__, "__data__": 4}

    def retried(context: Context) -> Any:
        options = df.RetryOptions(1, 2)
        parcel = yield context.call_activity_with_retry("A", options, expected_type=Parcel)
        return parcel.weight

    first = History().done(0, envelope)
    second = History().failed(0).episode().fired(1).episode().done(2, envelope)

    assert first.replay(retried)["output"] == 4
    assert second.replay(retried)["output"] == 4


def test_an_entitys_answer_is_checked_inside_its_envelope_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """sdk.md Q34."""

    def calls(context: Context) -> Any:
        entity = df.EntityId("Counter", "a")
        return (yield context.call_entity(entity, "get", expected_type=int))

    history = History().sent(0, "g").answered("g", {"result": "8"})
    assert history.replay(calls)["output"] == 8
    assert caplog.text == ""

    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    assert history.replay(calls)["output"] == 8

    refused = {"exceptionType": "T", "result": json.dumps("the entity's reason")}
    failed = History().sent(0, "g").answered("g", refused)
    assert failed.replay(calls)["error"] == "the entity's reason"


def make_app() -> df.DFApp:
    return df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def test_a_sub_orchestrator_by_reference_may_return_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """sdk.md Q35."""
    app = make_app()

    @app.orchestration_trigger(context_name="context")
    def child(context: Context) -> Any:
        yield context.call_activity("A")

    def parent(context: Context) -> Any:
        return (yield context.call_sub_orchestrator(child))

    answer = History().done(0, {"n": 1}).replay(parent)

    assert answer["output"] == {"n": 1}
    assert caplog.text == ""


def test_a_call_by_reference_sends_the_name_that_the_host_knows() -> None:
    """sdk.md Q36."""
    app = make_app()

    @app.activity_trigger(input_name="x", activity="RenamedByTrigger")
    def first(x: str) -> str:
        return x

    @app.function_name(name="RenamedBySetting")
    @app.activity_trigger(input_name="x")
    def second(x: str) -> str:
        return x

    @app.activity_trigger(input_name="x")
    def third(x: str) -> str:
        return x

    @app.orchestration_trigger(context_name="context", orchestration="RenamedChild")
    def child(context: Context) -> None:
        return None

    def calls(context: Context) -> Any:
        tasks = [context.call_activity(function) for function in (first, second, third)]
        yield context.task_all([*tasks, context.call_sub_orchestrator(child)])

    assert names(History().replay(calls)) == [
        "RenamedByTrigger",
        "RenamedBySetting",
        "third",
        "RenamedChild",
    ]


def test_a_function_without_a_trigger_is_told_as_such() -> None:
    """sdk.md Q37."""
    app = make_app()

    @app.function_name(name="bare")
    def bare(x: str) -> str:
        return x

    def calls(context: Context) -> Any:
        yield context.call_activity(bare)

    assert History().replay(calls)["error"].startswith("Received function with Trigger-type `None`")


def test_an_error_names_the_method_that_was_called() -> None:
    """sdk.md Q38."""

    def calls(context: Context) -> Any:
        yield context.call_sub_orchestrator(print)

    error = History().replay(calls)["error"]
    assert "call_sub_orchestrator" in error
    assert "call_activity" not in error


def test_a_failed_task_says_more_than_its_text() -> None:
    """sdk.md Q39."""

    def catches(context: Context) -> Any:
        try:
            yield context.call_activity("A")
        except TaskFailedError as error:
            return [str(error), list(error.args), error.reason, error.details, error.task_id]

    text = "broke \n details"
    assert History().failed(0, "broke").replay(catches)["output"] == [
        text,
        [text],
        "broke",
        "details",
        0,
    ]


def test_a_failed_task_names_what_it_has_called() -> None:
    """sdk.md Q39."""

    def calls(context: Context) -> Any:
        retry = df.RetryOptions(1000, 2)
        names = []
        for task in (
            context.call_activity("Once"),
            context.call_activity_with_retry("Twice", retry),
            context.call_entity(df.EntityId("E", "k"), "operation", 1),
        ):
            try:
                yield task
            except TaskFailedError as error:
                names.append(error.task_name)
        return names

    history = History().episode().failed(0).episode().failed(1).episode().fired(2)
    history.episode().failed(3).episode().fired(4).sent(5, "r").episode()
    history.answered("r", {"exceptionType": "T", "result": json.dumps("text")})

    assert history.replay(calls)["output"] == ["Once", "Twice", "operation"]


def test_a_payload_that_is_not_json_can_be_caught() -> None:
    """sdk.md Q40."""

    def careful(context: Context) -> Any:
        caught = []
        for task in (context.call_activity("A"), context.wait_for_external_event("E")):
            try:
                yield task
            except json.JSONDecodeError:
                caught.append("caught")
        return caught

    history = History().done_with(0, "{").episode()
    history._add(15, Name="E", Input="{")

    assert history.replay(careful)["output"] == ["caught", "caught"]


def test_a_retried_call_whose_result_cannot_be_read_fails_at_once() -> None:
    """sdk.md Q40: The host does not try again what has succeeded, so nothing may wait for that."""

    def retried(context: Context) -> Any:
        try:
            yield context.call_activity_with_retry("A", df.RetryOptions(1000, 3))
        except Exception as error:
            return [type(error).__name__, (yield context.call_activity("B"))]

    answer = History().episode().done_with(0, "not JSON").episode().done(1, "b").replay(retried)

    assert answer["output"] == ["JSONDecodeError", "b"]


def test_missing_fields_count_as_null() -> None:
    """sdk.md Q41."""

    def chain(context: Context) -> Any:
        value = yield context.call_activity("A")
        return [value, context.version]

    history = History()
    del history.events[1]["Version"]
    history._add(5, TaskScheduledId=0)

    assert history.replay(chain)["output"] == [None, None]


@pytest.mark.parametrize("answer", [{"result": None}, {}], ids=["null", "missing"])
def test_an_entity_may_answer_nothing(answer: dict[str, Any]) -> None:
    """sdk.md Q42."""

    def calls(context: Context) -> Any:
        value = yield context.call_entity(df.EntityId("Counter", "a"), "get")
        return [value]

    assert History().sent(0, "g").answered("g", answer).replay(calls)["output"] == [None]


def test_aware_times_are_converted_to_utc() -> None:
    """sdk.md Q45."""

    def sleeps(context: Context) -> Any:
        zone = timezone(timedelta(hours=5))
        yield context.create_timer(datetime(2026, 1, 15, 1, 2, 3, tzinfo=zone))

    [timer] = History().replay(sleeps)["actions"][0]
    assert timer["fireAt"] == "2026-01-14T20:02:03.000000Z"


def test_a_bare_date_is_its_midnight() -> None:
    """sdk.md Q46."""

    def sleeps(context: Context) -> Any:
        yield context.create_timer(date(2026, 2, 1))

    [timer] = History().replay(sleeps)["actions"][0]
    assert timer["fireAt"] == "2026-02-01T00:00:00.000000Z"


LIMITS = {
    "maximumShortTimerDuration": "6.00:00:00",
    "longRunningTimerIntervalDuration": "3.00:00:00",
}


@pytest.mark.parametrize(
    "fire_at", [datetime(2026, 1, 25, 10), date(2026, 1, 25)], ids=["naive", "date"]
)
def test_naive_times_are_utc_for_long_timers_too(fire_at: date) -> None:
    """sdk.md Q47."""

    def sleeps(context: Context) -> Any:
        yield context.create_timer(fire_at)

    [compound] = History(**LIMITS).replay(sleeps)["actions"][0]
    assert compound["compoundActions"][0]["fireAt"] == "2026-01-18T10:00:00.000000Z"


def test_cancelling_a_long_timer_cancels_the_one_that_runs() -> None:
    """sdk.md Q48."""

    def cancels(context: Context) -> Any:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=10))
        yield context.task_any([context.call_activity("A"), timer])
        timer.cancel()
        return [timer.is_cancelled, timer.is_canceled()]

    answer = History(**LIMITS).done(0).replay(cancels)

    [listed] = answer["actions"][0][0]["compoundActions"][1]["compoundActions"]
    assert listed["isCanceled"] is True
    assert answer["output"] == [True, True]


def test_a_long_timer_that_has_fired_cannot_be_cancelled() -> None:
    """sdk.md Q48."""

    def late(context: Context) -> Any:
        timer = context.create_timer(datetime(2026, 1, 25, 10, tzinfo=timezone.utc))
        yield timer
        with pytest.raises(ValueError, match="Cannot cancel a completed task"):
            timer.cancel()
        return "late"

    history = History(**LIMITS)
    for task_id, day in ((0, 18), (1, 21), (2, 25)):
        history.episode()
        history.events[-1]["Timestamp"] = f"2026-01-{day}T10:00:00Z"
        history.fired(task_id)

    assert history.replay(late)["output"] == "late"


def test_yielding_a_signal_goes_on_at_once() -> None:
    """sdk.md Q49."""

    def signals(context: Context) -> Any:
        value = yield context.signal_entity(df.EntityId("Counter", "a"), "add", 1)
        after = yield context.call_activity("A")
        return [value, after]

    answer = History().done(1, "after").replay(signals)

    assert answer["output"] == [None, "after"]
    assert [action["actionType"] for action in answer["actions"][0]] == [9, 0]


def test_under_schema_v1_a_signal_in_a_compound_is_listed_once() -> None:
    """sdk.md Q49."""

    def signals(context: Context) -> Any:
        signal: Any = context.signal_entity(df.EntityId("E", "k"), "op")
        yield context.task_all([signal, context.call_activity("A")])

    answer = History(upperSchemaVersion=0, upperSchemaVersionNew=None).replay(signals)

    kinds = [[action["actionType"] for action in group] for group in answer["actions"]]
    assert kinds == [[9], [0]]


def test_after_continue_as_new_nothing_more_is_recorded() -> None:
    """sdk.md Q50."""

    def again(context: Context) -> Any:
        context.continue_as_new(1)
        context.continue_as_new(2)
        context.signal_entity(df.EntityId("Counter", "a"), "add")
        yield context.call_activity("A")

    assert History().replay(again)["actions"] == [[{"actionType": 4, "input": "1"}]]


def test_an_orchestrator_object_can_be_used_again() -> None:
    """sdk.md Q53."""

    def chain(context: Context) -> Any:
        return (yield context.call_activity("A"))

    orchestrator = df.Orchestrator(chain)
    text = json.dumps(History().done(0, 1).trigger())

    answers = [orchestrator.handle(Context.from_json(text)) for _ in range(2)]
    assert answers[0] == answers[1]
    assert orchestrator.durable_context is not None


@pytest.mark.parametrize("given", [[1, 2], 5, True, "plain text", {"a": 1}], ids=repr)
def test_inputs_of_any_shape_can_be_read(given: object) -> None:
    """sdk.md Q54."""
    assert History(input=given).replay(lambda context: context.get_input())["output"] == given


def test_under_schema_v1_scheduled_children_are_listed_again() -> None:
    """sdk.md Q57."""

    def grows(context: Context) -> Any:
        a = context.call_activity("A")
        yield context.task_any([a])
        yield context.task_all([a, context.call_activity("B")])

    history = History(upperSchemaVersion=0, upperSchemaVersionNew=None).done(0)

    groups = history.replay(grows)["actions"]
    assert [[action["functionName"] for action in group] for group in groups] == [["A"], ["A", "B"]]


def test_the_switch_brings_the_official_defects_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.7.0")

    def two(context: Context) -> Any:
        yield context.call_activity("A")
        first = yield context.wait_for_external_event("E")
        second = yield context.wait_for_external_event("E")
        return [first, second, (yield context.task_all([]))]

    history = History().episode().raised("E", 1).raised("E", 2).episode().done(0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert history.replay(two)["output"] == [2, 2, None]


def test_another_value_of_the_switch_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, when the package is imported."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.6")
    imported = [sys.executable, "-c", "import azure.durable_functions"]

    ended = subprocess.run(imported, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "ValueError: AZURE_FUNCTIONS_DURABLE_COMPAT must be 1.7.0" in ended.stderr
