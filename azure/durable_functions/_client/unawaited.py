"""Finds calls of a client that nobody has awaited, so that nothing was sent.

The decorators watch the client that they give to an async function: its methods make the same
coroutines as ever, and remember them until the function has ended.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from .client import DurableOrchestrationClient

_MOST_REMEMBERED = 256


class _Call(NamedTuple):
    made: Coroutine[Any, Any, Any]
    method: str
    place: str


class _WatchedClient(DurableOrchestrationClient):
    _calls: list[_Call]


def _watched(method: str) -> Callable[..., Any]:
    @functools.wraps(getattr(DurableOrchestrationClient, method))
    def call(self: _WatchedClient, *args: Any, **kwargs: Any) -> Any:
        # Looked up at each call, since tests patch the official class.
        made = getattr(DurableOrchestrationClient, method)(self, *args, **kwargs)
        if inspect.iscoroutine(made):
            if len(self._calls) >= _MOST_REMEMBERED:
                self._calls = [known for known in self._calls if _is_unstarted(known)]
            caller = sys._getframe(1)
            place = f"{caller.f_code.co_filename}, line {caller.f_lineno}"
            self._calls.append(_Call(made, method, place))
        return made

    mark: Any = getattr(inspect, "markcoroutinefunction", None)  # Python 3.12
    return call if mark is None else mark(call)


for _name, _member in inspect.getmembers(DurableOrchestrationClient, inspect.iscoroutinefunction):
    if not _name.startswith("_"):
        setattr(_WatchedClient, _name, _watched(_name))
_WatchedClient.__name__ = DurableOrchestrationClient.__name__
_WatchedClient.__qualname__ = DurableOrchestrationClient.__qualname__


def watch(client: Any) -> None:
    """Remember the calls of a client; one of another class is left as it is."""
    if type(client) is DurableOrchestrationClient:
        watched: Any = client
        watched.__class__ = _WatchedClient
        watched._calls = []


async def check(client: Any, function: str, returned: object) -> None:
    """Look, when a function has ended, for calls that cannot be awaited any more.

    Args:
        client: What `watch` was given.
        function: Name of the function.
        returned: What it has given, which nobody awaits either.

    Raises:
        RuntimeError: There is one; the text says which, and where.
    """
    if not isinstance(client, _WatchedClient) or not any(map(_is_unstarted, client._calls)):
        return
    await asyncio.sleep(0)  # tasks that the function has just made begin now
    forgotten = [
        call
        for call in client._calls
        if _is_unstarted(call) and (call.made is returned or _is_ours_alone(call))
    ]
    client._calls = []
    if not forgotten:
        return
    for call in forgotten:
        call.made.close()
    told = "; ".join(f"await client.{call.method}(...) in {call.place}" for call in forgotten)
    raise RuntimeError(
        f"{function}() has called its client without await, so that nothing was sent. Write: {told}"
    )


def _is_unstarted(call: _Call) -> bool:
    return inspect.getcoroutinestate(call.made) == inspect.CORO_CREATED


def _is_ours_alone(call: _Call) -> bool:
    """Whether nobody else can await the coroutine any more: it has no reference but this one."""
    return sys.getrefcount(call.made) <= _references_of_a_forgotten_one()


def _references_of_a_forgotten_one() -> int:
    """How many are counted where there is one; that depends on the Python."""

    async def nothing() -> None: ...

    call = _Call(nothing(), "", "")
    try:
        return sys.getrefcount(call.made)
    finally:
        call.made.close()
