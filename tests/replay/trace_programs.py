"""The orchestrators behind the recorded traces, by the name of the trace's file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timedelta, timezone
from typing import Any

import trace_models

import azure.durable_functions as df

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
COUNTER = "Counter"


def chain(context: Context) -> Orchestration:
    greetings = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("Hello", city)))
    return greetings


def fan_out(context: Context) -> Orchestration:
    count = context.get_input()
    results = yield context.task_all([context.call_activity("Work", k) for k in range(count)])
    return (yield context.call_activity("Sum", results))


def activity_failure_caught(context: Context) -> Orchestration:
    try:
        yield context.call_activity("A", 1)
    except Exception as error:
        # The traces record the class name, which differs on purpose (sdk.md Q39).
        cleaned = yield context.call_activity("Cleanup", str(error))
        return ["Exception", cleaned]
    return None


def one_activity(context: Context) -> Orchestration:
    return (yield context.call_activity("A", 1))


def activity_result_types(context: Context) -> Orchestration:
    results = []
    for k in range(7):
        results.append((yield context.call_activity("T", k)))
    return results


def activity_retry(context: Context) -> Orchestration:
    options = df.RetryOptions(5000, 3)
    result = yield context.call_activity_with_retry("Flaky", options, "x")
    return (yield context.call_activity("After", result))


def activity_retry_in_task_all(context: Context) -> Orchestration:
    options = df.RetryOptions(1000, 3)
    return (
        yield context.task_all(
            [
                context.call_activity_with_retry("A", options, 1),
                context.call_activity_with_retry("B", options, 2),
            ]
        )
    )


def activity_retry_single_attempt(context: Context) -> Orchestration:
    try:
        yield context.call_activity_with_retry("Flaky", df.RetryOptions(1000, 1))
    except Exception:
        return "caught"
    return None


def call_entity(context: Context) -> Orchestration:
    value = yield context.call_entity(df.EntityId(COUNTER, "myKey"), "add", 5)
    return (yield context.call_activity("After", value))


def call_entity_failure(context: Context) -> Orchestration:
    try:
        yield context.call_entity(df.EntityId(COUNTER, "k"), "fail")
    except Exception as error:
        return f"caught: {error}"
    return None


def call_entity_task_all(context: Context) -> Orchestration:
    return (
        yield context.task_all(
            [
                context.call_entity(df.EntityId(COUNTER, "a"), "get"),
                context.call_entity(df.EntityId(COUNTER, "b"), "get"),
            ]
        )
    )


def call_http(context: Context) -> Orchestration:
    return (
        yield context.call_http(
            "POST", "https://example.test/api", {"a": 1}, {"Accept": "application/json"}
        )
    )


def call_http_content_forms(context: Context) -> Orchestration:
    return (
        yield context.task_all(
            [
                context.call_http("POST", "https://example.test/a", "plain", is_raw_str=True),
                context.call_http("POST", "https://example.test/b", "plain"),
                context.call_http("GET", "https://example.test/c"),
            ]
        )
    )


def call_http_token_source(context: Context) -> Orchestration:
    answer = yield context.call_http(
        "GET",
        "https://management.example.test/subscriptions",
        token_source=df.ManagedIdentityTokenSource("https://management.core.windows.net"),
    )
    return answer["statusCode"]


def continue_as_new(context: Context) -> Orchestration:
    n = context.get_input()
    result = yield context.call_activity("Step", n)
    if n < 2:
        context.continue_as_new(n + 1)
        return None
    return result


def continue_as_new_drops_buffered_event(context: Context) -> Orchestration:
    if context.get_input():
        return (yield context.wait_for_external_event("Other"))
    yield context.wait_for_external_event("Go")
    context.continue_as_new(1)
    return None


def continue_as_new_event_carry_over(context: Context) -> Orchestration:
    n = context.get_input() or 0
    event = yield context.wait_for_external_event("Tick")
    if n < 1:
        context.continue_as_new(n + 1)
        return None
    return event


def continue_as_new_non_generator(context: Context) -> str:
    n = context.get_input() or 0
    if n < 1:
        context.continue_as_new(n + 1)
        return "ignored"
    return "done"


def continue_as_new_then_yield(context: Context) -> Orchestration:
    if context.get_input() is None:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        context.continue_as_new({"n": 1})
        yield context.call_activity("NeverScheduled")
    return context.get_input()


def continue_as_new_with_open_timer(context: Context) -> Orchestration:
    given = context.get_input()
    if given:
        return given
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
    yield context.task_any([context.call_activity("A"), timer])
    context.continue_as_new(1)
    return None


def current_utc_datetime(context: Context) -> Orchestration:
    times = [context.current_utc_datetime.isoformat()]
    yield context.call_activity("A")
    times.append(context.current_utc_datetime.isoformat())
    yield context.call_activity("B")
    times.append(context.current_utc_datetime.isoformat())
    return times


def custom_class_input_output(context: Context) -> Orchestration:
    order = context.get_input()
    shipped = yield context.call_activity("Ship", trace_models.Order(order.sku, order.qty + 1))
    return {"type": type(shipped).__name__, "qty": shipped.qty}


def custom_class_output(context: Context) -> Orchestration:
    return (yield context.call_activity("Ship"))


def custom_status(context: Context) -> Orchestration:
    context.set_custom_status("starting")
    yield context.call_activity("A")
    context.set_custom_status({"progress": 50, "items": [1, 2]})
    yield context.call_activity("B")
    context.set_custom_status(0)


def exception_after_activity(context: Context) -> Orchestration:
    context.set_custom_status("before")
    yield context.call_activity("A", 1)
    raise ValueError("boom")


def exception_non_generator(context: Context) -> None:
    raise ValueError("boom")


def exception_without_message(context: Context) -> Orchestration:
    yield context.call_activity("A", 1)
    raise ValueError()


def wait_for_approval(context: Context) -> Orchestration:
    return (yield context.wait_for_external_event("Approval"))


def prepare_then_wait(context: Context) -> Orchestration:
    prepared = yield context.call_activity("Prep")
    approval = yield context.wait_for_external_event("Approval")
    return [prepared, approval]


def wait_in_lower_case(context: Context) -> Orchestration:
    return (yield context.wait_for_external_event("approval"))


def fan_out_failure(context: Context) -> Orchestration:
    try:
        yield context.task_all([context.call_activity("Work", k) for k in range(3)])
    except Exception as error:
        context.set_custom_status({"caught": str(error).partition(" \n ")[0]})
        return (yield context.call_activity("Compensate", None))
    return None


def ids_follow_yield_order(context: Context) -> Orchestration:
    a = context.call_activity("A")
    b = context.call_activity("B")
    y = yield b
    x = yield a
    return [x, y]


def give_input(context: Context) -> Any:
    return context.get_input()


def is_replaying(context: Context) -> Orchestration:
    flags = [context.is_replaying]
    yield context.call_activity("A")
    flags.append(context.is_replaying)
    yield context.call_activity("B")
    flags.append(context.is_replaying)
    context.set_custom_status(flags)
    yield context.call_activity("C")
    flags.append(context.is_replaying)
    return flags


def long_timer(context: Context) -> Orchestration:
    yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
    return "fired"


def long_timer_cancel(context: Context) -> Orchestration:
    timer = context.create_timer(context.current_utc_datetime + timedelta(days=10))
    work = context.call_activity("Work")
    yield context.task_any([work, timer])
    timer.cancel()
    return "work"


def nested_any_in_all(context: Context) -> Orchestration:
    first = context.task_any([context.call_activity("A", 1), context.call_activity("B", 2)])
    results = yield context.task_all([first, context.call_activity("C", 3)])
    return [results[0].result, results[1]]


def nested_task_all_failure(context: Context) -> Orchestration:
    inner = context.task_all([context.call_activity("A"), context.call_activity("B")])
    try:
        yield context.task_all([inner, context.call_activity("C")])
    except Exception:
        return (yield context.call_activity("Cleanup"))
    return None


def new_guid(context: Context) -> Orchestration:
    guids = [str(context.new_guid()), str(context.new_guid())]
    yield context.call_activity("A")
    return [*guids, str(context.new_guid())]


def new_uuid(context: Context) -> Orchestration:
    uuids = [context.new_uuid(), context.new_uuid()]
    yield context.call_activity("A")
    return [*uuids, context.new_uuid(), str(context.new_guid())]


def non_generator(context: Context) -> dict[str, str]:
    return {"hello": "world"}


def non_generator_none(context: Context) -> None:
    return None


def prepare_then_two_waits(context: Context) -> Orchestration:
    yield context.call_activity("Prep")
    a = yield context.wait_for_external_event("Ping")
    b = yield context.wait_for_external_event("Ping")
    return [a, b]


def output_not_serializable(context: Context) -> Orchestration:
    yield context.call_activity("A")
    return {1, 2}


def same_task_yielded_twice(context: Context) -> Orchestration:
    task = context.call_activity("A", 1)
    a = yield task
    b = yield task
    return [a, b]


def signal_entity(context: Context) -> Orchestration:
    counter = df.EntityId(COUNTER, "k1")
    context.signal_entity(counter, "add", 1)
    context.signal_entity(counter, "add", {"x": 2})
    result = yield context.call_activity("A")
    context.signal_entity(counter, "reset")
    return result


def sub_orchestration_derived_id(context: Context) -> Orchestration:
    first = yield context.call_sub_orchestrator("Child", "a")
    second = yield context.call_sub_orchestrator("Child")
    return [first, second]


def sub_orchestration_explicit_id(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator("Child", {"n": 1}, "child-42"))


def sub_orchestration_failure_caught(context: Context) -> Orchestration:
    try:
        yield context.call_sub_orchestrator("Child", 1)
    except Exception as error:
        return str(error)
    return None


def sub_orchestration_failure_unhandled(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator("Child", 1, "c1"))


def sub_orchestration_fan_out(context: Context) -> Orchestration:
    return (yield context.task_all([context.call_sub_orchestrator("Child", k) for k in range(3)]))


def sub_orchestration_retry(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator_with_retry("Child", df.RetryOptions(2000, 2), 5))


def task_all_empty(context: Context) -> Orchestration:
    return (yield context.task_all([]))


def task_any_against_timer(context: Context) -> Orchestration:
    timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=5))
    activity = context.call_activity("Slow")
    winner = yield context.task_any([activity, timer])
    if winner == activity:
        timer.cancel()
        return winner.result
    return "timeout"


def task_any_failed_child(context: Context) -> Orchestration:
    a = context.call_activity("A")
    b = context.call_activity("B")
    winner = yield context.task_any([a, b])
    # The traces record the class name, which differs on purpose (sdk.md Q39).
    return [winner == a, "Exception", str(winner.result).partition(" \n ")[0], winner.is_completed]


def task_any_loop(context: Context) -> Orchestration:
    tasks = [context.call_activity("W", k) for k in range(3)]
    results = []
    while tasks:
        winner = yield context.task_any(tasks)
        results.append(winner.result)
        tasks.remove(winner)
    return results


def task_any_loop_with_scheduled_timer(context: Context) -> Orchestration:
    timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=3))
    for _ in range(3):
        code = context.wait_for_external_event("Code")
        winner = yield context.task_any([code, timer])
        if winner == timer:
            return "timeout"
        if code.result == "1234":
            timer.cancel()
            return "ok"
    return "rejected"


def task_any_then_task_all(context: Context) -> Orchestration:
    a = context.call_activity("A")
    b = context.call_activity("B")
    winner = yield context.task_any([a, b])
    return (yield context.task_all([a, b, context.call_activity("C", winner.result)]))


def task_any_timer_not_cancelled(context: Context) -> Orchestration:
    activity = context.call_activity("Slow")
    timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=5))
    winner = yield context.task_any([activity, timer])
    return "work" if winner == activity else "timer"


def task_never_yielded(context: Context) -> Orchestration:
    context.call_activity("Ignored", 1)
    return (yield context.call_activity("A", 2))


def timer(context: Context) -> Orchestration:
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=90))
    return context.current_utc_datetime.isoformat()


def timer_in_the_past(context: Context) -> Orchestration:
    yield context.create_timer(context.current_utc_datetime - timedelta(seconds=5))
    return "now"


def timer_naive(context: Context) -> Orchestration:
    yield context.create_timer(datetime(2026, 1, 15, 12, 0, 0))
    return 1


def timer_non_utc(context: Context) -> Orchestration:
    zone = timezone(timedelta(hours=1))
    yield context.create_timer(datetime(2026, 1, 15, 12, 0, 0, tzinfo=zone))
    return 1


def two_waits(context: Context) -> Orchestration:
    a = yield context.wait_for_external_event("Ping")
    b = yield context.wait_for_external_event("Ping")
    return [a, b]


def two_waits_task_all(context: Context) -> Orchestration:
    waits = [context.wait_for_external_event("Ping"), context.wait_for_external_event("Ping")]
    return (yield context.task_all(waits))


def unknown_trigger_field(context: Context) -> list[Any]:
    return [context.function_context.somethingNew, context.parent_instance_id]


def version(context: Context) -> Orchestration:
    yield context.call_activity("New" if context.version == "2.0" else "Old")
    return context.version


def version_of_sub_orchestration(context: Context) -> Orchestration:
    result = yield context.call_sub_orchestrator("Child", version="2.1")
    return [context.version, result]


def yield_continue_as_new(context: Context) -> Orchestration:
    n = context.get_input() or 0
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    if n < 1:
        yield context.continue_as_new(n + 1)
    return n


def yield_none(context: Context) -> Orchestration:
    yield None
    return "never"


def yield_of_a_non_task(context: Context) -> Orchestration:
    return (yield 5)


def yield_signal_entity(context: Context) -> Orchestration:
    yield context.signal_entity(df.EntityId(COUNTER, "k"), "add", 1)
    return "after"


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "activity_failure_caught_v1": activity_failure_caught,
    "activity_failure_caught_v3": activity_failure_caught,
    "activity_failure_unhandled": one_activity,
    "activity_result_types": activity_result_types,
    "activity_retry_exhausted_v1": activity_retry,
    "activity_retry_exhausted_v3": activity_retry,
    "activity_retry_in_task_all_v3": activity_retry_in_task_all,
    "activity_retry_single_attempt_caught": activity_retry_single_attempt,
    "activity_retry_third_attempt_v1": activity_retry,
    "activity_retry_third_attempt_v2": activity_retry,
    "activity_retry_third_attempt_v3": activity_retry,
    "call_entity": call_entity,
    "call_entity_failure": call_entity_failure,
    "call_entity_task_all": call_entity_task_all,
    "call_entity_timeout_response": call_entity_failure,
    "call_http": call_http,
    "call_http_202": call_http,
    "call_http_content_forms": call_http_content_forms,
    "call_http_token_source": call_http_token_source,
    "chaining_v1": chain,
    "chaining_v2": chain,
    "chaining_v3": chain,
    "continue_as_new": continue_as_new,
    "continue_as_new_drops_buffered_event": continue_as_new_drops_buffered_event,
    "continue_as_new_event_carry_over": continue_as_new_event_carry_over,
    "continue_as_new_non_generator": continue_as_new_non_generator,
    "continue_as_new_then_yield": continue_as_new_then_yield,
    "continue_as_new_with_open_timer": continue_as_new_with_open_timer,
    "current_utc_datetime": current_utc_datetime,
    "custom_class_input_output": custom_class_input_output,
    "custom_class_output_rejected": custom_class_output,
    "custom_status": custom_status,
    "duplicate_completion": chain,
    "exception_after_activity_v1": exception_after_activity,
    "exception_after_activity_v3": exception_after_activity,
    "exception_non_generator": exception_non_generator,
    "exception_without_message": exception_without_message,
    "execution_started_without_version": chain,
    "external_event_after_wait": wait_for_approval,
    "external_event_before_wait": prepare_then_wait,
    "external_event_name_case": wait_in_lower_case,
    "external_event_null_payload": wait_for_approval,
    "external_event_python_client_encoding": wait_for_approval,
    "external_event_with_start": wait_for_approval,
    "fan_out_failure_v3": fan_out_failure,
    "fan_out_fan_in_v1": fan_out,
    "fan_out_fan_in_v2": fan_out,
    "fan_out_fan_in_v3": fan_out,
    "history_too_short": chain,
    "ids_follow_yield_order": ids_follow_yield_order,
    "input_list_client": give_input,
    "input_list_raw": give_input,
    "input_none": give_input,
    "input_number_raw": give_input,
    "input_object_raw": give_input,
    "input_string_client": give_input,
    "input_string_raw": give_input,
    "is_replaying": is_replaying,
    "long_timer_cancel_v3": long_timer_cancel,
    "long_timer_v2": long_timer,
    "long_timer_v3": long_timer,
    "long_timer_v3_no_limits": long_timer,
    "minimal_history_fields": chain,
    "negotiation_new_2": fan_out,
    "negotiation_new_3": fan_out,
    "negotiation_new_99": fan_out,
    "negotiation_new_lower": fan_out,
    "negotiation_none": fan_out,
    "negotiation_old_2": fan_out,
    "negotiation_old_3": fan_out,
    "negotiation_v2_only": fan_out,
    "nested_any_in_all_v1": nested_any_in_all,
    "nested_any_in_all_v3": nested_any_in_all,
    "nested_task_all_failure_v3": nested_task_all_failure,
    "new_guid": new_guid,
    "new_uuid": new_uuid,
    "non_generator": non_generator,
    "non_generator_none": non_generator_none,
    "one_event_before_two_waits": prepare_then_two_waits,
    "output_not_serializable": output_not_serializable,
    "rewound": one_activity,
    "same_task_yielded_twice": same_task_yielded_twice,
    "signal_entity_v1": signal_entity,
    "signal_entity_v3": signal_entity,
    "sub_orchestration_derived_id": sub_orchestration_derived_id,
    "sub_orchestration_explicit_id": sub_orchestration_explicit_id,
    "sub_orchestration_failure_caught": sub_orchestration_failure_caught,
    "sub_orchestration_failure_unhandled": sub_orchestration_failure_unhandled,
    "sub_orchestration_fan_out": sub_orchestration_fan_out,
    "sub_orchestration_retry": sub_orchestration_retry,
    "suspended_and_resumed": chain,
    "task_all_empty": task_all_empty,
    "task_any_activity_wins_timer_cancelled": task_any_against_timer,
    "task_any_failed_child": task_any_failed_child,
    "task_any_loop_timer_fires_v3": task_any_loop_with_scheduled_timer,
    "task_any_loop_v1": task_any_loop,
    "task_any_loop_v3": task_any_loop,
    "task_any_loop_with_scheduled_timer_v1": task_any_loop_with_scheduled_timer,
    "task_any_loop_with_scheduled_timer_v2": task_any_loop_with_scheduled_timer,
    "task_any_loop_with_scheduled_timer_v3": task_any_loop_with_scheduled_timer,
    "task_any_then_task_all_v1": task_any_then_task_all,
    "task_any_then_task_all_v3": task_any_then_task_all,
    "task_any_timer_not_cancelled": task_any_timer_not_cancelled,
    "task_any_timer_wins": task_any_against_timer,
    "task_never_yielded": task_never_yielded,
    "terminated": chain,
    "timer": timer,
    "timer_in_the_past": timer_in_the_past,
    "timer_naive_datetime_v1": timer_naive,
    "timer_naive_datetime_v3": timer_naive,
    "timer_non_utc_timezone": timer_non_utc,
    "two_events_before_first_wait": prepare_then_two_waits,
    "two_waits_same_event_one_batch": two_waits,
    "two_waits_same_event_sequential": two_waits,
    "two_waits_same_event_task_all": two_waits_task_all,
    "unknown_trigger_field": unknown_trigger_field,
    "version_1.0": version,
    "version_2.0": version,
    "version_and_sub_orchestration_version": version_of_sub_orchestration,
    "version_empty": version,
    "yield_continue_as_new": yield_continue_as_new,
    "yield_none": yield_none,
    "yield_of_a_non_task": yield_of_a_non_task,
    "yield_signal_entity": yield_signal_entity,
}
