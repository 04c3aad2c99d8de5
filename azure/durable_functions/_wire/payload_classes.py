"""Which class a payload may make an object of.

A payload that says ``__class__``, ``__module__`` and ``__data__`` asks for an object, and whoever
can raise an event can send one. azure-functions up to 1.25 imports the module; later ones take any
class that is loaded. Here a payload imports nothing, gets classes of the app and of packages that
the app names, and with an expected type nothing else than that. Source: docs/payloads.md.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

VARIABLE = "AZURE_FUNCTIONS_DURABLE_IMPORT_CLASSES"
_KEYS = ("__class__", "__module__", "__data__")
_OURS = "azure.durable_functions"
_UNIONS: tuple[Any, ...] = (typing.Union, types.UnionType)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")


def is_envelope(value: Any) -> bool:
    """Whether a value of JSON asks for an object."""
    return isinstance(value, dict) and all(key in value for key in _KEYS)


def class_of(envelope: Mapping[str, Any]) -> type:
    """The class that an envelope asks for.

    Raises:
        ValueError: Its module is not loaded, or the class is none that the app defines or names.
        AttributeError: The module has no such class.
    """
    class_name, module_name = envelope["__class__"], envelope["__module__"]
    module = sys.modules.get(module_name) if isinstance(module_name, str) else None
    if module is None and _imports() and isinstance(module_name, str):
        module = importlib.import_module(module_name)
    if module is None:
        raise ValueError(
            f"cannot deserialize custom object: module {module_name!r} is not loaded in sys.modules"
        )
    found = _attribute(module, class_name)
    if not isinstance(found, type):
        raise AttributeError(
            f"cannot deserialize custom object: class {class_name!r} not found in module "
            f"{module_name!r}"
        )
    if not (_imports() or _is_the_apps(module) or _is_named(found)):
        raise ValueError(
            f"cannot deserialize custom object: the app neither defines nor names the class "
            f"{class_name!r} of module {module_name!r}. Import it in a module of the app if its "
            "payloads hold such objects"
        )
    return found


def checked(value: Any, expected_type: Any) -> Any:
    """The expected type, or the class that stands for it, if a payload has such an object.

    Raises:
        TypeError: The object is of another class.
        ValueError, AttributeError: As `class_of`.
    """
    if not is_envelope(value) or _is_itself(value, expected_type):
        return expected_type
    found = class_of(value)
    if not (_admits(expected_type, found) or _cannot_be_named(expected_type, found)):
        named = f"{value['__module__']}.{value['__class__']}"
        wanted = getattr(expected_type, "__qualname__", None) or str(expected_type)
        raise TypeError(f"the payload declares class {named} but expected is {wanted}")
    return expected_type if isinstance(expected_type, type) else found


def _imports() -> bool:
    return os.environ.get(VARIABLE, "").strip().lower() in ("1", "true", "yes")


def _attribute(module: types.ModuleType, name: Any) -> Any:
    """What stands in a module; a lazy one would import more to answer for itself."""
    if not isinstance(name, str):
        return None
    if module.__name__.startswith(_OURS):  # our official addresses read in their homes
        return getattr(module, name, None)
    return vars(module).get(name)


def _is_itself(envelope: Mapping[str, Any], expected_type: Any) -> bool:
    return (
        isinstance(expected_type, type)
        and envelope["__class__"] == expected_type.__name__
        and envelope["__module__"] == expected_type.__module__
    )


def _cannot_be_named(expected_type: Any, found: type) -> bool:
    """Whether no payload could ever fit: a class inside of a function has no address.

    There the codec's warning has to do, as in release 1.7.0, for classes of the same module.
    """
    inside = "<locals>" in getattr(expected_type, "__qualname__", "")
    return (
        inside
        and found.__module__ == expected_type.__module__
        and "from_json" in dir(expected_type)
    )


def _admits(expected_type: Any, found: type) -> bool:
    if expected_type in (Any, object) or isinstance(expected_type, typing.TypeVar):
        return True
    origin = typing.get_origin(expected_type)
    if origin in _UNIONS:
        return any(_admits(each, found) for each in typing.get_args(expected_type))
    if origin is typing.Annotated:
        return _admits(typing.get_args(expected_type)[0], found)
    kind = origin or expected_type
    try:
        return issubclass(found, kind)
    except TypeError:  # None, a text, a protocol: nothing that a class could be of
        return getattr(kind, "_is_protocol", False) is True


def _is_the_apps(module: types.ModuleType) -> bool:
    """Whether a module is neither the standard library's nor of an installed package."""
    top = module.__name__.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top == "__main__"
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return True  # made by the app
    if any(part in file for part in _INSTALLED):
        return False
    return not file.startswith(_LIBRARY)


def _is_named(found: type) -> bool:
    """Whether a module of the app has imported something of the package that defines a class."""
    package = found.__module__.partition(".")[0]
    if package in sys.stdlib_module_names:
        return False
    if found.__module__.startswith(f"{_OURS}."):
        return True
    modules: list[Any] = list(sys.modules.values())  # whatever somebody has put there
    return any(
        _package_of(value) == package
        for module in modules
        if isinstance(module, types.ModuleType) and _is_the_apps(module)
        for value in list(vars(module).values())
    )


def _package_of(value: Any) -> str | None:
    if isinstance(value, types.ModuleType):
        name: Any = value.__name__
    elif isinstance(value, (type, types.FunctionType)):
        name = value.__module__
    else:
        return None
    return name.partition(".")[0] if isinstance(name, str) else None
