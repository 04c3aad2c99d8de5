"""Functions with a client binding: what the worker calls, and the client that they are given.

The worker gives the binding's text. An async function gets a client whose methods are awaited. Any
other runs on a thread of the worker's and gets a client whose methods block.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, cast

from azure.functions.decorators.function_app import Function

from azure.durable_functions.constants import ORCHESTRATION_TRIGGER

from .metadata import DurableClient

MakeClient = Callable[..., Any]
"""Takes the binding's text and the invocation's id."""


def wrapped(function: Callable[..., Any], parameter: str, make_client: MakeClient) -> Any:
    """The function for the worker: it takes the binding's text where the user's takes a client."""
    make = _awaiting if _is_async(function, parameter) else _blocking
    wrapper = make(function, parameter, make_client)
    # The worker checks the annotation of a binding's parameter; what it gives is text.
    function.__annotations__[parameter] = str
    wrapper.__annotations__ = {**function.__annotations__, parameter: str}
    if sys.version_info >= (3, 14):
        # There __annotate__ wins over a changed __annotations__.
        wrapper.__annotate__ = None
    wrapper.client_function = function
    wrapper.client_name = parameter
    wrapper._df_data_converter = None
    wrapper._df_orchestrators = None
    return wrapper


def tell_orchestrators(functions: list[Function]) -> None:
    """Let the clients of an app know its orchestrators, but for those of other task hubs."""
    names: dict[str, str] = {}
    for function in functions:
        trigger: dict[str, Any] = _fields(function.get_trigger())
        if str(trigger.get("type")).lower() == ORCHESTRATION_TRIGGER.lower():
            for name in (trigger.get("orchestration"), function.get_function_name()):
                if name:
                    names[str(name).lower()] = str(name)
    for function in functions:
        hubs = {b.name: b.task_hub for b in function.get_bindings() if isinstance(b, DurableClient)}
        for wrapper in _wrappers(function.get_user_function()):
            if not hubs.get(wrapper.client_name):
                wrapper._df_orchestrators = names


def _fields(trigger: Any) -> dict[str, Any]:
    return dict(trigger.get_dict_repr())


def _wrappers(function: Any) -> Iterator[Any]:
    """Those that `wrapped` has put around a function, one for each of its clients."""
    while hasattr(function, "client_function"):
        yield function
        function = function.client_function


def _is_async(function: Callable[..., Any], parameter: str) -> bool:
    """Whether what the function gives is to be awaited.

    A wrapper that takes any arguments hides what it stands around, and is taken for async: it was
    always called on the event loop.
    """
    called = (function, inspect.unwrap(function), getattr(function, "__call__", None))  # noqa: B004
    return (
        any(map(inspect.iscoroutinefunction, called))
        or parameter not in inspect.signature(function).parameters
    )


def _awaiting(function: Callable[..., Any], parameter: str, make_client: MakeClient) -> Any:
    from azure.durable_functions._client import unawaited

    @wraps(function)
    async def client_wrapper(*args: Any, **kwargs: Any) -> Any:
        client = _client(client_wrapper, kwargs, make_client)
        unawaited.watch(client)
        kwargs[parameter] = client
        returned = function(*args, **kwargs)
        if inspect.isawaitable(returned):
            returned = await returned
        await unawaited.check(client, getattr(function, "__name__", "the function"), returned)
        return returned

    return client_wrapper


def _blocking(function: Callable[..., Any], parameter: str, make_client: MakeClient) -> Any:
    from azure.durable_functions._client import blocking, sync_client

    @wraps(function)
    def client_wrapper(*args: Any, **kwargs: Any) -> Any:
        made = _client(client_wrapper, kwargs, make_client)
        client = sync_client.SyncDurableOrchestrationClient.around(made)
        kwargs[parameter] = client
        returned = function(*args, **kwargs)
        if not inspect.isawaitable(returned):
            return returned
        # A lambda around an async function, for instance: it awaits what the client gives.
        client._run_coroutine = _as_it_is

        async def wait() -> Any:
            return await returned

        work = wait()
        return work if blocking.is_on_a_loop() else blocking.run(work)

    return client_wrapper


def _as_it_is(work: Any) -> Any:
    return work


def _client(wrapper: Any, kwargs: Mapping[str, Any], make_client: MakeClient) -> Any:
    text = kwargs.get(wrapper.client_name)
    if text is None:
        raise TypeError(
            f"{wrapper.client_function.__name__}() needs the text of its durable client binding as "
            f"keyword argument {wrapper.client_name!r}"
        )
    invocation_id = getattr(kwargs.get("context"), "invocation_id", None)
    client = make_client(text, invocation_id)
    if wrapper._df_data_converter is not None:
        client._converter = wrapper._df_data_converter
    if wrapper._df_orchestrators is not None:
        client._orchestrators = cast("Mapping[str, str]", wrapper._df_orchestrators)
    return client
