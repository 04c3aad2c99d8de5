"""Log records of orchestrators: once, and with what they belong to. Source: architecture.md 3.

An orchestrator runs again from its first line in every episode, so what it logs would stand in the
log again and again. A filter on the handlers drops what is logged while replaying.
"""

from __future__ import annotations

import contextvars
import logging
import os
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import DurableOrchestrationContext

    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

VARIABLE = "AZURE_FUNCTIONS_DURABLE_REPLAY_LOGS"
"""``1`` keeps the records of replays."""

current: contextvars.ContextVar[DurableOrchestrationContext | None] = contextvars.ContextVar(
    "durable_orchestration", default=None
)
"""The orchestration whose code is running."""


class ReplayFilter(logging.Filter):
    """Drops records of a replay; gives others ``instance_id``, ``function_name``, ``is_replaying``.

    The SDK puts one on the handlers of the root logger; put it on handlers of your own as well.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be kept."""
        context = current.get()
        if context is None:
            return True
        record.instance_id = context.instance_id
        record.function_name = context._orchestrator_name
        record.is_replaying = context.is_replaying
        return context._may_log or bool(os.environ.get(VARIABLE))


_filter = ReplayFilter()


def install() -> None:
    """Put the filter on the root logger's handlers, those that are there by now."""
    for handler in logging.root.handlers:
        if _filter not in handler.filters:
            handler.addFilter(_filter)


class ReplaySafeLogger(_Adapter):
    """Logs only what is not a replay; records carry the instance id and the function's name."""

    def __init__(self, logger: logging.Logger, context: DurableOrchestrationContext) -> None:
        super().__init__(logger, {})
        self._context = context

    def isEnabledFor(self, level: int) -> bool:
        """Never while replaying."""
        return self._context._may_log and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what the record belongs to."""
        kwargs["extra"] = {
            "instance_id": self._context.instance_id,
            "function_name": self._context._orchestrator_name,
            "is_replaying": False,
            **(kwargs.get("extra") or {}),
        }
        return msg, kwargs
