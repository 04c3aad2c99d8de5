"""A model provider without a network: scripts in the place of models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from agents import Model, ModelProvider, ModelResponse, Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

Script = Callable[[Mapping[str, Any]], Any]
"""Given what a model is asked with, what it answers: a text, or tool calls by `call`."""


def call(name: str, call_id: str, **arguments: Any) -> ResponseFunctionToolCall:
    """A call of a tool, as models ask for it."""
    return ResponseFunctionToolCall(
        name=name, call_id=call_id, arguments=json.dumps(arguments), type="function_call"
    )


def outputs(asked: Mapping[str, Any]) -> list[Any]:
    """What the tools have given so far, in order."""
    items = asked["input"] if isinstance(asked["input"], list) else []
    return [item["output"] for item in items if item.get("type") == "function_call_output"]


class ScriptedModel(Model):
    def __init__(self, name: str | None, provider: ScriptedProvider) -> None:
        self.name = name
        self.provider = provider

    async def get_response(self, *args: Any, **asked: Any) -> ModelResponse:
        assert not args
        self.provider.asked.append((self.name, asked))
        answer = self.provider.scripts[self.name or "default"](asked)
        items = answer if isinstance(answer, list) else [_message(answer)]
        return ModelResponse(output=items, usage=Usage(requests=1), response_id="r1")

    def stream_response(self, *args: Any, **asked: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


class ScriptedProvider(ModelProvider):
    """Gives models that follow scripts, by their names; ``default`` is the one without."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts
        self.asked: list[tuple[str | None, Mapping[str, Any]]] = []

    def get_model(self, model_name: str | None) -> Model:
        return ScriptedModel(model_name, self)


def _message(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(
        id="m1", content=[content], role="assistant", status="completed", type="message"
    )
