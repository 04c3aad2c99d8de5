"""The options of ``durable start``. Source: host.md 11.1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.engine.versions import OnNonDeterminism
from azure.durable_functions.local.store.database import Synchronous


@dataclass(frozen=True)
class HostOptions:
    """What the command line decides; its defaults are those of the command."""

    folder: Path
    """The app's folder, or one below it."""
    port: int | None = None
    """None leaves it to local.settings.json, then 7071."""
    address: str | None = None
    """None leaves it to local.settings.json, then the loopback interface."""
    workers: int = 1
    """The number of worker processes."""
    worker_python: str | None = None
    """The interpreter that runs the app; None searches for it."""
    interpreter_arguments: str | None = None
    """Arguments for that interpreter."""
    in_process: bool = False
    """Whether the app runs in the host's own process, for debuggers."""
    synchronous: Synchronous = "FULL"
    """What committed data survives: FULL a power failure, NORMAL a crash of the process."""
    keeps_sessions: bool = False
    """Whether workers keep orchestrations between episodes."""
    on_non_determinism: OnNonDeterminism | None = None
    """None leaves it to host.json."""
    is_fresh: bool = False
    """Whether the store is emptied first."""
    is_strict: bool = False
    """Whether the host exits if a function does not load."""
    allowed_hosts: tuple[str, ...] = ()
    """Additional host names that requests may use."""
    cors: str | None = None
    """Permitted origins, separated by commas; None leaves it to local.settings.json."""
    cors_credentials: bool = False
    """Whether pages of these origins may send cookies."""
    is_key_wanted: bool = False
    """Whether requests on the loopback interface need the access key too."""
    retention_days: float | None = None
    """After how many days ended instances are purged; None keeps them."""
    functions: tuple[str, ...] = ()
    """Names of the functions to load; empty leaves it to host.json."""
    timeout_seconds: float = 20.0
    """How long the app may take to load."""
    watches: bool = True
    """Whether the app is reloaded when its files change."""
    certificate: Path | None = None
    """PEM file for HTTPS; None means HTTP."""
    certificate_password: str | None = None

    def applied_to(self, settings: HubSettings) -> HubSettings:
        """Returns the engine's settings with those that the command line overrides."""
        limits = settings.limits
        if self.on_non_determinism is not None:
            limits = replace(limits, on_non_determinism=self.on_non_determinism)
        days = self.retention_days
        return replace(
            settings,
            limits=limits,
            keeps_sessions=self.keeps_sessions,
            retention=None if days is None else timedelta(days=days),
        )


class AppFailed(SettingsError):
    """The app cannot be loaded, although it must be."""
