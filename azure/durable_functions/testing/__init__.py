"""Helpers for testing durable functions.

`DurableTestHost` runs a whole app in memory, with time that jumps; `replay` holds today's code
against recorded histories; `HistoryBuilder`, `EntityBatch` and `FakeOrchestrationContext` are for
tests of one function alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from azure.durable_functions import _aliases

from .generator import orchestrator_generator_wrapper

if TYPE_CHECKING:
    from ._doubles import Call as Call
    from ._doubles import HttpResponses as HttpResponses
    from ._doubles import Stub as Stub
    from ._histories import NotReplayable as NotReplayable
    from ._histories import ReplayDiffers as ReplayDiffers
    from ._histories import replay as replay
    from ._host import DurableTestHost as DurableTestHost
    from ._host import Entity as Entity
    from ._host import FunctionFailed as FunctionFailed
    from ._host import Instance as Instance
    from ._host import InstanceFailed as InstanceFailed
    from ._strict import NonDeterministic as NonDeterministic
    from ._units import EntityBatch as EntityBatch
    from ._units import FakeOrchestrationContext as FakeOrchestrationContext
    from ._units import HistoryBuilder as HistoryBuilder

_HOMES = {
    "Call": "_doubles",
    "DurableTestHost": "_host",
    "Entity": "_host",
    "EntityBatch": "_units",
    "FakeOrchestrationContext": "_units",
    "FunctionFailed": "_host",
    "HistoryBuilder": "_units",
    "HttpResponses": "_doubles",
    "Instance": "_host",
    "InstanceFailed": "_host",
    "NonDeterministic": "_strict",
    "NotReplayable": "_histories",
    "ReplayDiffers": "_histories",
    "Stub": "_doubles",
    "replay": "_histories",
}
"""Loaded when asked for: the engine is not needed by who only wraps a generator."""

__all__ = ["orchestrator_generator_wrapper", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


_aliases.register_module("testing.OrchestratorGeneratorWrapper")
