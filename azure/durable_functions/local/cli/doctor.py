"""``durable doctor``: finds what the Functions host would refuse in an app, and other risks.

It changes nothing. A worker loads the app once, as with ``durable start``.
"""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config import hidden_modules, requirements_txt
from azure.durable_functions.local.config.app_folder import Setup, find_app_root
from azure.durable_functions.local.config.host_json import OLD_BUNDLE, HostJson
from azure.durable_functions.local.config.json_files import Reader, read_json
from azure.durable_functions.local.options import HostOptions
from azure.durable_functions.local.timer_triggers.timer_functions import timer_functions
from azure.durable_functions.local.web.functions_api import http_functions
from azure.durable_functions.local.worker.binding_types import DURABLE_CLIENTS, DURABLE_TRIGGERS
from azure.durable_functions.local.workers.app_info import AppInfo
from azure.durable_functions.local.workers.starting import find_python, load_app
from azure.durable_functions.local.workers.worker import WorkerFailed

from . import missing_packages

Severity = Literal["error", "warning"]

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
"""The Python versions that Azure Functions offers; newer ones may have been added since."""
_SECRET_FILES = ("local.settings.json", ".env", "*.pem", "*.pfx", "*.key", ".durable")
_MADE_HERE = ("local.settings.json", ".durable")
"""Every app that has run on this machine has these."""
_SECRETS = re.compile(
    r"AccountKey=[A-Za-z0-9+/=]{20,}|SharedAccessKey=[A-Za-z0-9+/=]{20,}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|[?&]sig=[A-Za-z0-9%]{20,}"
)
_READ_FOR_SECRETS = (".py", ".json", ".txt", ".toml", ".yaml", ".yml", ".cfg", ".ini")
_LARGEST_READ = 1024 * 1024
_OURS = "independent SDK"
"""Part of the summary of this distribution, but not of Microsoft's."""


@dataclass(frozen=True)
class Finding:
    """Something that should be fixed."""

    severity: Severity
    where: str
    """The file or function."""
    what: str
    mend: str
    """How to fix it."""


async def examine(folder: Path, worker_python: str | None = None) -> list[Finding]:
    """Returns the findings in an app folder, errors first.

    Raises:
        SettingsError: There is no app in the folder.
    """
    root = find_app_root(folder)
    found: list[Finding] = []
    try:
        setup = Setup.read(root)
        host_json = setup.read_host_json()
    except SettingsError as error:  # without the settings nothing else can be checked
        what = str(error)
        return [
            Finding("error", "settings", what, "correct the file; the host does not start with it"),
            *_secrets(root),
        ]
    python = find_python(root, setup.environment, worker_python)
    try:
        app = await load_app(setup, HostOptions(root, worker_python=python))
    except WorkerFailed as error:  # the other findings may explain it
        app = AppInfo([], [], str(error), [], python="")
    found += _names(root, app)
    found += _app(app)
    found += _triggers(app, host_json, setup.environment)
    found += _host_json(root, app)
    if host_json.unknown_keys:
        what = f"unknown keys: {', '.join(host_json.unknown_keys)}"
        found.append(Finding("warning", "host.json", what, "correct or remove them"))
    found += _python(app)
    try:
        found += _requirements(root, python)
    except SettingsError as error:
        found.append(Finding("error", "requirements.txt", str(error), "save it as UTF-8"))
    found += _secrets(root)
    return sorted(found, key=lambda finding: finding.severity)


def _app(app: AppInfo) -> Iterator[Finding]:
    if app.failure is not None:
        yield Finding(
            "error", "the app", app.failure, "correct the code, or install the packages it needs"
        )
        return
    for name, reason in app.errors:
        yield Finding("error", name, reason, "correct the function; the host does not load it")
    for function in app.functions:
        for warning in function.warnings:
            yield Finding("error", function.name, warning, "rename the parameter")
        for advice in function.advice:
            what, _, mend = advice.partition(": ")
            yield Finding("warning", function.name, what, mend)
    if not app.functions and not app.errors:
        yield Finding(
            "error",
            "the app",
            "no functions were found",
            "decorate them in function_app.py, or add function.json files",
        )
    if app.mixed_folders:
        yield Finding(
            "warning",
            ", ".join(sorted(app.mixed_folders)),
            "function.json folders are ignored if function_app.py has functions",
            "move them into function_app.py, or remove them",
        )


