"""Tools as data: what a model must know of them. Source: openai-agents.md 8."""

from __future__ import annotations

from typing import Any, Union

from agents import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    HostedMCPTool,
    ImageGenerationTool,
    Tool,
    UserError,
    WebSearchTool,
)
from openai.types.responses.tool_param import Mcp
from pydantic import BaseModel

BUILT_IN_TOOL_TYPES = (FileSearchTool, WebSearchTool, ImageGenerationTool, CodeInterpreterTool)
"""Run where the model runs, so they are data already."""


class DurableFunctionTool(BaseModel):
    """A function tool without its function."""

    name: str
    description: str
    params_json_schema: dict[str, Any]
    strict_json_schema: bool = True


class DurableMCPToolConfig(BaseModel):
    """A hosted MCP tool without its approval function."""

    tool_config: Mcp


DurableTool = Union[  # noqa: UP007  # evaluated by pydantic on every Python
    FileSearchTool,
    WebSearchTool,
    ImageGenerationTool,
    CodeInterpreterTool,
    DurableFunctionTool,
    DurableMCPToolConfig,
]


def convert_tool_to_durable_tool(tool: Tool) -> DurableTool:
    """What is to be sent of a tool.

    Raises:
        ValueError: A tool that runs in this process and is no function, as a shell.
    """
    if isinstance(tool, BUILT_IN_TOOL_TYPES):
        return tool
    if isinstance(tool, HostedMCPTool):
        return DurableMCPToolConfig(tool_config=tool.tool_config)
    if isinstance(tool, FunctionTool):
        return DurableFunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.params_json_schema,
            strict_json_schema=tool.strict_json_schema,
        )
    raise ValueError(f"Unsupported tool type for Durable Functions: {type(tool)}")


def create_tool_from_durable_tool(tool: Any) -> Tool:
    """A tool to tell a model of; a function tool's cannot be called.

    Args:
        tool: A `DurableTool`.

    Raises:
        UserError: It is none.
    """
    if isinstance(tool, BUILT_IN_TOOL_TYPES):
        return tool
    if isinstance(tool, DurableMCPToolConfig):
        return HostedMCPTool(tool_config=tool.tool_config)
    if isinstance(tool, DurableFunctionTool):
        return FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.params_json_schema,
            on_invoke_tool=_never_called,
            strict_json_schema=tool.strict_json_schema,
        )
    raise UserError(f"Unsupported tool type: {tool}")


async def _never_called(*unused: Any) -> str:
    """The orchestrator calls tools, not the activity that asks the model."""
    return ""
