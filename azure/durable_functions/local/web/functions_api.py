"""The app's own HTTP functions. Source: host.md 4."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from azure.durable_functions._wire import shapes
from azure.durable_functions.local.engine.invoker import Failure
from azure.durable_functions.local.worker.binding_types import DURABLE_CLIENTS, HTTP_TRIGGER
from azure.durable_functions.local.workers.app_info import FunctionInfo
from azure.durable_functions.local.workers.responses import Response

from .app_functions import AppFunctions
from .exchange import Request
from .links import Links
from .routes import Route, RouteError

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import HttpRequest

_RESERVED = ("admin", "runtime")


@dataclass(frozen=True)
class HttpFunction:
    """An HTTP function with its compiled route."""

    function: FunctionInfo
    route: Route
    methods: frozenset[str]
    """Upper case; empty means all."""

    @property
    def auth_level(self) -> str:
        """``anonymous``, ``function`` or ``admin``."""
        return str(self.function.trigger.get("authLevel") or "function").lower()

    @property
    def template(self) -> str:
        """The route as written, without the prefix."""
        return self.route.template


def http_functions(
    functions: list[FunctionInfo], prefix: str
) -> tuple[list[HttpFunction], list[tuple[str, str]]]:
    """Returns the HTTP functions in matching order, and why others cannot be used.

    As in the Functions host, they are matched in the order of their names and the first match wins,
    however specific a later route is (host.md 4.1).
    """
    usable: list[HttpFunction] = []
    errors: list[tuple[str, str]] = []
    for function in sorted(functions, key=lambda function: function.name.lower()):
        trigger = function.trigger
        if trigger["type"] != HTTP_TRIGGER:
            continue
        own = str(trigger.get("route") or function.name)
        template = "/".join(part for part in (prefix, own.strip("/")) if part)
        try:
            methods = _methods(trigger.get("methods"))
            if template.lower().partition("/")[0] in _RESERVED:
                raise RouteError(
                    f"The route {own!r} begins with a word that is reserved for the host "
                    f"({', '.join(_RESERVED)})."
                )
            candidate = HttpFunction(function, Route(template), methods)
            for other in usable:
                same = other.template.lower() == template.lower()
                if same and (not methods or not other.methods or methods & other.methods):
                    raise RouteError(
                        "The route specified conflicts with the route defined by function "
                        f"'{other.function.name}'."
                    )
        except RouteError as error:
            errors.append((function.name, str(error)))
            continue
        usable.append(candidate)
    return usable, errors


def _methods(given: Any) -> frozenset[str]:
    """Returns the methods in upper case; a single text is one method."""
    found: list[object] = [given] if isinstance(given, str) else given or []
    if not shapes.is_array(found) or not all(isinstance(method, str) for method in found):
        raise RouteError(f"methods must be a list of texts, got {json.dumps(given)}")
    return frozenset(str(method).upper() for method in found)


@dataclass(frozen=True)
class FoundFunction:
    """An HTTP function and the request that it matches."""

    http: HttpFunction
    request: Request
    values: Mapping[str, str]
    """Route parameters."""


class FunctionsApi:
    """Finds the function for a request and calls it."""

    def __init__(self, workers: AppFunctions) -> None:
        self.functions: list[HttpFunction] = []
        """In matching order; replaced after every reload of the app."""
        self._workers = workers

    def find(self, request: Request) -> FoundFunction | None:
        """Returns the function for a request; None if there is none."""
        for candidate in self.functions:
            if candidate.methods and request.method not in candidate.methods:
                continue
            values = candidate.route.match(request.path)
            if values is not None:
                return FoundFunction(candidate, request, values)
        return None

    @property
    def failure(self) -> str | None:
        """Why the app cannot be used at the moment; None if it can."""
        return self._workers.app.failure

    async def run(self, found: FoundFunction) -> Response | Failure:
        """Calls a function; returns its response or failure."""
        request = found.request
        described = describe_request(
            request.method, request.url, request.headers, request.query_text, found.values
        )
        trace_parent = request.headers.get("traceparent") or new_trace_parent()
        return await self._workers.answer_http(
            found.http.function, described, request.body, trace_parent
        )


def describe_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    query_text: str = "",
    values: Mapping[str, str] | None = None,
) -> HttpRequest:
    """Returns a request in the form that the worker reads."""
    return {
        "method": method,
        "url": url,
        "headers": dict(headers),
        "params": _parameters(query_text),
        "routeParams": dict(values or {}),
    }


def client_texts(function: FunctionInfo, links: Links) -> dict[str, str]:
    """Returns the text of each durable client binding, by parameter."""
    texts: dict[str, str] = {}
    for binding in function.bindings:
        if (
            binding["type"] in DURABLE_CLIENTS
            and str(binding.get("direction", "in")).lower() == "in"
        ):
            payload: dict[str, Any] = links.client_binding(
                task_hub=binding.get("taskHub"), connection=binding.get("connectionName")
            )
            texts[binding["name"]] = json.dumps(payload)
    return texts


def new_trace_parent() -> str:
    """Returns a new W3C trace context."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def _parameters(query_text: str) -> dict[str, str]:
    """Returns query values: repeated ones joined by commas, empty ones dropped (host.md 4.2)."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_text, keep_blank_values=False):
        values.setdefault(name, []).append(value)
    return {name: ",".join(found) for name, found in values.items()}
