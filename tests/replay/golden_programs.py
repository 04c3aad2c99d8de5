"""The programs of the golden vectors (specification sdk.md 11), as they stand there."""

import datetime as dt

import azure.durable_functions as df


def chain(ctx):
    a = yield ctx.call_activity("A", "x")
    b = yield ctx.call_activity("B", {"n": a})
    return [a, b]


def catcher(ctx):
    try:
        yield ctx.call_activity("A")
    except Exception as e:
        r = yield ctx.call_activity("Fix", str(e))
        return r


def fan(ctx):
    ts = [ctx.call_activity("A", i) for i in range(3)]
    rs = yield ctx.task_all(ts)
    return rs


def order(ctx):
    t1 = ctx.call_activity("A")
    t2 = ctx.call_activity("B")
    return (yield ctx.task_all([t2, t1]))


def anyf(ctx):
    t1 = ctx.call_activity("A")
    t2 = ctx.call_activity("B")
    w = yield ctx.task_any([t1, t2])
    return [w is t2, str(w.result), t1.is_completed]


def shrink(ctx):
    ts = [ctx.call_activity("A", i) for i in range(2)]
    w = yield ctx.task_any(ts)
    ts.remove(w)
    w = yield ctx.task_any(ts)
    return (yield ctx.call_activity("B"))


def grow(ctx):
    a = ctx.call_activity("A")
    yield ctx.task_any([a])
    b = ctx.call_activity("B")
    yield ctx.task_all([a, b])


def empty(ctx):
    a = yield ctx.task_all([])
    b = yield ctx.task_any([])
    return [a, b]


def unyielded(ctx):
    ctx.call_activity("A")
    ctx.call_activity("B")
    return "done"
    # (not a generator)


def twice(ctx):
    t = ctx.call_activity("A")
    a = yield t
    b = yield t
    return [a, b]


def retry(ctx):
    r = yield ctx.call_activity_with_retry("A", df.RetryOptions(5000, 2), "in")
    n = yield ctx.call_activity("B")
    return [r, n]


def sub(ctx):
    a = yield ctx.call_sub_orchestrator("S", {"q": 1}, "child-1", "2.0")
    b = yield ctx.call_sub_orchestrator("S")
    return [a, b]


def subr(ctx):
    return (yield ctx.call_sub_orchestrator_with_retry("S", df.RetryOptions(10, 2), None, "c"))


def timer(ctx):
    t = ctx.create_timer(ctx.current_utc_datetime + dt.timedelta(minutes=1))
    r = yield t
    return [r, t.is_cancelled]


def race(ctx):
    e = ctx.wait_for_external_event("Go")
    t = ctx.create_timer(ctx.current_utc_datetime + dt.timedelta(minutes=1))
    w = yield ctx.task_any([e, t])
    if w == e:
        t.cancel()
        return e.result
    return "timeout"


def twoev(ctx):
    x = yield ctx.wait_for_external_event("E")
    y = yield ctx.wait_for_external_event("E")
    return [x, y]


def stack(ctx):
    t1 = ctx.wait_for_external_event("E")
    t2 = ctx.wait_for_external_event("E")
    return (yield ctx.task_all([t1, t2]))


def early(ctx):
    yield ctx.call_activity("A")
    return (yield ctx.wait_for_external_event("E"))


def ent(ctx):
    ctx.signal_entity(df.EntityId("Counter", "k1"), "add", 3)
    v = yield ctx.call_entity(df.EntityId("Counter", "k1"), "get")
    return v


def can(ctx):
    n = ctx.get_input()
    yield ctx.call_activity("A")
    ctx.continue_as_new({"n": 1})
    ctx.continue_as_new({"n": 2})


def can2(ctx):
    ctx.continue_as_new("again")
    return "ignored by the host"


def http(ctx):
    return (
        yield ctx.call_http(
            "POST", "https://x/", {"a": 1}, {"h": "v"}, df.ManagedIdentityTokenSource("https://r/")
        )
    )


def status(ctx):
    ctx.set_custom_status({"step": 1})
    yield ctx.call_activity("A")


def err(ctx):
    ctx.set_custom_status("s")
    yield ctx.call_activity("A")
    raise ValueError()


def unser(ctx):
    yield ctx.call_activity("A")
    return {1, 2}


def rep(ctx):
    o = [(ctx.is_replaying, str(ctx.current_utc_datetime))]
    yield ctx.call_activity("A")
    o.append((ctx.is_replaying, str(ctx.current_utc_datetime)))
    yield ctx.call_activity("B")
    o.append((ctx.is_replaying, str(ctx.current_utc_datetime)))
    return o


def guids(ctx):
    o = [str(ctx.new_guid()), ctx.new_uuid(), str(ctx.new_guid())]
    yield ctx.call_activity("A")
    return o + [str(ctx.new_guid()), ctx.new_uuid()]


def longt(ctx):
    yield ctx.create_timer(dt.datetime(2024, 1, 20, tzinfo=dt.timezone.utc))
    return "fired"
