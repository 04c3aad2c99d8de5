"""What the web rooms ask of whoever runs the app's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from azure.durable_functions.local.engine.invoker import Failure, Outcome
from azure.durable_functions.local.workers.app_info import AppInfo, FunctionInfo
from azure.durable_functions.local.workers.responses import Response

if TYPE_CHECKING:
    from azure.durable_functions.local.worker.frames import HttpRequest, RetryState


class AppFunctions(Protocol):
    """The functions of the app that is loaded."""

    app: AppInfo
    """What the app holds."""

    async def answer_http(
        self, function: FunctionInfo, request: HttpRequest, body: bytes, trace_parent: str
    ) -> Response | Failure:
        """Run an HTTP function: its response, or how it has failed.

        Args:
            function: Which one.
            request: Method, URL, headers and parameters.
            body: Of the request.
            trace_parent: W3C trace context.
        """
        ...

    async def run_function(
        self,
        function: FunctionInfo,
        text: str,
        *,
        reason: str = ...,
        retry: RetryState | None = None,
    ) -> Outcome:
        """Run a function by hand, with a text that its trigger's converter reads."""
        ...
