"""Reads host.json. Source: host.md 9."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.engine.versions import (
    FailureStrategy,
    MatchStrategy,
    OnNonDeterminism,
)
from azure.durable_functions.local.worker import app_settings

from . import time_spans
from .json_files import Reader, read_json

_HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
_OVERRIDE_PREFIXES = ("AzureFunctionsJobHost__", "AzureFunctionsJobHost:")

DEFAULT_HUB_NAME = "TestHubName"
_HTTP = ("extensions", "http")
_DURABLE = ("extensions", "durableTask")
_STORAGE = (*_DURABLE, "storageProvider")


@dataclass(frozen=True)
class HostJson:
    """The settings of host.json that this host honours."""

    hub: HubSettings = field(default_factory=HubSettings)
    """The settings of the engine."""
    hub_name: str = DEFAULT_HUB_NAME
    route_prefix: str = "api"
    """The first part of the paths of HTTP functions."""
    function_timeout: timedelta | None = timedelta(minutes=30)
    """None means unlimited."""
    uses_app_lease: bool = True
    """Whether the management API accepts ``makePrimary``; it has no other effect here."""
    rpc_enabled: bool = True
    """Whether the durable client in the app has a port of its own."""
    connection_name: str = "Storage"
    """Appears in the URLs of the management API."""
    functions: tuple[str, ...] = ()
    """Names of the functions to load; empty means all."""
    log_levels: Mapping[str, int] = field(default_factory=dict[str, int])
    """Python's levels by prefix of the category; ``default`` applies to the others."""
    watch_directories: tuple[str, ...] = ()
    watch_files: tuple[str, ...] = ()
    max_concurrent_requests: int | None = None
    """None means without limit."""
    max_outstanding_requests: int | None = None
    """Running and waiting requests together; None means without limit."""
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of every response."""
    trusts_forwarded_host: bool = False
    """Whether URLs in responses follow ``X-Forwarded-Host``."""
    notes: tuple[str, ...] = ()
    """Lines to print at the start: settings that have no effect here or are unknown."""
    unknown_keys: tuple[str, ...] = ()
    """Paths of keys that neither this host nor the Functions host knows."""


OLD_BUNDLE = "[1.*, 2.0.0)"
_OF_THE_CLOUD = ("extensionbundle", "logging.applicationinsights")
"""Almost every app has these for the cloud, so they get no note."""

# Keys that are known but have no effect on one machine (host.md 9), as prefixes of their paths.
_NOT_APPLYING = tuple(
    key.lower()
    for key in (
        "logging.console",
        "logging.fileLoggingMode",
        "concurrency",
        "healthMonitor",
        "singleton",
        "retry",
        "managedDependency",
        "aggregator",
        "customHandler",
        "telemetryMode",
        "sendCanceledInvocationsToWorker",
        "extensions.http.hsts",
        "extensions.http.dynamicThrottlesEnabled",
        "extensions.durableTask.entityMessageReorderWindowInMinutes",
        "extensions.durableTask.rollbackEntityOperationsOnExceptions",
        "extensions.durableTask.throwStatusExceptionsOnRaiseEvent",
        "extensions.durableTask.useGracefulShutdown",
        "extensions.durableTask.extendedSessionsEnabled",
        "extensions.durableTask.extendedSessionIdleTimeoutInSeconds",
        "extensions.durableTask.maxGrpcMessageSizeInBytes",
        "extensions.durableTask.grpcHttpClientTimeout",
        "extensions.durableTask.tracing",
        "extensions.durableTask.notifications",
        "extensions.durableTask.storageProvider",
        *(
            f"extensions.durableTask.{name}"  # the flat names of release 1.x
            for name in (
                "azureStorageConnectionStringName",
                "controlQueueBatchSize",
                "controlQueueBufferThreshold",
                "controlQueueVisibilityTimeout",
                "eventGridKeySettingName",
                "eventGridTopicEndpoint",
                "eventGridPublishRetryCount",
                "eventGridPublishRetryInterval",
                "eventGridPublishEventTypes",
                "logReplayEvents",
                "maxQueuePollingInterval",
                "partitionCount",
                "traceInputsAndOutputs",
                "trackingStoreConnectionStringName",
                "trackingStoreNamePrefix",
                "workItemQueueVisibilityTimeout",
            )
        ),
    )
)
_LEVELS: Mapping[str, int] = {
    "trace": 5,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
LEVEL_NAMES = tuple(name.capitalize() for name in _LEVELS)


def level_of(name: str) -> int:
    """Returns Python's level for one of `LEVEL_NAMES`, in any case; KeyError for others."""
    return _LEVELS[name.lower()]


