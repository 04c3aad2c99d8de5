"""Agents of the OpenAI Agents SDK as orchestrations: model calls and tools become activities.

Needs the extra ``[openai]``; imported only when it is used. Source: openai-agents.md.
"""

try:
    from . import context as context
    from . import exceptions as exceptions
    from . import task_tracker as task_tracker
    from .context import DurableAIAgentContext
except ImportError as error:
    from ._requirements import explanation

    # Of the class that it is: apps ask with `except ModuleNotFoundError` for the libraries.
    kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
    raise kind(explanation(error), name=error.name, path=error.path) from error

__all__ = ["DurableAIAgentContext"]
