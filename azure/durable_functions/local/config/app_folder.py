"""Finds the app folder and reads its settings once. Source: host.md 2.1 and 12.1."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from azure.durable_functions._errors import SettingsError

from .host_json import HostJson, read_host_json
from .local_settings import LocalSettings, app_environment, read_local_settings


@dataclass(frozen=True)
class Setup:
    """An app folder and the settings that stay the same while `durable start` runs."""

    root: Path
    """The app folder."""
    local: LocalSettings
    environment: Mapping[str, str]
    """The app's environment: that of this process, then the values of local.settings.json."""
    notes: tuple[str, ...]
    """Lines to print at the start."""

    @staticmethod
    def read(folder: Path) -> Setup:
        """Finds the app and reads its local settings.

        Raises:
            SettingsError: There is no app, or the settings cannot be used.
        """
        root = find_app_root(folder)
        local = read_local_settings(root)
        environment, notes = app_environment(local, os.environ)
        return Setup(root, local, environment, (*local.notes, *notes))

    def read_host_json(self) -> HostJson:
        """Reads host.json, which may change while the host runs.

        Raises:
            SettingsError: A value cannot be used; names file, key and reason.
        """
        return read_host_json(self.root, self.environment)


def find_app_root(folder: Path) -> Path:
    """Returns the app folder: the one given, or the nearest parent with a host.json (host.md 2.1).

    Raises:
        SettingsError: There is no app.
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
        f"{folder} contains no function app: there is no host.json, no function_app.py and no "
        "folder with a function.json. Give the app's folder"
    )
