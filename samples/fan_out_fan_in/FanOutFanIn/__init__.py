"""The orchestrator: asks how many, runs that many activities side by side, sums."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    count = yield context.call_activity("GetActivityCount", context.get_input())
    tasks = [context.call_activity("ParrotValue", value) for value in range(count)]
    values = yield context.task_all(tasks)
    return (yield context.call_activity("SumValues", values))


main = df.Orchestrator.create(orchestrator)
