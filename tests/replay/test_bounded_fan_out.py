"""`context.map` over tasks that need no waiting, or that others wait for too."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from history_kit import History

import azure.durable_functions as df
from azure.durable_functions._wire.vocabulary import ActionType

Context = df.DurableOrchestrationContext


def test_signals_are_sent_once_each_without_waiting() -> None:
    def signalling(context: Context) -> Generator[Any, Any, Any]:
        def send(number: int) -> Any:
            return context.signal_entity(df.EntityId("Counter", str(number)), "add")

        yield context.map(send, range(5), max_concurrency=2)
        return "sent"

    answer = History().replay(signalling)

    assert answer["output"] == "sent"
    kinds = [action["actionType"] for action in answer["actions"][0]]
    assert kinds.count(ActionType.SIGNAL_ENTITY) == 5


def test_tasks_that_were_yielded_before_are_not_asked_for_again() -> None:
    def twice(context: Context) -> Generator[Any, Any, Any]:
        calls = [context.call_activity("A", number) for number in range(3)]
        yield context.task_any(calls)
        return (yield context.map(lambda number: calls[number], range(3), max_concurrency=1))

    history = History().episode().done(2, "c").done(0, "a")
    assert len(history.replay(twice)["actions"][0]) == 1
    answer = history.episode().done(1, "b").replay(twice)
    assert answer["output"] == ["a", "b", "c"]
    assert len(answer["actions"][0]) == 1
