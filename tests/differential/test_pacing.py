"""The extension goes on exactly when the code does: extension-engine.md, part H."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import comparison
import paced_programs
import pytest
from extension_double import ExtensionDouble, Hangs, NonDeterministic

import azure.durable_functions as df
from azure.durable_functions._replay.pacing import UnevenPaceWarning

Json = dict[str, Any]

OFFICIAL_SEEDS = range(400)
NEWER_SEEDS = range(10_000, 10_300)


def test_no_program_with_races_hangs_or_misnumbers_on_the_extension() -> None:
    runs = [paced_programs.run(seed) for seed in OFFICIAL_SEEDS]

    assert [run.wrong for run in runs if run.wrong and not run.unmatched] == []
    assert sum(run.unmatched > 0 for run in runs) <= len(runs) / 100


def test_nor_does_one_that_uses_the_newer_ways_of_waiting() -> None:
    runs = [paced_programs.run(seed, newer=True) for seed in NEWER_SEEDS]

    assert [run.wrong for run in runs if run.wrong and not run.unmatched] == []
    assert sum(run.unmatched > 0 for run in runs) <= len(runs) / 20


def test_where_the_sdk_retries_every_program_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_RETRIES", "sdk")
    runs = [paced_programs.run(seed, newer=True) for seed in NEWER_SEEDS]

    assert [run.wrong for run in runs if run.wrong] == []
    # Left are warnings of several waits for one name.
    assert sum(run.unmatched > 0 for run in runs) <= len(runs) / 50


# -- programs that hang, or end with wrong results, with the official package -----------------


def say(context: Any, text: str) -> Any:
    return context.call_activity("say", text)


def failing(context: Any) -> Any:
    return context.call_activity("fail", 1)


def retried(context: Any, attempts: int = 3) -> Any:
    return context.call_activity_with_retry("fail", df.RetryOptions(2000, attempts), 2)


def a_failed_branch_beside_an_event_that_never_comes(context: Any) -> Any:
    try:
        yield context.task_all([failing(context), context.wait_for_external_event("never")])
    except Exception:
        return (yield say(context, "after"))


def the_same_uncaught(context: Any) -> Any:
    yield context.task_all([failing(context), context.wait_for_external_event("never")])


def any_of_a_task_that_runs_already(context: Any) -> Any:
    slow = context.call_activity("slow", 1)
    yield context.task_any([slow, say(context, "quick")])
    yield context.task_any([slow, context.wait_for_external_event("never")])
    return (yield say(context, "after"))


def retries_and_a_late_failure(context: Any) -> Any:
    late = context.call_activity("slow failure", 1)
    never = context.wait_for_external_event("never")
    try:
        yield context.task_all([say(context, "quick"), retried(context), late, never])
    except Exception:
        return (yield say(context, "after"))


def calls_while_retries_run(context: Any) -> Any:
    try:
        yield context.task_all([failing(context), retried(context, 4)])
    except Exception:
        said = []
        for number in range(3):
            said.append((yield say(context, f"say {number}")))
        return said


def as_completed_over_a_retried_call(context: Any) -> Any:
    tasks = [say(context, "quick"), retried(context)]
    while tasks:
        winner = yield context.task_any(tasks)
        tasks.remove(winner)
    return (yield say(context, "after"))


def a_failed_branch_then_a_new_generation(context: Any) -> Any:
    if context.get_input() == 2:
        return "second"
    try:
        yield context.task_all([failing(context), context.wait_for_external_event("never")])
    except Exception:
        context.continue_as_new(2)


def a_nested_failure_in_an_any(context: Any) -> Any:
    inner = context.task_all([failing(context), context.wait_for_external_event("never")])
    yield context.task_any([inner, context.wait_for_external_event("never too")])
    return (yield say(context, "after"))


ENDS: list[tuple[Callable[..., Any], Any]] = [
    (a_failed_branch_beside_an_event_that_never_comes, "after"),
    (the_same_uncaught, None),
    (any_of_a_task_that_runs_already, "after"),
    (retries_and_a_late_failure, "after"),
    (calls_while_retries_run, ["say 0", "say 1", "say 2"]),
    (as_completed_over_a_retried_call, "after"),
    (a_failed_branch_then_a_new_generation, "second"),
    (a_nested_failure_in_an_any, "after"),
]


def activity(name: str, given: Any) -> Any:
    if "fail" in name:
        raise ValueError(f"{given} is bad")
    return given


def seconds(name: str, given: Any) -> float:
    return {"slow": 5.0, "slow failure": 9.5}.get(name, 1.0)


def on_the_double(program: Any, handle: Callable[[str], str] | None = None) -> Any:
    handle = handle or df.Orchestrator.create(program)
    # Whatever hangs is woken by an event that nobody waits for, as any instance may be.
    nudges = [(timedelta(days=1 + n), "nudge", None) for n in range(6)]
    return ExtensionDouble(handle, activity, nudges, seconds=seconds).run()


@pytest.mark.parametrize(("program", "output"), ENDS, ids=[each.__name__ for each, _ in ENDS])
def test_a_program_that_hung_on_the_extension_ends(program: Any, output: Any) -> None:
    outcome = on_the_double(program)

    assert outcome.output == output
    assert (outcome.error is None) == (output is not None)


@pytest.mark.parametrize("program", [each for each, _ in ENDS], ids=lambda each: each.__name__)
def test_with_the_official_forms_it_hung_or_ended_wrongly(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(df.DurableOrchestrationContext, "_watch_pace", lambda context, **_: None)
    right = dict(ENDS)[program]
    try:
        outcome = on_the_double(program)
    except (Hangs, NonDeterministic, AssertionError):
        return
    assert outcome.output != right


@pytest.mark.parametrize("program", [each for each, _ in ENDS], ids=lambda each: each.__name__)
@pytest.mark.parametrize("turns", range(1, 6))
def test_an_instance_that_the_official_package_began_goes_on_where_it_hung(
    program: Any, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: what was begun in the official form, and would have ended right, still does."""
    asked = 0
    ours = df.Orchestrator.create(program)

    def switched(trigger: str) -> str:
        nonlocal asked
        asked += 1
        with monkeypatch.context() as patch:
            if asked <= turns:
                name = "_watch_pace"
                patch.setattr(df.DurableOrchestrationContext, name, lambda context, **_: None)
            return ours(trigger)

    if program in (calls_while_retries_run, as_completed_over_a_retried_call):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(df.DurableOrchestrationContext, "_watch_pace", lambda context, **_: None)
            with pytest.raises((Hangs, NonDeterministic, AssertionError)):
                assert on_the_double(program).output == dict(ENDS)[program]
        return  # the ids of these are wrong from the start
    outcome = on_the_double(program, switched)

    assert outcome.output == dict(ENDS)[program]


