"""The app folder and its host.json. Source: host.md 2.1 and 9."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config import time_spans
from azure.durable_functions.local.config.json_files import Reader, read_json
from azure.durable_functions.local.engine.settings import HubSettings, Limits
from azure.durable_functions.local.engine.versions import (
    FailureStrategy,
    MatchStrategy,
    OnNonDeterminism,
)
from azure.durable_functions.local.worker import app_settings

_HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
_OVERRIDE_PREFIXES = ("AzureFunctionsJobHost__", "AzureFunctionsJobHost:")

DEFAULT_HUB_NAME = "TestHubName"


@dataclass(frozen=True)
class HostJson:
    """What this host honours of host.json."""

    hub_name: str = DEFAULT_HUB_NAME
    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    """None means unlimited."""
    max_activities: int = 10
    max_episodes: int = 10
    max_entity_turns: int = 10
    max_entity_batch: int = 5000
    max_orchestration_actions: int = 100_000
    store_inputs: bool = False
    default_version: str | None = None
    version_match: MatchStrategy = "CurrentOrOlder"
    version_failure: FailureStrategy = "Reject"
    on_non_determinism: OnNonDeterminism = "fail"
    may_replace_running: bool = False
    uses_app_lease: bool = True
    http_poll_milliseconds: int = 30_000
    early_timers: bool = False
    rpc_enabled: bool = True
    connection_name: str = "Storage"
    functions: tuple[str, ...] = ()
    """Names of the functions to load; empty means all."""
    log_levels: Mapping[str, int] = field(default_factory=dict[str, int])
    """Python's levels by prefixes of categories; ``default`` stands for the others."""
    watch_directories: tuple[str, ...] = ()
    watch_files: tuple[str, ...] = ()
    max_concurrent_requests: int | None = None
    """None means without limit."""
    max_outstanding_requests: int | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trusts_forwarded_host: bool = False
    notes: tuple[str, ...] = ()
    """Lines to show at start: settings without effect here."""

    def hub_settings(self) -> HubSettings:
        """What it asks of the engine."""
        return HubSettings(
            limits=Limits(
                max_orchestration_actions=self.max_orchestration_actions,
                store_inputs=self.store_inputs,
                max_entity_batch=self.max_entity_batch,
                default_version=self.default_version,
                version_match=self.version_match,
                version_failure=self.version_failure,
                on_non_determinism=self.on_non_determinism,
                http_poll_milliseconds=self.http_poll_milliseconds,
                early_timers=self.early_timers,
            ),
            max_episodes=self.max_episodes,
            max_activities=self.max_activities,
            max_entity_turns=self.max_entity_turns,
            may_replace_running=self.may_replace_running,
        )


OLD_BUNDLE = "[1.*, 2.0.0)"
_OF_THE_CLOUD = ("extensionbundle", "logging.applicationinsights")
"""Every app has them, for the cloud; nobody expects them to do anything here."""

# What is known but has no meaning on one machine (host.md 9), by the beginnings of their paths.
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
            f"extensions.durableTask.{name}"  # flat names of 1.x
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
    """Python's level for one of `LEVEL_NAMES`, in any case. KeyError for others."""
    return _LEVELS[name.lower()]


