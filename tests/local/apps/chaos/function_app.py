"""The mixed load of the kill storm: what each instance must come to is known beforehand."""

import datetime
import random
import time

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.activity_trigger(input_name="number")
def add_one(number: int):
    time.sleep(random.random() * 0.02)
    return number + 1


@app.activity_trigger(input_name="number")
def flaky_square(number: int):
    time.sleep(random.random() * 0.02)
    if random.random() < 0.3:
        raise ValueError("bad luck")
    return number * number


@app.orchestration_trigger(context_name="context")
def chain(context):
    number = context.get_input()
    for _ in range(8):
        number = yield context.call_activity("add_one", number)
    return number


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    size = context.get_input()
    options = df.RetryOptions(20, 15)
    tasks = [context.call_activity_with_retry("flaky_square", options, n) for n in range(size)]
    return sum((yield context.task_all(tasks)))


@app.orchestration_trigger(context_name="context")
def parent(context):
    start = context.get_input()
    children = [context.call_sub_orchestrator("chain", start + k) for k in range(3)]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def sleeper(context):
    naps = context.get_input()
    for _ in range(naps):
        wake_up = context.current_utc_datetime + datetime.timedelta(milliseconds=150)
        yield context.create_timer(wake_up)
    return naps


@app.orchestration_trigger(context_name="context")
def listener(context):
    heard = []
    for _ in range(context.get_input()):
        heard.append((yield context.wait_for_external_event("word")))
    return heard


@app.orchestration_trigger(context_name="context")
def generations(context):
    count = context.get_input()
    yield context.call_activity("add_one", count)
    if count < 6:
        context.continue_as_new(count + 1)
        return None
    return count


@app.entity_trigger(context_name="context")
def Tally(context):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    context.set_result(value)


@app.orchestration_trigger(context_name="context")
def teller(context):
    tally = df.EntityId("Tally", context.instance_id)
    rounds = context.get_input()
    for _ in range(rounds):
        context.signal_entity(tally, "add", 1)
        yield context.call_activity("add_one", 0)
        yield context.call_entity(tally, "add", 10)
    return (yield context.call_entity(tally, "get"))