@pytest.mark.parametrize("seed", range(5000, 5060))
def test_an_instance_goes_on_when_the_package_is_changed_in_mid_flight(seed: int) -> None:
    """F7, both ways: what ends right in the official form does so after a change at any turn."""
    official = paced_programs.run(seed, is_official=lambda turn: True)
    if official.wrong:
        return  # it hangs or ends wrongly with the official package
    assert official.outcome is not None
    for change in {2, 3, official.outcome.turns // 2, official.outcome.turns}:
        there = paced_programs.run(seed, is_official=lambda turn, c=change: turn < c)  # type: ignore[misc]
        back = paced_programs.run(seed, is_official=lambda turn, c=change: turn >= c)  # type: ignore[misc]
        assert (there.wrong, back.wrong) == (None, None)
        assert there.outcome is not None
        if not there.has_generations:  # an event may reach two in the official form
            assert there.outcome.output == official.outcome.output


# -- events and new generations -----------------------------------------------------------------


def approval_with_a_time_out(context: Any) -> Any:
    event = context.wait_for_external_event("go")
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    yield context.task_any([event, timer])
    timer.cancel()
    return (yield from again(context))


def as_completed_with_an_event(context: Any) -> Any:
    tasks = [context.wait_for_external_event("go"), say(context, "quick")]
    while tasks:
        winner = yield context.task_any(tasks)
        tasks.remove(winner)
    context.signal_entity(df.EntityId("e", "k"), "op")
    return (yield from again(context))


def several_races_in_a_generation(context: Any) -> Any:
    for _ in range(2):
        event = context.wait_for_external_event("go")
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        yield context.task_any([event, timer])
        timer.cancel()
    return (yield from again(context))


def again(context: Any) -> Any:
    rounds = (context.get_input() or 0) + 1
    if rounds < 3:
        context.continue_as_new(rounds)
    return rounds
    yield


ROUNDS = [approval_with_a_time_out, as_completed_with_an_event]


def rounds_with(program: Any, events: int) -> Any:
    raised = [(timedelta(minutes=2 * n + 1), "go", n) for n in range(events)]
    handle = df.Orchestrator.create(program)
    return ExtensionDouble(handle, activity, raised, seconds=seconds).run().output


@pytest.mark.parametrize("program", ROUNDS, ids=lambda each: each.__name__)
def test_an_event_reaches_one_generation_alone(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rounds_with(program, 3) == 3
    if program is as_completed_with_an_event:  # the other one has a time-out
        with pytest.raises(Hangs):
            rounds_with(program, 2)

    name = "_watch_pace"
    monkeypatch.setattr(df.DurableOrchestrationContext, name, lambda context, **_: None)
    assert rounds_with(program, 2) == 3  # the official form: the second gets the first event again


def test_each_race_of_a_generation_takes_an_event_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def took() -> timedelta:
        events = [(timedelta(minutes=n), "go", n) for n in range(1, 9)]
        handle = df.Orchestrator.create(several_races_in_a_generation)
        return ExtensionDouble(handle, activity, events, seconds=seconds).run().took

    assert took() == timedelta(minutes=6)
    name = "_watch_pace"
    monkeypatch.setattr(df.DurableOrchestrationContext, name, lambda context, **_: None)
    assert took() < timedelta(minutes=6)


# -- what stays as it is ------------------------------------------------------------------------


def answer_to(program: Any, history: list[Json]) -> Json:
    events = [
        {"EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-15T10:00:00Z", **e}
        for e in history
    ]
    trigger = {
        "history": events,
        "input": None,
        "instanceId": "abc",
        "isReplaying": True,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 3,
    }
    found: Json = json.loads(df.Orchestrator.create(program)(json.dumps(trigger)))
    return found


BEGUN: list[Json] = [{"EventType": 12}, {"EventType": 0, "Name": "Main"}]


def test_a_loop_that_takes_the_winners_out_keeps_the_official_form() -> None:
    def as_completed(context: Any) -> Any:
        tasks = [say(context, str(number)) for number in range(3)]
        while tasks:
            winner = yield context.task_any(tasks)
            tasks.remove(winner)
        yield say(context, "after")

    done = [{"EventType": 5, "TaskScheduledId": number, "Result": "1"} for number in (1, 0, 2)]
    scheduled = [{"EventType": 4, "EventId": number, "Name": "say"} for number in range(3)]
    first, after = answer_to(as_completed, [*BEGUN, *scheduled, {"EventType": 12}, *done])[
        "actions"
    ][0]

    assert first["actionType"] == 11
    assert [leaf["input"] for leaf in first["compoundActions"]] == ['"0"', '"1"', '"2"']
    assert after["input"] == '"after"'


def test_a_wide_fan_out_that_fails_is_not_nested_deeply() -> None:
    """.NET reads JSON of up to 64 levels."""

    def fan(context: Any) -> Any:
        calls = [context.call_activity("say", number) for number in range(400)]
        try:
            yield context.task_all(calls)
        except Exception:
            yield say(context, "after")

    done = [{"EventType": 5, "TaskScheduledId": n, "Result": "1"} for n in range(0, 400, 2)]
    failed = {"EventType": 6, "TaskScheduledId": 201, "Reason": "bad", "Details": None}
    answer = answer_to(fan, [*BEGUN, {"EventType": 12}, *done, failed])

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0) if isinstance(value, (dict, list)) else 0

    assert len(answer["actions"][0]) == 2
    assert depth(answer) < 12


def test_where_no_form_is_right_a_warning_names_the_line_and_the_remedy() -> None:
    def uneven(context: Any) -> Any:
        slow = retried(context)
        yield context.task_any([slow, say(context, "quick")])
        yield say(context, "between")
        try:
            yield slow
        except Exception:
            pass
        yield say(context, "after")

    with (
        pytest.warns(
            UnevenPaceWarning, match=r"RetryPolicy.*AZURE_FUNCTIONS_DURABLE_RETRIES=sdk"
        ) as told,
        pytest.raises((Hangs, NonDeterministic)),
    ):
        on_the_double(uneven)

    assert told[0].filename == __file__
    line = uneven.__code__.co_firstlineno + 8
    assert told[0].lineno == line


def test_signals_and_status_stay_in_their_places() -> None:
    def mixed(context: Any) -> Any:
        context.signal_entity(df.EntityId("e", "k"), "op")
        try:
            yield context.task_all([failing(context), context.wait_for_external_event("never")])
        except Exception:
            context.signal_entity(df.EntityId("e", "k"), "failed")
            return (yield say(context, "after"))

    assert on_the_double(mixed).output == "after"


@pytest.mark.skipif(not comparison.OFFICIAL.exists(), reason="needs the official package")
def test_the_official_package_hangs_where_ours_does_not() -> None:
    program = {
        "statements": [
            ["try", ["all", [["activity", "A", 4], ["event", "never"]]], ["activity", "A", 1]]
        ]
    }
    with comparison.OfficialPackage() as official:

        def theirs(trigger: str) -> str:
            [[text, message]] = official.answers(program, [trigger])
            if text is None:
                raise Exception(message)
            return str(text)

        with pytest.raises(Hangs):
            ExtensionDouble(theirs, paced_programs.activity).run()
    ours = ExtensionDouble(
        df.Orchestrator.create(paced_programs.orchestrator(program)), paced_programs.activity
    )
    assert ours.run().output[-1] == ["A", 1]
