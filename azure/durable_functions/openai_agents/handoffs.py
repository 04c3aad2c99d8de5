"""Hand-offs as data: what a model must know of them. Source: openai-agents.md 8."""

from __future__ import annotations

from typing import Any

from agents import Handoff
from pydantic import BaseModel


class DurableHandoff(BaseModel):
    """A hand-off without the agent that it leads to."""

    tool_name: str
    tool_description: str
    input_json_schema: dict[str, Any]
    agent_name: str
    strict_json_schema: bool = True

    @classmethod
    def from_handoff(cls, handoff: Handoff[Any, Any]) -> DurableHandoff:
        """What is to be sent of a hand-off."""
        return cls(**{name: getattr(handoff, name) for name in cls.model_fields})

    def to_handoff(self) -> Handoff[Any, Any]:
        """A hand-off to tell a model of; it cannot be taken."""
        return Handoff(**self.model_dump(), on_invoke_handoff=_never_taken)


async def _never_taken(*unused: Any) -> Any:
    """The orchestrator takes hand-offs, not the activity that asks the model."""