def read_host_json(root: Path, environment: Mapping[str, str]) -> HostJson:
    """Reads an app's host.json; a missing file means defaults.

    Args:
        root: The app folder.
        environment: App settings; ``AzureFunctionsJobHost__...`` overrides single keys.

    Raises:
        SettingsError: A value cannot be used; names file, key and reason.
    """
    path = root / "host.json"
    content = read_json(path) if path.is_file() else {"version": "2.0"}
    content = _with_overrides(content, environment)
    reader = Reader(path, content)
    version = reader.get("version")
    if version != "2.0":
        raise SettingsError(f'{path}: version must be "2.0", got {json.dumps(version)}')
    defaults = HostJson()
    found = HostJson(
        hub=_hub_settings(reader, defaults.hub),
        hub_name=_hub_name(reader, environment),
        route_prefix=reader.text(*_HTTP, "routePrefix", default=defaults.route_prefix).strip("/"),
        function_timeout=_timeout(reader, defaults.function_timeout),
        uses_app_lease=reader.flag(*_DURABLE, "useAppLease", default=defaults.uses_app_lease),
        rpc_enabled=reader.flag(*_DURABLE, "localRpcEndpointEnabled", default=defaults.rpc_enabled),
        connection_name=reader.text(*_STORAGE, "connectionName")
        or reader.text(*_STORAGE, "connectionStringName")
        or defaults.connection_name,
        functions=reader.texts("functions"),
        log_levels=_log_levels(reader),
        watch_directories=reader.texts("watchDirectories"),
        watch_files=reader.texts("watchFiles"),
        max_concurrent_requests=reader.limit(*_HTTP, "maxConcurrentRequests"),
        max_outstanding_requests=reader.limit(*_HTTP, "maxOutstandingRequests"),
        custom_headers={
            name: str(value) for name, value in reader.section(*_HTTP, "customHeaders").items()
        },
        trusts_forwarded_host=reader.flag(
            *_DURABLE, "httpSettings", "useForwardedHost", default=defaults.trusts_forwarded_host
        ),
    )
    storage = reader.text(*_STORAGE, "type", default="AzureStorage")
    bundle = reader.get("extensionBundle", "version")
    unread = [".".join(path) for path in reader.leaves()]
    without_effect = [key for key in unread if _is_below(key, _NOT_APPLYING)]
    unknown = [key for key in unread if not _is_below(key, (*_NOT_APPLYING, *_OF_THE_CLOUD))]
    notes = _notes(bundle, storage, without_effect, unknown)
    return replace(found, notes=tuple(notes), unknown_keys=tuple(unknown))


def _hub_settings(reader: Reader, defaults: HubSettings) -> HubSettings:
    """Reads the engine's settings. The default limits are per core, as in the extension."""
    cores = os.cpu_count() or 1
    overridable = reader.choice(
        *_DURABLE,
        "overridableExistingInstanceStates",
        choices=("NonRunningStates", "AnyState"),
        default="AnyState" if defaults.may_replace_running else "NonRunningStates",
    )
    return replace(
        defaults,
        limits=_limits(reader, defaults.limits),
        max_activities=reader.count(
            *_DURABLE, "maxConcurrentActivityFunctions", default=defaults.max_activities * cores
        ),
        max_episodes=reader.count(
            *_DURABLE, "maxConcurrentOrchestratorFunctions", default=defaults.max_episodes * cores
        ),
        max_entity_turns=reader.count(
            *_DURABLE, "maxConcurrentEntityFunctions", default=defaults.max_entity_turns * cores
        ),
        may_replace_running=overridable == "AnyState",
    )


