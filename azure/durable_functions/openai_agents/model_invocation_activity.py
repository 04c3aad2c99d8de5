"""A call of a model as an activity, from both of its ends. Source: openai-agents.md 8."""

from __future__ import annotations

import enum as enum
import inspect
import json as json
from collections.abc import AsyncIterator
from typing import Any

from agents import (
    AgentOutputSchema,
    AgentOutputSchemaBase,
    Handoff,
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    OpenAIProvider,
    Tool,
    UserError,
)
from agents.items import TResponseInputItem, TResponseStreamEvent
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import BaseModel, Field
from pydantic_core import to_json

from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.retry_options import RetryOptions

from ._live import value_of
from .handoffs import DurableHandoff
from .task_tracker import TaskTracker
from .tools import DurableTool, convert_tool_to_durable_tool, create_tool_from_durable_tool

_KNOWS_CONVERSATIONS = "conversation_id" in inspect.signature(Model.get_response).parameters
"""Since 0.3 models are told of a conversation that the service keeps."""


class DurableAgentOutputSchema(AgentOutputSchemaBase, BaseModel):
    """What an agent's output must look like, as data."""

    output_type_name: str | None = None
    output_schema: dict[str, Any] | None = None
    strict_json_schema: bool

    def is_plain_text(self) -> bool:
        """Whether any text will do."""
        return self.output_type_name in (None, "str")

    def name(self) -> str:
        """Name of the type.

        Raises:
            ValueError: None was given.
        """
        if self.output_type_name is None:
            raise ValueError("Output type name has not been specified.")
        return self.output_type_name

    def json_schema(self) -> dict[str, Any]:
        """The schema.

        Raises:
            UserError: Plain text has none, or none was given.
        """
        if self.is_plain_text():
            raise UserError("Cannot provide JSON schema for plain text output type.")
        if self.output_schema is None:
            raise UserError("Output schema definition is missing.")
        return self.output_schema

    def is_strict_json_schema(self) -> bool:
        """Whether the model is held to the schema strictly."""
        return self.strict_json_schema

    def validate_json(self, json_str: str) -> Any:
        """Outputs are checked by the orchestrator.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("Outputs are validated where the agent runs.")


class ModelTracingLevel(enum.IntEnum):
    """`ModelTracing` as numbers."""

    DISABLED = 0
    ENABLED = 1
    ENABLED_WITHOUT_DATA = 2


class DurableModelActivityInput(BaseModel):
    """Everything that a model is asked with."""

    # Items are not checked: a release would drop the fields of a newer one, and refuses its own
    # answers where they hold None.
    input: str | list[Any]
    model_settings: ModelSettings
    tracing: ModelTracingLevel
    model_name: str | None = None
    system_instructions: str | None = None
    tools: list[DurableTool] = Field(default_factory=list[DurableTool])
    output_schema: DurableAgentOutputSchema | None = None
    handoffs: list[DurableHandoff] = Field(default_factory=list[DurableHandoff])
    previous_response_id: str | None = None
    prompt: Any | None = None
    conversation_id: str | None = None
    """Only written where one is given, so that the text is the official one otherwise."""

    def to_json(self) -> str:
        """The text that travels.

        Raises:
            ValueError: Something in it cannot be written as JSON.
        """
        unset = {"conversation_id"} if self.conversation_id is None else None
        try:
            return self.model_dump_json(by_alias=True, exclude=unset, warnings=False)
        except Exception:  # whatever a user's value raises; texts may do in its place
            try:
                fields = self.model_dump(by_alias=True, exclude=unset, warnings=False)
                return json.dumps(fields, default=str)
            except Exception as error:
                raise ValueError(f"Unable to serialize the model's input: {error}") from error

    @classmethod
    def from_json(cls, json_str: str) -> DurableModelActivityInput:
        """Read the text.

        Raises:
            pydantic.ValidationError: It is another's.
        """
        return cls.model_validate_json(json_str)


class ModelInvoker:
    """The activity's end: asks a real model."""

    def __init__(self, model_provider: ModelProvider | None = None) -> None:
        self._model_provider = model_provider or OpenAIProvider()

    async def invoke_model_activity(self, input: DurableModelActivityInput) -> ModelResponse:
        """Ask the model that the input names."""
        model = self._model_provider.get_model(input.model_name)
        if isinstance(input.input, str):
            items: Any = input.input
        else:
            items = json.loads(to_json(input.input))
        conversation: dict[str, Any] = {}
        if _KNOWS_CONVERSATIONS:
            conversation["conversation_id"] = input.conversation_id
        return await model.get_response(
            system_instructions=input.system_instructions,
            input=items,
            model_settings=input.model_settings,
            tools=[create_tool_from_durable_tool(tool) for tool in input.tools],
            output_schema=input.output_schema,
            handoffs=[handoff.to_handoff() for handoff in input.handoffs],
            tracing=ModelTracing(int(input.tracing)),
            previous_response_id=input.previous_response_id,
            prompt=input.prompt,
            **conversation,
        )


