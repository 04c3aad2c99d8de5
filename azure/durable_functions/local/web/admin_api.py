"""The admin API: loaded functions, status of the host, running a function. Source: host.md 13."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from azure.durable_functions._wire import shapes
from azure.durable_functions.local.engine.invoker import Failure, TimedOut, WorkerLost
from azure.durable_functions.local.worker.binding_types import (
    ACTIVITY_TRIGGER,
    EPISODE_TRIGGERS,
    HTTP_TRIGGER,
    TIMER_TRIGGER,
)
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.workers.responses import Response

from . import exchange
from .app_functions import AppFunctions
from .exchange import Answer, Request
from .functions_api import HttpFunction, describe_request, new_trace_parent
from .instance_views import shown

logger = logging.getLogger("azure.durable_functions.local")


class AdminApi:
    """PendingAnswers requests below ``/admin``."""

    def __init__(
        self,
        workers: AppFunctions,
        *,
        host_id: str,
        version: str,
        public_origin: str,
        timer_payload: Callable[[str], Awaitable[str]],
    ) -> None:
        """Prepares the API; `set_functions` follows when the app is loaded.

        Args:
            workers: Run the functions.
            host_id: The name of the task hub.
            version: The version of this host.
            public_origin: Scheme and authority of the host's URLs.
            timer_payload: Returns the trigger text for a run of a timer function by hand.
        """
        self._workers = workers
        self._host_id = host_id
        self._version = version
        self._public_origin = public_origin
        self._timer_payload = timer_payload
        self._instance = str(uuid.uuid4())
        self._began = time.monotonic()
        self._running: set[asyncio.Task[Answer]] = set()
        self._url_templates: dict[str, str] = {}
        """URLs of the HTTP functions, by name."""
        self._errors: Mapping[str, str] = {}
        """Why functions cannot be used, by name."""

    def set_functions(self, routes: Sequence[HttpFunction], errors: Mapping[str, str]) -> None:
        """Shows these HTTP functions, and why others cannot be used, from now on."""
        self._url_templates = {
            http.function.name: f"{self._public_origin}/{http.template}" for http in routes
        }
        self._errors = errors

    async def answer(self, request: Request) -> Answer:
        """Answers a request; its path is below ``/admin``."""
        match [request.method, *(segment.lower() for segment in request.segments)]:
            case ["GET", "functions"]:
                found = [self._describe(function) for function in self._app.functions]
                return exchange.as_json(200, found)
            case ["GET", "functions", name]:
                function = self._app.find(name)
                if function is not None:
                    return exchange.as_json(200, self._describe(function))
            case ["GET", "functions", name, "status"]:
                if self._app.find(name) is not None or name in self._errors_by_lower_name():
                    problem = self._errors_by_lower_name().get(name)
                    return exchange.as_json(200, {"errors": [problem]} if problem else {})
            case ["POST", "functions", name]:
                return await self._run(request, name)
            case ["GET", "host", "status"]:
                return exchange.as_json(200, self._status())
            case ["GET" | "POST", "host", "ping"]:
                return exchange.empty(200)
            case _:
                pass
        return exchange.empty(404)

    @property
    def _app(self) -> AppInfo:
        return self._workers.app

    def _errors_by_lower_name(self) -> dict[str, str]:
        return {name.lower(): reason for name, reason in self._errors.items()}

    def _status(self) -> dict[str, Any]:
        problems = [f"{name}: {reason}" for name, reason in self._errors.items()]
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
            "invoke_url_template": self._url_templates.get(function.name),
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

    async def _run(self, request: Request, name: str) -> Answer:
        """Starts a function; ``wait=true``, which Core Tools lacks, waits for its result."""
        function = self._app.find(name)
        if self._app.failure is not None:
            return exchange.problem(503, f"the app cannot be loaded:\n{self._app.failure}")
        if function is None or function.name in self._errors:
            return exchange.empty(404)
        try:
            body = exchange.read_json(request)
        except exchange.InvalidJson:
            body = None
        if not shapes.is_object(body):
            return exchange.problem(
                400, 'The body must be JSON such as {"input": "text"}, with a text as input'
            )
        given = body.get("input")
        text = "" if given is None else given if isinstance(given, str) else json.dumps(given)
        is_waited_for = request.query.flag("wait") is True
        if function.kind in EPISODE_TRIGGERS:
            reason = (
                f"{function.name} cannot be run by hand: orchestrators and entities are run by the "
                "task hub. Start an instance or send a signal, with a client, the management API, "
                "'durable start-new' or 'durable signal'"
            )
            if is_waited_for:
                return exchange.problem(400, reason)
            logger.error("%s", reason)
            return exchange.empty(202)
        running = self._spawn(self._invoke(function, text))
        return await asyncio.shield(running) if is_waited_for else exchange.empty(202)

    async def _invoke(self, function: FunctionInfo, text: str) -> Answer:
        """Runs a function and returns its result or failure, which is also logged."""
        if function.kind == HTTP_TRIGGER:
            url = self._url_templates.get(function.name, self._public_origin)
            headers = {"content-type": "application/json"}
            described = describe_request("POST", url, headers)
            response = await self._workers.answer_http(
                function, described, text.encode("utf-8"), new_trace_parent()
            )
            return _failed(response) if isinstance(response, Failure) else await _answered(response)
        try:
            if function.kind == TIMER_TRIGGER:
                text = await self._timer_payload(function.name)
            elif function.kind == ACTIVITY_TRIGGER and not text:
                text = "null"
            outcome = await self._workers.run_function(function, text)
        except (WorkerLost, TimedOut) as error:  # the pool has logged it
            return _failed(Failure(type(error).__name__, str(error), ""))
        except Exception as error:  # perhaps nobody waits for the result
            logger.exception("%s could not be run by hand", function.name)
            return _failed(Failure(type(error).__name__, str(error), ""))
        if outcome.failure is not None:
            return _failed(outcome.failure)
        has_result = function.kind == ACTIVITY_TRIGGER
        return exchange.as_json(200, {"result": shown(outcome.value)} if has_result else {})

    async def stop(self, patience_seconds: float) -> None:
        """Lets functions that were run by hand finish for a while."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_seconds)

    def _spawn(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _failed(failure: Failure) -> Answer:
    told = {
        "typeName": failure.type_name,
        "message": failure.message,
        "stack": failure.stack,
        "details": dict(failure.details),
    }
    return exchange.as_json(200, {"failure": told})


async def _answered(response: Response) -> Answer:
    body = (await response.whole()).decode("utf-8", "replace")
    return exchange.as_json(200, {"response": {"status": response.status, "body": body}})
