"""Orchestrations that end badly, each in a way of its own."""

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class NoJson:
    """Cannot be encoded."""


@app.activity_trigger(input_name="given")
def echo(given):
    return given


@app.orchestration_trigger(context_name="context")
def raises(context):
    yield context.call_activity("echo", 1)
    raise ValueError("raised as asked")


@app.orchestration_trigger(context_name="context")
def raises_at_once(context):
    raise ValueError("raised as asked")
    yield


@app.orchestration_trigger(context_name="context")
def raises_after_continue_as_new(context):
    yield context.call_activity("echo", 1)
    context.continue_as_new(2)
    raise ValueError("raised as asked")


@app.orchestration_trigger(context_name="context")
def raises_with_an_open_timer(context):
    context.create_timer(context.current_utc_datetime)
    yield context.call_activity("echo", 1)
    raise ValueError("raised as asked")


@app.orchestration_trigger(context_name="context")
def returns_no_json(context):
    yield context.call_activity("echo", 1)
    return NoJson()


@app.orchestration_trigger(context_name="context")
def returns_no_json_at_once(context):
    return NoJson()
    yield


@app.orchestration_trigger(context_name="context")
def sets_a_status_that_is_no_json(context):
    yield context.call_activity("echo", 1)
    context.set_custom_status(NoJson())
    yield context.call_activity("echo", 2)


@app.orchestration_trigger(context_name="context")
def yields_a_number(context):
    yield context.call_activity("echo", 1)
    yield 5


@app.orchestration_trigger(context_name="context")
def yields_a_list(context):
    yield context.call_activity("echo", 1)
    yield [context.call_activity("echo", 2)]


@app.orchestration_trigger(context_name="context")
def gives_an_activity_no_json(context):
    yield context.call_activity("echo", 1)
    yield context.call_activity("echo", NoJson())


@app.orchestration_trigger(context_name="context")
def gives_a_child_no_json(context):
    yield context.call_activity("echo", 1)
    yield context.call_sub_orchestrator("raises", NoJson())


@app.orchestration_trigger(context_name="context")
def gives_an_entity_no_json(context):
    yield context.call_activity("echo", 1)
    yield context.call_entity(df.EntityId("counter", "a"), "add", NoJson())


@app.orchestration_trigger(context_name="context")
def signals_an_entity_no_json(context):
    yield context.call_activity("echo", 1)
    context.signal_entity(df.EntityId("counter", "a"), "add", NoJson())
    yield context.call_activity("echo", 2)


@app.orchestration_trigger(context_name="context")
def continues_with_no_json(context):
    yield context.call_activity("echo", 1)
    context.continue_as_new(NoJson())


@app.orchestration_trigger(context_name="context")
def calls_without_a_name(context):
    yield context.call_activity("echo", 1)
    yield context.call_activity(None, 2)


@app.orchestration_trigger(context_name="context")
def waits_until_a_number(context):
    yield context.call_activity("echo", 1)
    yield context.create_timer(5)


@app.orchestration_trigger(context_name="context")
def lets_an_activitys_failure_out(context):
    yield context.call_activity("echo", 1)
    yield context.call_activity("fails")


@app.activity_trigger(input_name="given")
def fails(given):
    raise ValueError("the activity's own text")


@app.activity_trigger(input_name="given")
def answers_no_json(given):
    return NoJson()


@app.orchestration_trigger(context_name="context")
def calls_what_answers_no_json(context):
    yield context.call_activity("echo", 1)
    yield context.call_activity("answers_no_json")


@app.orchestration_trigger(context_name="context")
def lets_a_childs_failure_out(context):
    yield context.call_activity("echo", 1)
    yield context.call_sub_orchestrator("raises")


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
