"""One orchestrator per feature, for running the same app with our SDK and with the official one."""

import datetime
from collections import Counter

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
attempts: Counter = Counter()


@app.activity_trigger(input_name="name")
def hello(name: str):
    return f"Hello {name}!"


@app.activity_trigger(input_name="number")
def square(number: int):
    return number * number


@app.activity_trigger(input_name="numbers")
def total(numbers: list):
    return sum(numbers)


@app.activity_trigger(input_name="key")
def flaky(key: str):
    attempts[key] += 1
    if attempts[key] < 3:
        raise ValueError(f"attempt {attempts[key]} of {key}")
    return f"succeeded on attempt {attempts[key]}"


@app.activity_trigger(input_name="text")
def failing(text: str):
    raise ValueError(text)


@app.orchestration_trigger(context_name="context")
def chain(context):
    greetings = []
    for name in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("hello", name)))
    return greetings


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    numbers = context.get_input()
    squares = yield context.task_all([context.call_activity("square", n) for n in numbers])
    return (yield context.call_activity("total", squares))


@app.orchestration_trigger(context_name="context")
def retry(context):
    options = df.RetryOptions(10, 3)
    first = yield context.call_activity_with_retry("flaky", options, context.instance_id)
    after = yield context.call_activity("hello", "after")
    return [first, after]


@app.orchestration_trigger(context_name="context")
def retries_in_parallel(context):
    options = df.RetryOptions(10, 3)
    keys = [f"{context.instance_id}-{k}" for k in range(5)]
    return (
        yield context.task_all(
            [context.call_activity_with_retry("flaky", options, key) for key in keys]
        )
    )


@app.orchestration_trigger(context_name="context")
def retry_exhausted(context):
    try:
        yield context.call_activity_with_retry("failing", df.RetryOptions(10, 2), "no way")
    except Exception as error:
        first_line = str(error).partition(" \n ")[0]
        fixed = yield context.call_activity("hello", "repair")
        return [first_line, fixed]


@app.orchestration_trigger(context_name="context")
def timer(context):
    before = context.current_utc_datetime
    yield context.create_timer(before + datetime.timedelta(milliseconds=200))
    waited = context.current_utc_datetime - before
    return waited >= datetime.timedelta(milliseconds=200)


@app.orchestration_trigger(context_name="context")
def event(context):
    context.set_custom_status("waiting")
    approval = context.wait_for_external_event("approval")
    deadline = context.create_timer(context.current_utc_datetime + datetime.timedelta(minutes=10))
    winner = yield context.task_any([approval, deadline])
    if winner == approval:
        deadline.cancel()
        context.set_custom_status("answered")
        return approval.result
    return "too late"


@app.orchestration_trigger(context_name="context")
def parent(context):
    first = yield context.call_sub_orchestrator("fan_out", [1, 2, 3])
    second = yield context.call_sub_orchestrator("chain", None, f"{context.instance_id}-chain")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def parent_of_failing(context):
    try:
        yield context.call_sub_orchestrator("failed")
    except Exception as error:
        return str(error).partition(" \n ")[0].partition(" failed:  ")[0]


@app.orchestration_trigger(context_name="context")
def failed(context):
    context.set_custom_status({"step": 1})
    yield context.call_activity("failing", "boom")


@app.orchestration_trigger(context_name="context")
def raised(context):
    yield context.call_activity("hello", "x")
    raise KeyError("missing")


@app.orchestration_trigger(context_name="context")
def counting(context):
    count = context.get_input() or 0
    yield context.call_activity("square", count)
    if count < 4:
        context.continue_as_new(count + 1)
        return None
    return count


@app.orchestration_trigger(context_name="context")
def ids(context):
    return [context.instance_id, context.new_uuid() != context.new_uuid()]


@app.entity_trigger(context_name="context")
def Account(context):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        context.set_state(value + context.get_input())
        context.set_result(value + context.get_input())
    elif context.operation_name == "get":
        context.set_result(value)
    else:
        raise ValueError(f"no {context.operation_name}")


@app.orchestration_trigger(context_name="context")
def entities(context):
    account = df.EntityId("Account", context.instance_id)
    context.signal_entity(account, "add", 5)
    results = [(yield context.call_entity(account, "add", 2))]
    try:
        yield context.call_entity(account, "rob", None)
    except Exception as error:
        results.append(str(error))
    calls = [context.call_entity(account, "get") for _ in range(3)]
    results.append((yield context.task_all(calls)))
    return results


@app.orchestration_trigger(context_name="context")
def requests(context):
    try:
        yield context.call_http("GET", "http://127.0.0.1:9/")
    except Exception:
        return "nobody there"
