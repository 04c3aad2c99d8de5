"""The rules for bindings and parameters of functions. Source: host.md 3.2."""

from __future__ import annotations

import functools
import inspect
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, cast, get_origin

import azure.functions as func

from . import app_settings, extensions
from .advice import advice
from .binding_types import EPISODE_TRIGGERS, HTTP_TRIGGER
from .conversions import converter_of

if TYPE_CHECKING:
    from .frames import LoadedFunction as FunctionFrame

_FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)


_BINDING_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}|\$return")


_LOOSE_BINDING_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return")


class FunctionLoadError(Exception):
    """A function cannot be used; the text says why."""


@dataclass
class LoadedFunction:
    """A function that can be invoked."""

    name: str
    bindings: list[dict[str, Any]]
    """As in function.json, with settings filled in."""
    call: Callable[..., Any]
    is_async: bool
    directory: str
    script_file: str
    function_id: str
    retry: dict[str, Any] | None = None
    wants_context: bool = False
    promises_value: bool = False
    """Annotated to return something."""
    web_request: str | None = None
    """The parameter that is a request of an HTTP extension's, if there is one."""
    service_clients: frozenset[str] = frozenset()
    """Parameters that are clients of Azure's services, which nothing stands behind here."""
    is_disabled: bool = False
    warnings: list[str] = field(default_factory=list)

    @functools.cached_property
    def has_short_ways(self) -> bool:
        """Whether it is an SDK's own handle, whose ``open_session`` and ``explain`` may be used.

        What wraps a handle has copies of its attributes, and is to be called itself.
        """
        return getattr(self.call, "_df_handle", None) is self.call

    @functools.cached_property
    def trigger(self) -> dict[str, Any]:
        """The binding that starts it."""
        return next(binding for binding in self.bindings if is_trigger(binding))

    def describe(self) -> FunctionFrame:
        """What the host is told."""
        return {
            "name": self.name,
            "bindings": self.bindings,
            "directory": self.directory,
            "scriptFile": self.script_file,
            "id": self.function_id,
            "retry": self.retry,
            "disabled": self.is_disabled,
            "warnings": self.warnings,
            "advice": advice(self.call) if self.trigger["type"] in EPISODE_TRIGGERS else [],
        }


def is_trigger(binding: dict[str, Any]) -> bool:
    """Whether a binding starts its function."""
    return str(binding.get("type", "")).lower().endswith("trigger")


def checked(
    name: str,
    bindings: list[dict[str, Any]],
    call: Callable[..., Any],
    *,
    directory: str,
    script_file: str,
    retry: dict[str, Any] | None,
    disabled: Any = None,
) -> LoadedFunction:
    """Apply the worker's rules for bindings and parameters (host.md 3.2).

    Raises:
        FunctionLoadError: One of them is broken.
    """
    triggers = [binding for binding in bindings if is_trigger(binding)]
    if len(triggers) != 1:
        raise FunctionLoadError(f"it must have exactly one trigger, it has {len(triggers)}")
    warnings = _check_binding_names(bindings)
    signature = inspect.signature(call)
    parameters = {
        parameter.name: parameter
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    names: set[str] = {binding["name"] for binding in bindings if binding["name"] != "$return"}
    explicit_outputs = {b["name"] for b in bindings if str(b.get("direction")).lower() == "out"}
    wants_context = "context" in parameters and "context" not in names
    accepts_any = any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()
    )
    bound: set[str] = {*names, "context"} if wants_context else names
    missing: set[str] = set() if accepts_any else names - set(parameters)
    _check_parameters(name, set(parameters) - bound, missing)
    annotations = _annotations(call)
    of_extensions = _check_annotations(name, bindings, annotations, explicit_outputs)
    if wants_context:
        _check_context(name, annotations.get("context"))
    return LoadedFunction(
        name=name,
        bindings=bindings,
        call=call,
        is_async=inspect.iscoroutinefunction(inspect.unwrap(call))
        or inspect.iscoroutinefunction(call),
        directory=directory,
        script_file=script_file,
        function_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        retry=retry,
        wants_context=wants_context,
        promises_value=annotations.get("return") not in (None, type(None)),
        web_request=next((p for p, kind in of_extensions.items() if kind == HTTP_TRIGGER), None),
        service_clients=frozenset(p for p, kind in of_extensions.items() if kind != HTTP_TRIGGER),
        is_disabled=app_settings.is_disabled(os.environ, name, disabled),
        warnings=warnings,
    )


