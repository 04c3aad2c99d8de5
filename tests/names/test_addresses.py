"""The promise to users of the official package: address, identity, state and subclassing."""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions import _aliases

ROOT = _aliases.ROOT
PACKAGE = Path(df.__file__).parent


def module(address: str) -> ModuleType:
    return importlib.import_module(f"{ROOT}.{address}")


def one_activity(context: df.DurableOrchestrationContext) -> Any:
    return (yield context.call_activity("A"))


def plain(listed: str) -> str:
    return listed.partition("@")[0].rstrip("*")


@pytest.mark.parametrize("address", sorted(_aliases.ADDRESSES))
def test_every_address_offers_its_names(address: str) -> None:
    entry = _aliases.ADDRESSES[address]

    missing = [
        name
        for name in (entry.defines + " " + entry.also).split()
        if not hasattr(module(address), plain(name))
    ]

    assert missing == []


@pytest.mark.parametrize("package", sorted(_aliases.PACKAGES))
def test_a_class_stands_over_the_module_of_its_name(package: str) -> None:
    for name in _aliases.PACKAGES[package].split():
        if f"{package}.{name}" in _aliases.ADDRESSES:
            imported = module(f"{package}.{name}")
            assert getattr(module(package), name) is getattr(imported, name)
            assert isinstance(getattr(module(package), name), type)


def test_importing_a_deep_name_gives_the_class_the_engine_uses() -> None:
    from azure.durable_functions._replay import tasks
    from azure.durable_functions.models.Task import TaskBase

    assert TaskBase is tasks.TaskBase
    assert TaskBase.__module__ == f"{ROOT}.models.Task"


@pytest.mark.parametrize("address", sorted(_aliases.ADDRESSES))
def test_classes_say_that_they_live_at_their_address(address: str) -> None:
    for name in _aliases.ADDRESSES[address].defines.split():
        value = getattr(module(address), name)
        if isinstance(value, type):
            assert value.__module__ == f"{ROOT}.{address}"


def test_a_patch_through_an_address_takes_effect_and_goes_away() -> None:
    from azure.durable_functions._replay import context

    original = context.RetryAbleTask
    shadowed = module("models.DurableOrchestrationContext")
    with mock.patch.object(shadowed, "RetryAbleTask") as patched:
        assert context.RetryAbleTask is patched
    assert context.RetryAbleTask is original


def test_a_name_that_another_home_uses_is_patched_there() -> None:
    executor = module("models.TaskOrchestrationExecutor")
    history = History().episode().done(0, 1)
    with mock.patch.object(executor, "df_loads", return_value="patched"):
        assert history.replay(one_activity)["output"] == "patched"
    assert history.replay(one_activity)["output"] == 1


def test_a_method_can_be_patched_through_the_shadowed_module() -> None:
    shadowed = module("models.DurableOrchestrationClient")
    with mock.patch.object(shadowed.DurableOrchestrationClient, "start_new") as patched:
        assert df.DurableOrchestrationClient.start_new is patched


def test_a_value_assigned_through_an_address_is_read_by_the_home() -> None:
    from azure.durable_functions._client import http

    utils = module("models.utils.http_utils")
    with mock.patch.object(utils, "_client_session", "mine"):
        assert http._client_session == "mine"
    assert http._client_session is None


def test_models_can_be_pickled() -> None:
    options = pickle.loads(pickle.dumps(df.RetryOptions(5, 2)))
    status = pickle.loads(pickle.dumps(df.OrchestrationRuntimeStatus.Running))

    assert options.max_number_of_attempts == 2
    assert status is df.OrchestrationRuntimeStatus.Running


@pytest.mark.parametrize("address", ["models.Task", "models.utils.df_serialization"])
def test_an_address_can_be_reloaded(address: str) -> None:
    before = df.models.TaskBase  # type: ignore[attr-defined]  # an official attribute

    reloaded = importlib.reload(module(address))

    assert reloaded.__name__ == f"{ROOT}.{address}"
    assert df.models.TaskBase is before  # type: ignore[attr-defined]


def test_an_address_that_is_not_official_does_not_import() -> None:
    with pytest.raises(ModuleNotFoundError):
        module("models.NoSuchThing")


@pytest.mark.parametrize("address", sorted({*_aliases.ADDRESSES, *_aliases.PACKAGES}))
def test_every_address_has_a_file_that_re_exports_its_names(address: str) -> None:
    stub = PACKAGE.joinpath(*address.split("."))
    if address in _aliases.PACKAGES:
        text = (stub / "__init__.py").read_text()
        names = _aliases.PACKAGES[address]
    else:
        text = stub.with_suffix(".py").read_text()
        names = f"{_aliases.ADDRESSES[address].defines} {_aliases.ADDRESSES[address].also}"

    exported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    } | set(re.findall(r"^(\w+) = ", text, re.MULTILINE))

    assert {plain(name) for name in names.split()} <= exported


