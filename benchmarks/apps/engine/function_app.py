"""Workflows whose work is nothing: what is left is the engine's."""

from __future__ import annotations

from datetime import timedelta

import azure.durable_functions as df

app = df.DFApp()


@app.activity_trigger(input_name="value")
async def nothing(value: int) -> int:
    return value


@app.orchestration_trigger(context_name="context")
def chain(context):
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_activity("nothing", value)
    return value


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    tasks = [context.call_activity("nothing", number) for number in range(context.get_input())]
    return len((yield context.task_all(tasks)))


@app.orchestration_trigger(context_name="context")
def sleeper(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(days=1))


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + 1)
