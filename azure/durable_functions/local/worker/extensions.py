"""Microsoft's extension packages, where an app's annotations use them.

They are looked up among the modules that the app has imported, and never imported here. Those for
HTTP have a web application of their own (ASGI), those for bindings give clients of services.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from .streams import Stream

_BASE = "azurefunctions.extensions.base"

Run = Callable[[Any], Awaitable[Any]]
"""Runs a function with a request of the extension's."""


def is_web_request(annotation: object) -> bool:
    """Whether a parameter is annotated with the request of an HTTP extension."""
    base: Any = sys.modules.get(_BASE)
    return base is not None and bool(base.RequestTrackerMeta.check_type(annotation))


def is_service_client(annotation: object) -> bool:
    """Whether a parameter is annotated with a client of a service, or with a list of them."""
    base: Any = sys.modules.get(_BASE)
    return base is not None and bool(base.get_binding_registry().check_supported_type(annotation))


class Responder:
    """Takes the response of an application: in pieces where there is a stream, else whole."""

    def __init__(
        self, stream: Stream | None = None, more_header: Callable[[], dict[str, Any]] = dict
    ) -> None:
        """Prepare for one response.

        Args:
            stream: Sends pieces; None collects them.
            more_header: Gives what the header of a streamed result holds beside the response.
        """
        self._stream = stream
        self._more_header = more_header
        self.response: dict[str, Any] = {"status": 500, "headers": []}
        """Status and headers."""
        self.body = b""
        """What has been collected."""
        self.is_streaming = False
        """Whether a part of the response is on its way to the client."""

    async def receive_disconnect(self) -> dict[str, Any]:
        """Wait until the client is gone, which only a stream notices."""
        await (asyncio.Event() if self._stream is None else self._stream.is_cut).wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a message of the application (ASGI)."""
        if message["type"] == "http.response.start":
            named = message.get("headers", [])
            headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in named]
            self.response = {"status": message["status"], "headers": headers}
        elif message["type"] == "http.response.body":
            await self._take(bytes(message.get("body", b"")), bool(message.get("more_body")))

    async def _take(self, piece: bytes, has_more: bool) -> None:
        if self._stream is None or not (self.is_streaming or has_more):
            self.body += piece
            return
        if not self.is_streaming:
            self.is_streaming = True
            await self._stream.start({**self._more_header(), "response": self.response}, piece)
        elif piece:
            await self._stream.send(piece)
        if not has_more:
            self._stream.end()


async def answer(run: Run, request: Mapping[str, Any], body: bytes, responder: Responder) -> None:
    """Have the extension's web application make a request object and a response.

    Args:
        run: The function; what it gives is made a response as the application does it.
        request: Method, URL, headers and route parameters.
        body: Of the request.
        responder: Takes the response.

    Raises:
        Exception: What the function raises, unless it stands for a response.
    """
    application = _application(run, request["routeParams"])
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return unread.pop() if unread else await responder.receive_disconnect()

    await application(_scope(request), receive, responder.send)


def _application(run: Run, route_parameters: Mapping[str, str]) -> Any:
    """The extension's application with one route, for everything.

    One for each request: making it takes less than 1 ms, and requests then share nothing.
    """
    base: Any = sys.modules[_BASE]
    made_by: Any = sys.modules[base.ModuleTrackerMeta.get_module()]
    tracker = base.RequestTrackerMeta

    async def for_everything(request: Any) -> Any:
        tracker.get_synchronizer().sync_route_params(request, dict(route_parameters))
        return await run(request)

    # The application looks at the class of the parameter to know what it is to give.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameter = inspect.Parameter("request", kind, annotation=tracker.get_request_type())
    for_everything.__annotations__ = {"request": parameter.annotation}
    for_everything.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    web_app = made_by.WebApp()
    web_app.route(for_everything)
    return web_app.get_app()


def _scope(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request as ASGI describes it."""
    url = urlsplit(str(request["url"]))
    try:
        server = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
    except ValueError:  # whatever a client has sent as its Host
        server = None
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request["method"],
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode("latin-1", "replace"),
        "root_path": "",
        "query_string": url.query.encode("latin-1", "replace"),
        "headers": [
            (str(name).lower().encode("latin-1"), str(text).encode("latin-1", "replace"))
            for name, text in request["headers"].items()
        ],
        "client": None,
        "server": server,
    }
