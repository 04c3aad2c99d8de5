"""What an app folder can hold beside orchestrations."""

import asyncio
import json
import logging
import threading
from pathlib import Path

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
NOTES = Path(__file__).parent / "notes"


def note(text):
    with NOTES.open("a") as file:
        file.write(f"{text}\n")


@app.route("%ROUTE%")
def filled(req: func.HttpRequest) -> str:
    return "by a setting"


@app.route("off")
def off(req: func.HttpRequest) -> str:
    return "never"


@app.route("form", methods=["POST"])
def form(req: func.HttpRequest) -> func.HttpResponse:
    files = {name: file.stream.read().decode() for name, file in req.files.items()}
    return func.HttpResponse(json.dumps({"form": dict(req.form), "files": files}))


@app.route("json", methods=["POST"])
def as_json(req: func.HttpRequest) -> func.HttpResponse:
    try:
        return func.HttpResponse(json.dumps(req.get_json()), mimetype="application/json")
    except ValueError:
        return func.HttpResponse("no json", status_code=400)


@app.route("nothing")
def nothing(req: func.HttpRequest):
    return None


@app.route("bytes")
def raw(req: func.HttpRequest):
    return b"\x00\xff"


@app.route("context")
def context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    def beside():
        context.thread_local_storage.invocation_id = context.invocation_id
        logging.warning("said in a thread of its own")

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    seen = {
        "name": context.function_name,
        "directory": context.function_directory,
        "id": context.invocation_id,
        "parent": context.trace_context.trace_parent,
    }
    return func.HttpResponse(json.dumps(seen))


@app.route("quiet")
def quiet(req: func.HttpRequest) -> str:
    logging.warning("too quiet to be heard")
    return "done"


@app.route("begin")
@app.generic_output_binding(arg_name="starter", type="durableClient")
def begin(req: func.HttpRequest, starter: func.Out[str]) -> str:
    starter.set(json.dumps({"FunctionName": "once", "InstanceId": "by-output", "Input": 5}))
    return "begun"


@app.orchestration_trigger(context_name="context")
def once(context):
    return context.get_input()


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def stubborn(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    failed = retry.exception.message if retry.exception else None
    note(f"stubborn {retry.retry_count} {failed} {timer.past_due}")
    if retry.retry_count != 2:
        raise ValueError("not yet")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def by_hand(timer: func.TimerRequest) -> None:
    await asyncio.sleep(0)
    note(f"by hand {timer.past_due} {sorted(timer.schedule_status)}")


@app.timer_trigger(arg_name="timer", schedule="0 99 * * * *")
def impossible(timer: func.TimerRequest) -> None:
    """Its schedule is not valid."""


@app.queue_trigger(arg_name="message", queue_name="jobs", connection="Storage")
@app.queue_output(arg_name="reply", queue_name="replies", connection="Storage")
@app.blob_input(arg_name="blob", path="a/b", connection="Storage")
def on_job(message: func.QueueMessage, reply: func.Out[str], blob: func.InputStream) -> None:
    note(f"job {message.get_body().decode()} {blob}")
    reply.set("goes nowhere")
