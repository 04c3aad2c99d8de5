"""Triggers that no honest host sends: a clear error, never a hang, never an empty message."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import trace_programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import azure.durable_functions as df

TRACES = Path(__file__).parent.parent / "traces"
LABEL = "\n\n$OutOfProcData$:"
COMMON = {"EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-15T10:00:00Z"}
STARTED = [{**COMMON, "EventType": 12}, {**COMMON, "EventType": 0, "Version": None}]

SAMPLES = [
    (name, json.dumps(episode["trigger"]))
    for name in sorted(trace_programs.PROGRAMS)
    for episode in json.loads((TRACES / f"{name}.json").read_text())["episodes"][-1:]
]


def chain(context: df.DurableOrchestrationContext) -> Any:
    first = yield context.call_activity("A")
    return first


def replay(trigger: object, orchestrator: Any = chain) -> dict[str, Any]:
    """The answer, or what the envelope holds."""
    text = trigger if isinstance(trigger, str) else json.dumps(trigger)
    try:
        answer: dict[str, Any] = json.loads(df.Orchestrator.create(orchestrator)(text))
    except Exception as error:
        _, label, state = str(error).rpartition(LABEL)
        if not label:
            raise
        answer = json.loads(state)
    return answer


def with_history(*events: dict[str, Any]) -> dict[str, Any]:
    return {
        "history": [*STARTED, *({**COMMON, **event} for event in events)],
        "instanceId": "i",
        "isReplaying": False,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
    }


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ('{"history": [', "The orchestration trigger is not JSON"),
        ("[]", "The orchestration trigger must be a JSON object, got list"),
        ("{}", "lacks history, instanceId, isReplaying, parentInstanceId"),
        (
            '{"history": {}, "instanceId": "i", "isReplaying": false, "parentInstanceId": null}',
            "history in the orchestration trigger must be an array, got dict",
        ),
        (
            '{"history": [7], "instanceId": "i", "isReplaying": false, "parentInstanceId": null}',
            "history\\[0\\] in the orchestration trigger must be an object with EventType",
        ),
    ],
    ids=["truncated", "array", "empty", "history is an object", "event is a number"],
)
def test_a_trigger_that_is_none_is_refused_by_name(trigger: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replay(trigger)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"EventType": 5, "TaskScheduledId": "0"}, "must carry a whole number in TaskScheduledId"),
        ({"EventType": 11, "TimerId": [0]}, "must carry a whole number in TimerId, got [0]"),
    ],
    ids=["id is text", "id is a list"],
)
def test_an_event_that_cannot_be_used_fails_inside_the_envelope(
    event: dict[str, Any], told: str
) -> None:
    answer = replay(with_history(event))

    assert answer["error"].startswith(f"history event 2 (EventType {event['EventType']})")
    assert told in answer["error"]
    assert len(answer["actions"][0]) == 1


@pytest.mark.parametrize("event", [{"EventType": 5, "Result": "1"}, {"EventType": 11}])
def test_an_event_without_id_fits_no_task_and_is_told_as_a_double(event: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="duplicate Task completion for TaskId: None"):
        answer = replay(with_history(event, {"EventType": 5, "TaskScheduledId": 0}))

    assert answer["isDone"] is True


def test_unknown_event_types_are_passed_over() -> None:
    answer = replay(
        with_history({"EventType": 21}, {"EventType": 99}, {"EventType": 5, "TaskScheduledId": 0})
    )

    assert answer["isDone"] is True


def test_a_missing_result_counts_as_null() -> None:
    """1.7.0 fails here with an AttributeError (sdk.md Q41)."""
    answer = replay(with_history({"EventType": 5, "TaskScheduledId": 0}))

    assert answer == {**answer, "isDone": True}
    assert "output" not in answer


def test_a_result_that_is_not_json_can_be_caught() -> None:
    def careful(context: df.DurableOrchestrationContext) -> Any:
        try:
            yield context.call_activity("A")
        except ValueError:
            return "caught"

    answer = replay(
        with_history({"EventType": 5, "TaskScheduledId": 0, "Result": "{nope"}), careful
    )

    assert answer["output"] == "caught"


def test_a_second_completion_warns_and_changes_nothing() -> None:
    completed = {"EventType": 5, "TaskScheduledId": 0, "Result": "1"}

    def two(context: df.DurableOrchestrationContext) -> Any:
        first = yield context.call_activity("A")
        second = yield context.call_activity("B")
        return [first, second]

    with pytest.warns(UserWarning, match="Potential duplicate Task completion for TaskId: 0"):
        answer = replay(with_history(completed, completed), two)

    assert answer["isDone"] is False


def test_a_history_of_another_orchestrator_does_not_hang() -> None:
    def waits(context: df.DurableOrchestrationContext) -> Any:
        yield context.wait_for_external_event("go")

    with pytest.warns(UserWarning, match="Potential duplicate"):
        answer = replay(with_history({"EventType": 5, "TaskScheduledId": 3, "Result": "1"}), waits)

    assert answer["isDone"] is False


scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 30), st.text(max_size=6), st.floats())
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def mutate(data: st.DataObject, value: Any) -> Any:
    """The value with one thing in it deleted, replaced, doubled or moved."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)) > 0:
        key = data.draw(st.sampled_from(sorted(value)))
        kind = data.draw(st.sampled_from(["delete", "replace", "into", "into", "into"]))
        changed = dict(value)
        if kind == "delete":
            del changed[key]
        else:
            changed[key] = data.draw(anything) if kind == "replace" else mutate(data, value[key])
        return changed
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)) > 0:
        index = data.draw(st.integers(0, len(value) - 1))
        kind = data.draw(st.sampled_from(["delete", "double", "swap", "into", "into", "into"]))
        before, item, after = value[:index], value[index], value[index + 1 :]
        if kind == "delete":
            return [*before, *after]
        if kind == "double":
            return [*before, item, item, *after]
        if kind == "swap":
            return [*after, item, *before]
        return [*before, mutate(data, item), *after]
    return data.draw(anything)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.data())
def test_mutated_triggers_give_an_answer_or_a_message(data: st.DataObject) -> None:
    name, text = data.draw(st.sampled_from(SAMPLES))
    trigger = mutate(data, json.loads(text))

    handle = df.Orchestrator.create(trace_programs.PROGRAMS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = json.loads(handle(json.dumps(trigger)))
        except Exception as error:
            assert str(error).strip()  # noqa: PT017  # an answer is as right as a message
        else:
            assert isinstance(answer["isDone"], bool)
            assert isinstance(answer["actions"], list)
