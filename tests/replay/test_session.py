"""A session that is advanced episode by episode says what the text door says at once."""

from __future__ import annotations

import json
import random
import warnings
from typing import Any

import emulated_host
import programs
import pytest

import azure.durable_functions as df


def histories(seed: int) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """A program's handle, the triggers of its first generation, and the answers to them."""
    rng = random.Random(seed)
    program = programs.random_program(rng)
    # `is_replaying` is what a session changes on purpose, so programs here do not look at it.
    kept = [statement for statement in program.get("statements", []) if statement != ["look"]]
    program["statements"] = kept
    handle = df.Orchestrator.create(programs.orchestrator(program))
    answers: list[dict[str, Any]] = []

    def replay(trigger: str) -> tuple[str | None, str | None]:
        try:
            text = handle(trigger)
        except Exception as error:
            answers.append(json.loads(str(error).rpartition("$OutOfProcData$:")[2]))
            return None, str(error)
        answers.append(json.loads(text))
        return text, None

    sent = emulated_host.EmulatedHost(rng, program["events"], None).run(replay)
    triggers = [json.loads(trigger) for trigger in sent]
    first = [trigger for trigger in triggers if trigger["input"] == triggers[0]["input"]]
    return handle, first, answers[: len(first)]


@pytest.mark.parametrize("seed", range(150))
def test_advancing_gives_what_replaying_gives(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handle, triggers, answers = histories(seed)
        session = handle.open_session({**triggers[0]})
        seen = 0
        listed: list[dict[str, Any]] = []
        for trigger, answer in zip(triggers, answers, strict=True):
            told = session.advance(trigger["history"][seen:])
            seen = len(trigger["history"])
            listed += told["actions"][0]

            told.pop("canceledTimers")
            # A session tells what is new; what was listed may take another form (`pacing`).
            assert without_flags(leaves(listed)) == without_flags(leaves(answer["actions"][0]))
            assert {**told, "actions": None} == {**answer, "actions": None}
        session.close()


def leaves(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for action in actions:
        found += leaves(action["compoundActions"]) if "compoundActions" in action else [action]
    return found


def without_flags(actions: list[dict[str, Any]]) -> Any:
    return json.loads(json.dumps(actions).replace("true", "false"))


def test_a_session_tells_which_timers_were_cancelled() -> None:
    def race(context: Any) -> Any:
        timer = context.create_timer(context.current_utc_datetime)
        yield context.task_any([context.wait_for_external_event("go"), timer])
        timer.cancel()
        yield context.wait_for_external_event("end")

    common = {"EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-15T10:00:00Z"}
    trigger = {
        "history": [{**common, "EventType": 12}, {**common, "EventType": 0, "Version": None}],
        "instanceId": "i",
        "isReplaying": False,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
    }
    session = df.Orchestrator.create(race).open_session(trigger)

    first = session.advance(trigger["history"])  # type: ignore[arg-type]  # it is the list above
    second = session.advance(
        [{**common, "EventType": 12}, {**common, "EventType": 15, "Name": "go", "Input": None}]
    )

    assert first["canceledTimers"] == []
    assert second["canceledTimers"] == [0]
    assert second["actions"] == [
        [{"actionType": 6, "externalEventName": "end", "reason": "ExternalEvent"}]
    ]