def test_no_file_of_an_address_is_left_over() -> None:
    stubs = {path.relative_to(PACKAGE) for path in (PACKAGE / "models").rglob("*.py")}
    stubs.add(Path("testing", "OrchestratorGeneratorWrapper.py"))
    known = {Path(*address.split(".")).with_suffix(".py") for address in _aliases.ADDRESSES}
    known |= {Path(*package.split("."), "__init__.py") for package in _aliases.PACKAGES}

    assert stubs == known


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, as dotted names below the root."""
    relative = path.relative_to(PACKAGE)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = relative.parts[: len(relative.parts) - node.level]
                found.add(".".join([*base, *((node.module or "").split("."))]).strip("."))
            elif (node.module or "").startswith(ROOT):
                inner = (node.module or "").removeprefix(ROOT).strip(".")
                found |= {f"{inner}.{alias.name}".strip(".") for alias in node.names}
    return found


ALLOWED = {
    "_wire": {"_wire", "_errors", "constants"},
    "_replay": {"_replay", "_wire", "_errors", "constants"},
    "_entities": {"_entities", "_wire", "_errors", "constants"},
    "_client": {"_client", "_wire", "_errors", "constants"},
    "decorators": {
        *("decorators", "_client", "_wire", "constants", "entity", "orchestrator"),
        "openai_agents",  # when it is used
    },
    "openai_agents": {"openai_agents", "_replay", "_wire"},
    "local/worker": {"local.worker"},
    "local/store": {"local.store", "_errors"},
    "local/workers": {
        *("local.workers", "local.worker"),
        *("local.engine.invoker", "local.engine.registry", "local.engine.clock"),
        *("local.operating_system", "local.failure_texts", "local.config", "local.options"),
        "_errors",
    },
    "local/engine/texts": {
        *("local.engine.texts", "local.engine.settings", "local.engine.registry"),
        *("local.engine.invoker", "local.engine.clock", "local.store", "_wire"),
    },
    "local/engine": {"local.engine", "local.store", "_wire", "_errors"},
    "local/web": {
        *("local.web", "local.engine", "local.store"),
        *("local.workers.app_info", "local.workers.responses"),
        *("local.worker.binding_types", "local.worker.frames", "_wire", "_errors"),
    },
    "local": {"local", "_wire", "_errors", "_startup"},
    "local/cli": {"local", "_wire", "_errors", "testing._histories"},  # durable replay
    "testing": {
        *("testing", "local", "_replay", "_client", "_wire", "_errors", "_aliases"),
        *("DFApp", "entity", "orchestrator"),
    },
}


def room_of(path: Path) -> str:
    """The innermost room: its rules count."""
    return max((room for room in ALLOWED if path.is_relative_to(PACKAGE / room)), key=len)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_import_arrows_point_one_way(room: str) -> None:
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in (PACKAGE / room).rglob("*.py")
        if room_of(path) == room
        for name in imports_of(path)
        if not any(name == ok or name.startswith(f"{ok}.") for ok in ALLOWED[room])
    }

    assert wrong == set()


def test_the_commands_are_imported_by_the_entry_point_alone() -> None:
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(f"{name}.".startswith("local.cli.") for name in imports_of(path))
    }

    assert {path for path in importing if not path.startswith("local/cli/")} == {"__main__.py"}


def test_no_home_imports_models_or_the_root() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "models"):
            continue  # the addresses themselves
        names = imports_of(path)
        assert not any(name.split(".")[0] == "models" for name in names), path


def test_importing_is_light(tmp_path: Path) -> None:
    """sdk.md Q3."""
    (tmp_path / "agents.py").write_text("raise SystemExit('must not be imported')")
    code = (
        "import sys, azure.durable_functions\n"
        "heavy = ('aiohttp', 'opentelemetry', 'openai', 'agents', 'dateutil', 'click', 'sqlite3')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{PACKAGE.parent.parent}{os.pathsep}{tmp_path}"},
    )

    assert printed.stdout.strip() == "[]"


def test_what_is_not_there_is_told_with_the_reason() -> None:
    """sdk.md Q4."""
    code = (
        "import sys; sys.modules['agents'] = None\n"
        "import azure.durable_functions as df\n"
        "try: df.openai_agents\n"
        "except AttributeError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Install azure-functions-durable with its extra [openai]" in ran.stdout
    with pytest.raises(AttributeError, match="has no attribute 'something_else'"):
        _ = df.something_else


def test_the_namespace_stays_shared() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()
    assert (PACKAGE / "py.typed").exists()


def test_an_action_module_appears_when_it_is_asked_for() -> None:
    code = (
        "import sys, azure.durable_functions as df\n"
        "name = 'azure.durable_functions.models.actions.CallEntityAction'\n"
        "assert name not in sys.modules\n"
        "module = df.models.actions.CallEntityAction\n"
        "assert module is sys.modules[name], module\n"
        "import azure.durable_functions.models.actions.CallActivityAction as shown\n"
        "assert isinstance(df.models.actions.CallActivityAction, type)\n"
        "assert shown is df.models.actions.CallActivityAction\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_root_brings_few_modules() -> None:
    code = (
        "import sys, azure.functions\n"
        "before = set(map(id, sys.modules.values()))\n"
        "import azure.durable_functions\n"
        # What old releases of azure-functions leave of the standard library is not ours to count.
        "new = {id(m) for n, m in sys.modules.items() if n not in sys.stdlib_module_names}\n"
        "print(len(new - before))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="/"
    )
    assert int(ran.stdout) <= 80