def _triggers(
    app: AppInfo, host_json: HostJson, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Finds routes and schedules that the host cannot use."""
    _, routes = http_functions(app.functions, host_json.route_prefix)
    _, schedules = timer_functions(app.functions, environment)
    for name, reason in (*routes, *schedules):
        yield Finding("error", name, reason, "correct the function; the host does not load it")


def _host_json(root: Path, app: AppInfo) -> Iterator[Finding]:
    path = root / "host.json"
    if not path.is_file():
        yield Finding(
            "error",
            "host.json",
            "it is missing; Core Tools refuses to start",
            'write {"version": "2.0"}',
        )
        return
    bundle_version = Reader(path, read_json(path)).get("extensionBundle", "version")
    kinds = {str(binding["type"]) for function in app.functions for binding in function.bindings}
    is_durable = bool(kinds & {*DURABLE_TRIGGERS, *DURABLE_CLIENTS})
    if is_durable and bundle_version is None and not (root / "extensions.csproj").is_file():
        yield Finding(
            "error",
            "host.json",
            "there is no extensionBundle, so the Functions host has no Durable Task extension",
            'add "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", '
            '"version": "[4.*, 5.0.0)"}',
        )
    elif bundle_version == OLD_BUNDLE:
        yield Finding(
            "warning",
            "host.json",
            f"the extensionBundle {OLD_BUNDLE} is old and slow",
            'use the version "[4.*, 5.0.0)"',
        )


def _python(app: AppInfo) -> Iterator[Finding]:
    if not app.python:
        return
    version = tuple(int(part) for part in app.python.split(".")[:2])
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        wanted = [".".join(map(str, each)) for each in (OLDEST_PYTHON, NEWEST_PYTHON)]
        yield Finding(
            "warning",
            "the interpreter",
            f"it is Python {app.python}; Azure Functions offers {wanted[0]} to {wanted[1]}",
            "run and publish with one of these versions",
        )


def _names(root: Path, app: AppInfo) -> Iterator[Finding]:
    counts = Counter(function.name.lower() for function in app.functions)
    for function in app.functions:
        if counts[function.name.lower()] > 1:
            yield Finding(
                "error",
                function.name,
                "another function has the same name, apart from upper and lower case",
                "rename one of them; the Functions host refuses both",
            )
    for name, what in hidden_modules.find(root):
        yield Finding("error", name, what, hidden_modules.MEND)


def _requirements(root: Path, python: str) -> Iterator[Finding]:
    path = root / "requirements.txt"
    if not path.is_file():
        yield Finding(
            "error",
            "requirements.txt",
            "it is missing, so nothing is installed in the cloud",
            "create it with azure-functions and azure-functions-durable",
        )
        return
    known = requirements_txt.read(path)
    if not any(each.is_functions for each in known):
        yield Finding(
            "error", path.name, "azure-functions is not in it", "add a line azure-functions"
        )
    for file, what, is_sure in missing_packages.find(root, python, known, _ignored(root)):
        mend = "add it to requirements.txt; the app would not load in the cloud"
        if not is_sure:
            mend += ", unless another package listed there depends on it"
        yield Finding("error" if is_sure else "warning", file, what, mend)
    named = [each for each in known if each.is_package]
    carried = [each for each in named if each.is_wheel]
    if not named:
        yield Finding(
            "error",
            path.name,
            "azure-functions-durable is not in it",
            "run 'durable bundle', or add azure-functions-durable<2 for Microsoft's package",
        )
    elif carried:
        yield from _carried(root, carried[0].text)
    elif named[0].excludes_release_1:
        yield Finding(
            "error",
            path.name,
            f"{named[0].text!r} fetches release 2 of Microsoft's package, a different SDK",
            "run 'durable bundle', or require azure-functions-durable<2",
        )
    elif _runs_ours(python):
        yield Finding(
            "warning",
            path.name,
            f"{named[0].text!r} fetches Microsoft's package, but here the app runs with this one",
            "run 'durable bundle' to vendor this package, or ignore this if it is intended",
        )


def _carried(root: Path, wheel: str) -> Iterator[Finding]:
    """Checks that the wheel exists and will be published."""
    if not (root / wheel).is_file():
        yield Finding("error", "requirements.txt", f"{wheel} is missing", "run 'durable bundle'")
    parts = [part for part in wheel.split("/") if part != "."]
    for rule in _ignored(root):
        if any(fnmatch.fnmatch(part, rule) for part in [*parts, "/".join(parts)]):
            yield Finding(
                "error",
                ".funcignore",
                f"the rule {rule!r} keeps {wheel} from being published",
                "remove the rule",
            )


def _runs_ours(python: str) -> bool:
    """Returns whether the app's interpreter has this package instead of Microsoft's."""
    question = (
        "import importlib.metadata as m; print(m.metadata('azure-functions-durable')['Summary'])"
    )
    try:
        answer = subprocess.run(
            [python, "-c", question], capture_output=True, text=True, check=False
        )
    except OSError:  # reported already: the app could not be loaded
        return False
    return _OURS in answer.stdout


def _ignored(root: Path) -> list[str]:
    """Returns the rules of .funcignore, without slashes at their ends."""
    path = root / ".funcignore"
    rules = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    return [rule.strip().strip("/") for rule in rules if rule.strip() and rule[0] not in "#!"]


def _secrets(root: Path) -> Iterator[Finding]:
    """Finds secrets that publishing would upload."""
    ignored = _ignored(root)
    for child in sorted(root.iterdir()):
        is_left_out = any(fnmatch.fnmatch(child.name, rule) for rule in ignored)
        if is_left_out or child.name in (".git", ".venv", "__pycache__"):
            continue
        if any(fnmatch.fnmatch(child.name, pattern) for pattern in _SECRET_FILES):
            yield Finding(
                "warning" if child.name in _MADE_HERE else "error",
                child.name,
                "it would be published, and may contain secrets or state of this machine",
                f"add the line {child.name} to .funcignore",
            )
            continue
        for file in sorted(child.rglob("*")) if child.is_dir() else [child]:
            if _holds_secret(file):
                yield Finding(
                    "error",
                    str(file.relative_to(root)),
                    "it contains a key and would be published",
                    "move it into an app setting and create a new key, as this one may be exposed",
                )


def _holds_secret(file: Path) -> bool:
    if file.suffix not in _READ_FOR_SECRETS or not file.is_file():
        return False
    if file.stat().st_size > _LARGEST_READ:
        return False
    return _SECRETS.search(file.read_text("utf-8", "replace")) is not None


def as_json(found: list[Finding]) -> str:
    """Returns the findings as JSON."""
    return json.dumps([vars(finding) for finding in found], indent=2, ensure_ascii=False)
