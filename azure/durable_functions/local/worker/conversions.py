"""Converts between the host's data and what functions take and give. Source: host.md 3.3 and 4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any, cast

import azure.functions as func
from azure.functions import meta

from .binding_types import DURABLE_TRIGGERS, TIMER_TRIGGER


class Out(func.Out[Any]):
    """An output parameter: the function sets it."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, val: Any) -> None:
        """Give the output."""
        self.value = val

    def get(self) -> Any:
        """What was set last."""
        return self.value


def decode_http(request: Mapping[str, Any], body: bytes) -> func.HttpRequest:
    """The request object of an HTTP function."""
    return func.HttpRequest(
        method=request["method"],
        url=request["url"],
        headers=request["headers"],
        params=request["params"],
        route_params=request["routeParams"],
        body=body,
    )


def encode_http(value: Any) -> tuple[dict[str, Any], bytes]:
    """Status, headers and body of what an HTTP function gave.

    Raises:
        TypeError: It is nothing that can be sent.
    """
    if isinstance(value, str):
        return _response(200, [("Content-Type", "text/plain; charset=utf-8")]), value.encode()
    if isinstance(value, (bytes, bytearray)):
        headers = [("Content-Type", "application/octet-stream")]
        return _response(200, headers), bytes(value)
    if not isinstance(value, func.HttpResponse):
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{type(value)}" for an HTTP '
            "response"
        )
    headers = [(str(name), str(text)) for name, text in value.headers.items()]
    names = {name.lower() for name, _ in headers}
    if "content-type" not in names:
        content_type = value.mimetype
        if content_type.startswith("text/"):
            content_type += f"; charset={value.charset}"
        headers.append(("Content-Type", content_type))
    return _response(value.status_code, _single(headers)), value.get_body()


def _response(status: int, headers: list[tuple[str, str]]) -> dict[str, Any]:
    return {"status": status, "headers": headers}


def _single(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of a repeated header the last wins; cookies stay separate (host.md 4.3)."""
    last: dict[str, tuple[str, str]] = {}
    cookies: list[tuple[str, str]] = []
    for name, text in headers:
        if name.lower() == "set-cookie":
            parsed = SimpleCookie(text)
            values = [morsel.OutputString() for morsel in parsed.values()] or [text]
            cookies += [("Set-Cookie", value) for value in values]
        else:
            last[name.lower()] = (name, text)
    return [*last.values(), *cookies]


def converter_of(binding_type: str) -> Any:
    """azure-functions' converter for a type of binding; None if it has none."""
    registry: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]
    return registry.get(binding_type)


_JSON_TRIGGERS = (TIMER_TRIGGER, "eventGridTrigger")
# What the converters of message triggers insist on finding beside the message.
_MESSAGE_METADATA = {
    name: meta.Datum(text, "json")
    for name, text in (
        ("UserProperties", "{}"),
        ("SystemProperties", "{}"),
        ("Properties", "{}"),
        ("PropertiesArray", "[]"),
    )
}


def decode_trigger(binding_type: str, text: str) -> Any:
    """The argument of a function, through azure-functions' own converter if it has one."""
    converter = converter_of(binding_type)
    if converter is None:
        return text
    datum = meta.Datum(text, "json" if binding_type in _JSON_TRIGGERS else "string")
    is_message = binding_type not in (*_JSON_TRIGGERS, *DURABLE_TRIGGERS)
    return converter.decode(datum, trigger_metadata=_MESSAGE_METADATA if is_message else None)


def encode_result(binding_type: str, value: Any) -> str:
    """Text of what a durable function returned.

    Raises:
        ValueError: It cannot be encoded.
    """
    converter = converter_of(binding_type)
    try:
        datum = converter.encode(value, expected_type=None)
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise ValueError(
            f"{error}; it is of type {kind}, or holds what JSON does not know: annotate the "
            f"function with what it returns, as in '-> {kind}', or return lists, dictionaries, "
            "texts and numbers"
        ) from error
    return datum.value if isinstance(datum.value, str) else json.dumps(datum.value)


def encode_starts(value: Any) -> list[dict[str, Any]]:
    """Orchestrations that a function asks for through an output of type durableClient.

    Args:
        value: Object or array, or its JSON text: ``FunctionName``, ``InstanceId``, ``Input``.

    Raises:
        ValueError: It has another shape.
    """
    if isinstance(value, (str, bytes)):
        value = json.loads(value)
    starts: list[Any] = []
    starts += value if isinstance(value, list) else [value]
    for start in starts:
        fields = cast("dict[str, Any]", start if isinstance(start, dict) else {})
        texts = (fields.get("FunctionName"), fields.get("InstanceId", ""))
        if not texts[0] or not all(isinstance(text, str | None) for text in texts):
            raise ValueError(
                'an output of type durableClient takes {"FunctionName": ..., "InstanceId": ..., '
                '"Input": ...} or a list of them'
            )
    return starts
