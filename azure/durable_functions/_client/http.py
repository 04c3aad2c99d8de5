"""The client's transport: three functions that anybody may replace. Source: sdk.md 5.2.

aiohttp costs a third of a second to import, so it is imported by the first request. Each event
loop has a pool of connections of its own: a pool belongs to the loop that made it (sdk.md Q80).
Loops run on several threads where clients block (`blocking`), so a dictionary of them is copied
before it is walked through.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol

from azure.durable_functions._wire import payloads


class Answer(NamedTuple):
    """What a transport gives back."""

    status: int
    headers: Mapping[str, str]
    text: str


class Transport(Protocol):
    """Something that answers requests within the process, in the place of a connection."""

    async def request(
        self, method: str, url: str, *, body: str | None, headers: Mapping[str, str]
    ) -> Answer:
        """Answer one request; the body, if any, is JSON text."""
        ...


_Received = tuple[int, Mapping[str, str], Any]
"""Status, headers, value of the body."""

_transports: dict[str, Transport] = {}

_client_session: Any = None
"""The pool used last; assigned by tests, read at call time."""
_session_lock: Any = None
"""Official name. Looking for a pool and making it has no await in between: no lock is needed."""
_sessions: dict[asyncio.AbstractEventLoop, Any] = {}
_guards: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
_in_use: dict[int, int] = {}
_abandoned: dict[int, Any] = {}


def __getattr__(name: str) -> Any:
    if name == "aiohttp":  # users' tests patch `http_utils.aiohttp.ClientSession`
        import aiohttp

        return aiohttp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def install_transport(base_url: str, transport: Transport) -> None:
    """Let a transport answer every request whose URL begins with `base_url`."""
    _transports[base_url] = transport


def remove_transport(base_url: str) -> None:
    """Take a transport away again."""
    _transports.pop(base_url, None)


async def post_async_request(
    url: str,
    data: Any = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
    function_invocation_id: str | None = None,
) -> list[Any]:
    """POST with a JSON body.

    Args:
        url: Absolute.
        data: Sent as JSON; None sends no body. (Callers give text that is JSON already, which
            is encoded once more: sdk.md 5.4.)
        trace_parent: Header ``traceparent``.
        trace_state: Header ``tracestate``.
        function_invocation_id: Header ``X-Azure-Functions-InvocationId``.

    Returns:
        Status and parsed body; None for an empty one.

    Raises:
        Exception: The answer is not JSON; the text has the status and the answer's beginning.
    """
    headers: dict[str, str] = {}
    if trace_parent:
        headers["traceparent"] = trace_parent
    if trace_state:
        headers["tracestate"] = trace_state
    if function_invocation_id:
        headers["X-Azure-Functions-InvocationId"] = function_invocation_id
    status, _, body = await _request("post", url, data, headers)
    return [status, body]


async def get_async_request(url: str, function_invocation_id: str | None = None) -> list[Any]:
    """GET; as `post_async_request`, but an empty body gives ``""``."""
    status, _, body = await _request("get", url, None, _invocation(function_invocation_id))
    return [status, "" if body is None else body]


async def get_page(url: str, continuation: str) -> tuple[int, Any, str]:
    """GET one page of a list: status, body, and the token of the next page or ``""``."""
    headers = {"x-ms-continuation-token": continuation} if continuation else {}
    status, answer_headers, body = await _request("get", url, None, headers)
    return status, body, answer_headers.get("x-ms-continuation-token", "")


async def delete_async_request(url: str, function_invocation_id: str | None = None) -> list[Any]:
    """DELETE; as `post_async_request`."""
    status, _, body = await _request("delete", url, None, _invocation(function_invocation_id))
    return [status, body]


def _invocation(function_invocation_id: str | None) -> dict[str, str]:
    if not function_invocation_id:
        return {}
    return {"X-Azure-Functions-InvocationId": function_invocation_id}


def _request(
    method: str, url: str, data: Any, headers: dict[str, str]
) -> Coroutine[Any, Any, _Received]:
    for base_url, transport in _transports.items():
        if url.startswith(base_url):
            return _request_within(transport, method, url, data, headers)
    return _request_over_http(method, url, data, headers)


async def _request_within(
    transport: Transport, method: str, url: str, data: Any, headers: dict[str, str]
) -> _Received:
    body = None if data is None else json.dumps(data)
    answer = await transport.request(method.upper(), url, body=body, headers=headers)
    return answer.status, answer.headers, _parse(answer.text, answer.status, url)


async def _request_over_http(
    method: str, url: str, data: Any, headers: dict[str, str]
) -> _Received:
    aiohttp = _aiohttp()
    session = _client_session
    if not _is_usable(session, asyncio.get_running_loop()):
        session = await _get_session()
    keywords: dict[str, Any] = {"headers": headers}
    if method == "post":
        keywords["json"] = data
    _in_use[id(session)] = _in_use.get(id(session), 0) + 1
    try:
        async with getattr(session, method)(url, **keywords) as response:
            try:
                parsed = await _json_of(response, aiohttp)
            except ValueError as error:
                text = await response.text(errors="replace")
                raise _not_json(text, response.status, url) from error
            return response.status, getattr(response, "headers", {}), parsed
    except (aiohttp.ClientError, asyncio.TimeoutError):
        if _client_session is session:
            await _handle_request_error()
        else:  # another event loop has connected in between
            await _retire(session, ending=1)
        raise
    finally:
        abandoned = _release(session)
        if abandoned is not None:
            await abandoned.close()


async def _json_of(response: Any, aiohttp: Any) -> Any:
    """The body's value; None if it is empty.

    As the response's own `json`, without looking the encoding up, which takes as long as all that
    this module does. A test's stand-in has only that method.
    """
    if type(response) is not getattr(aiohttp, "ClientResponse", None):
        return await response.json(content_type=None)
    kind = response.headers.get("Content-Type", "").lower()
    if "charset" in kind and "utf-8" not in kind:
        return await response.json(content_type=None)
    body = await response.read()
    try:
        return payloads.parse(body.decode())
    except ValueError:
        return json.loads(body) if body.strip() else None


def _parse(text: str, status: int, url: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise _not_json(text, status, url) from error


def _not_json(text: str, status: int, url: str) -> Exception:
    where = url.partition("?")[0]  # the query may hold a key
    return Exception(f"{where} answered {status} with a body that is not JSON: {text[:200]!r}")


async def _get_session() -> Any:
    """The running loop's pool of connections; made at first use, and again once it is closed."""
    global _client_session, _session_lock
    loop = asyncio.get_running_loop()
    current = _client_session
    if _is_usable(current, loop):
        return current
    session = _sessions.get(loop)
    replaced = session if current is None else None  # None: somebody has asked for a new pool
    if replaced is not None or session is None or session.closed:
        session = _make_session()
        _sessions[loop] = session
    _client_session = session
    if replaced is not None:
        await _retire(replaced)
    if loop not in _guards:
        await _watch(loop)
    return session