def _limits(reader: Reader, defaults: Limits) -> Limits:
    return replace(
        defaults,
        max_orchestration_actions=reader.count(
            *_DURABLE, "maxOrchestrationActions", default=defaults.max_orchestration_actions
        ),
        store_inputs=reader.flag(
            *_DURABLE, "storeInputsInOrchestrationHistory", default=defaults.store_inputs
        ),
        max_entity_batch=reader.count(
            *_DURABLE, "maxEntityOperationBatchSize", default=defaults.max_entity_batch
        ),
        default_version=reader.text(*_DURABLE, "defaultVersion") or defaults.default_version,
        version_match=reader.choice(
            *_DURABLE,
            "versionMatchStrategy",
            choices=get_args(MatchStrategy),
            default=defaults.version_match,
        ),
        version_failure=reader.choice(
            *_DURABLE,
            "versionFailureStrategy",
            choices=get_args(FailureStrategy),
            default=defaults.version_failure,
        ),
        on_non_determinism=reader.choice(
            *_DURABLE,
            "onNonDeterminism",
            choices=get_args(OnNonDeterminism),
            default=defaults.on_non_determinism,
        ),
        http_poll_milliseconds=reader.count(
            *_DURABLE,
            "httpSettings",
            "defaultAsyncRequestSleepTimeMilliseconds",
            default=defaults.http_poll_milliseconds,
        ),
        early_timers=reader.flag(*_DURABLE, "earlyTimers", default=defaults.early_timers),
    )


def _log_levels(reader: Reader) -> dict[str, int]:
    levels: dict[str, int] = {}
    for category in reader.section("logging", "logLevel"):
        name = reader.choice(
            "logging", "logLevel", category, choices=LEVEL_NAMES, default="Information"
        )
        levels[category] = level_of(name)
    return levels


def _notes(
    bundle: object, storage: str, without_effect: Sequence[str], unknown: Sequence[str]
) -> Iterator[str]:
    if bundle == OLD_BUNDLE:
        yield f'host.json: the extensionBundle {OLD_BUNDLE} is old and slow; use "[4.*, 5.0.0)"'
    if storage.lower() != "azurestorage":
        yield f"host.json: the storage provider {storage} is not used; this host has its own store."
    if without_effect:
        yield f"host.json: no effect on this host: {', '.join(without_effect)}"
    if unknown:
        yield f"host.json: unknown, so ignored: {', '.join(unknown)}"


def _is_below(dotted: str, keys: Sequence[str]) -> bool:
    return any(dotted.lower() == key or dotted.lower().startswith(f"{key}.") for key in keys)


def _with_overrides(content: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    for name, value in environment.items():
        if not name.startswith(_OVERRIDE_PREFIXES):
            continue
        section = changed
        _, *parents, last = name.replace(":", "__").split("__")
        for key in parents:
            found = next((k for k in section if k.lower() == key.lower()), key)
            if not isinstance(section.get(found), dict):
                section[found] = {}
            section = section[found]
        found = next((k for k in section if k.lower() == last.lower()), last)
        section[found] = value
    return changed


def _hub_name(reader: Reader, environment: Mapping[str, str]) -> str:
    key = "extensions.durableTask.hubName"
    name = reader.text(*_DURABLE, "hubName") or DEFAULT_HUB_NAME
    if len(name) > 2 and name[0] == name[-1] == "%":
        setting = name[1:-1]
        value = app_settings.lookup(environment, setting)
        if not value:
            raise reader.wrong(key, f"needs the app setting {setting!r}, which is not set", name)
        name = value
    if not _HUB_NAME.fullmatch(name):
        cleaned = re.sub(r"[^A-Za-z0-9]", "", name).lstrip("0123456789")[:45]
        proposal = cleaned if _HUB_NAME.fullmatch(cleaned) else DEFAULT_HUB_NAME
        raise reader.wrong(
            key,
            "must be 3 to 45 letters and digits with a letter first "
            f"(for instance {json.dumps(proposal)})",
            name,
        )
    return name


def _timeout(reader: Reader, default: timedelta | None) -> timedelta | None:
    text = reader.text("functionTimeout")
    if reader.get("functionTimeout") is None:
        return default
    if text.strip() == "-1":
        return None
    span = time_spans.parse(text)
    if not span:
        raise reader.wrong("functionTimeout", 'must be "hh:mm:ss" or "-1"', text)
    return span
