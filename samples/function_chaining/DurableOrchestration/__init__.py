"""The orchestrator: three activities, one after the other."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    outputs = []
    outputs.append((yield context.call_activity("DurableActivity", "One")))
    outputs.append((yield context.call_activity("DurableActivity", "Two")))
    outputs.append((yield context.call_activity("DurableActivity", "Three")))
    return outputs


main = df.Orchestrator.create(orchestrator)
