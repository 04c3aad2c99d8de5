"""The orchestrator: classifies all images side by side."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    images = context.get_input()
    found = yield context.task_all([context.call_activity("ClassifyImage", i) for i in images])
    return dict(zip(images, found, strict=True))


main = df.Orchestrator.create(orchestrator)
