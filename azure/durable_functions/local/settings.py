"""host.json and local.settings.json. Source: host.md 9 and 10."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from azure.durable_functions._errors import SettingsError
from azure.durable_functions._wire import shapes
from azure.durable_functions.local.engine.versions import FailureStrategy, MatchStrategy

_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
_OVERRIDE_PREFIX = "AzureFunctionsJobHost__"
_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?")

Choice = TypeVar("Choice", bound=str)

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
    may_replace_running: bool = False
    http_poll_milliseconds: int = 30_000
    rpc_enabled: bool = True
    connection_name: str = "Storage"


@dataclass(frozen=True)
class LocalSettings:
    """What local.settings.json holds."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """App settings, to be put into the environment where they are not there yet."""
    port: int | None = None
    address: str | None = None
    cors: str | None = None
    """Permitted origins, separated by commas."""
    cors_credentials: bool = False
    notes: tuple[str, ...] = ()
    """Lines to show at start."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object with comments and byte order mark tolerated.

    Raises:
        SettingsError: Not JSON, or not an object; says where.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    bare = _COMMENTS.sub(lambda match: match[1] or " " * len(match[0]), text)
    try:
        value = json.loads(bare)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    if not shapes.is_object(value):
        raise SettingsError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


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
    reader = _Reader(path, content)
    version = reader.get("version")
    if version != "2.0":
        raise SettingsError(f'{path}: version must be "2.0", got {json.dumps(version)}')
    hub_name = _hub_name(reader, environment)
    cores = os.cpu_count() or 1
    durable = ("extensions", "durableTask")
    overridable = reader.choice(
        *durable, "overridableExistingInstanceStates", choices=("NonRunningStates", "AnyState")
    )
    return HostJson(
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
        may_replace_running=overridable == "AnyState",
        http_poll_milliseconds=reader.count(
            *durable, "httpSettings", "defaultAsyncRequestSleepTimeMilliseconds", default=30_000
        ),
        rpc_enabled=reader.flag(*durable, "localRpcEndpointEnabled", default=True),
        connection_name=reader.text(*durable, "storageProvider", "connectionName")
        or reader.text(*durable, "storageProvider", "connectionStringName")
        or "Storage",
    )


class _Reader:
    """Looks keys up ignoring case, and names them in its errors."""

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        self._path = path
        self._content = content

    def get(self, *keys: str) -> Any:
        value: Any = self._content
        for key in keys:
            if not shapes.is_object(value):
                return None
            value = next((v for k, v in value.items() if k.lower() == key.lower()), None)
        return value

    def section(self, key: str) -> dict[str, Any]:
        value = self.get(key)
        if value is None:
            return {}
        if not shapes.is_object(value):
            raise self._wrong((key,), "must be an object", value)
        return value

    def text(self, *keys: str, default: str = "") -> str:
        value = self.get(*keys)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(keys, "must be a text", value)
        return value

    def count(self, *keys: str, default: int) -> int:
        value = self.get(*keys)
        if value is None:
            return default
        if isinstance(value, str) and value.strip().isdigit():  # from an environment variable
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._wrong(keys, "must be a whole number ≥ 1", value)
        return value

    def flag(self, *keys: str, default: bool) -> bool:
        value = self.get(*keys)
        if value is None:
            return default
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise self._wrong(keys, "must be true or false", value)
        return value

    def choice(self, *keys: str, choices: tuple[Choice, ...]) -> Choice:
        """One of some texts, in any case; the first is the default."""
        value = self.get(*keys)
        for choice in choices:
            if isinstance(value, str) and value.lower() == choice.lower():
                return choice
        if value is None or value == "":
            return choices[0]
        allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise self._wrong(keys, f"must be {allowed}", value)

    def _wrong(self, keys: tuple[str, ...], rule: str, value: object) -> SettingsError:
        return SettingsError(f"{self._path}: {'.'.join(keys)} {rule}, got {json.dumps(value)}")

    def wrong(self, key: str, rule: str, value: object) -> SettingsError:
        """The error for a value that breaks a rule."""
        return SettingsError(f"{self._path}: {key} {rule}, got {json.dumps(value)}")


def _with_overrides(content: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    for name, value in environment.items():
        if not name.startswith(_OVERRIDE_PREFIX):
            continue
        place = changed
        *parents, last = name.removeprefix(_OVERRIDE_PREFIX).split("__")
        for key in parents:
            found = next((k for k in place if k.lower() == key.lower()), key)
            if not isinstance(place.get(found), dict):
                place[found] = {}
            place = place[found]
        found = next((k for k in place if k.lower() == last.lower()), last)
        place[found] = value
    return changed


def _hub_name(reader: _Reader, environment: Mapping[str, str]) -> str:
    key = "extensions.durableTask.hubName"
    name = reader.text("extensions", "durableTask", "hubName") or DEFAULT_HUB_NAME
    if len(name) > 2 and name[0] == name[-1] == "%":
        setting = name[1:-1]
        if not environment.get(setting):
            raise reader.wrong(key, f"names the app setting {setting!r}, which is not set", name)
        name = environment[setting]
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


def _timeout(reader: _Reader) -> timedelta | None:
    text = reader.text("functionTimeout", default="00:30:00")
    if text.strip() == "-1":
        return None
    match = _SPAN.fullmatch(text.strip())
    span = None
    if match is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not span:
        raise reader.wrong("functionTimeout", 'must be "hh:mm:ss" or "-1"', text)
    return span


def read_local_settings(root: Path) -> LocalSettings:
    """Read an app's local.settings.json; a missing file means nothing is set.

    Raises:
        SettingsError: Values are encrypted, or an entry cannot be used.
    """
    path = root / "local.settings.json"
    if not path.is_file():
        return LocalSettings()
    try:
        content = read_json(path)
    except SettingsError as error:
        return LocalSettings(notes=(f"{error}; it is treated as empty.",))
    reader = _Reader(path, content)
    if reader.flag("IsEncrypted", default=False):
        raise SettingsError(
            f"{path}: IsEncrypted is true, and encrypted settings are not supported here; "
            "decrypt the file with 'func settings decrypt' or set it to false"
        )
    values: dict[str, str] = {}
    for name, value in reader.section("Values").items():
        if value is not None:
            values[name] = value if isinstance(value, str) else str(value)
    for name, value in reader.section("ConnectionStrings").items():
        text = value.get("ConnectionString") if shapes.is_object(value) else value
        if isinstance(text, str):
            values[f"ConnectionStrings:{name}"] = text
    port = reader.get("Host", "LocalHttpPort")
    if port is not None and (not isinstance(port, int) or not 0 <= port < 65536):
        raise reader.wrong("Host.LocalHttpPort", "must be a port number", port)
    return LocalSettings(
        values,
        port,
        reader.text("Host", "LocalHttpAddress") or None,
        reader.text("Host", "CORS") or None,
        reader.flag("Host", "CORSCredentials", default=False),
    )


def app_environment(
    local: LocalSettings, inherited: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Environment of the app: what is inherited wins over the file.

    Returns:
        The environment, and a line for every setting of the file that lost.
    """
    environment = dict(inherited)
    notes: list[str] = []
    for name, value in local.values.items():
        if name in inherited:
            notes.append(
                f"Skipping '{name}' from local settings as it's already defined in current "
                "environment variables."
            )
        else:
            environment[name] = value
    return environment, notes


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
        "folder with a function.json. Give the app's folder: durable start FOLDER"
    )