def read_host_json(root: Path, environment: Mapping[str, str]) -> HostJson:
    """Read an app's host.json; a missing file means defaults.

    Args:
        root: The app folder.
        environment: App settings; ``AzureFunctionsJobHost__...`` overrides single keys.

    Raises:
        SettingsError: A key has a value that cannot be used; says which file, key and why.
    """
    path = root / "host.json"
    content = read_json(path) if path.is_file() else {"version": "2.0"}
    content = _with_overrides(content, environment)
    reader = Reader(path, content)
    version = reader.get("version")
    if version != "2.0":
        raise SettingsError(f'{path}: version must be "2.0", got {json.dumps(version)}')
    hub_name = _hub_name(reader, environment)
    cores = os.cpu_count() or 1
    durable = ("extensions", "durableTask")
    overridable = reader.choice(
        *durable, "overridableExistingInstanceStates", choices=("NonRunningStates", "AnyState")
    )
    storage = reader.text(*durable, "storageProvider", "type", default="AzureStorage")
    found = HostJson(
        hub_name=hub_name,
        route_prefix=(reader.text("extensions", "http", "routePrefix", default="api")).strip("/"),
        function_timeout=_timeout(reader),
        max_activities=reader.count(*durable, "maxConcurrentActivityFunctions", default=10 * cores),
        max_entity_turns=reader.count(*durable, "maxConcurrentEntityFunctions", default=10 * cores),
        max_entity_batch=reader.count(*durable, "maxEntityOperationBatchSize", default=5000),
        max_episodes=reader.count(
            *durable, "maxConcurrentOrchestratorFunctions", default=10 * cores
        ),
        max_orchestration_actions=reader.count(
            *durable, "maxOrchestrationActions", default=100_000
        ),
        store_inputs=reader.flag(*durable, "storeInputsInOrchestrationHistory", default=False),
        default_version=reader.text(*durable, "defaultVersion") or None,
        version_match=reader.choice(
            *durable, "versionMatchStrategy", choices=("CurrentOrOlder", "Strict", "None")
        ),
        version_failure=reader.choice(
            *durable, "versionFailureStrategy", choices=("Reject", "Fail")
        ),
        on_non_determinism=reader.choice(*durable, "onNonDeterminism", choices=("fail", "wait")),
        may_replace_running=overridable == "AnyState",
        uses_app_lease=reader.flag(*durable, "useAppLease", default=True),
        http_poll_milliseconds=reader.count(
            *durable, "httpSettings", "defaultAsyncRequestSleepTimeMilliseconds", default=30_000
        ),
        early_timers=reader.flag(*durable, "earlyTimers", default=False),
        rpc_enabled=reader.flag(*durable, "localRpcEndpointEnabled", default=True),
        connection_name=reader.text(*durable, "storageProvider", "connectionName")
        or reader.text(*durable, "storageProvider", "connectionStringName")
        or "Storage",
        functions=reader.texts("functions"),
        log_levels=_log_levels(reader),
        watch_directories=reader.texts("watchDirectories"),
        watch_files=reader.texts("watchFiles"),
        max_concurrent_requests=reader.limit("extensions", "http", "maxConcurrentRequests"),
        max_outstanding_requests=reader.limit("extensions", "http", "maxOutstandingRequests"),
        custom_headers={
            name: str(value)
            for name, value in reader.section("extensions", "http", "customHeaders").items()
        },
        trusts_forwarded_host=reader.flag(
            *durable, "httpSettings", "useForwardedHost", default=False
        ),
    )
    return replace(found, notes=tuple(_notes(reader, storage)))


def _log_levels(reader: Reader) -> dict[str, int]:
    levels: dict[str, int] = {}
    for category in reader.section("logging", "logLevel"):
        name = reader.choice("logging", "logLevel", category, choices=("Information", *LEVEL_NAMES))
        levels[category] = level_of(name)
    return levels


def _notes(reader: Reader, storage: str) -> Iterator[str]:
    without_effect: list[str] = []
    unknown: list[str] = []
    for path in reader.leaves():
        dotted = ".".join(path)
        if _is_below(dotted, _OF_THE_CLOUD):
            continue
        (without_effect if _is_below(dotted, _NOT_APPLYING) else unknown).append(dotted)
    if reader.get("extensionBundle", "version") == OLD_BUNDLE:
        yield f'host.json: the extensionBundle {OLD_BUNDLE} is old and slow; use "[4.*, 5.0.0)"'
    if storage.lower() != "azurestorage":
        yield f"host.json asks for the storage provider {storage}; this host keeps a local store."
    if without_effect:
        yield f"host.json: without effect on this host: {', '.join(without_effect)}"
    if unknown:
        yield f"host.json: not known, so ignored: {', '.join(unknown)}"


def _is_below(dotted: str, keys: Sequence[str]) -> bool:
    return any(dotted.lower() == key or dotted.lower().startswith(f"{key}.") for key in keys)


def _with_overrides(content: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    for name, value in environment.items():
        if not name.startswith(_OVERRIDE_PREFIXES):
            continue
        place = changed
        _, *parents, last = name.replace(":", "__").split("__")
        for key in parents:
            found = next((k for k in place if k.lower() == key.lower()), key)
            if not isinstance(place.get(found), dict):
                place[found] = {}
            place = place[found]
        found = next((k for k in place if k.lower() == last.lower()), last)
        place[found] = value
    return changed


def _hub_name(reader: Reader, environment: Mapping[str, str]) -> str:
    key = "extensions.durableTask.hubName"
    name = reader.text("extensions", "durableTask", "hubName") or DEFAULT_HUB_NAME
    if len(name) > 2 and name[0] == name[-1] == "%":
        setting = name[1:-1]
        value = app_settings.lookup(environment, setting)
        if not value:
            raise reader.wrong(key, f"names the app setting {setting!r}, which is not set", name)
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


def _timeout(reader: Reader) -> timedelta | None:
    text = reader.text("functionTimeout", default="00:30:00")
    if text.strip() == "-1":
        return None
    span = time_spans.parse(text)
    if not span:
        raise reader.wrong("functionTimeout", 'must be "hh:mm:ss" or "-1"', text)
    return span


def find_app_root(folder: Path) -> Path:
    """The app folder: the one given, or the nearest parent with a host.json (host.md 2.1).

    Raises:
        SettingsError: No app is there.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder; give the folder of a function app")
    folder = folder.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / "host.json").is_file():
            return candidate
    if (folder / "function_app.py").is_file() or any(folder.glob("*/function.json")):
        return folder
    raise SettingsError(
        f"{folder} holds no function app: there is no host.json, no function_app.py and no "
        "folder with a function.json. Give the app's folder"
    )