def _check_annotations(
    name: str, bindings: list[dict[str, Any]], annotations: dict[str, Any], outputs: set[str]
) -> dict[str, str]:
    """Refuse annotations that do not fit their bindings.

    Returns:
        Types of the bindings whose parameters are of an extension package, by parameter.
    """
    of_extensions: dict[str, str] = {}
    for binding in bindings:
        parameter = binding["name"]
        is_of_extension = _is_of_extension(binding, annotations.get(parameter))
        if is_of_extension:
            of_extensions[parameter] = binding["type"]
        if parameter in annotations:
            is_output = parameter in outputs
            _check_direction(name, binding, annotations[parameter], is_output=is_output)
            if not (is_output or is_of_extension):
                _check_annotation(name, binding, annotations[parameter])
    return of_extensions


def _check_parameters(name: str, unbound: set[str], missing: set[str]) -> None:
    """Refuse parameters without a binding, and bindings without a parameter."""
    if unbound:
        raise FunctionLoadError(
            f"cannot load the {name} function: the following parameters are declared in Python "
            f"but not in the function definition: {sorted(unbound)}"
        )
    if missing:
        raise FunctionLoadError(
            f"cannot load the {name} function: the following parameters are declared in the "
            f"function definition but not in Python: {sorted(missing)}"
        )


def _check_binding_names(bindings: list[dict[str, Any]]) -> list[str]:
    warnings: list[str] = []
    seen: set[str] = set()
    for binding in bindings:
        name = binding.get("name")
        if not isinstance(name, str) or not _LOOSE_BINDING_NAME.fullmatch(name):
            raise FunctionLoadError(f"{name!r} is not a valid binding name")
        if name in seen:
            raise FunctionLoadError(f"two bindings have the name {name!r}")
        seen.add(name)
        if not _BINDING_NAME.fullmatch(name):
            warnings.append(
                f"the binding name {name!r} has an underscore; the Functions host in the cloud "
                "refuses it"
            )
        if name == "$return" and str(binding.get("direction")).lower() != "out":
            raise FunctionLoadError("the binding $return must have the direction 'out'")
    return warnings


def _annotations(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return inspect.get_annotations(call, eval_str=True)
    except Exception:  # unresolvable texts: nothing can be checked, nothing is wrong yet
        return {}


def _check_direction(
    name: str, binding: dict[str, Any], annotation: Any, *, is_output: bool
) -> None:
    """`Out[...]` belongs to output bindings, and to them only."""
    if (get_origin(annotation) or annotation) is func.Out:
        if not is_output:
            raise FunctionLoadError(
                f"cannot load the {name} function: {binding['name']} is annotated with Out, but "
                "its binding has the direction 'in'"
            )
    elif is_output:
        raise FunctionLoadError(
            f"cannot load the {name} function: {binding['name']} is an output, so it must be "
            f"annotated as azure.functions.Out[...], got {annotation!r}"
        )


def _check_context(name: str, annotation: Any) -> None:
    if annotation is None or annotation is Any:
        return
    if not (isinstance(annotation, type) and issubclass(annotation, func.Context)):
        raise FunctionLoadError(
            f"cannot load the {name} function: the parameter context receives the invocation "
            f"context, so it must be annotated as azure.functions.Context, got {annotation!r}"
        )


def _is_of_extension(binding: dict[str, Any], annotation: Any) -> bool:
    """Whether one of Microsoft's extension packages makes the value of a parameter."""
    if binding["type"] == HTTP_TRIGGER:
        return extensions.is_web_request(annotation)
    return extensions.is_service_client(annotation)


def _check_annotation(name: str, binding: dict[str, Any], annotation: Any) -> None:
    """Refuse a parameter type that the binding's converter does not take."""
    converter: Any = converter_of(binding["type"])
    if converter is None or not hasattr(converter, "check_input_type_annotation"):
        return
    if not isinstance(annotation, type):
        if binding["type"] in ("activityTrigger", "entityTrigger"):
            return
        raise FunctionLoadError(
            f"cannot load the {name} function: binding {binding['name']} has invalid non-type "
            f"annotation {annotation!r}"
        )
    # None: a converter of an older azure-functions that has not implemented the check.
    if converter.check_input_type_annotation(annotation) is False:
        raise FunctionLoadError(
            f"cannot load the {name} function: type of {binding['name']} binding in function "
            f"definition {binding['type']!r} does not match its Python annotation "
            f"{annotation.__name__!r}"
        )


def _plain(value: Any) -> Any:
    """A binding of the decorator model as function.json would hold it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in _items(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    return value


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items())
