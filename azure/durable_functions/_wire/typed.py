"""Values of Python's own and the usual libraries' types, as plain JSON and back.

What azure-functions' codec takes goes through it, byte for byte; here is what it refuses: data
classes, pydantic, attrs and msgspec models, moments, spans, enumerations, UUIDs, decimals, sets,
bytes. They travel as plain JSON, so the type to decode to must be known: an annotation, or
``expected_type``. The rules are ours, and not those of whichever library is installed, because the
same history must give the same values in every worker; models of pydantic and msgspec write and
read themselves. Source: docs/payloads.md.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast

from . import df_serialization, shapes, timestamps

_UNIONS: tuple[Any, ...] = (typing.Union, types.UnionType)
_SEQUENCES = ("list", "Sequence", "Iterable", "Collection", "MutableSequence")
_MAPPINGS = ("dict", "Mapping", "MutableMapping")
_SETS = ("set", "frozenset", "Set", "AbstractSet", "MutableSet")
_SCALARS: tuple[type, ...] = (date, time, timedelta, Decimal, bytes)


class DoesNotFit(TypeError):
    """A payload does not fit the type it is to have; says where and what there is."""


def to_plain(value: Any) -> Any:
    """One step towards plain JSON, for the encoder's ``default``.

    Raises:
        TypeError: There is no way known.
    """
    kind: Any = cast("Any", type(value))
    if hasattr(value, "to_json"):
        default = df_serialization._get_serialize_default()
        if default is None:  # the strict mode takes such an object at the top only
            raise TypeError(f"Object of type {kind.__name__} is not JSON serializable")
        return default(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal) or _is_uuid(kind):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset)):
        items = cast("Any", value)
        return sorted(items, key=repr)  # the same text in every process
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)  # the names that it is read by
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(kind, "__struct_fields__"):
        import msgspec  # whose model it is

        return msgspec.to_builtins(value, enc_hook=to_plain, str_keys=True, order="deterministic")
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    raise TypeError(f"Object of type {kind.__name__} is not JSON serializable")


def is_typed(kind: Any) -> bool:
    """Whether values of a type are ours to decode: the codec knows nothing of it."""
    try:
        return _is_typed(kind)
    except TypeError:  # Annotated with something that has no hash
        return _is_typed.__wrapped__(kind)


@functools.lru_cache(maxsize=512)
def _is_typed(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is not None:
        name = getattr(origin, "__name__", "")
        return name in (*_SETS, "tuple") or any(map(is_typed, typing.get_args(kind)))
    if not isinstance(kind, type) or hasattr(kind, "from_json"):
        return False
    return (
        issubclass(kind, (*_SCALARS, Enum, set, frozenset, tuple))
        or _is_uuid(kind)
        or _model_of(kind) is not None
    )


def _is_uuid(kind: Any) -> bool:
    return bool(kind.__module__ == "uuid" and kind.__name__ == "UUID")


def _model_of(kind: Any) -> Callable[[Any, Any, str], Any] | None:
    """How a class with fields is made of an object; None if it is none."""
    if hasattr(kind, "model_validate"):
        return _of_pydantic
    if hasattr(kind, "__struct_fields__"):
        return _of_msgspec
    if dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__"):
        return _of_fields
    return None


def from_plain(value: Any, kind: Any, where: str = "the value") -> Any:
    """A value of a type, made of plain JSON.

    Args:
        value: As `json.loads` gives it.
        kind: A class, or an annotation such as ``list[Order]`` or ``Order | None``.
        where: What errors call the value.

    Raises:
        DoesNotFit: It is of another shape.
        Exception: Whatever a class raises that checks itself.
    """
    origin = typing.get_origin(kind)
    if origin is not None:
        return _of_generic(value, kind, origin, where)
    if not isinstance(kind, type) or kind is object:
        return value
    if isinstance(value, kind) and not shapes.is_object(value):
        return value
    model = _model_of(kind)
    if model is not None:
        if not shapes.is_object(value) and model is not _of_msgspec:
            raise _misfit(value, kind, where)
        return model(value, kind, where)
    try:
        return _of_scalar(value, kind)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise _misfit(value, kind, where) from error


def _of_scalar(value: Any, kind: Any) -> Any:
    if issubclass(kind, Enum):
        return kind(value)
    if issubclass(kind, datetime):
        return timestamps.parse_moment(value)
    if issubclass(kind, (date, time)):
        return kind.fromisoformat(value)
    if issubclass(kind, timedelta):
        return timedelta(seconds=value)
    if issubclass(kind, Decimal) or _is_uuid(kind):
        return kind(value if isinstance(value, str) else str(value))
    if issubclass(kind, bytes):
        return base64.b64decode(value, validate=True)
    make: Any = kind
    if issubclass(kind, (tuple, set, frozenset)):
        if not shapes.is_array(value):
            raise TypeError("not an array")
        return make(*value) if hasattr(make, "_fields") else make(value)
    if kind is float and type(value) is int:
        return float(value)
    if not isinstance(value, kind) and kind in (str, int, float, bool, list, dict):
        raise TypeError(f"not of type {kind.__name__}")
    return value


def _of_generic(value: Any, kind: Any, origin: Any, where: str) -> Any:
    arguments = typing.get_args(kind)
    name = getattr(origin, "__name__", "")
    if origin in _UNIONS:
        return _of_union(value, arguments, where)
    if origin is typing.Annotated:
        return from_plain(value, arguments[0], where)
    if origin is typing.Literal:
        if value not in arguments:
            raise _misfit(value, kind, where)
        return value
    if name in _MAPPINGS:
        if not shapes.is_object(value):
            raise _misfit(value, kind, where)
        return {
            from_plain(key, arguments[0], f"a key of {where}"): from_plain(
                item, arguments[1], f"{where}[{key!r}]"
            )
            for key, item in value.items()
        }
    if name not in (*_SEQUENCES, *_SETS, "tuple"):
        return value
    if not shapes.is_array(value):
        raise _misfit(value, kind, where)
    if name == "tuple" and arguments[-1:] != (...,):
        if len(value) != len(arguments):
            raise _misfit(value, kind, where)
        kinds = arguments
    else:
        kinds = (arguments[0],) * len(value)
    items = [
        from_plain(item, each, f"{where}[{number}]")
        for number, (item, each) in enumerate(zip(value, kinds, strict=True))
    ]
    if name == "tuple":
        return tuple(items)
    if name in _SETS:
        return frozenset(items) if name == "frozenset" else set(items)
    return items


def _of_union(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    """The first that fits; None only for JSON's null, and for it only None."""
    if value is None and type(None) in arguments:
        return None
    reasons: list[str] = []
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return from_plain(value, argument, where)
        except Exception as error:  # a model's own checks; the next one may fit
            reasons.append(str(error))
    raise DoesNotFit("; ".join(reasons))


