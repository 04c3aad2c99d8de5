"""A turn as values: what has arrived is kept, what a refused answer asked for is dropped."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.engine.invoker import Outcome
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.engine.texts.new_instance import new_instance
from azure.durable_functions.local.engine.turns import commits, inbox, outcomes, retry_records
from azure.durable_functions.local.engine.turns.batch import Batch, Pauses
from azure.durable_functions.local.engine.turns.decisions import NonDeterminism
from azure.durable_functions.local.engine.turns.material import Material, material_of
from azure.durable_functions.local.engine.turns.memory import Remembered
from azure.durable_functions.local.store.history import Leaf, OpenTask
from azure.durable_functions.local.store.messages import Message

NOW = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
RETRIED = ActionType.CALL_ACTIVITY_WITH_RETRY
OPTIONS = {"firstRetryIntervalInMilliseconds": 5000, "maxNumberOfAttempts": 3}


def material() -> Material:
    """The second turn of an instance whose retried activity 0 is open."""
    fresh = new_instance(
        now=NOW,
        name="main",
        instance_id="one",
        input_text=None,
        version=None,
        execution_id="e",
        generation=0,
    )
    action = {"functionName": "work", "input": None, "retryOptions": OPTIONS}
    record = retry_records.new_record(action, "activity", "2026-01-15T10:00:00.000000Z")
    row = fresh.row._replace(status="Running", event_count=3, action_count=1, next_task_id=1)
    history = [
        events.orchestrator_started(NOW),
        fresh.start.event,
        events.orchestrator_completed(NOW),
    ]
    remembered = Remembered(
        row._replace(custom_status='"old"'),
        history,
        [Leaf(int(RETRIED), "work", 0)],
        {0: OpenTask(0, "activity", events.dump(record))},
    )
    registry = Registry(["main"], ["work"])
    return material_of(remembered, NOW + timedelta(seconds=1), registry, Limits())


def message(
    kind: HistoryEventType, event: str, task_id: int | None = None, number: int = 1
) -> Message:
    moment = "2026-01-15T10:00:00.500000Z"
    return Message(number, "one", None, kind.value, task_id, moment, None, event)


def failed() -> Message:
    failure = {"Reason": "no", "Details": None, "FailureDetails": None}
    event = events.task_failed(NOW, 0, failure)
    return message(HistoryEventType.TASK_FAILED, event, 0)


def batch(*messages: Message) -> Batch:
    return inbox.read(material(), messages, inbox.pauses_in("Running", messages))


def answer(*actions: dict[str, Any], status: str = "new") -> Outcome:
    state = {
        "isDone": False,
        "schemaVersion": 2,
        "actions": [list(actions)],
        "customStatus": status,
    }
    return Outcome(json.dumps(state))


def kinds(history: list[str]) -> list[HistoryEventType]:
    return [HistoryEventType(json.loads(event)["EventType"]) for event in history]


def test_a_contradiction_drops_the_actions_and_keeps_the_status_and_the_retry_step() -> None:
    other = {"actionType": int(ActionType.CALL_ACTIVITY), "functionName": "other", "input": None}

    decided = outcomes.decide(material(), batch(failed()), answer(other, other), None)

    assert isinstance(decided.contradiction, NonDeterminism)
    assert decided.changes.custom_status == '"new"'
    assert decided.changes.next_task_id == 2
    outcomes.contradicted(decided.changes, "text")
    assert kinds(commits.new_history(decided.changes)) == [
        HistoryEventType.ORCHESTRATOR_STARTED,
        HistoryEventType.TASK_FAILED,
        HistoryEventType.TIMER_CREATED,
        HistoryEventType.EXECUTION_COMPLETED,
        HistoryEventType.ORCHESTRATOR_COMPLETED,
    ]


def test_an_answer_that_breaks_the_protocol_fails_the_same_way() -> None:
    known = {"actionType": int(RETRIED), "functionName": "work", "input": None}
    new = {"actionType": int(ActionType.CALL_ACTIVITY), "functionName": "work", "input": None}

    decided = outcomes.decide(
        material(), batch(failed()), answer(known, new, {"actionType": 99}), None
    )

    assert decided.changes.status == "Failed"
    assert "action type 99" in str(decided.changes.output)
    assert decided.changes.custom_status == '"new"'
    assert (decided.changes.activities, decided.changes.new_leaves) == ([], [])
    assert decided.changes.next_task_id == 2


def test_a_termination_takes_the_retry_steps_of_its_batch_too() -> None:
    terminated = message(
        HistoryEventType.EXECUTION_TERMINATED,
        events.execution_terminated(NOW, "enough", recursive=False),
        number=2,
    )
    arrived = batch(failed(), terminated)
    assert arrived.termination is not None

    changes = outcomes.terminated(material(), arrived, arrived.termination.reason)

    assert (changes.status, changes.output) == ("Terminated", "enough")
    assert HistoryEventType.TIMER_CREATED in kinds(commits.new_history(changes))


def test_a_second_result_of_one_task_is_consumed_and_no_event() -> None:
    twice = [failed(), failed()._replace(message_id=2)]

    arrived = batch(*twice)

    assert (len(arrived.events), arrived.consumed, arrived.closed) == (1, [1, 2], {0})
    assert len(arrived.retry_steps) == 1


def test_the_same_answer_again_repeats_the_last_one_and_changes_nothing() -> None:
    known = {"actionType": int(RETRIED), "functionName": "work", "input": None}
    first = outcomes.decide(material(), batch(), answer(known), None)
    assert first.listed is not None

    second = outcomes.decide(material(), batch(), answer(known), first.listed)

    assert second.changes.repeats_last_answer
    assert second.listed is first.listed
    assert second.changes.custom_status == '"old"'  # the store has the new one by then


def test_what_was_read_and_has_arrived_cannot_be_changed() -> None:
    for value in (material(), batch(failed()), Pauses()):
        with pytest.raises(AttributeError):
            value.instance = None  # type: ignore[misc, union-attr]
