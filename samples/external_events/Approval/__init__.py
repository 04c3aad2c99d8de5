"""The orchestrator: an approval races a timer; the input is the time in seconds."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df


def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    due = context.current_utc_datetime + timedelta(seconds=context.get_input() or 60)
    timer = context.create_timer(due)
    decision = context.wait_for_external_event("Approval")
    winner = yield context.task_any([decision, timer])
    if winner is timer:
        return (yield context.call_activity("Escalate", "nobody has decided"))
    timer.cancel()
    return (yield context.call_activity("Process", decision.result))


main = df.Orchestrator.create(orchestrator)
