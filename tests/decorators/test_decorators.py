"""What the decorators make of a function, for the host and for the worker (sdk.md 6, 8.5)."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import weakref
from typing import Any

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import FunctionBuilder
from recording_server import binding

import azure.durable_functions as df
from azure.durable_functions._wire import type_discovery
from azure.durable_functions.testing import orchestrator_generator_wrapper


@pytest.fixture
def app() -> df.DFApp:
    return df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def bindings(function: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(str(function.build()))["bindings"]
    return found


def test_the_bindings_are_those_of_the_specification(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="ctx", orchestration="OrchX", input_type=dict)
    def orchestrator(ctx: Any) -> None: ...

    @app.activity_trigger(input_name="x", activity="ActX")
    def activity(x: str) -> None: ...

    @app.entity_trigger(context_name="context", entity_name="EntX")
    def entity(context: Any) -> None: ...

    assert bindings(orchestrator) == [
        {
            "direction": "IN",
            "type": "orchestrationTrigger",
            "name": "ctx",
            "orchestration": "OrchX",
        }
    ]
    assert bindings(activity) == [
        {"direction": "IN", "type": "activityTrigger", "name": "x", "activity": "ActX"}
    ]
    assert bindings(entity) == [
        {"direction": "IN", "type": "entityTrigger", "name": "context", "entityName": "EntX"}
    ]


def test_a_starter_has_its_bindings_in_order_of_application(app: df.DFApp) -> None:
    @app.route(route="orchestrators/{functionName}")
    @app.durable_client_input(client_name="client", task_hub="H1", connection_name="C1")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> None: ...

    [built] = app.get_functions()
    assert json.loads(str(built)) == {
        "scriptFile": "function_app.py",
        "bindings": [
            {
                "direction": "IN",
                "type": "durableClient",
                "name": "client",
                "taskHub": "H1",
                "connectionName": "C1",
            },
            {
                "direction": "IN",
                "type": "httpTrigger",
                "name": "req",
                "authLevel": "ANONYMOUS",
                "route": "orchestrators/{functionName}",
            },
            {"direction": "OUT", "type": "http", "name": "$return"},
        ],
    }


def test_the_wrapped_functions_look_as_the_worker_needs_them(app: df.DFApp) -> None:
    """Names, signatures and annotations are matched with the bindings (host.md 3.2)."""

    @app.orchestration_trigger(context_name="context")
    def orchestrator(context: df.DurableOrchestrationContext) -> Any:
        """Documented."""

    @app.entity_trigger(context_name="context")
    def entity(context: df.DurableEntityContext) -> None: ...

    @app.route(route="x")
    @app.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
        return "x"

    handle = orchestrator.build().get_user_function()
    assert handle.__name__ == "orchestrator"
    assert list(inspect.signature(handle).parameters) == ["context"]
    assert handle.__annotations__ == {"context": func.OrchestrationContext, "return": str}
    handle = entity.build().get_user_function()
    assert handle.__annotations__ == {"return": str}
    assert not inspect.iscoroutinefunction(handle)
    wrapper = starter.build().get_user_function()
    assert inspect.iscoroutinefunction(wrapper)
    assert list(inspect.signature(wrapper).parameters) == ["req", "client"]
    assert wrapper.__annotations__["client"] is str
    assert wrapper.client_function.__annotations__["client"] is str


def test_functions_are_found_on_the_wrappers(app: df.DFApp) -> None:
    def orchestrate(context: Any) -> Any:
        return 1

    def be(context: Any) -> None: ...

    orchestrator = app.orchestration_trigger(context_name="context", input_type=dict)(orchestrate)
    entity = app.entity_trigger(context_name="context")(be)

    assert isinstance(orchestrator, FunctionBuilder)
    assert orchestrator._function._func.orchestrator_function is orchestrate
    assert orchestrator._function._func._df_input_type is dict
    assert entity._function._func.entity_function is be


def call_starter(app: df.DFApp, starter: Any, **arguments: Any) -> Any:
    built = app.route(route="x")(app.durable_client_input(client_name="client")(starter))
    given = built._function._func(client=binding("http://h/"), **arguments)
    return asyncio.run(given) if inspect.iscoroutine(given) else given


def test_a_client_function_may_be_a_plain_one(app: df.DFApp) -> None:
    """sdk.md Q110."""

    def starter(req: Any, client: Any) -> Any:
        return client

    given = call_starter(app, starter, req=None)
    assert isinstance(given, df.SyncDurableOrchestrationClient)


def test_a_binding_that_is_not_given_is_named(app: df.DFApp) -> None:
    """sdk.md Q111."""

    @app.durable_client_input(client_name="client")
    async def starter(client: Any) -> None: ...

    with pytest.raises(TypeError, match="keyword argument 'client'"):
        asyncio.run(starter._function._func())


def test_the_context_may_have_any_name(app: df.DFApp) -> None:
    """sdk.md Q112."""

    @app.orchestration_trigger(context_name="ctx")
    def orchestrator(ctx: df.DurableOrchestrationContext) -> Any:
        return ctx.instance_id

    @app.entity_trigger(context_name="me")
    def entity(me: df.DurableEntityContext) -> None: ...

    handle = orchestrator.build().get_user_function()
    assert list(inspect.signature(handle).parameters) == ["ctx"]
    assert handle.__annotations__["ctx"] is func.OrchestrationContext
    assert list(inspect.signature(entity._function._func).parameters) == ["me"]
    from history_kit import History

    text = json.dumps(History().trigger())
    assert json.loads(handle(text))["output"] == "the-instance"
    assert json.loads(handle(ctx=text))["output"] == "the-instance"


def test_the_invocation_id_comes_from_a_parameter_named_context(app: df.DFApp) -> None:
    """sdk.md Q113."""

    class Invocation:
        invocation_id = "abc"

    def starter(req: Any, client: Any, context: Any) -> Any:
        return client._client._function_invocation_id

    assert call_starter(app, starter, req=None, context=Invocation()) == "abc"


def test_wrappers_keep_docstring_module_and_name(app: df.DFApp) -> None:
    """sdk.md Q115."""

    @app.orchestration_trigger(context_name="context")
    def orchestrator(context: Any) -> Any:
        """Documented."""

    handle = orchestrator.build().get_user_function()

    assert handle.__doc__ == "Documented."
    assert handle.__module__ == __name__
    assert handle.__qualname__.endswith("<locals>.orchestrator")
    assert not hasattr(handle, "__wrapped__")


def test_the_type_cache_lets_functions_go() -> None:
    """sdk.md Q116."""

    def activity(x: int) -> int:
        return x

    builder = FunctionBuilder(activity, "function_app.py")
    assert type_discovery.activity_output_type(builder) is int

    gone = weakref.ref(activity)
    del activity, builder
    gc.collect()
    assert gone() is None


def test_callables_that_cannot_be_hashed_are_read_too() -> None:
    """sdk.md Q116."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]
        __name__ = "unhashable"

        def __call__(self, x: int) -> int:
            return x

    builder = FunctionBuilder(Unhashable(), "function_app.py")

    type_discovery.activity_output_type(builder)  # must not raise


