"""Drives an orchestrator's generator without a history. Source: sdk.md 2.15, Q130."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

from azure.durable_functions._replay.tasks import TaskBase


def orchestrator_generator_wrapper(
    generator: Generator[Any, Any, Any] | Coroutine[Any, Any, Any],
) -> Generator[TaskBase | Any, None, None]:
    """Yield each task that the orchestrator yields, and at last its return value.

    A task's ``result`` is sent back in; if reading it raises, that exception is thrown in.

    Raises:
        Exception: Whatever the orchestrator does not handle.
    """
    try:
        task = generator.send(None)
        while True:
            yield task
            try:
                result = task.result
            except Exception as error:
                task = generator.throw(error)
            else:
                task = generator.send(result)
    except StopIteration as stop:
        yield stop.value
