"""What a worker tells of the app it has loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.worker.binding_types import (
    DURABLE_CLIENTS,
    DURABLE_TRIGGERS,
    HTTP_TRIGGER,
    TIMER_TRIGGER,
)
from azure.durable_functions.local.worker.link import Frame

EMULATED_TRIGGERS = (HTTP_TRIGGER, TIMER_TRIGGER, *DURABLE_TRIGGERS)
_EMULATED_INPUTS = DURABLE_CLIENTS
_EMULATED_OUTPUTS = ("http", *DURABLE_CLIENTS)


@dataclass(frozen=True)
class FunctionInfo:
    """A function of the app, as the host knows it."""

    name: str
    bindings: list[dict[str, Any]]
    function_id: str
    script_file: str
    directory: str
    is_disabled: bool = False
    retry: dict[str, Any] | None = None
    """Function-level retry policy, as function.json writes it."""
    warnings: list[str] = field(default_factory=list[str])
    advice: list[str] = field(default_factory=list[str])
    """Habits in its code that hurt, with file and line."""

    @property
    def trigger(self) -> dict[str, Any]:
        """The binding that starts it."""
        return next(b for b in self.bindings if str(b["type"]).lower().endswith("trigger"))

    @property
    def kind(self) -> str:
        """Type of the trigger, for instance ``activityTrigger``."""
        return str(self.trigger["type"])

    @property
    def durable_name(self) -> str:
        """The name that starts and calls use."""
        trigger = self.trigger
        renamed = (
            trigger.get("orchestration") or trigger.get("activity") or trigger.get("entityName")
        )
        return str(renamed or self.name)

    @property
    def is_emulated(self) -> bool:
        """Whether something on this host starts it; others are invoked by hand only."""
        return self.kind in EMULATED_TRIGGERS

    def foreign_bindings(self) -> list[tuple[str, dict[str, Any]]]:
        """Bindings that nothing stands behind here: direction and binding."""
        found: list[tuple[str, dict[str, Any]]] = []
        for binding in self.bindings:
            if binding is self.trigger:
                continue
            direction = str(binding.get("direction") or "in").lower()
            known = _EMULATED_OUTPUTS if direction == "out" else _EMULATED_INPUTS
            if binding["type"] not in known:
                found.append((direction, binding))
        return found


@dataclass(frozen=True)
class AppInfo:
    """What a worker found in the app folder."""

    functions: list[FunctionInfo]
    """Disabled ones too."""
    errors: list[tuple[str, str]]
    """Name and reason of every function that cannot be used."""
    failure: str | None
    """Why the app as a whole cannot be used."""
    mixed_folders: list[str]
    python: str
    """Version of the interpreter that runs it."""

    @staticmethod
    def from_frame(frame: Frame) -> AppInfo:
        """Read the worker's ``loaded`` frame."""
        header = frame.header
        functions = [
            FunctionInfo(
                name=item["name"],
                bindings=item["bindings"],
                function_id=item["id"],
                script_file=item["scriptFile"],
                directory=item["directory"],
                is_disabled=item["disabled"],
                retry=item["retry"],
                warnings=item["warnings"],
                advice=item["advice"],
            )
            for item in header["functions"]
        ]
        errors = [(name, reason) for name, reason in header["errors"]]
        return AppInfo(
            functions, errors, header["failure"], header["mixedFolders"], header["python"]
        )

    @property
    def enabled(self) -> list[FunctionInfo]:
        """The functions that may run."""
        return [function for function in self.functions if not function.is_disabled]

    def find(self, name: str) -> FunctionInfo | None:
        """A function by its name, in any case; disabled ones too."""
        wanted = name.lower()
        return next((f for f in self.functions if f.name.lower() == wanted), None)


def registry_of(app: AppInfo) -> Registry:
    """Names of the app's durable functions."""

    def names(trigger: str) -> list[str]:
        return [f.durable_name for f in app.enabled if f.kind == trigger]

    return Registry(
        orchestrators=names("orchestrationTrigger"),
        activities=names("activityTrigger"),
        entities=names("entityTrigger"),
    )
