"""The lines that a start prints about the app and its functions. Source: host.md 11.2."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config import requirements_txt
from azure.durable_functions.local.web.functions_api import HttpFunction
from azure.durable_functions.local.worker.binding_types import HTTP_TRIGGER, TIMER_TRIGGER
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo

NOTHING_FOUND = (
    "No job functions found. Is this the folder of a function app, and do its functions have "
    "decorators or function.json files?"
)


def versions(version: str) -> Iterator[str]:
    """Yields the first lines."""
    yield f"azure-functions-durable {version}, local host"
    yield f"Python {platform.python_version()} on {platform.system()}"


def functions(
    app: AppInfo,
    routes: Sequence[HttpFunction],
    errors: Mapping[str, str],
    public_origin: str,
    schedules: Mapping[str, str],
) -> Iterator[str]:
    """Yields the list of functions: HTTP functions, then the others, then the disabled ones.

    Args:
        app: The loaded app.
        routes: Its HTTP functions.
        errors: Why functions cannot be used, by name.
        public_origin: Scheme and authority of URLs.
        schedules: Schedule and next run of timer functions, by name.
    """
    yield "\nFunctions:\n"
    if app.failure is not None:
        yield "\tnone; the app is reloaded when a file changes\n"
    for http in routes:
        methods = f"[{','.join(sorted(http.methods))}]" if http.methods else ""
        yield f"\t{http.function.name}: {methods} {public_origin}/{http.template}\n"
    for function in sorted(app.enabled, key=_by_name):
        if function.kind == HTTP_TRIGGER or function.name in errors:
            continue
        note = "" if function.is_emulated else f"  (not emulated; {by_hand(function.name)})"
        if function.name in schedules:
            note = f"  {schedules[function.name]}"
        yield f"\t{function.name}: {function.kind}{note}\n"
    for function in sorted(app.functions, key=_by_name):
        if function.is_disabled:
            yield f"Function {function.name} is disabled."


def unfinished(count: int, newest: Sequence[str]) -> str:
    """Describes the unfinished instances of an earlier run."""
    named = ", ".join(newest)
    if count == 1:
        return f"Resuming 1 unfinished instance: {named}"
    more = f" and {count - len(newest)} more; 'durable list' shows them"
    return f"Resuming {count} unfinished instances: {named}{more if count > len(newest) else ''}"


def key_required(address: str) -> str:
    """Says that requests need the access key, and how they pass it."""
    return (
        f"Listening on {address}: requests need the access key, as ?code=... or in the header "
        "x-functions-key. URLs from the durable client contain it."
    )


def by_hand(name: str) -> str:
    """Says how to run a function whose trigger is not emulated."""
    return f"run it with: durable invoke {name}"


def release_hint(app: AppInfo, root: Path) -> Iterator[str]:
    """Yields a hint if an app of function.json folders does not pin release 1."""
    if all(function.directory == str(root) for function in app.functions):
        return
    try:
        is_pinned = requirements_txt.keeps_release_2_out(root)
    except SettingsError as error:
        yield str(error)
        return
    if not is_pinned:
        yield (
            "This app uses function.json files, which release 2.x of Microsoft's "
            "azure-functions-durable does not support. Write 'azure-functions-durable<2' into "
            "requirements.txt, or run 'durable bundle'."
        )


def warnings(app: AppInfo, wanted: Sequence[str] = ()) -> Iterator[str]:
    """Yields a line for everything that does not work as configured.

    Args:
        app: The loaded app.
        wanted: Names of the functions to load; empty means all.
    """
    named = {name.lower() for name, _ in app.errors}
    for name in wanted:
        if app.failure is None and name.lower() not in named and app.find(name) is None:
            yield f"There is no function {name!r}, which the list of functions to load contains."
    for function in app.enabled:
        for warning in function.warnings:
            yield f"Function {function.name}: {warning}"
        for advice in function.advice:
            yield f"Function {function.name}: {advice}"
        if function.retry is not None and function.kind != TIMER_TRIGGER:
            yield (
                f"Function {function.name}: its retry policy has no effect on {function.kind}, as "
                "in the cloud; it only works for timers. Orchestrators retry activities themselves."
            )
        for direction, binding in function.foreign_bindings():
            fate = "values set there are dropped" if direction == "out" else "it receives None"
            yield (
                f"Function {function.name}: the {direction}put binding {binding['name']!r} of type "
                f"{binding['type']} is not emulated here; {fate}."
            )
    if app.mixed_folders:
        yield (
            "function_app.py has functions, so these function.json folders are ignored: "
            f"{', '.join(sorted(app.mixed_folders))}"
        )
    if not (app.functions or app.errors or app.failure or wanted):
        yield NOTHING_FOUND


def _by_name(function: FunctionInfo) -> str:
    return function.name.lower()
