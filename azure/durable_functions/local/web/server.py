"""The two ports of the host: the public one and the RPC port. Source: http-api.md 1, 10.

Only this module, `connections` and `streamed` know the HTTP library. The RPC port is for
the durable clients in the app.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import logging
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from azure.durable_functions._errors import DurableFunctionsError, SettingsError
from azure.durable_functions.local.engine.invoker import Failure
from azure.durable_functions.local.store.space import StoreFull
from azure.durable_functions.local.workers.responses import Response

from . import exchange, links
from .access import Access
from .admin_api import AdminApi
from .connections import NEXT_REQUEST_SECONDS, Connections, body_of
from .exchange import Answer, Request
from .functions_api import FunctionsApi, HttpFunction
from .management_api import ManagementApi
from .streamed import StreamedResponse
from .throttle import Throttle, TooManyRequests

logger = logging.getLogger("azure.durable_functions.local")


class _WithoutData(logging.Filter):
    """Removes contents of requests from the HTTP library's log records: they may contain keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if raised is None:
            return record.levelno == logging.DEBUG and _requests.isEnabledFor(logging.DEBUG)
        record.msg, record.args = "A request could not be answered: %s", (type(raised).__name__,)
        record.exc_info = record.exc_text = None
        if isinstance(raised, HttpProcessingError):  # the client did not send HTTP
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return _requests.isEnabledFor(record.levelno)


_requests = logging.getLogger("azure.durable_functions.local.requests")
_requests.addFilter(_WithoutData())

MAX_BODY_BYTES = 100 * 1024 * 1024
_RPC_BODY_BYTES = 2**40
RPC_PORT = 17071
PATIENCE_SECONDS = 3.5
"""How long functions and requests may continue when the host stops (host.md 12.5)."""
_LAST_SECONDS = 0.5
"""The same for requests at the RPC port, once the functions have ended."""
_RPC_ATTEMPTS = 10
_HOME_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Your function app is up and running</title>
</head><body><h1>Your function app is up and running</h1>
<p>It runs on the local host of azure-functions-durable.</p></body></html>
"""

_HOLDS_KEYS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of responses that may contain the key: no cache, no referrer for other sites."""

_NO_ENCODING = "Content-Encoding is not supported: send the body as it is"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bind(address: str, port: int) -> socket.socket:
    """Reserves the public port; `Server.open_public` accepts requests.

    Raises:
        SettingsError: The port is in use, or the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind((address, port))
    except OverflowError:
        reserved.close()
        raise SettingsError(f"{port} is not a port number from 0 to 65535") from None
    except OSError as error:
        reserved.close()
        if error.errno == errno.EADDRINUSE:
            raise _port_taken(port, error) from None
        raise SettingsError(f"cannot listen on {address}, port {port}: {error}") from None
    return reserved


def bind_rpc() -> socket.socket:
    """Reserves the RPC port: 17071, else one of nine random ports (http-api.md 10).

    Raises:
        SettingsError: None of them is free.
    """
    tried = [RPC_PORT, *random.sample(range(30000, 31000), _RPC_ATTEMPTS - 1)]
    for port in tried:
        try:
            reserved = bind("127.0.0.1", port)
            reserved.listen()  # at once: another host may be starting too
        except (SettingsError, OSError):
            continue
        return reserved
    raise SettingsError(
        f"Unable to find a port to open an RPC endpoint on after {_RPC_ATTEMPTS} attempts"
    )


def tls_context(certificate: Path, password: str | None) -> ssl.SSLContext:
    """Returns what HTTPS needs.

    Args:
        certificate: A PEM file with certificate and key.
        password: The key's password, if it has one.

    Raises:
        SettingsError: The certificate cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, password=password or "")
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the certificate {certificate} cannot be used: {error}. It must be a PEM file with "
            "certificate and key; convert a .pfx with: openssl pkcs12 -in FILE.pfx -out FILE.pem"
        ) from None
    return context


