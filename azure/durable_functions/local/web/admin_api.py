"""The admin API: what is loaded, how the host is, functions run by hand. Source: host.md 13."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import quote

from azure.durable_functions._wire import shapes
from azure.durable_functions.local.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.engine.functions import TimedOut, WorkerLost
from azure.durable_functions.local.worker.vocabulary import (
    EPISODE_TRIGGERS,
    HTTP_TRIGGER,
    TIMER_TRIGGER,
)
from azure.durable_functions.local.worker_pool import WorkerPool

from . import messages
from .functions_api import describe_request, new_trace_parent
from .messages import Answer, Request

logger = logging.getLogger("azure.durable_functions.local")


class AdminApi:
    """Answers requests below ``/admin``."""

    def __init__(
        self,
        workers: WorkerPool,
        *,
        host_id: str,
        version: str,
        public_origin: str,
        timer_payload: Callable[[str], Awaitable[str]],
    ) -> None:
        """Prepare.

        Args:
            workers: Run the functions.
            host_id: Name of the task hub.
            version: Of this host.
            public_origin: Scheme and authority of its URLs.
            timer_payload: Gives the trigger text of a timer function that is run by hand.
        """
        self._workers = workers
        self._host_id = host_id
        self._version = version
        self._public_origin = public_origin
        self._timer_payload = timer_payload
        self._instance = str(uuid.uuid4())
        self._began = time.monotonic()
        self._running: set[asyncio.Task[None]] = set()
        self.url_templates: dict[str, str] = {}
        """URLs of the HTTP functions, by name."""
        self.errors: dict[str, str] = {}
        """Why functions cannot be used, by name."""

    async def answer(self, request: Request) -> Answer:
        """Answer one request; its path is below ``/admin``."""
        match [request.method, *(segment.lower() for segment in request.segments)]:
            case ["GET", "functions"]:
                found = [self._describe(function) for function in self._app.functions]
                return messages.as_json(200, found)
            case ["GET", "functions", name]:
                function = self._app.find(name)
                if function is not None:
                    return messages.as_json(200, self._describe(function))
            case ["GET", "functions", name, "status"]:
                if self._app.find(name) is not None or name in self._errors():
                    problem = self._errors().get(name)
                    return messages.as_json(200, {"errors": [problem]} if problem else {})
            case ["POST", "functions", name]:
                return self._run(request, name)
            case ["GET", "host", "status"]:
                return messages.as_json(200, self._status())
            case ["GET" | "POST", "host", "ping"]:
                return messages.empty(200)
            case _:
                pass
        return messages.empty(404)

    @property
    def _app(self) -> AppInfo:
        return self._workers.app

    def _errors(self) -> dict[str, str]:
        return {name.lower(): reason for name, reason in self.errors.items()}

    def _status(self) -> dict[str, Any]:
        problems = [f"{name}: {reason}" for name, reason in self.errors.items()]
        if self._app.failure is not None:
            problems.append(self._app.failure)
        return {
            "id": self._host_id,
            "state": "Running",
            "version": self._version,
            "versionDetails": f"{self._version} (azure-functions-durable, local host)",
            "platformVersion": platform.platform(),
            "instanceId": self._instance,
            "computerName": platform.node(),
            "processUptime": round(1000 * (time.monotonic() - self._began)),
            "functionAppContentEditingState": "Unknown",
            **({"errors": problems} if problems else {}),
        }

    def _describe(self, function: FunctionInfo) -> dict[str, Any]:
        href = f"{self._public_origin}/admin/functions/{quote(function.name)}"
        script = os.path.join(function.directory, function.script_file)
        return {
            "name": function.name,
            "script_root_path_href": None,
            "script_href": None,
            "config_href": None,
            "test_data_href": None,
            "href": href,
            "invoke_url_template": self.url_templates.get(function.name),
            "language": "python",
            "config": {
                "name": function.name,
                "functionDirectory": function.directory,
                "scriptFile": os.path.normpath(script),
                "language": "python",
                "disabled": function.is_disabled,
                "bindings": function.bindings,
                **({"retry": function.retry} if function.retry else {}),
            },
            "files": None,
            "test_data": None,
            "isDisabled": function.is_disabled,
            "isDirect": True,
            "isProxy": False,
        }

    def _run(self, request: Request, name: str) -> Answer:
        function = self._app.find(name)
        if function is None or function.name in self.errors:
            return messages.empty(404)
        try:
            body = messages.read_json(request)
        except messages.InvalidJson:
            body = None
        if not shapes.is_object(body):
            return messages.problem(
                400, 'The body must be JSON such as {"input": "text"}, with a text as input'
            )
        given = body.get("input")
        text = "" if given is None else given if isinstance(given, str) else json.dumps(given)
        if function.kind in EPISODE_TRIGGERS:
            logger.error(
                "%s cannot be run by hand: orchestrators and entities are run by the task hub. "
                "Start an instance or send a signal, with a client, the management API, "
                "'durable start-new' or 'durable signal'",
                function.name,
            )
            return messages.empty(202)
        self._spawn(self._invoke(function, text))
        return messages.empty(202)

    async def _invoke(self, function: FunctionInfo, text: str) -> None:
        """Run a function; how it ends is in the log."""
        if function.kind == HTTP_TRIGGER:
            url = self.url_templates.get(function.name, self._public_origin)
            headers = {"content-type": "application/json"}
            described = describe_request("POST", url, headers)
            await self._workers.answer_http(
                function, described, text.encode("utf-8"), new_trace_parent()
            )
            return
        try:
            if function.kind == TIMER_TRIGGER:
                text = await self._timer_payload(function.name)
            elif function.kind == "activityTrigger" and not text:
                text = "null"
            await self._workers.run_function(function, text)
        except (WorkerLost, TimedOut):
            return  # the pool has logged it
        except Exception:  # nobody waits who could be told
            logger.exception("%s could not be run by hand", function.name)

    async def stop(self, patience_seconds: float) -> None:
        """Let functions that were run by hand finish for a while."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_seconds)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
