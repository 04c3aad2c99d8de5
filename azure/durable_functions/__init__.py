"""Durable Functions for Python: orchestrators, entities and the client that starts them.

An independent implementation of the SDK for Azure Durable Functions. Importing it looks at the app
folder once (sdk.md 1.6) and registers the official addresses of its classes (`_aliases`).

The map of the package; names with an underscore are internal:

- ``_replay/``: given a history, what does the orchestrator decide? ``_entities/``: the same for a
  batch of operations. ``_client/``: the durable client, which calls a host over HTTP.
- ``_wire/``: how payloads, events and names are spelled at the border with the extension.
  ``_errors``: exceptions. ``_startup``: what importing finds out about the app folder.
- ``decorators/``: `DFApp` and `Blueprint`. ``orchestrator``, ``entity``, ``activity``: entry points
  of the function.json model, and typed activities. ``openai_agents/``: agents as orchestrations.
- ``testing/``: a test host in memory, replay of recorded runs, strict checks.
- ``local/``: the local host and the ``durable`` command, with a map of its own.
- ``models/``: the official addresses of classes, re-exported from their homes.

``_replay``, ``_entities`` and ``_client`` import ``_wire`` but not each other; ``local`` imports
``_wire`` alone; ``testing`` may import all of these, and none of them imports ``testing``.
tests/names/test_addresses.py holds these arrows.
"""

from __future__ import annotations

import json as json  # official attributes of the root, as are the next three
import logging
import os as os
import re as re
import sys
import warnings
from typing import TYPE_CHECKING

from azure.durable_functions import _aliases, _startup
from azure.durable_functions import constants as constants  # official attributes of the root
from azure.durable_functions import entity as entity
from azure.durable_functions import orchestrator as orchestrator
from azure.durable_functions._client.client import DurableOrchestrationClient
from azure.durable_functions._entities.context import DurableEntityContext

# Beyond the official package's names, so not among those of `__all__`:
from azure.durable_functions._errors import FailureDetails as FailureDetails
from azure.durable_functions._errors import NonDurableAwaitError as NonDurableAwaitError
from azure.durable_functions._errors import NonRetryableError as NonRetryableError
from azure.durable_functions._errors import (
    OrchestrationAlreadyExistsError as OrchestrationAlreadyExistsError,
)
from azure.durable_functions._errors import RetryAfter as RetryAfter
from azure.durable_functions._errors import TaskFailedError as TaskFailedError
from azure.durable_functions._errors import TaskTimeoutError as TaskTimeoutError
from azure.durable_functions._replay import compat
from azure.durable_functions._replay.context import DurableOrchestrationContext
from azure.durable_functions._replay.logs import ReplayFilter as ReplayFilter
from azure.durable_functions._replay.tasks import TaskBase
from azure.durable_functions._wire.durable_http import ManagedIdentityTokenSource
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.retry_options import RetryContext as RetryContext
from azure.durable_functions._wire.retry_options import RetryOptions
from azure.durable_functions._wire.retry_options import RetryPolicy as RetryPolicy
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus
from azure.durable_functions.entity import Entity
from azure.durable_functions.orchestrator import Orchestrator

if TYPE_CHECKING:
    from pathlib import Path as Path

    from azure.durable_functions._client.sync_client import (
        SyncDurableOrchestrationClient as SyncDurableOrchestrationClient,
    )
    from azure.durable_functions._replay.forgotten import (
        TaskNeverYieldedWarning as TaskNeverYieldedWarning,
    )
    from azure.durable_functions._wire.activity_context import ActivityContext as ActivityContext
    from azure.durable_functions._wire.activity_context import activity_context as activity_context
    from azure.durable_functions._wire.converters import DataConverter as DataConverter
    from azure.durable_functions.activity import Activity as Activity

_ON_DEMAND = {
    "Activity": "activity",
    "ActivityContext": "_wire.activity_context",
    "DataConverter": "_wire.converters",
    "Path": "pathlib",  # an official attribute too
    "SyncDurableOrchestrationClient": "_client.sync_client",
    "TaskNeverYieldedWarning": "_replay.forgotten",
    "activity_context": "_wire.activity_context",
}
"""Names that few programs ask for, and where they are."""

