"""Recorded exchanges with the reference SDK replay to the recorded results, episode by episode."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import trace_programs

import azure.durable_functions as df

TRACES = Path(__file__).parent.parent / "traces"

ONE_TIMER = {"actionType": 5, "isCanceled": False}
PREPARED = {"actionType": 0, "functionName": "Prep", "input": "null"}
PING = {"actionType": 6, "externalEventName": "Ping", "reason": "ExternalEvent"}


def answer(actions: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"isDone": "output" in fields, "schemaVersion": 2, "actions": [actions], **fields}


def activity(name: str, text: str = "null") -> dict[str, Any]:
    return {"actionType": 0, "functionName": name, "input": text}


def any_of(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 11, "compoundActions": [*actions]}


AT_ONCE = {"actionType": 12, "compoundActions": []}
"""Beside it in an `any_of` nothing is awaited."""

THREE_WORKS = any_of(activity("Work", "0"), activity("Work", "1"), activity("Work", "2"))
"""Three at once of which the second has failed, so that the code goes on."""
TWO_MINUTES = {**ONE_TIMER, "fireAt": "2026-01-15T10:03:01.234456Z"}
CODE = {**PING, "externalEventName": "Code"}

NOT_A_TASK = "An orchestrator can only yield tasks that its context made, got "

DEVIATIONS: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {
    ("custom_class_output_rejected", 1): (
        "D19, Q30",
        answer(
            [activity("Ship")],
            output={
                "__class__": "Order",
                "__module__": "trace_models",
                "__data__": '{"sku": "A1", "qty": 9}',
            },
        ),
    ),
    ("custom_status", 2): (
        "D13, Q31",
        {**answer([activity("A"), activity("B")], customStatus=0), "isDone": True},
    ),
    ("exception_non_generator", 0): ("D12, Q28", answer([], error="boom")),
    ("execution_started_without_version", 0): (
        "D20, Q41",
        answer([activity("Hello", '"Tokyo"')]),
    ),
    ("external_event_name_case", 1): (
        "D17, Q12",
        answer([{**PING, "externalEventName": "approval"}], output=1),
    ),
    ("input_list_raw", 0): ("D5, Q54", answer([], output=[1, 2])),
    ("input_number_raw", 0): ("D5, Q54", answer([], output=5)),
    ("input_string_raw", 0): ("D5, Q54", answer([], output="Tokyo")),
    ("long_timer_cancel_v3", 1): (
        "D7, Q48",
        answer(
            [
                {
                    "actionType": 11,
                    "compoundActions": [
                        activity("Work"),
                        {
                            "actionType": 12,
                            "compoundActions": [
                                {
                                    "actionType": 5,
                                    "fireAt": "2026-01-18T10:00:01.234456Z",
                                    "isCanceled": True,
                                }
                            ],
                        },
                    ],
                }
            ],
            output="work",
        ),
    ),
    ("nested_task_all_failure_v3", 2): (
        "D3, Q14, Q15",
        answer(
            [
                any_of(activity("A"), activity("B"), activity("C")),
                activity("Cleanup"),
            ]
        ),
    ),
    ("nested_task_all_failure_v3", 1): (
        "F2",
        answer([any_of(activity("A"), activity("B"), activity("C")), activity("Cleanup")]),
    ),
    **{
        ("fan_out_failure_v3", episode): (
            "F2",
            {
                **answer([THREE_WORKS, activity("Compensate")], **output),
                "customStatus": {
                    "caught": "Activity function 'Work' failed:  ValueError: bad item"
                },
            },
        )
        for episode, output in [(1, {}), (2, {}), (3, {}), (4, {"output": "ok"})]
    },
    ("output_not_serializable", 1): (
        "Y31",
        answer([activity("A")], error="Object of type set is not JSON serializable"),
    ),
    ("task_any_loop_timer_fires_v3", 2): (
        "F3",
        answer([any_of(CODE, TWO_MINUTES), any_of(any_of(CODE), AT_ONCE)], output="timeout"),
    ),
    ("one_event_before_two_waits", 2): ("D1, Q10", answer([PREPARED, PING, PING])),
    ("task_all_empty", 0): ("D18, Q24", answer([], output=[])),
    ("timer_naive_datetime_v3", 0): (
        "D8, Q47",
        answer([{**ONE_TIMER, "fireAt": "2026-01-15T12:00:00.000000Z"}]),
    ),
    ("timer_non_utc_timezone", 0): (
        "D8, Q45",
        answer([{**ONE_TIMER, "fireAt": "2026-01-15T11:00:00.000000Z"}]),
    ),
    ("two_events_before_first_wait", 2): (
        "D1, Q10",
        answer([PREPARED, PING, PING], output=["first", "second"]),
    ),
    ("yield_none", 0): ("D11, Q27", answer([], error=f"{NOT_A_TASK}NoneType")),
    ("yield_of_a_non_task", 0): ("D11, Q27", answer([], error=f"{NOT_A_TASK}int")),
    ("yield_signal_entity", 0): (
        "D10, Q49",
        answer(
            [{"actionType": 9, "instanceId": "@counter@k", "operation": "add", "input": "1"}],
            output="after",
        ),
    ),
}
"""By trace and episode: the numbers that order it, and what ours answers (an error: inside the
envelope). Every other episode gives what the reference gave."""

EPISODES = [
    pytest.param(name, index, id=f"{name}-{index}")
    for name in trace_programs.PROGRAMS
    for index in range(len(json.loads((TRACES / f"{name}.json").read_text())["episodes"]))
]


def replay(name: str, trigger: dict[str, Any]) -> tuple[dict[str, Any] | None, Exception | None]:
    handle = df.Orchestrator.create(trace_programs.PROGRAMS[name])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the SDK warns of has tests of its own
            result: dict[str, Any] = json.loads(handle(json.dumps(trigger)))
            return result, None
    except Exception as error:
        return None, error


def expected_message(expected: dict[str, Any]) -> str:
    return f"{expected['error']}\n\n$OutOfProcData$:{json.dumps(expected)}"


@pytest.mark.parametrize(("name", "index"), EPISODES)
def test_an_episode_gives_the_recorded_result(name: str, index: int) -> None:
    episode = json.loads((TRACES / f"{name}.json").read_text())["episodes"][index]

    result, raised = replay(name, episode["trigger"])

    _, ours = DEVIATIONS.get((name, index), ("", None))
    message = episode["raised"]["message"] if "raised" in episode else None
    if ours is not None:
        message = expected_message(ours) if "error" in ours else None
    wanted = ours if ours is not None else episode["result"]
    assert (None if raised is None else str(raised)) == message
    assert result == (None if message is not None else wanted)
    assert ours is None or ours != episode["result"], "no deviation any more: take it out"


def test_every_orchestrator_trace_has_a_program() -> None:
    recorded = {
        path.stem
        for path in TRACES.glob("*.json")
        if "orchestrator" in (trace := json.loads(path.read_text())) and "entity" not in trace
    }

    assert recorded == set(trace_programs.PROGRAMS)


@pytest.mark.parametrize("name", sorted(trace_programs.PROGRAMS))
def test_what_leaves_towards_the_worker_is_exactly_exception(name: str) -> None:
    for episode in json.loads((TRACES / f"{name}.json").read_text())["episodes"]:
        _, raised = replay(name, episode["trigger"])

        assert raised is None or "$OutOfProcData$" not in str(raised) or type(raised) is Exception
