"""The classes by themselves, as users' and the official tests use them (openai-agents.md)."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import agents
import fake_models
import pytest
from agents import (
    Agent,
    AgentOutputSchema,
    CodeInterpreterTool,
    ComputerTool,
    FileSearchTool,
    FunctionTool,
    Handoff,
    HostedMCPTool,
    ImageGenerationTool,
    ModelSettings,
    ModelTracing,
    Runner,
    UserError,
    WebSearchTool,
    handoff,
)
from fake_models import ScriptedProvider, call
from history_kit import History
from pydantic import BaseModel

import azure.durable_functions as df
from azure.durable_functions.models.DurableOrchestrationContext import DurableOrchestrationContext
from azure.durable_functions.models.history.HistoryEventType import HistoryEventType
from azure.durable_functions.openai_agents import (
    DurableAIAgentContext,
    _requirements,
    usage_telemetry,
)
from azure.durable_functions.openai_agents import context as context_module
from azure.durable_functions.openai_agents import orchestrator_generator as generator_module
from azure.durable_functions.openai_agents.event_loop import ensure_event_loop
from azure.durable_functions.openai_agents.exceptions import YieldException
from azure.durable_functions.openai_agents.handoffs import DurableHandoff
from azure.durable_functions.openai_agents.model_invocation_activity import (
    DurableActivityModel,
    DurableAgentOutputSchema,
    DurableModelActivityInput,
    ModelInvoker,
    ModelTracingLevel,
    response_of,
)
from azure.durable_functions.openai_agents.task_tracker import TaskTracker
from azure.durable_functions.openai_agents.tools import (
    convert_tool_to_durable_tool,
    create_tool_from_durable_tool,
)

OLDEST = importlib.metadata.version("openai-agents") == "0.2.4"

# -- the task tracker --------------------------------------------------------------------------


class StandIn:
    """A context with a history; tasks are texts."""

    def __init__(self, *results: Any) -> None:
        self.histories = [
            SimpleNamespace(event_type=HistoryEventType.TASK_COMPLETED, Result=json.dumps(each))
            for each in results
        ]

    def call_activity(self, name: str, input: Any) -> str:
        return f"{name}({input})"

    def call_activity_with_retry(self, name: str, options: Any, input: Any) -> str:
        return f"{name}({input}) with {options}"


def tracker_of(*results: Any) -> TaskTracker:
    stand_in: Any = StandIn(*results)
    return TaskTracker(stand_in)


def test_a_call_without_a_result_says_what_to_yield() -> None:
    with pytest.raises(YieldException, match="Orchestrator should yield") as raised:
        tracker_of().get_activity_call_result("act", 1)
    assert raised.value.task == "act(1)"  # type: ignore[comparison-overlap]
    assert not isinstance(raised.value, Exception)


def test_results_are_taken_in_order_and_other_calls_count() -> None:
    tracker = tracker_of("theirs", {"a": 1}, [2])
    tracker.record_activity_call()
    options: Any = "options"
    assert tracker.get_activity_call_result("act", 1) == {"a": 1}
    assert tracker.get_activity_call_result_with_retry("act", options, 2) == [2]
    with pytest.raises(YieldException):
        tracker.get_activity_call_result("act", 3)


def test_a_plain_function_yields_what_it_waited_for() -> None:
    tracker = tracker_of("one")

    def plain() -> Any:
        tracker.get_activity_call_result("a", 1)
        tracker.get_activity_call_result("b", 2)

    assert list(tracker.execute_orchestrator_function(plain)) == ["a(1)", "b(2)"]
    assert _returned(tracker_of().execute_orchestrator_function(lambda: {"x": 1})) == '{"x": 1}'


def test_a_generator_s_own_yields_keep_their_place() -> None:
    tracker = tracker_of("own", "one")
    sent: list[Any] = []

    def orchestrator() -> Iterator[Any]:
        tracker.record_activity_call()
        sent.append((yield "A"))
        assert tracker.get_activity_call_result("B", 1) == "one"
        tracker.get_activity_call_result("C", 2)
        yield "never"

    generator = tracker.execute_orchestrator_function(orchestrator)
    assert next(generator) == "A"  # type: ignore[comparison-overlap]
    assert generator.send("a result") == "B(1)"
    assert list(generator) == ["C(2)"]
    assert sent == ["a result"]


def test_exceptions_reach_the_generator_and_leave_it() -> None:
    closed: list[str] = []

    def orchestrator() -> Iterator[Any]:
        try:
            yield "A"
        except KeyError:
            try:
                yield "B"
            finally:
                closed.append("closed")

    generator = tracker_of().execute_orchestrator_function(orchestrator)
    assert next(generator) == "A"  # type: ignore[comparison-overlap]
    assert generator.throw(KeyError("x")) == "B"
    generator.close()
    assert closed == ["closed"]


def _returned(generator: Any) -> Any:
    def within() -> Any:
        value = yield from generator
        returned.append(value)

    returned: list[Any] = []
    assert list(within()) == []
    return returned[0]


class Model(BaseModel):
    a: int


class WithJson:
    def to_json(self) -> str:
        return "mine"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (None, "null"),
        ({"a": 1}, '{"a": 1}'),
        (Model(a=1), '{"a":1}'),
        (WithJson(), "mine"),
    ],
)
def test_outputs_are_texts(value: Any, text: str) -> None:
    assert TaskTracker._durable_serializer(value) == text


# -- the context -------------------------------------------------------------------------------


@pytest.fixture
def inner() -> Any:
    return Mock(spec=DurableOrchestrationContext)


@pytest.fixture
def tracker() -> Any:
    return Mock(spec=TaskTracker)


@pytest.fixture
def context(inner: Any, tracker: Any) -> Any:
    return DurableAIAgentContext(inner, tracker, None)


def test_activities_are_called_through_and_counted(context: Any, inner: Any, tracker: Any) -> None:
    assert context.call_activity("act", 1) is inner.call_activity.return_value
    context.call_activity_with_retry("act", "options", 2)

    inner.call_activity.assert_called_once_with("act", 1)
    inner.call_activity_with_retry.assert_called_once_with("act", "options", 2)
    assert tracker.record_activity_call.call_count == 2


def test_oa7_an_expected_type_is_passed_on(context: Any, inner: Any) -> None:
    context.call_activity("act", 1, expected_type=int)
    inner.call_activity.assert_called_once_with("act", 1, expected_type=int)


def test_the_rest_is_the_orchestration_context_s(context: Any, inner: Any) -> None:
    assert context.wait_for_external_event("x") is inner.wait_for_external_event.return_value
    assert context.create_timer("x") is inner.create_timer.return_value
    assert not isinstance(context, DurableOrchestrationContext)
    assert {"call_activity", "create_activity_tool", "new_uuid", "_context"} <= set(dir(context))
    assert dir(context) == sorted(dir(context))
    with pytest.raises(AttributeError) as raised:
        _ = context.nothing
    assert str(raised.value) == "'DurableAIAgentContext' object has no attribute 'nothing'"


def activity_of(name: str | None = "given", parameter: str | None = "max") -> Any:
    def random(max: int) -> int:
        """Draw a number."""
        return max

    trigger = SimpleNamespace(activity=name, name=parameter) if parameter else None
    return SimpleNamespace(_function=SimpleNamespace(_name="own", _func=random, _trigger=trigger))


@pytest.mark.parametrize(
    ("parameter", "arguments", "given"),
    [
        ("max", '{"max": 100}', 100),
        ("max", '{"other": 200}', '{"other": 200}'),
        ("max", "not json", "not json"),
        ("max", "[1]", "[1]"),
        (None, '{"max": 100}', '{"max": 100}'),
    ],
)
def test_a_tool_gives_the_activity_its_argument(
    context: Any, tracker: Any, parameter: str | None, arguments: str, given: Any
) -> None:
    tool = context.create_activity_tool(activity_of(parameter=parameter), retry_options=None)
    tracker.get_activity_call_result.return_value = 42
    ctx: Any = None
    assert asyncio.run(tool.on_invoke_tool(ctx, arguments)) == 42
    name = "own" if parameter is None else "given"
    tracker.get_activity_call_result.assert_called_once_with(name, given)


def test_tools_are_retried_by_default(context: Any, tracker: Any) -> None:
    tool = context.create_activity_tool(activity_of(name=None), description="Roll a die.")
    ctx: Any = None
    asyncio.run(tool.on_invoke_tool(ctx, '{"max": 6}'))
    name, options, given = tracker.get_activity_call_result_with_retry.call_args.args
    assert (name, given) == ("own", 6)
    assert options.first_retry_interval_in_milliseconds == 2000
    assert options.max_number_of_attempts == 5
    assert (tool.name, tool.description) == ("random", "Roll a die.")
    assert tool.params_json_schema["properties"]["max"]["type"] == "integer"


def test_schema_and_tool_are_made_by_names_that_tests_patch(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, tool = Mock(), Mock()
    monkeypatch.setattr(context_module, "function_schema", schema)
    monkeypatch.setattr(context_module, "FunctionTool", tool)
    activity = activity_of()

    assert context.create_activity_tool(activity) is tool.return_value
    schema.assert_called_once_with(
        func=activity._function._func,
        docstring_style=None,
        description_override=None,
        use_docstring_info=True,
        strict_json_schema=True,
    )
    assert tool.call_args.kwargs["params_json_schema"] is schema.return_value.params_json_schema


def test_a_tool_needs_an_activity(context: Any) -> None:
    with pytest.raises(ValueError, match="not a valid Azure Function"):
        context.create_activity_tool(SimpleNamespace(_function=None))


# -- what travels ------------------------------------------------------------------------------


async def _nothing(*unused: Any) -> Any: ...


def function_tool() -> FunctionTool:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return FunctionTool("t", "d", schema, _nothing)


HOSTED: list[Any] = [
    WebSearchTool(),
    FileSearchTool(vector_store_ids=["v"], max_num_results=3),
    CodeInterpreterTool(tool_config={"type": "code_interpreter", "container": {"type": "auto"}}),
    ImageGenerationTool(tool_config={"type": "image_generation", "size": "auto"}),
    HostedMCPTool(tool_config={"type": "mcp", "server_label": "s", "server_url": "http://s"}),
]


@pytest.mark.parametrize("tool", [*HOSTED, function_tool()], ids=lambda tool: type(tool).__name__)
def test_tools_travel(tool: Any) -> None:
    sent = asked_with(tools=[convert_tool_to_durable_tool(tool)]).to_json()
    [received] = DurableModelActivityInput.from_json(sent).tools
    made = create_tool_from_durable_tool(received)
    assert type(made) is type(tool)
    assert made.name == tool.name
    kept = ("tool_config", "vector_store_ids", "max_num_results", "params_json_schema")
    for name in kept:
        assert getattr(made, name, None) == getattr(tool, name, None)


def test_other_tools_are_refused() -> None:
    computer: Any = ComputerTool(computer=Mock())
    with pytest.raises(ValueError, match=r"Unsupported tool type .*ComputerTool"):
        convert_tool_to_durable_tool(computer)
    with pytest.raises(UserError, match="Unsupported tool type"):
        create_tool_from_durable_tool(42)


def asked_with(**fields: Any) -> DurableModelActivityInput:
    basis = {"input": "?", "model_settings": ModelSettings(), "tracing": 0}
    return DurableModelActivityInput(**{**basis, **fields})


def test_what_cannot_be_written_is_told() -> None:
    assert '"x": "<object' in asked_with(prompt={"x": object()}).to_json()
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Unable to serialize"):
        asked_with(prompt=loop).to_json()


def test_handoffs_and_schemas_travel() -> None:
    handed = DurableHandoff.from_handoff(handoff(Agent(name="Billing")))
    schema = DurableAgentOutputSchema(
        output_type_name="M", output_schema={"type": "object"}, strict_json_schema=True
    )
    text = asked_with(handoffs=[handed], output_schema=schema).to_json()
    read = DurableModelActivityInput.from_json(text)
    back = read.handoffs[0].to_handoff()
    assert isinstance(back, Handoff)
    assert (back.tool_name, back.agent_name) == ("transfer_to_billing", "Billing")
    assert read.output_schema is not None
    assert read.output_schema.json_schema() == {"type": "object"}
    assert read.output_schema.is_strict_json_schema()


def test_output_schemas_without_a_definition_say_so() -> None:
    plain = DurableAgentOutputSchema(strict_json_schema=False)
    assert plain.is_plain_text()
    with pytest.raises(ValueError, match="has not been specified"):
        plain.name()
    with pytest.raises(UserError, match="plain text"):
        plain.json_schema()
    with pytest.raises(UserError, match="missing"):
        DurableAgentOutputSchema(output_type_name="M", strict_json_schema=True).json_schema()
    with pytest.raises(NotImplementedError):
        plain.validate_json("{}")


def test_answers_of_older_releases_are_read() -> None:
    recorded = (
        '{"output":[{"id":"m1","content":[{"annotations":[],"text":"hi there","type":"output_text",'
        '"logprobs":null}],"role":"assistant","status":"completed","type":"message"}],"usage":'
        '{"requests":1,"input_tokens":2,"input_tokens_details":{"cached_tokens":0},"output_tokens"'
        ':3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5},"response_id":"r1"}'
    )
    answer = response_of(json.loads(recorded))
    assert answer.usage.total_tokens == 5
    assert answer.usage.input_tokens_details.cached_tokens == 0
    item: Any = answer.output[0]
    assert item.content[0].text == "hi there"


def test_the_activity_asks_the_named_model() -> None:
    provider = ScriptedProvider(poet=lambda asked: [call("t", "c1")])
    asked = asked_with(model_name="poet", system_instructions="Rhyme.", input=[{"role": "user"}])
    activity = generator_module.durable_openai_agent_activity(asked.to_json(), provider)
    answer = response_of(json.loads(asyncio.run(activity)))
    assert isinstance(answer.output[0], type(call("t", "c1")))
    [(name, given)] = provider.asked
    assert (name, given["system_instructions"], given["input"]) == (
        "poet",
        "Rhyme.",
        [{"role": "user"}],
    )
    assert given["tracing"] is ModelTracing.DISABLED
    assert ("conversation_id" in given) is not OLDEST


@pytest.mark.parametrize(("answer", "text"), [("as it is", "as it is"), (b"bytes", "bytes")])
def test_texts_of_the_invoker_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, answer: Any, text: str
) -> None:
    async def invoke(self: Any, asked: Any) -> Any:
        return answer

    monkeypatch.setattr(ModelInvoker, "invoke_model_activity", invoke)
    activity = generator_module.durable_openai_agent_activity(asked_with().to_json(), None)
    assert asyncio.run(activity) == text


def test_a_model_asks_by_an_activity(tracker: Any) -> None:
    answer = {"output": [], "usage": {"requests": 1}, "response_id": None}
    tracker.get_activity_call_result.return_value = json.dumps(answer)
    model = DurableActivityModel("m", tracker, None, "run_model")
    options: dict[str, Any] = {"previous_response_id": None, "prompt": None}

    async def ask(schema: Any = None) -> Any:
        return await model.get_response(
            None, "?", ModelSettings(), [], schema, [], ModelTracing.ENABLED, **options
        )

    assert asyncio.run(ask()).usage.requests == 1
    name, text = tracker.get_activity_call_result.call_args.args
    assert name == "run_model"
    assert json.loads(text)["model_name"] == "m"
    assert json.loads(text)["tracing"] == ModelTracingLevel.DISABLED
    asyncio.run(ask(AgentOutputSchema(Model)))
    with pytest.raises(TypeError, match="Only AgentOutputSchema is supported"):
        asyncio.run(ask(Mock()))
    with pytest.raises(NotImplementedError, match="doesn't support streams yet"):
        model.stream_response(
            None, "?", ModelSettings(), [], None, [], ModelTracing.DISABLED, **options
        )


def test_answers_travel_without_what_the_service_did_not_send() -> None:
    """Newer types call a field ``async`` by ``async_`` in Python; the service refuses that."""
    provider = ScriptedProvider(default=lambda asked: [call("t", "c1", city="Rome")])
    activity = generator_module.durable_openai_agent_activity(asked_with().to_json(), provider)
    [item] = json.loads(asyncio.run(activity))["output"]
    assert item == {
        "type": "function_call",
        "name": "t",
        "call_id": "c1",
        "arguments": '{"city": "Rome"}',
    }
    answer = response_of({"output": [item], "usage": {"requests": 1}, "response_id": None})
    assert answer.to_input_items() == [item]


@pytest.mark.skipif(OLDEST, reason="since 0.3")
def test_a_conversation_that_the_service_keeps_is_passed_on(tracker: Any) -> None:
    provider = ScriptedProvider(default=lambda asked: "hi")
    text = asked_with(conversation_id="conv_1").to_json()
    asyncio.run(generator_module.durable_openai_agent_activity(text, provider))
    assert provider.asked[0][1]["conversation_id"] == "conv_1"
    assert "conversation_id" not in asked_with().to_json()


def ask_one(context: Any) -> Any:
    return Runner.run_sync(Agent(name="A", instructions="hi"), "msg").final_output


SETTINGS = (
    '{"temperature":null,"top_p":null,"frequency_penalty":null,"presence_penalty":null,'
    '"tool_choice":null,"parallel_tool_calls":null,"truncation":null,"max_tokens":null,'
    '"reasoning":null,"metadata":null,"store":null,"include_usage":null,"response_include":null,'
    '"extra_query":null,"extra_body":null,"extra_headers":null,"extra_args":null}'
)


@pytest.mark.skipif(not OLDEST, reason="recorded with openai-agents 0.2.4")
def test_the_input_of_the_model_s_activity_is_byte_for_byte_the_official_one() -> None:
    app = df.DFApp()
    decorate = app.durable_openai_agent_orchestrator(model_retry_options=None)
    handle = app.orchestration_trigger(context_name="context")(decorate(ask_one))._function._func
    [[action]] = json.loads(handle(json.dumps(History().trigger())))["actions"]
    assert action["functionName"] == "run_model"
    assert json.loads(action["input"]) == (
        '{"input":[{"content":"msg","role":"user"}],"model_settings":' + SETTINGS + ',"tracing":0,'
        '"model_name":null,"system_instructions":"hi","tools":[],"output_schema":null,'
        '"handoffs":[],"previous_response_id":null,"prompt":null}'
    )


def test_a_retried_model_is_the_retry_action_in_its_wrapper() -> None:
    app = df.DFApp()
    decorated = app.durable_openai_agent_orchestrator(ask_one)
    handle = app.orchestration_trigger(context_name="context")(decorated)._function._func
    [[action]] = json.loads(handle(json.dumps(History(schema=3).trigger())))["actions"]
    assert action["actionType"] == 12
    [retried] = action["compoundActions"]
    assert retried["retryOptions"] == {
        "firstRetryIntervalInMilliseconds": 2000,
        "maxNumberOfAttempts": 5,
    }


# -- decorator, telemetry, packaging -----------------------------------------------------------


def names_of(app: df.DFApp) -> list[str]:
    return [function.get_function_name() for function in app.get_functions()]


def test_the_model_s_activity_is_registered_once_and_first() -> None:
    app = df.DFApp()
    for name in ("one", "two"):

        def orchestrator(context: Any) -> Any: ...

        orchestrator.__name__ = name
        app.orchestration_trigger()(app.durable_openai_agent_orchestrator(orchestrator))
    assert names_of(app) == ["run_model_activity", "one", "two"]
    assert app._is_durable_openai_agent_setup
    [binding] = app.get_functions()[0].get_bindings_dict()["bindings"]
    assert {k: str(getattr(v, "name", v)) for k, v in binding.items()} == {
        "direction": "IN",
        "type": "activityTrigger",
        "name": "input",
        "activity": "run_model",
    }


def test_oa9_an_app_and_its_blueprints_share_the_activity() -> None:
    provider = ScriptedProvider()

    def app_with(*providers: Any) -> df.DFApp:
        app = df.DFApp()
        for number, given in enumerate(providers):
            blueprint = df.Blueprint()

            def orchestrator(context: Any) -> Any: ...

            orchestrator.__name__ = f"orchestrator_{number}"
            decorate = blueprint.durable_openai_agent_orchestrator(model_provider=given)
            blueprint.orchestration_trigger()(decorate(orchestrator))
            app.register_functions(blueprint)
        return app

    names = ["run_model_activity", "orchestrator_0", "orchestrator_1"]
    assert names_of(app_with(provider, provider)) == names
    with pytest.raises(ValueError, match="different model providers"):
        names_of(app_with(provider, ScriptedProvider()))


def test_oa1_a_provider_is_any_model_provider_and_one_for_the_app() -> None:
    app = df.DFApp()
    nothing: Any = object()
    with pytest.raises(TypeError, match="must be of type ModelProvider"):
        app.durable_openai_agent_orchestrator(model_provider=nothing)
    app.durable_openai_agent_orchestrator(model_provider=ScriptedProvider())(ask_one)
    with pytest.raises(ValueError, match="one model provider for all"):
        app.durable_openai_agent_orchestrator(model_provider=ScriptedProvider())(ask_one)


def test_the_decorator_stands_directly_above_the_function() -> None:
    app = df.DFApp()
    with pytest.raises(TypeError, match="directly above its function"):
        app.durable_openai_agent_orchestrator(app.activity_trigger()(lambda x: x))


def test_telemetry_is_one_line_a_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = importlib.reload(usage_telemetry).UsageTelemetry

    def version(name: str) -> str:
        if name == "openai":
            raise importlib.metadata.PackageNotFoundError(name)
        return f"1 of {name}"

    monkeypatch.setattr(importlib.metadata, "version", version)
    telemetry.log_usage_once()
    telemetry.log_usage_once()
    assert capsys.readouterr().out == (
        "LanguageWorkerConsoleLogDetected OpenAI Agents SDK integration with Durable Functions. "
        "Package versions: azure-functions-durable=1 of azure-functions-durable, "
        "openai=(not installed), openai-agents=1 of openai-agents\n"
    )


def test_a_loop_is_made_where_none_runs() -> None:
    ensure_event_loop()
    made = asyncio.get_event_loop()
    made.close()
    asyncio.set_event_loop(None)

    async def within() -> Any:
        ensure_event_loop()
        return asyncio.get_running_loop()

    assert asyncio.run(within()) is not None


def test_importing_the_package_imports_no_agents() -> None:
    code = (
        "import sys, azure.durable_functions as df\n"
        "assert 'openai_agents' in df.__all__\n"
        "print(sorted({'agents', 'openai', 'pydantic'} & set(sys.modules)))\n"
        "df.openai_agents.DurableAIAgentContext\n"
        "print('agents' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["[]", "True"]


@pytest.mark.parametrize("missing", ["agents", "openai"])
def test_what_is_missing_is_named_with_the_extra(missing: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "import azure.durable_functions as df\n"
        "app = df.DFApp()\n"
        "for use in (lambda: df.openai_agents, lambda: app.durable_openai_agent_orchestrator()):\n"
        "    try: use()\n"
        "    except (AttributeError, ImportError) as error: print(error)\n"
        "try: import azure.durable_functions.openai_agents\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "Install azure-functions-durable with its extra [openai]" in line
        assert f"openai-agents {importlib.metadata.version('openai-agents')}" in line


def test_the_module_shows_its_one_name() -> None:
    assert importlib.import_module("azure.durable_functions.openai_agents").__all__ == [
        "DurableAIAgentContext"
    ]
    assert agents.Runner is Runner


def answered(*items: Any) -> str:
    """What the model's activity gives: JSON text of an answer recorded with release 0.2.4."""
    usage = {
        "requests": 1,
        "input_tokens": 2,
        "output_tokens": 3,
        "total_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    output = [item.model_dump(mode="json") for item in items]
    return json.dumps({"output": output, "usage": usage, "response_id": "r1"})


def test_the_episodes_of_a_run_with_a_tool_are_those_of_the_official_package() -> None:
    app = df.DFApp()

    def use_tool(context: Any) -> Any:
        tool = context.create_activity_tool(look_up, retry_options=None)
        agent = Agent(name="A", instructions="hi", tools=[tool])
        return Runner.run_sync(agent, "msg").final_output

    @app.activity_trigger(input_name="city", activity="wx")
    def look_up(city: str) -> str:
        """Get weather."""
        return city

    decorate = app.durable_openai_agent_orchestrator(model_retry_options=None)
    handle = app.orchestration_trigger(context_name="context")(decorate(use_tool))._function._func

    def episode(history: History) -> tuple[list[str], dict[str, Any]]:
        state = json.loads(handle(json.dumps(history.trigger())))
        return [action["functionName"] for action in state["actions"][0]], state

    history = History()
    names, state = episode(history)
    assert names == ["run_model"]
    assert "isDone" in state
    history.episode().done(0, answered(call("look_up", "c1", city="Seattle")))
    names, state = episode(history)
    assert names == ["run_model", "wx"]
    assert state["actions"][0][1]["input"] == '"Seattle"'
    history.episode().done(1, "sunny")
    names, state = episode(history)
    assert names == ["run_model", "wx", "run_model"]
    asked = json.loads(json.loads(state["actions"][0][2]["input"]))["input"]
    assert [item.get("type", "message") for item in asked] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    assert asked[2] == {"call_id": "c1", "output": "sunny", "type": "function_call_output"}
    history.episode().done(2, answered(_text("It is sunny.")))
    names, state = episode(history)
    assert names == ["run_model", "wx", "run_model"]
    assert (state["isDone"], state["output"]) == (True, "It is sunny.")


def _text(text: str) -> Any:
    return fake_models._message(text)


def test_the_ranges_that_are_told_are_those_of_the_extra() -> None:
    declared = (Path(__file__).parent.parent.parent / "pyproject.toml").read_text()
    for name, versions in _requirements.RANGES.items():
        assert f'"{name}{versions}"' in declared
