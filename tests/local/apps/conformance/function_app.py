"""The reference app of host.md section 15."""

import json
import time
from datetime import timedelta
from pathlib import Path

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
NOTES = Path(__file__).parent / "notes"
RETRY = df.RetryOptions(100, 3)


def note(text):
    """Write down that an activity began; gives how often this text stands there now."""
    with NOTES.open("a") as file:
        file.write(f"{text}\n")
    return NOTES.read_text().splitlines().count(text)


@app.route("ping", methods=["GET"])
def ping(req: func.HttpRequest) -> str:
    return "pong"


@app.route("echo", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return answer_of(req)


@app.route("items/{id:int}", methods=["GET"])
def item(req: func.HttpRequest) -> func.HttpResponse:
    return answer_of(req)


@app.route("files/{*path}")
def rest(req: func.HttpRequest) -> func.HttpResponse:
    return answer_of(req)


@app.route("Names/{name}")
def names(req: func.HttpRequest) -> func.HttpResponse:
    return answer_of(req)


@app.route("boom")
def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("boom")


@app.route("mirror", methods=["POST"])
def mirror(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body(), mimetype="application/octet-stream")


@app.route("teapot")
async def teapot(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("short and stout", status_code=418, headers={"X-Pot": "tea"})
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; Secure")
    return response


def answer_of(req):
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route("start/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req, client):
    given = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(
        req.route_params["name"], req.route_params.get("id"), given
    )
    return client.create_check_status_response(req, instance_id)


@app.activity_trigger(input_name="name")
def Hello(name):
    note(f"Hello {name}")
    return f"Hello {name}!"


@app.activity_trigger(input_name="key")
def FailFirst(key):
    if note(f"FailFirst {key}") == 1:
        raise ValueError(f"first call of {key}")
    return key


@app.activity_trigger(input_name="value")
def AlwaysFail(value):
    raise ValueError("always")


@app.activity_trigger(input_name="seconds")
def Slow(seconds):
    note(f"Slow {seconds}")
    time.sleep(seconds)
    return seconds


@app.orchestration_trigger(context_name="context")
def Chain(context):
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield context.call_activity("Hello", city)))
    return results


@app.orchestration_trigger(context_name="context")
def Approval(context):
    context.set_custom_status("waiting")
    return (yield context.wait_for_external_event("approval"))


@app.orchestration_trigger(context_name="context")
def TwoEvents(context):
    first = yield context.wait_for_external_event("approval")
    second = yield context.wait_for_external_event("approval")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def Timer2(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    return "fired"


@app.orchestration_trigger(context_name="context")
def EventOrTimer(context):
    given = context.get_input()
    fire_at = context.current_utc_datetime + timedelta(seconds=given["seconds"])
    timer = context.create_timer(fire_at)
    event = context.wait_for_external_event("approval")
    winner = yield context.task_any([event, timer])
    if given["cancel"] and winner is event:
        timer.cancel()
    return "event" if winner is event else "timer"


@app.orchestration_trigger(context_name="context")
def FailOnce(context):
    yield context.call_activity("Hello", context.instance_id)
    return (yield context.call_activity("FailFirst", context.instance_id))


@app.orchestration_trigger(context_name="context")
def Fails(context):
    yield context.call_activity("AlwaysFail")


@app.orchestration_trigger(context_name="context")
def Raises(context):
    yield context.call_activity("Hello", "you")
    raise ValueError("raised as asked")


@app.orchestration_trigger(context_name="context")
def Retry3(context):
    return (yield context.call_activity_with_retry("FailFirst", RETRY, context.instance_id))


@app.orchestration_trigger(context_name="context")
def RetryExhaust(context):
    yield context.call_activity_with_retry("AlwaysFail", df.RetryOptions(100, 2))


@app.orchestration_trigger(context_name="context")
def FanOut(context):
    tasks = [context.call_activity("Slow", 0.1) for _ in range(context.get_input())]
    return len((yield context.task_all(tasks)))


@app.orchestration_trigger(context_name="context")
def Parent(context):
    given = context.get_input() or {"child": "Chain"}
    child = f"{context.instance_id}-child"
    return ["child gave", (yield context.call_sub_orchestrator(given["child"], None, child))]


@app.orchestration_trigger(context_name="context")
def CanCount(context):
    count = context.get_input() or 1
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=300))
    if count < 5:
        context.continue_as_new(count + 1)
        return None
    return count


@app.orchestration_trigger(context_name="context")
def BigStatus(context):
    context.set_custom_status("x" * 10240)
    yield context.create_timer(context.current_utc_datetime)


@app.orchestration_trigger(context_name="context")
def Stuck(context):
    yield context.wait_for_external_event("never")


@app.orchestration_trigger(context_name="context")
def SlowOnce(context):
    return (yield context.call_activity("Slow", context.get_input()))


@app.orchestration_trigger(context_name="context")
def CallsCounter(context):
    entity = df.EntityId("Counter", context.instance_id)
    yield context.call_entity(entity, "add", 2)
    try:
        yield context.call_entity(entity, "fail")
    except Exception as error:
        return [str(error), (yield context.call_entity(entity, "get"))]


@app.orchestration_trigger(context_name="context")
def NoSuch(context):
    yield context.call_activity("foo")


@app.entity_trigger(context_name="context")
def Counter(context):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
        context.set_result(value)
    elif context.operation_name == "get":
        context.set_result(value)
    elif context.operation_name == "reset":
        context.set_state(0)
    elif context.operation_name == "delete":
        context.destruct_on_exit()
    else:
        raise ValueError("the counter cannot do that")
