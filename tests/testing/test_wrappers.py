"""What wraps a handle is called on every way: with sessions, by the kit, in replays of records."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

import azure.durable_functions as df
from azure.durable_functions.local.worker import app_loader
from azure.durable_functions.local.worker.functions import Functions
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.testing import (
    DurableTestHost,
    FakeOrchestrationContext,
    HistoryBuilder,
    replay,
)

Json = dict[str, Any]


def a_tracer(name: str, inner: Callable[..., Any], log: list[str]) -> Callable[..., Any]:
    """As tracers have them: `functools.wraps` copies every attribute of what it wraps."""

    @functools.wraps(inner)
    def traced(*args: Any, **kwargs: Any) -> Any:
        log.append(name)
        return inner(*args, **kwargs)

    return traced


def an_async_tracer(name: str, inner: Callable[..., Any], log: list[str]) -> Callable[..., Any]:
    @functools.wraps(inner)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        log.append(name)
        return inner(*args, **kwargs)

    return traced


def app_with(tracer: Callable[..., Any], log: list[str]) -> df.DFApp:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def steps(context: df.DurableOrchestrationContext) -> Any:
        assert log, "the function runs without what stands around it"
        return (yield context.call_activity("step", 1))

    @app.activity_trigger(input_name="n")
    def step(n: int) -> int:
        return n + 1

    built: Any = steps
    built._function._func = tracer("steps", built._function._func, log)
    return app


@pytest.fixture(params=[a_tracer, an_async_tracer], ids=["def", "async def"])
def tracer(request: pytest.FixtureRequest) -> Any:
    return request.param


def loaded(app: Any) -> list[app_loader.LoadedFunction]:
    from pathlib import Path

    return app_loader.of_register(app, Path("/app"), "function_app.py").functions


def answer(app: Any, header: Json, payload: str) -> Frame:
    async def scenario() -> Frame:
        functions = Functions(loaded(app))
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        resolve = asyncio.get_running_loop().call_soon_threadsafe
        given = {"function": "steps", "id": 1, "invocationId": "i", **header}
        functions.begin(given, payload.encode(), lambda f: resolve(answered.set_result, f))
        try:
            return await asyncio.wait_for(answered, 10)
        finally:
            functions.close()

    return asyncio.run(scenario())


TRIGGER = HistoryBuilder().trigger()


def test_an_episode_of_a_session_is_a_call_of_what_stands_around(tracer: Any) -> None:
    log: list[str] = []
    frame = answer(app_with(tracer, log), {"session": "one"}, TRIGGER)

    assert "error" not in frame.header, frame.header
    assert "state" not in frame.header  # the host is not told of a session that is none
    assert len(json.loads(frame.payload)["actions"][0]) == 1
    assert log == ["steps"]


def test_the_places_of_actions_are_found_through_what_stands_around(tracer: Any) -> None:
    log: list[str] = []
    frame = answer(app_with(tracer, log), {"explain": True}, TRIGGER)

    [told] = json.loads(frame.payload)
    assert told["file"] == __file__
    assert log == ["steps"]


def test_a_handle_itself_still_opens_sessions() -> None:
    app = app_with(lambda name, inner, log: inner, ["none"])

    assert answer(app, {"session": "one"}, TRIGGER).header["state"] == "i"


def test_the_test_host_calls_what_stands_around(tracer: Any) -> None:
    log: list[str] = []

    async def scenario() -> Any:
        async with DurableTestHost(app_with(tracer, log)) as host:
            instance = await host.start("steps")
            await instance.wait()
            return instance.output

    assert asyncio.run(scenario()) == 2
    assert log == ["steps", "steps"]


def test_strict_replay_looks_through_what_stands_around() -> None:
    log: list[str] = []
    app = df.DFApp()
    luck = iter(range(100))

    @app.orchestration_trigger(context_name="context")
    def steps(context: df.DurableOrchestrationContext) -> Any:
        return (yield context.call_activity("step", next(luck)))

    @app.activity_trigger(input_name="n")
    def step(n: int) -> int:
        return n

    built: Any = steps
    built._function._func = a_tracer("steps", built._function._func, log)

    async def scenario() -> Any:
        async with DurableTestHost(app, strict_replay=True) as host:
            await (await host.start("steps")).wait()

    with pytest.raises(AssertionError, match=r"not deterministic(.|\n)*test_wrappers\.py"):
        asyncio.run(scenario())
    assert log


def recording(name: str = "step") -> Json:
    def event(kind: int, number: int = -1, **fields: Any) -> Json:
        common = {"EventType": kind, "EventId": number, "IsPlayed": True}
        return {**common, "Timestamp": "2026-01-01T00:00:00Z", **fields}

    events = [
        event(12),
        event(0, Name="steps", Input="null", Version=None),
        event(4, 0, Name=name, Input="1"),
        event(13),
        event(12),
        event(5, TaskScheduledId=0, Result="2"),
        event(1, OrchestrationStatus=1, Result="2"),
        event(13),
    ]
    return {**json.loads(TRIGGER), "history": events}


def test_a_recorded_run_is_replayed_through_what_stands_around(tracer: Any) -> None:
    log: list[str] = []

    assert replay(app_with(tracer, log), recording()) == 2
    assert log == ["steps", "steps"]


def test_a_recorded_run_that_differs_is_told_with_its_place(tracer: Any) -> None:
    with pytest.raises(AssertionError, match=r"test_wrappers\.py, line \d+"):
        replay(app_with(tracer, []), recording("another"))


def test_tests_of_one_function_call_what_stands_around(tracer: Any) -> None:
    log: list[str] = []
    function: Any = app_with(tracer, log).get_functions()[0].get_user_function()
    if tracer is a_tracer:
        assert HistoryBuilder().run(function)["actions"][0][0]["functionName"] == "step"
        assert log == ["steps"]
    log.clear()

    assert FakeOrchestrationContext(activities={"step": lambda n: n + 1}).run(function) == 2
    assert log == ["steps"]


def test_a_wrapper_without_the_attributes_is_called_too() -> None:
    log: list[str] = []
    function: Any = app_with(a_tracer, log).get_functions()[0].get_user_function()

    @functools.wraps(function, updated=())
    def outer(context: Any) -> Any:
        log.append("outer")
        return function(context)

    assert replay(outer, recording()) == 2
    assert log == ["outer", "steps"] * 2


def test_calling_a_decorated_function_calls_what_stands_around() -> None:
    log: list[str] = []
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def plain(context: Any) -> Any:
        return f"got {context}"

    @app.entity_trigger(context_name="context")
    def entity(context: Any) -> Any:
        return f"got {context}"

    for decorated in (plain, entity):
        built: Any = decorated
        built._function._func = a_tracer("called", built._function._func, log)
        assert decorated(12) == "got 12"

    assert log == ["called", "called"]


def test_a_converter_of_the_app_reaches_a_handle_that_is_wrapped() -> None:
    class Reversing:
        def serialize(self, value: Any) -> str:
            return json.dumps(value)[::-1]

        def deserialize(self, text: str, expected_type: Any = None) -> Any:
            return json.loads(text[::-1])

    app = df.DFApp(data_converter=Reversing())  # type: ignore[arg-type]

    @app.orchestration_trigger(context_name="context")
    def steps(context: df.DurableOrchestrationContext) -> Any:
        return context.call_activity("x", "abc") and "done"

    built: Any = steps
    handle = built._function._func
    built._function._func = a_tracer("steps", handle, [])
    app.get_functions()

    assert handle._df_data_converter is not None
