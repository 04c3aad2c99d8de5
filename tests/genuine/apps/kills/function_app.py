"""An order that takes a while: everything that a host may be killed in the middle of."""

import time
from datetime import timedelta
from pathlib import Path

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
NOTES = Path(__file__).parent / "notes"


@app.orchestration_trigger(context_name="context")
def order(context):
    shelf = df.EntityId("shelf", context.instance_id)
    context.set_custom_status("packing")
    packed = []
    for piece in range(4):
        packed.append((yield context.call_activity("pack", piece)))
    yield context.call_entity(shelf, "put", len(packed))
    context.set_custom_status("waiting")
    address = yield context.wait_for_external_event("Address")
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    boxes = [context.call_sub_orchestrator("box", f"{address} {n}") for n in range(3)]
    sent = yield context.task_all(boxes)
    return {"packed": packed, "sent": sent, "shelf": (yield context.call_entity(shelf, "look"))}


@app.orchestration_trigger(context_name="context")
def box(context):
    options = df.RetryOptions(100, 3)
    return (yield context.call_activity_with_retry("send", options, context.get_input()))


@app.activity_trigger(input_name="piece")
def pack(piece):
    time.sleep(0.2)
    return f"piece {piece}"


@app.activity_trigger(input_name="label")
def send(label):
    with NOTES.open("a") as notes:
        notes.write(f"{label}\n")
    if NOTES.read_text().splitlines().count(label) == 1:
        raise ConnectionError("the carrier does not answer")
    return f"sent {label}"


@app.orchestration_trigger(context_name="context")
def slow(context):
    return (yield context.call_activity("sleep", 8.0))


@app.activity_trigger(input_name="seconds")
def sleep(seconds):
    with NOTES.open("a") as notes:
        notes.write("sleeps\n")
    time.sleep(seconds)
    return seconds


@app.entity_trigger(context_name="context")
def shelf(context):
    if context.operation_name == "put":
        context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state(lambda: 0))
