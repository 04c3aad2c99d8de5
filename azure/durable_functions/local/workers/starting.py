"""Makes the workers of an app: which interpreter, which environment, how many."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from azure.durable_functions.local import operating_system
from azure.durable_functions.local.config.app_folder import Setup
from azure.durable_functions.local.config.host_json import HostJson
from azure.durable_functions.local.options import HostOptions
from azure.durable_functions.local.worker.link import Frame

from .app_info import AppInfo
from .in_process import InProcessWorker
from .pool import WorkerPool
from .process import WorkerProcess
from .worker import LogSink


def make_pool(
    setup: Setup, host_json: HostJson, options: HostOptions, on_user_record: LogSink, port: int
) -> WorkerPool:
    """Makes the workers of an app; `WorkerPool.start` starts them.

    Args:
        setup: The app folder and the app's environment.
        host_json: The app's host.json.
        options: The options of the command line.
        on_user_record: Receives the log records of user code.
        port: The port that the host listens on.
    """
    root = setup.root
    environment = _environment(setup, port)
    only = options.functions or host_json.functions
    episodes = host_json.hub.max_episodes
    if options.in_process or sys.platform == "win32":
        os.environ.update(environment)
        os.chdir(root)
        return WorkerPool(
            lambda: InProcessWorker.start(root, on_user_record, only, (episodes, episodes)), 1
        )
    python = find_python(root, environment, options.worker_python)
    arguments = shlex.split(options.interpreter_arguments or "")
    packages = root / ".python_packages" / "lib" / "site-packages"
    if packages.is_dir():
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(part for part in (str(packages), known) if part)
    return WorkerPool(
        lambda: WorkerProcess.start(
            [python, *arguments],
            root,
            environment,
            on_user_record,
            only=only,
            places=(episodes, episodes // options.workers),
            patience_seconds=options.timeout_seconds,
        ),
        options.workers,
        # Such arguments start a debugger, and time at a breakpoint must not count.
        timeout=None if arguments else host_json.function_timeout,
        has_exclusive_start=bool(arguments),
    )


def _environment(setup: Setup, port: int) -> dict[str, str]:
    """Returns the app's environment with the variables that the Functions host sets."""
    environment = {
        **setup.environment,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "WEBSITE_HOSTNAME": f"localhost:{port}",
        "AzureWebJobsScriptRoot": str(setup.root),
    }
    environment.setdefault("PYTHON_ENABLE_DEBUG_LOGGING", "1")
    for name in ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"):
        environment.pop(name, None)
    return environment


def find_python(root: Path, environment: Mapping[str, str], wanted: str | None = None) -> str:
    """Returns the app's interpreter (host.md 11.1).

    Args:
        root: The app folder, whose ``.venv`` comes third.
        environment: The app's environment, whose ``VIRTUAL_ENV`` comes second.
        wanted: The interpreter of the command line; it comes first.
    """
    if wanted:
        return wanted
    candidates = [Path(environment["VIRTUAL_ENV"])] if environment.get("VIRTUAL_ENV") else []
    candidates.append(root / ".venv")
    for candidate in candidates:
        python = operating_system.interpreter_of(candidate)
        if python.is_file():
            return str(python)
    return sys.executable


async def load_app(setup: Setup, options: HostOptions | None = None) -> AppInfo:
    """Loads an app in a worker, only to learn its functions; its log records are discarded.

    Raises:
        SettingsError: host.json cannot be used.
        WorkerFailed: No worker started.
    """
    host_json = setup.read_host_json()
    pool = make_pool(setup, host_json, options or HostOptions(setup.root), _discard, 0)
    try:
        return await pool.start()
    finally:
        await pool.stop()


def _discard(record: Frame) -> None:
    """Does nothing with a log record."""