@dataclass(frozen=True)
class ServerSettings:
    """How the public port answers, whatever it answers."""

    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to every response."""
    trusts_forwarded_host: bool = False
    """URLs in responses follow the headers of a proxy in front of the host."""
    has_home_page: bool = True
    tls: ssl.SSLContext | None = None
    throttle: Throttle = field(default_factory=Throttle)
    tells_failures: bool = False
    """Only this machine reaches the port, so responses say why a function has failed."""


class _Door:
    """An open port."""

    def __init__(self, runner: web.AppRunner, connections: Connections) -> None:
        self._runner = runner
        self._connections = connections

    @classmethod
    async def open(
        cls,
        reserved: socket.socket,
        handler: Handler,
        *,
        max_body_bytes: int,
        patience: float,
        tls: ssl.SSLContext | None = None,
    ) -> _Door:
        """Opens a port and accepts requests.

        Raises:
            SettingsError: The port is in use.
        """

        async def answer(request: web.Request) -> web.StreamResponse:
            connections.heard(request)
            return await handler(request)

        app = web.Application(client_max_size=max_body_bytes)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_requests,
            auto_decompress=False,
            keepalive_timeout=NEXT_REQUEST_SECONDS,
            shutdown_timeout=patience / 2,  # which it waits twice
        )
        await runner.setup()
        assert runner.server is not None  # since it is set up
        connections = Connections(runner.server)
        try:
            await connections.open(reserved, tls)
        except OSError as error:
            await runner.cleanup()
            raise _port_taken(reserved.getsockname()[1], error) from None
        return cls(runner, connections)

    async def close(self) -> None:
        """Accepts no more requests; current ones may finish for a while."""
        self._connections.close()
        await self._runner.cleanup()


class Server:
    """Serves both ports."""

    def __init__(
        self,
        management: ManagementApi,
        functions: FunctionsApi,
        admin: AdminApi,
        access: Access,
        settings: ServerSettings,
        rpc_secret: str,
    ) -> None:
        """Takes what answers the requests.

        Args:
            management: Answers requests about instances and entities.
            functions: Answers requests for the app's HTTP functions.
            admin: Answers requests of the admin API.
            access: Who may send requests.
            settings: How the public port answers.
            rpc_secret: First part of the paths at the RPC port; only workers know it.
        """
        self._rpc_base = f"{links.RPC_PATH}/{rpc_secret}".encode()
        self._management = management
        self._functions = functions
        self._admin = admin
        self._access = access
        self._settings = settings
        self._public: _Door | None = None
        self._rpc: _Door | None = None

    def set_functions(self, routes: list[HttpFunction], errors: Mapping[str, str]) -> None:
        """Serves these functions from now on.

        Args:
            routes: The HTTP functions, in matching order.
            errors: Why functions cannot be used, by name.
        """
        self._functions.functions = routes
        self._admin.set_functions(routes, errors)

    async def open_rpc(self, reserved: socket.socket) -> None:
        """Accepts requests of workers, with bodies of any size."""
        self._rpc = await _Door.open(
            reserved, self._answer_rpc, max_body_bytes=_RPC_BODY_BYTES, patience=_LAST_SECONDS
        )

    async def open_public(self, reserved: socket.socket) -> None:
        """Accepts requests at the public port."""
        self._public = await _Door.open(
            reserved,
            self._answer_public,
            max_body_bytes=MAX_BODY_BYTES,
            patience=PATIENCE_SECONDS,
            tls=self._settings.tls,
        )

    async def close_public(self) -> None:
        """Takes no new requests; requests and functions run by hand may finish for a while."""
        stopping = self._admin.stop(PATIENCE_SECONDS)
        if self._public is None:
            await stopping
        else:
            await asyncio.gather(self._public.close(), stopping)

    async def close_rpc(self) -> None:
        """Closes the RPC port."""
        if self._rpc is not None:
            await self._rpc.close()

    async def _answer_rpc(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if self._access.is_foreign(request.method, request.headers, is_rpc=True):
            return _to_web(exchange.empty(403))
        if _is_encoded(request.headers):
            return _to_web(exchange.problem(415, _NO_ENCODING))
        length = len(self._rpc_base)
        base, rest = path.encode("utf-8", "replace")[:length], path[length:]
        if not hmac.compare_digest(base, self._rpc_base) or not rest.startswith("/"):
            return _to_web(exchange.empty(404))
        began = time.monotonic()
        answer = await self._manage(request, rest, is_of_worker=True)
        _log(request, f"the app's client: {rest}", answer, began)
        return answer

    async def _answer_public(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        answer = await self._answer_with_cors(request)
        if request.rel_url.raw_path.lower().startswith(("/runtime/", "/admin/")):
            answer.headers.update(_HOLDS_KEYS)
        elif self._access.key.encode() in _body_of(answer):  # for example of a starter function
            for name, value in _HOLDS_KEYS.items():
                answer.headers.setdefault(name, value)
        answer.headers.update(self._settings.custom_headers)
        if isinstance(answer, StreamedResponse):
            await answer.send(request)
        _log(request, request.rel_url.raw_path, answer, began)
        return answer

    async def _answer_with_cors(self, request: web.Request) -> web.StreamResponse:
        cors = self._access.cors
        origin = request.headers.get("Origin")
        if origin is None or not cors.permits(origin):
            return await self._answer_permitted(request)
        asked = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "OPTIONS" and "access-control-request-method" in asked:
            return web.Response(status=204, headers=cors.preflight(asked))
        try:
            answer = await self._answer_permitted(request)
        except web.HTTPException as refused:  # the page may read the reason
            refused.headers.update(cors.headers(origin))
            raise
        allowed = cors.headers(origin)
        if "Vary" in allowed and "Vary" in answer.headers:
            allowed["Vary"] = f"{answer.headers['Vary']}, {allowed['Vary']}"
        answer.headers.update(allowed)
        return answer

    async def _answer_permitted(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if self._access.is_foreign(request.method, request.headers):
            return _to_web(exchange.empty(403))
        if _is_encoded(request.headers):
            return _to_web(exchange.problem(415, _NO_ENCODING))
        lower = path.lower()
        if lower.startswith(("/runtime/webhooks/", "/admin/")):
            if not self._access.has_key(request.headers, request.query.get("code")):
                return _to_web(exchange.empty(401))
            if lower.startswith(f"{links.WEBHOOK_PATH}/"):
                return await self._manage(request, path[len(links.WEBHOOK_PATH) :])
            if lower.startswith("/admin/"):
                asked = await self._read(request, path[len("/admin") :])
                return _to_web(await self._admin.answer(asked))
            return _to_web(exchange.empty(404))
        if path == "/" and request.method == "GET":
            found = self._functions.find(await self._read(request, path))
            if found is None and self._functions.failure is None:
                return self._home_page()
        return await self._run_function(request, path)

    def _home_page(self) -> web.Response:
        if not self._settings.has_home_page:
            return _to_web(exchange.empty(204))
        return web.Response(body=_HOME_PAGE, content_type="text/html", charset="utf-8")

    async def _run_function(self, request: web.Request, path: str) -> web.StreamResponse:
        try:
            found = self._functions.find(await self._read(request, path))
            if found is None:
                return _to_web(self._not_loaded() or exchange.empty(404))
            is_open = found.http.auth_level == "anonymous"
            if not is_open and not self._access.has_key(request.headers, request.query.get("code")):
                return _to_web(exchange.empty(401))
            async with self._settings.throttle.admitted():
                response = await self._functions.run(found)
        except TooManyRequests:
            return _to_web(exchange.empty(429))
        except web.HTTPException:
            raise
        except Exception:  # a failed request must not stop the host
            logger.exception("Answering %s %s failed", request.method, path)
            return _to_web(exchange.empty(500))
        if isinstance(response, Failure):
            return _to_web(self._failed(response))
        return _from_function(response)

    def _failed(self, failure: Failure) -> Answer:
        """Returns 500; without a body, as in Azure, unless only this machine reaches the port."""
        if not self._settings.tells_failures:
            return exchange.empty(500)
        return exchange.plain(500, f"{failure.text}\n\n{failure.stack}".strip() + "\n")

    def _not_loaded(self) -> Answer | None:
        """Returns 503 while the app cannot be loaded, as its routes are unknown."""
        reason = self._functions.failure
        if reason is None:
            return None
        if not self._settings.tells_failures:
            reason = "See the host's log."
        text = f"The app cannot be loaded; it is reloaded when a file changes.\n\n{reason}\n"
        return exchange.plain(503, text, {"Retry-After": "5"})

    async def _manage(
        self, request: web.Request, path: str, *, is_of_worker: bool = False
    ) -> web.StreamResponse:
        try:
            asked = await self._read(request, path, is_of_worker=is_of_worker)
            return _to_web(await self._management.answer(asked))
        except web.HTTPException:
            raise
        except StoreFull:  # the store has logged it
            return _to_web(exchange.empty(503))
        except DurableFunctionsError as error:  # for example, the store is gone: no bug of the host
            logger.error("Answering %s %s failed: %s", request.method, path, error)
            return _to_web(exchange.empty(503))
        except Exception as error:  # a failed request must not stop the host
            logger.exception("Answering %s %s failed", request.method, path)
            return _to_web(exchange.unexpected(str(error), type(error).__name__))

    async def _read(
        self, request: web.Request, path: str, *, is_of_worker: bool = False
    ) -> Request:
        try:
            most = _RPC_BODY_BYTES if is_of_worker else MAX_BODY_BYTES
            body = await body_of(request, most) if request.body_exists else b""
        except (web.RequestPayloadError, HttpProcessingError) as error:
            # The text contains what was sent, so only the type is logged.
            _requests.debug("A body could not be read: %s", type(error).__name__)
            raise web.HTTPBadRequest from None
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        scheme, host = request.scheme, request.host
        if self._settings.trusts_forwarded_host:
            scheme = headers.get("x-forwarded-proto", scheme)
            host = headers.get("x-forwarded-host", host)
        return Request(
            method=request.method.upper(),
            url=f"{scheme}://{host}{request.raw_path}",
            path=path,
            query_text=request.rel_url.raw_query_string,
            headers=headers,
            body=body,
            has_body=request.body_exists,
            is_of_worker=is_of_worker,
        )


def _log(request: web.Request, path: str, answer: web.StreamResponse, began: float) -> None:
    """Logs a request without its query, which may contain the key."""
    if logger.isEnabledFor(logging.DEBUG):
        milliseconds = round(1000 * (time.monotonic() - began))
        logger.debug(
            "Answered %s %s: %d in %d ms", request.method, path, answer.status, milliseconds
        )


def _port_taken(port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"Port {port} is unavailable ({error.strerror}). Close the process using that port, or "
        "specify another port using --port [-p]."
    )


def _to_web(answer: Answer | None) -> web.Response:
    answer = answer or exchange.empty(404)
    headers = dict(answer.headers)
    if answer.is_json:
        headers["Content-Type"] = exchange.JSON_TYPE
    response = web.Response(status=answer.status, body=answer.body or None, headers=headers)
    if not answer.body:
        response.headers.setdefault("Content-Length", "0")
    return response


def _is_encoded(headers: Mapping[str, str]) -> bool:
    """Returns whether a body is compressed: a small one may unpack to any size."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


def _body_of(answer: web.StreamResponse) -> bytes:
    body = answer.body if isinstance(answer, web.Response) else None
    return body if isinstance(body, bytes) else b""


def _from_function(response: Response) -> web.StreamResponse:
    answered: web.Response | StreamedResponse
    if response.rest is None:
        answered = web.Response(status=response.status)
    else:
        answered = StreamedResponse(response, response.rest)
    for name, value in response.headers:
        if name.lower() == "set-cookie":
            answered.headers.add(name, value)
        elif name.lower() == "content-length" and isinstance(answered, StreamedResponse):
            answered.content_length = int(value)
        elif name.lower() not in ("content-length", "transfer-encoding"):
            answered.headers[name] = value
    if isinstance(answered, web.Response) and response.status not in (204, 304):
        answered.body = response.body
    return answered