def test_the_testing_wrapper_takes_an_orchestrator_without_a_yield() -> None:
    """sdk.md Q130."""

    def orchestrator(context: Any) -> Any:
        if context:
            yield
        return "at once"

    assert list(orchestrator_generator_wrapper(orchestrator(None))) == ["at once"]


def test_an_app_gives_its_functions_at_every_call(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="x")
    def first(x: str) -> None: ...

    assert [f.get_function_name() for f in app.get_functions()] == ["first"]
    assert app.get_functions() is app.get_functions()

    blueprint = df.Blueprint()

    @blueprint.activity_trigger(input_name="x")
    def second(x: str) -> None: ...

    app.register_functions(blueprint)
    assert [f.get_function_name() for f in app.get_functions()] == ["first", "second"]


def test_two_functions_of_one_name_are_refused(app: df.DFApp) -> None:
    for _ in range(2):

        @app.activity_trigger(input_name="x")
        def same(x: str) -> None: ...

    with pytest.raises(ValueError, match="does not have a unique function name"):
        app.get_functions()


def test_the_decorators_of_a_plain_function_app_are_ours_too() -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.orchestration_trigger(context_name="context")
    def orchestrator(context: Any) -> Any:
        return 1

    @app.route(route="x")
    @app.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: Any) -> Any: ...

    names = [function.get_function_name() for function in app.get_functions()]
    assert names == ["orchestrator", "starter"]


def test_a_lower_case_auth_level_is_refused() -> None:
    with pytest.raises(KeyError):
        df.DFApp(http_auth_level="anonymous")


def test_a_plain_callable_cannot_be_called_by_reference() -> None:
    from history_kit import History

    def orchestrator(context: Any) -> Any:
        yield context.call_activity(print)

    error = History().replay(orchestrator)["error"]
    assert error.startswith("The `call_activity` API received a `Callable` without an associated")
    assert "`activity_trigger`decorator." in error
