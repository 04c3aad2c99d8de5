"""Finds the functions of an app folder, of either programming model. Source: host.md 2 and 3.2."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import re
import sys
import traceback
import types
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import azure.functions as func

from . import app_settings
from .function_checks import (
    _FUNCTION_NAME,
    FunctionLoadError,
    LoadedFunction,
    _plain,
    checked,
)

_SETTING = re.compile(r"%([^%]+)%")
_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_NAMESPACE_PACKAGE = "__app__"


@dataclass
class LoadedApp:
    """What an app folder holds."""

    functions: list[LoadedFunction] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Name and reason of every function that cannot be used."""
    failure: str | None = None
    """Why the app as a whole cannot be used: a traceback and a line that says it."""
    data_converter: Any = None
    """How the app writes and reads payloads, if it has a way of its own."""
    mixed_folders: list[str] = field(default_factory=list)
    """Folders with function.json that are ignored, because function_app.py has functions."""


def load(root: Path, only: Collection[str] = ()) -> LoadedApp:
    """Load every function of an app, or those that are named.

    User code is imported; whatever it raises becomes part of the answer.

    Args:
        root: The app folder.
        only: Names of the functions to load, in any case; without any, all are.
    """
    wanted = {name.lower() for name in only}
    app = _load(root, wanted)
    if wanted:
        app.functions = [found for found in app.functions if found.name.lower() in wanted]
        app.errors = [(name, reason) for name, reason in app.errors if name.lower() in wanted]
    return app


def unload(root: Path) -> None:
    """Forget every module below an app folder, so that the next `load` reads them anew."""
    # A copy made at one go: while a list of pairs is made finalizers may run, and import something.
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if name == _NAMESPACE_PACKAGE or (file and _belongs_to_app(Path(file), root)):
            del sys.modules[name]
    importlib.invalidate_caches()


def _belongs_to_app(file: Path, root: Path) -> bool:
    """Whether a file is the app's own; what is installed in a folder below it is not."""
    if not file.is_relative_to(root):
        return False
    return "site-packages" not in file.relative_to(root).parts


def _load(root: Path, wanted: set[str]) -> LoadedApp:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    script_name = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not script_name.endswith(".py"):
        return LoadedApp(
            failure=f"PYTHON_SCRIPT_FILE_NAME must name a .py file, got {script_name!r}"
        )
    script = root / script_name
    if script.is_file():
        app = _load_decorated(root, script)
        if app.functions or app.errors or app.failure:
            app.mixed_folders = [folder.name for folder in _function_folders(root)]
            return app
    return _load_folders(root, wanted)


def _load_decorated(root: Path, script: Path) -> LoadedApp:
    """The decorator model (host.md 2.3): one faulty function spoils them all."""
    try:
        register = find_app(importlib.import_module(script.stem), script.name)
    except Exception as error:
        return LoadedApp(failure=_explain(error))
    except SystemExit as error:
        return LoadedApp(failure=f"{script.name} ended the interpreter: SystemExit({error.code!r})")
    return of_register(register, root, script.name)


def of_register(register: Any, root: Path, script_name: str) -> LoadedApp:
    """What a `FunctionApp` holds.

    Args:
        register: The object that the functions were registered with.
        root: The app folder, as the functions' directory.
        script_name: Of the file that has made it.
    """
    app = LoadedApp(data_converter=getattr(register, "_data_converter", None))
    try:
        with _without_advice():
            functions = register.get_functions()
    except Exception as error:
        app.failure = _explain(error)
        return app
    for function in functions:
        name = function.get_function_name()
        try:
            bindings = [_resolve(_plain(b.get_dict_repr()), name) for b in function.get_bindings()]
            retry = function.get_settings_dict("retry_policy")
            app.functions.append(
                checked(
                    name,
                    bindings,
                    function.get_user_function(),
                    directory=str(root),
                    script_file=script_name,
                    retry=_plain(retry) if retry else None,
                )
            )
        except FunctionLoadError as error:
            app.errors.append((name, str(error)))
    return app


