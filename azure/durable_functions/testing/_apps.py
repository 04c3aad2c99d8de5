"""Loads what a test gives as its app, without a worker of its own."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import os
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import azure.functions as func

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions.local.config.host_json import HostJson, read_host_json
from azure.durable_functions.local.engine.invoker import OPEN, Gate
from azure.durable_functions.local.worker import app_loader, runtime
from azure.durable_functions.local.worker.binding_types import DURABLE_CLIENTS
from azure.durable_functions.local.worker.functions import Functions
from azure.durable_functions.local.worker.link import Frame
from azure.durable_functions.local.workers.app_info import AppInfo
from azure.durable_functions.local.workers.worker import PendingAnswers

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import Invoke


class AppNotLoaded(DurableFunctionsError):
    """What was given is no app, or its functions cannot be used; says why."""


def load(app: Any) -> app_loader.LoadedApp:
    """The functions of an app.

    Args:
        app: A `DFApp`, a `Blueprint`, a module or its dotted name, or the path of an app folder.

    Raises:
        AppNotLoaded: It is none of these, or a function of it cannot be used.
    """
    loaded = _load(app)
    if loaded.failure is not None:
        raise AppNotLoaded(f"the app cannot be loaded:\n{loaded.failure}")
    if loaded.errors:
        told = "\n".join(f"  {name}: {reason}" for name, reason in loaded.errors)
        raise AppNotLoaded(f"functions of the app cannot be used:\n{told}")
    if not loaded.functions:
        raise AppNotLoaded(f"{app!r} holds no function")
    return loaded


def host_json_of(app: Any) -> HostJson:
    """The settings of an app folder; the defaults of what is none."""
    is_folder = isinstance(app, Path) or (isinstance(app, str) and Path(app).is_dir())
    return read_host_json(Path(app).resolve(), os.environ) if is_folder else HostJson()


def _load(app: Any) -> app_loader.LoadedApp:
    if isinstance(app, ModuleType):
        return _of_module(app)
    if isinstance(app, Path) or (isinstance(app, str) and Path(app).is_dir()):
        root = Path(app).resolve()
        if not root.is_dir():
            raise AppNotLoaded(f"there is no app folder {root}")
        app_loader.unload(root)
        # Every app folder has a module of this name; the one of another folder is not meant.
        sys.modules.pop("function_app", None)
        if str(root) in sys.path:
            sys.path.remove(str(root))
        sys.path.insert(0, str(root))
        return app_loader.load(root)
    if isinstance(app, str):
        try:
            return _of_module(importlib.import_module(app))
        except ModuleNotFoundError as error:
            raise AppNotLoaded(f"{app!r} is neither an app folder nor a module: {error}") from error
    if isinstance(app, func.FunctionRegister):
        return _of_register(app)
    if isinstance(app, func.DecoratorApi):  # a blueprint
        from azure.durable_functions import DFApp

        whole = DFApp()
        whole.register_functions(app)
        return _of_register(whole)
    raise AppNotLoaded(
        f"an app is a DFApp, a Blueprint, a module or its name, or the path of an app folder, "
        f"got {type(app).__name__}"
    )


def _of_module(module: ModuleType) -> app_loader.LoadedApp:
    file = Path(inspect.getfile(module))
    try:
        register = app_loader.find_app(module, file.name)
    except ValueError as error:
        raise AppNotLoaded(f"{module.__name__}: {error}") from None
    return app_loader.of_register(register, file.parent, file.name)


def _of_register(register: Any) -> app_loader.LoadedApp:
    return app_loader.of_register(register, Path.cwd(), "function_app.py")


class _InlineFunctions(Functions):
    """Runs sync functions where they are called: a test has no use for threads.

    Only those with a client get one, since its calls wait for the host, which runs here too.
    """

    async def invoke(self, header: Invoke, payload: bytes) -> Frame:
        """Run a function and give the frame that answers."""
        function = self._functions[header["function"]]
        context = contextvars.copy_context()
        if self._is_awaited(function, header):
            run = self._run_async(function, header, payload)
            frame = await context.run(asyncio.get_running_loop().create_task, run)
            assert frame is not None  # without anybody to stream to, an answer is whole
            return frame
        if any(binding["type"] in DURABLE_CLIENTS for binding in function.bindings):
            blocking = partial(self._run, function, header, payload)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: context.run(blocking))
        return context.run(self._run, function, header, payload)


class InlineWorker(PendingAnswers):
    """A worker of `WorkerPool` that is no more than the loaded functions."""

    def __init__(self, loaded: app_loader.LoadedApp) -> None:
        super().__init__()
        self.app = AppInfo.from_frame(runtime.describe(loaded))
        self.lost = asyncio.Event()
        self.load = 0
        self.is_retired = False
        self._functions = _InlineFunctions(loaded.functions)

    async def call(self, header: Invoke, payload: bytes, after: Gate = OPEN) -> Frame:
        """Invoke a function."""
        await after.kept()
        return await self._functions.invoke({**header, "id": 0}, payload)

    async def stop(self) -> None:
        """Nothing has to end."""
        self._functions.close()