def _of_pydantic(value: Any, kind: Any, where: str) -> Any:
    return kind.model_validate(value)


def _of_msgspec(value: Any, kind: Any, where: str) -> Any:
    import msgspec  # whose model it is

    return msgspec.convert(value, kind)


def _of_fields(value: Mapping[str, Any], kind: Any, where: str) -> Any:
    """A data class or a class of attrs; unknown keys are left out, missing ones have defaults."""
    hints = _hints_of(kind)
    given: dict[str, Any] = {}
    later: dict[str, Any] = {}
    for field in _fields_of(kind):
        if field.name not in value:
            continue
        found = from_plain(value[field.name], hints.get(field.name, Any), f"{where}.{field.name}")
        if field.init:
            given[getattr(field, "alias", None) or field.name] = found
        else:
            later[field.name] = found
    try:
        made = kind(**given)
    except TypeError as error:
        raise DoesNotFit(f"{where} is no {kind.__name__}: {error}") from error
    for name, found in later.items():
        object.__setattr__(made, name, found)
    return made


def _fields_of(kind: Any) -> Any:
    return kind.__attrs_attrs__ if hasattr(kind, "__attrs_attrs__") else dataclasses.fields(kind)


@functools.lru_cache(maxsize=512)
def _hints_of(kind: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _misfit(value: Any, kind: Any, where: str) -> DoesNotFit:
    name = getattr(kind, "__name__", None) if isinstance(kind, type) else None
    return DoesNotFit(f"{where} must be {name or kind}, got {type(value).__name__}")


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, evaluated; those that cannot be are left out."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # names that only type checkers see
        module = sys.modules.get(function.__module__)
        found: dict[str, Any] = {}
        for name, annotation in getattr(function, "__annotations__", {}).items():
            if isinstance(annotation, str):
                try:
                    annotation = eval(annotation, vars(module) if module else {})
                except Exception:  # the rest may be read
                    continue
            found[name] = annotation
        return found


def is_plain_class(annotation: Any) -> bool:
    """Whether the Functions worker takes an annotation: a class, and no alias of one."""
    return inspect.isclass(annotation) and typing.get_origin(annotation) is None
