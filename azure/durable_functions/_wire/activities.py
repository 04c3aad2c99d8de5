"""Activities whose payloads are decoded and encoded here, and not by the Functions worker.

The worker's converter knows plain JSON and no annotations, and its loader refuses any that is no
class. So it sees a function without them, around the user's. Source: docs/payloads.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import handles, payloads, typed

if TYPE_CHECKING:
    from .converters import DataConverter


def wrapped(function: Callable[..., Any], name: str) -> Callable[..., Any] | None:
    """An activity around a function, by the codec of this package; None if it needs none.

    Args:
        function: The user's.
        name: The parameter that receives the input.
    """
    hints = typed.annotations_of(function)
    wanted, given = hints.get(name), hints.get("return")
    kinds = [kind for kind in (wanted, given) if kind is not None]
    if all(typed.is_plain_class(kind) and not typed.is_typed(kind) for kind in kinds):
        return None

    def decode(value: Any) -> Any:
        if wanted is None or not typed.is_typed(wanted):
            return value
        return typed.from_plain(value, wanted, f"the input {name!r}")

    def encode(returned: Any) -> Any:
        return payloads.parse(payloads.encode(returned)) if typed.is_typed(given) else returned

    return _around(function, name, hints, decode, encode)


def converted(function: Any, name: str, converter: DataConverter) -> Callable[..., Any]:
    """An activity around a function, by a converter of the app's.

    Args:
        function: The user's, or what has been put around it already.
        name: The parameter that receives the input.
        converter: The app's.
    """
    hints = typed.annotations_of(getattr(function, "activity_function", function))

    def decode(value: Any) -> Any:
        if value is None:
            return None
        return converter.deserialize(payloads.encode(value), hints.get(name))

    def encode(returned: Any) -> Any:
        return payloads.converted(converter, returned)

    return _around(function, name, hints, decode, encode)


def _around(
    function: Any,
    name: str,
    hints: dict[str, Any],
    decode: Callable[[Any], Any],
    encode: Callable[[Any], Any],
) -> Callable[..., Any]:
    call: Any
    if inspect.iscoroutinefunction(function):

        async def call_async(**keywords: Any) -> Any:
            if name in keywords:
                keywords[name] = decode(keywords[name])
            return encode(await function(**keywords))

        call = call_async
    else:

        def call_sync(**keywords: Any) -> Any:
            if name in keywords:
                keywords[name] = decode(keywords[name])
            return encode(function(**keywords))

        call = call_sync
    handles.take_name(call, function)
    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    gives = "return" in hints
    # Real classes that the worker takes, and nothing where the user's annotation is none.
    seen = {
        key: kind
        for key, kind in hints.items()
        if key not in (name, "return") and typed.is_plain_class(kind)
    }
    seen[name] = object
    call.__signature__ = signature.replace(
        parameters=[
            parameter.replace(annotation=seen.get(parameter.name, empty))
            for parameter in signature.parameters.values()
        ],
        return_annotation=object if gives else empty,
    )
    call.__annotations__ = {**seen, **({"return": object} if gives else {})}
    call.activity_function = getattr(function, "activity_function", function)
    made: Callable[..., Any] = call
    return made
