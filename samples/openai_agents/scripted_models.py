"""Stands in for OpenAI's models, so that the sample runs without a key and a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from agents import Model, ModelProvider, ModelResponse, Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

Script = Callable[[dict[str, Any]], Any]
"""Given the arguments of `Model.get_response`: a text, or a list of tool calls."""


class ScriptedProvider(ModelProvider):
    """Gives models that follow scripts, by name."""

    def __init__(self, scripts: dict[str | None, Script]) -> None:
        self._scripts = scripts

    def get_model(self, model_name: str | None) -> Model:
        return _ScriptedModel(self._scripts[model_name])


class _ScriptedModel(Model):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def get_response(self, *args: Any, **asked: Any) -> ModelResponse:
        answer = self._script(asked)
        items = answer if isinstance(answer, list) else [_message(answer)]
        return ModelResponse(output=items, usage=Usage(requests=1), response_id=None)

    def stream_response(self, *args: Any, **asked: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


def tool_call(name: str, number: int, **arguments: Any) -> ResponseFunctionToolCall:
    """A call of a tool, as a model asks for it."""
    return ResponseFunctionToolCall(
        name=name,
        call_id=f"call_{number}",
        arguments=json.dumps(arguments),
        type="function_call",
    )


def tool_outputs(asked: dict[str, Any]) -> list[str]:
    """What the tools have given so far."""
    return [item["output"] for item in asked["input"] if item.get("type") == "function_call_output"]


def support_desk() -> ModelProvider:
    """The models of this sample's agents."""

    def small(asked: dict[str, Any]) -> Any:
        said = str(asked["input"][0]["content"])
        tools = [tool.name for tool in asked["tools"]]
        if "look_up_weather" in tools:
            found = tool_outputs(asked)
            if found:
                return f"Rome has {found[0]}; Oslo has {found[1]}."
            cities = enumerate(("Rome", "Oslo"))
            return [tool_call("look_up_weather", n, city=city) for n, city in cities]
        if asked["handoffs"] and "money" in said:
            return [tool_call(asked["handoffs"][0].tool_name, 0)]
        return f"You said {said}, and that is read."

    def large(asked: dict[str, Any]) -> Any:
        return "I propose to give the money back."

    return ScriptedProvider({"gpt-4.1-mini": small, "gpt-4.1": large})


def _message(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(
        id="message", content=[content], role="assistant", status="completed", type="message"
    )