class DurableActivityModel(Model):
    """The orchestrator's end: a model that is asked by an activity."""

    def __init__(
        self,
        model_name: str | None,
        task_tracker: TaskTracker,
        retry_options: RetryOptions | None,
        activity_name: str,
    ) -> None:
        self.model_name = model_name
        self.task_tracker = task_tracker
        self.retry_options = retry_options
        self.activity_name = activity_name

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        prompt: ResponsePromptParam | None,
        conversation_id: str | None = None,
    ) -> ModelResponse:
        """Have the activity ask, without tracing.

        Raises:
            TypeError: An output schema that cannot be sent.
            ValueError: A tool that cannot be sent.
            Exception: The activity has failed.
        """
        asked = DurableModelActivityInput(
            model_name=self.model_name,
            system_instructions=system_instructions,
            input=input,
            model_settings=model_settings,
            tools=[convert_tool_to_durable_tool(tool) for tool in tools],
            output_schema=_as_data(output_schema),
            handoffs=[DurableHandoff.from_handoff(handoff) for handoff in handoffs],
            tracing=ModelTracingLevel.DISABLED,
            previous_response_id=previous_response_id,
            prompt=prompt,
            conversation_id=conversation_id,
        ).to_json()
        if self.retry_options:
            result = self.task_tracker.get_activity_call_result_with_retry(
                self.activity_name, self.retry_options, asked
            )
        else:
            result = self.task_tracker.get_activity_call_result(self.activity_name, asked)
        return response_of(json.loads(await value_of(result)))

    def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        prompt: ResponsePromptParam | None,
        conversation_id: str | None = None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Not possible.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("Durable model doesn't support streams yet.")


def response_of(fields: dict[str, Any]) -> ModelResponse:
    """A model's answer out of its JSON.

    Answers recorded with an older release lack counts that the types have since come to require.
    """
    usage = fields.get("usage")
    if shapes.is_object(usage):
        for name, kind in (
            ("input_tokens_details", InputTokensDetails),
            ("output_tokens_details", OutputTokensDetails),
        ):
            details = usage.get(name)
            if shapes.is_object(details):
                for count, field in kind.model_fields.items():
                    if field.is_required():
                        details.setdefault(count, 0)
    return ModelResponse(**fields)


def _as_data(schema: AgentOutputSchemaBase | None) -> DurableAgentOutputSchema | None:
    if schema is None:
        return None
    if not isinstance(schema, AgentOutputSchema):
        raise TypeError(f"Only AgentOutputSchema is supported by Durable Model, got {type(schema)}")
    return DurableAgentOutputSchema(
        output_type_name=schema.name(),
        output_schema=None if schema.is_plain_text() else schema.json_schema(),
        strict_json_schema=schema.is_strict_json_schema(),
    )