async def _watch(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop's end close its pool, and forget pools of loops that ended unnoticed."""
    for ended in [known for known in list(_sessions) if known.is_closed()]:
        _guards.pop(ended, None)
        _let_go(_sessions.pop(ended))

    async def guard() -> AsyncGenerator[None, None]:
        # asyncio.run closes the asynchronous generators of its loop before the loop (Q80, Q82).
        try:
            yield
        finally:
            _guards.pop(loop, None)
            session = _sessions.pop(loop, None)
            if session is not None and not session.closed:
                await session.close()

    _guards[loop] = guard()
    await _guards[loop].__anext__()


async def _retire(session: Any, *, ending: int = 0) -> None:
    """Close a pool, at once or when the last request that uses it has ended.

    Args:
        session: The pool.
        ending: How many of its requests are just ending and do not count any more.
    """
    for loop in [loop for loop, known in list(_sessions.items()) if known is session]:
        _sessions.pop(loop, None)
    if _in_use.get(id(session), 0) > ending:
        _abandoned[id(session)] = session
    elif not session.closed:
        await session.close()


def _is_usable(session: Any, loop: asyncio.AbstractEventLoop) -> bool:
    return session is not None and not session.closed and _belongs_to(session, loop)


def _belongs_to(session: Any, loop: asyncio.AbstractEventLoop) -> bool:
    owner = getattr(session, "_loop", None)  # a test's stand-in has no loop and fits everywhere
    return not isinstance(owner, asyncio.AbstractEventLoop) or owner is loop


def _aiohttp() -> Any:
    """The library, or what a user's test has put in its place in this module."""
    replaced = globals().get("aiohttp")
    if replaced is not None:
        return replaced
    import aiohttp

    return aiohttp


def _make_session() -> Any:
    aiohttp = _aiohttp()
    timeout = aiohttp.ClientTimeout(total=240, sock_connect=10, sock_read=None)
    connector = aiohttp.TCPConnector(limit=30, limit_per_host=30, enable_cleanup_closed=True)
    return aiohttp.ClientSession(timeout=timeout, connector=connector)


async def _handle_request_error() -> None:
    """After a failed connection: the next request gets a new pool.

    The old one is closed at once if no other request is using it, else by the last that does:
    one failure must not abort its neighbours (sdk.md Q81).
    """
    global _client_session
    session = _client_session
    if session is None or not _belongs_to(session, asyncio.get_running_loop()):
        return  # the loop of another thread has connected just now
    _client_session = None
    await _retire(session, ending=1)


def _release(session: Any) -> Any:
    """One request has ended; the pool, if nobody uses it any more and it is to be closed."""
    remaining = _in_use.get(id(session), 1) - 1
    if remaining:
        _in_use[id(session)] = remaining
        return None
    _in_use.pop(id(session), None)
    abandoned = _abandoned.pop(id(session), None)
    return None if abandoned is None or abandoned.closed else abandoned


async def _close_session() -> None:  # pyright: ignore[reportUnusedFunction]  # official name
    """Close the running loop's pool, which is the one that was used last if there is one loop."""
    global _client_session
    loop = asyncio.get_running_loop()
    session = _client_session
    if session is not None and not _belongs_to(session, loop):
        session = None
    else:
        _client_session = None
    for pool in {id(pool): pool for pool in (session, _sessions.pop(loop, None))}.values():
        if pool is not None and not pool.closed:
            await pool.close()


@atexit.register
def _drop_connections() -> None:
    """Close what no loop's end has closed (sdk.md Q82)."""
    for loop, session in list(_sessions.items()):
        _guards.pop(loop, None)
        if loop.is_closed():
            _let_go(session)
        elif not loop.is_running() and not session.closed:
            loop.run_until_complete(session.close())


def _let_go(session: Any) -> None:
    """Give up a pool whose loop was closed before it: what is left is to be silent about it."""
    connector = session.connector
    if connector is None:
        return
    session.detach()
    with contextlib.suppress(StopIteration):
        connector.close().__await__().__next__()  # has nothing to wait for without a loop