Task = TaskBase
"""What may be yielded or awaited, `Task[T]` with a result of type T."""

_LOGGER = logging.getLogger("azure.durable_functions")
_DURABLE_REQUIREMENT = _startup.REQUIREMENT
_VERSION_SPECIFIER = _startup.CLAUSE


# Kept across a reload of this module, so that users' filters and `except` clauses go on fitting.
if "DurableFunctionsCompatibilityWarning" not in globals():

    class DurableFunctionsCompatibilityWarning(UserWarning):
        """The app would not run on release 2.x of the official package."""


def validate_extension_bundles() -> None:
    """Warn if host.json in the current folder asks for the extension bundle of 2019."""
    if "pytest" in sys.modules or _startup.is_command():
        return
    if _startup.bundle_version(os.getcwd()) == "[1.*, 2.0.0)":
        warnings.warn(
            "Your application is currently configured to use Extension Bundles V1. Durable "
            "Functions for Python works best with Bundles V2, which brings new features, "
            'performance improvements and bug fixes: set "version" of "extensionBundle" in '
            'host.json to "[2.*, 3.0.0)".',
            stacklevel=2,
        )


def validate_v1_programming_model() -> None:
    """Warn if the app has function.json folders and does not keep release 2.x out."""
    if _startup.is_command():
        return  # `durable start` tells it once
    app_root = _find_function_app_root()
    if app_root is None or _requirements_exclude_v2(app_root):
        return
    if _uses_v1_programming_model(app_root):
        warnings.warn(
            "This app uses the legacy Python v1 programming model (function.json files), which "
            "release 2.x of azure-functions-durable does not support. Write "
            "'azure-functions-durable<2' into requirements.txt, or move to the v2 model.",
            DurableFunctionsCompatibilityWarning,
            stacklevel=2,
        )


def _find_function_app_root() -> Path | None:
    return _startup.find_app_root()


def _uses_v1_programming_model(app_root: Path) -> bool:
    try:
        return _startup.has_function_json(str(app_root))
    except OSError as error:
        _LOGGER.debug("Cannot look for function.json files in %s: %s", app_root, error)
        return False


def _requirements_exclude_v2(app_root: Path) -> bool:
    path = app_root / "requirements.txt"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        _LOGGER.debug("Cannot read %s: %s", path, error)
        return False
    return any(_specifier_excludes_v2(specifier) for specifier in _startup.requirement_lines(text))


def _specifier_excludes_v2(specifier: str) -> bool:
    return _startup.excludes_v2(specifier)


def _release_parts(  # pyright: ignore[reportUnusedFunction]  # official name
    version: str,
) -> tuple[int, ...]:
    return _startup.release_parts(version)


def __getattr__(name: str) -> object:
    home = _ON_DEMAND.get(name)
    if home is not None:
        import importlib

        module = home if home == "pathlib" else f"{__name__}.{home}"
        return getattr(importlib.import_module(module), name)
    if name == "openai_agents":
        import importlib

        try:
            return importlib.import_module(f"{__name__}.openai_agents")
        except ImportError as error:  # officially it is not there then; we say why (sdk.md Q4)
            raise AttributeError(str(error), name=name, obj=sys.modules[__name__]) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for name in _ON_DEMAND if name != "pathlib")})


compat.is_official()  # a wrong value of the switch is told at once
validate_extension_bundles()
validate_v1_programming_model()

__all__ = [
    "Orchestrator",
    "Entity",
    "EntityId",
    "DurableOrchestrationClient",
    "DurableEntityContext",
    "DurableOrchestrationContext",
    "DurableFunctionsCompatibilityWarning",
    "ManagedIdentityTokenSource",
    "OrchestrationRuntimeStatus",
    "RetryOptions",
]

try:
    from azure.durable_functions.decorators.durable_app import Blueprint, DFApp
except ModuleNotFoundError:  # azure-functions without decorators: the function.json model remains
    pass
else:
    __all__ += ["DFApp", "Blueprint"]

if _startup.has_agents():
    __all__ += ["openai_agents"]  # pyright: ignore[reportUnsupportedDunderAll]  # found, and imported only when it is asked for (sdk.md Q3)

_aliases.register()