@contextlib.contextmanager
def _without_advice() -> Generator[None]:
    """Drop what azure-functions logs about each app without HTTP functions: nobody's news."""
    home = os.path.dirname(func.__file__)

    def is_news(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or not record.pathname.startswith(home)

    root = logging.getLogger()
    root.addFilter(is_news)
    try:
        yield
    finally:
        root.removeFilter(is_news)


def find_app(module: types.ModuleType, file_name: str) -> Any:
    """The one app object of a module.

    Raises:
        ValueError: There is none, or several.
    """
    base = getattr(func, "FunctionRegister", None)
    found: list[Any] = []
    for value in vars(module).values():
        if base is not None and isinstance(value, base) and all(value is not f for f in found):
            found.append(value)
    if not found:
        raise ValueError(f"Could not find top level function app instances in {file_name}.")
    if len(found) > 1:
        raise ValueError(
            f"More than one {type(found[0]).__name__} or other top level function app instances "
            "are defined."
        )
    return found[0]


def _load_folders(root: Path, wanted: set[str]) -> LoadedApp:
    """The function.json model (host.md 2.4): a faulty folder only disables itself."""
    app = LoadedApp()
    folders = [f for f in _function_folders(root) if not wanted or f.name.lower() in wanted]
    folders.sort(key=lambda folder: folder.name.lower())
    if folders:
        _make_namespace_package(root)
    for folder in folders:
        try:
            app.functions.append(_load_folder(root, folder))
        except FunctionLoadError as error:
            app.errors.append((folder.name, str(error)))
        except (Exception, SystemExit) as error:
            app.errors.append((folder.name, _explain(error)))
    return app


def _function_folders(root: Path) -> Iterator[Path]:
    for child in root.iterdir():
        if (child / "function.json").is_file():
            yield child


def _make_namespace_package(root: Path) -> None:
    """`from .. import shared` works: the app root is the package ``__app__``."""
    package = types.ModuleType(_NAMESPACE_PACKAGE)
    package.__path__ = [str(root)]
    sys.modules[_NAMESPACE_PACKAGE] = package


def _load_folder(root: Path, folder: Path) -> LoadedFunction:
    name = folder.name
    if not _FUNCTION_NAME.fullmatch(name) or name.lower() == "host":
        raise FunctionLoadError(
            f"{name!r} is not a valid function name: a letter first, then letters, digits, '-' "
            "and '_', at most 128 characters, and not 'host'"
        )
    config = _read_function_json(folder / "function.json")
    bindings: Any = config.get("bindings")
    if not isinstance(bindings, list) or not bindings:
        raise FunctionLoadError("function.json must have at least one entry in 'bindings'")
    entries: list[Any] = list(bindings)  # pyright: ignore[reportUnknownArgumentType]  # from JSON
    script = _script_of(folder, config)
    module = _import_script(root, folder, script)
    entry_point = config.get("entryPoint") or "main"
    call = getattr(module, entry_point, None)
    if call is None:
        raise FunctionLoadError(
            f"cannot load the {name} function: function {entry_point}() is not present in "
            f"{script.relative_to(root) if script.is_relative_to(root) else script}"
        )
    return checked(
        name,
        [_resolve(binding, name) for binding in entries],
        call,
        directory=str(folder),
        script_file=os.path.relpath(script, folder),
        retry=_object(config, "retry"),
        disabled=config.get("disabled"),
    )


def _read_function_json(path: Path) -> dict[str, Any]:
    config: Any
    try:
        text = _COMMENTS.sub(lambda match: match[1] or " ", path.read_text("utf-8-sig"))
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FunctionLoadError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise FunctionLoadError(f"{path} must hold a JSON object")
    return cast("dict[str, Any]", config)  # JSON's keys are text


def _object(config: dict[str, Any], key: str) -> dict[str, Any] | None:
    value: Any = config.get(key)
    if value is not None and not isinstance(value, dict):
        raise FunctionLoadError(f"{key!r} of function.json must be a JSON object, got {value!r}")
    return cast("dict[str, Any] | None", value)  # JSON's keys are text


def _script_of(folder: Path, config: dict[str, Any]) -> Path:
    named: str | None = config.get("scriptFile")
    if named:
        script = (folder / named).resolve()
        if not script.is_file():
            raise FunctionLoadError(f"scriptFile {named!r} of function.json does not exist")
        return script
    files = [
        child
        for child in folder.iterdir()
        if child.is_file() and child.name != "function.json" and not child.name.startswith(".")
    ]
    if len(files) == 1:
        return files[0]
    for candidate in ("run.py", "__init__.py"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise FunctionLoadError(
        "it is not clear which file to run: name it as 'scriptFile' in function.json"
    )


def _import_script(root: Path, folder: Path, script: Path) -> types.ModuleType:
    parts = [_NAMESPACE_PACKAGE]
    try:
        relative = script.with_suffix("").relative_to(root.resolve())
    except ValueError:
        raise FunctionLoadError(f"scriptFile {script} lies outside the app folder") from None
    parts += relative.parts
    if parts[-1] == "__init__":
        parts.pop()
    return importlib.import_module(".".join(parts))


def _resolve(binding: Any, function_name: str) -> dict[str, Any]:
    """Put app settings in the place of ``%NAME%``."""
    if not isinstance(binding, dict):
        raise FunctionLoadError("every entry of 'bindings' must be a JSON object")
    fields = cast("dict[str, Any]", binding)  # JSON's keys are text
    if "type" not in fields or "name" not in fields:
        raise FunctionLoadError("every entry of 'bindings' must have 'type' and 'name'")

    def fill(match: re.Match[str]) -> str:
        value = app_settings.lookup(os.environ, match[1])
        if value is None:
            raise FunctionLoadError(
                f"the binding {fields['name']!r} uses the app setting {match[1]!r}, which is "
                "not set (local.settings.json, Values)"
            )
        return value

    return {
        key: _SETTING.sub(fill, value) if isinstance(value, str) else value
        for key, value in fields.items()
    }


def _explain(error: BaseException) -> str:
    """Traceback of user code; for a missing module, where to name it."""
    own = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    shown = [
        frame
        for frame in frames
        if not frame.filename.startswith(own) and "importlib" not in frame.filename
    ]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(shown)]
    lines += traceback.format_exception_only(type(error), error)
    text = "".join(lines).rstrip()
    if isinstance(error, ImportError) and error.name:
        text += (
            f"\nThe module {error.name!r} cannot be imported by {sys.executable}. Name its "
            "distribution in requirements.txt and install it into that interpreter."
        )
    return text
