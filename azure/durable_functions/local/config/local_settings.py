"""Reads local.settings.json and builds the app's environment. Source: host.md 10."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azure.durable_functions._errors import SettingsError
from azure.durable_functions._wire import shapes

from .json_files import Reader, read_json


@dataclass(frozen=True)
class LocalSettings:
    """The contents of local.settings.json."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """App settings; variables that the environment already has take precedence."""
    port: int | None = None
    address: str | None = None
    cors: str | None = None
    """Permitted origins, separated by commas."""
    cors_credentials: bool = False
    notes: tuple[str, ...] = ()
    """Lines to print at the start."""


def read_local_settings(root: Path) -> LocalSettings:
    """Reads an app's local.settings.json; a missing file means no settings.

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
    reader = Reader(path, content)
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
    """Builds the app's environment; inherited variables take precedence over the file.

    Returns:
        The environment, and a line for every setting of the file that is not used.
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
