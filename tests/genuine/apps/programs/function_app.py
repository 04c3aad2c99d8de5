"""Runs a random program (tests/differential/programs.py, which is copied beside this file)."""

import azure.functions as func
import programs

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

TIME_LAPSE = 50
"""How much faster than written the timers of a program are."""


class Narrowed:
    """What a program sees of its context: its own part of the input, and a faster clock."""

    def __init__(self, context):
        self._context = context

    def __getattr__(self, name):
        return getattr(self._context, name)

    def get_input(self):
        return self._context.get_input()["given"]

    def continue_as_new(self, given):
        self._context.continue_as_new({**self._context.get_input(), "given": given})

    def create_timer(self, fire_at):
        now = self._context.current_utc_datetime
        return self._context.create_timer(now + (fire_at - now) / TIME_LAPSE)


@app.orchestration_trigger(context_name="context", orchestration="Program")
def program(context):
    told = with_keys(context.get_input()["program"], context.instance_id)
    begun = programs.orchestrator(told)(Narrowed(context))
    return (yield from begun) if hasattr(begun, "send") else begun


def with_keys(told, key):
    """A program whose entities are no other instance's."""
    if isinstance(told, dict):
        return {name: with_keys(each, key) for name, each in told.items()}
    if not isinstance(told, list):
        return told
    if told[:1] == ["signal"] or told[:1] == ["entity"]:
        kind, entity, _, *rest = told
        return [kind, entity, key, *rest]
    return [with_keys(each, key) for each in told]


@app.orchestration_trigger(context_name="context", orchestration="Child")
def child(context):
    given = context.get_input()
    if given in (3, 7):
        raise ValueError(f"the child does not like {given}")
    return (yield context.call_activity("A", given))


def answered(name, given):
    if given in (4, 9):
        raise ValueError(f"{name} does not like {given}")
    return [name, given]


@app.activity_trigger(input_name="given", activity="A")
def a(given):
    return answered("A", given)


@app.activity_trigger(input_name="given", activity="B")
def b(given):
    return {"b": given, "ö": 'two "words" and \\ 中文 \U0001f375'}


@app.activity_trigger(input_name="given", activity="C")
def c(given):
    return None if given is None else answered("C", given)


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context):
    count = context.get_state(lambda: 0) + 1
    context.set_state(count)
    if context.get_input() == 5:
        raise ValueError("the counter does not like 5")
    context.set_result(count)


@app.entity_trigger(context_name="context", entity_name="Audit")
def audit(context):
    seen = {"last": context.get_input(), "key": context.entity_name}
    context.set_state(seen)
    context.set_result(seen)
