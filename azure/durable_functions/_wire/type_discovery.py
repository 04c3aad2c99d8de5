"""Which type a called function says it returns. Source: sdk.md 4.6, Q35 and Q116."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import logging
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("azure.durable_functions.models.utils.type_discovery")

_GENERATORS: tuple[type, ...] = (
    collections.abc.Generator,
    collections.abc.Iterator,
    collections.abc.Iterable,
    types.GeneratorType,
)

_cache: weakref.WeakKeyDictionary[Any, type | None] = weakref.WeakKeyDictionary()


def activity_output_type(activity: object) -> type | None:
    """The return annotation of a decorated activity, if it is a plain class; else None."""
    function = _unwrap_function_builder(activity)
    return None if function is None else _return_annotation(function)


def sub_orchestrator_output_type(orchestrator: object) -> type | None:
    """The same for an orchestrator: looks at the user's function, not at its wrapper.

    A generator's annotation speaks of what it yields, so it says nothing about the output.
    """
    handle = _unwrap_function_builder(orchestrator)
    if handle is None:
        return None
    found = _return_annotation(getattr(handle, "orchestrator_function", handle))
    return None if found in _GENERATORS else found


def _unwrap_function_builder(candidate: object) -> Callable[..., Any] | None:
    function = getattr(getattr(candidate, "_function", None), "_func", None)
    function = getattr(function, "activity_function", function)  # without our decoding around it
    return function if callable(function) else None


def _return_annotation(function: Callable[..., Any]) -> type | None:
    try:
        if function in _cache:
            return _cache[function]
    except TypeError:  # not hashable or not weakly referable: read it every time
        return _read_return_annotation(function)
    found = _read_return_annotation(function)
    _cache[function] = found
    return found


def _read_return_annotation(function: Callable[..., Any]) -> type | None:
    target = functools.partial(function).func  # partials and plain functions alike
    try:
        annotation = typing.get_type_hints(target).get("return")
    except Exception:  # user annotations may fail in any way; then only the raw one can help
        try:
            annotation = inspect.signature(target).return_annotation
        except (TypeError, ValueError):
            return None
        if annotation is inspect.Signature.empty:
            return None
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    if typing.get_origin(annotation) is not None:
        from . import typed

        if typed.is_typed(annotation):  # ours to decode: list[Order], Order | None
            found: Any = annotation
            return found  # type: ignore[no-any-return]
    return None
