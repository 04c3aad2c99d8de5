"""What the decorators read of a function, and what they make of it.

That is a builder for the worker, and for users still the function.

Source: docs/async.md; sdk.md 6.3.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from azure.functions.decorators.function_app import FunctionBuilder

from azure.durable_functions._wire import handles
from azure.durable_functions.orchestrator import is_orchestrating

P = ParamSpec("P")
R = TypeVar("R")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class DurableFunction(FunctionBuilder, Generic[P, R]):
    """A decorated function. Called, it is the user's own, as in a unit test.

    Called with what the Functions worker gives (a trigger, the text of a client binding), it does
    what the worker has it do, as officially.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the user's function."""
        called: Any = self._function._func
        if is_orchestrating() and hasattr(self._function.get_trigger(), "activity"):
            name = self._function.get_function_name()
            raise TypeError(
                f"the activity {name!r} is called directly in an orchestrator, so nothing is "
                f"recorded and each replay runs it again: use context.call_activity({name}, ...), "
                "or call a function that is not decorated"
            )
        while (inner := _inside(called, args, kwargs)) is not None:
            called = inner
        result: R = called(*args, **kwargs)
        return result


class Decorate(Protocol):
    """A decorator: what it makes of a function has the function's signature."""

    def __call__(self, function: Callable[P, R], /) -> DurableFunction[P, R]:
        """Decorate a function."""
        ...


def _inside(called: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
    """The function that one of our wrappers stands around; None if it is to be called itself."""
    handle = handles.behind(called)
    if handle is not None:
        given = (*args, *kwargs.values())
        if len(given) == 1 and _is_trigger(given[0]):
            return None
        inner = getattr(handle, "orchestrator_function", getattr(handle, "entity_function", None))
        # What stands around a handle takes triggers, so it is asked to pass one on.
        return inner if called is handle else partial(_through, called, inner)
    inner = getattr(called, "client_function", None)
    if inner is not None:
        return None if isinstance(kwargs.get(called.client_name), str) else inner
    return getattr(called, "activity_function", None)


def _through(called: Any, inner: Any, *args: object, **kwargs: object) -> Any:
    """Call the function itself, and on the way there whatever stands around its handle."""
    return handles.ask(called, "{}", lambda _: inner(*args, **kwargs))


def _is_trigger(given: object) -> bool:
    return isinstance(given, str) or isinstance(getattr(given, "body", None), (str, bytes))


def context_parameter(function: Callable[..., Any], noun: str) -> str:
    """The only parameter of an orchestrator or entity.

    Raises:
        TypeError: It has none, or several.
    """
    names = [p.name for p in _parameters(function) if p.kind in _POSITIONAL]
    if len(names) != 1:
        raise TypeError(
            f"{noun} {_name(function)}() must take one parameter, its context, "
            f"but takes {', '.join(names) or 'none'}"
        )
    return names[0]


def input_parameter(function: Callable[..., Any], taken: Collection[str]) -> str:
    """The parameter of an activity that is its input.

    Args:
        function: May also take the worker's ``context``, and what other bindings give.
        taken: Parameters of bindings that are known already.

    Raises:
        TypeError: None is left, or several are.
    """
    names = [
        p.name
        for p in _parameters(function)
        if p.name not in taken and p.name != "context" and "Context" not in _annotation(p)
    ]
    if len(names) == 1:
        return names[0]
    if not names:
        raise TypeError(f"activity {_name(function)}() must take a parameter for its input")
    raise TypeError(
        f"activity {_name(function)}() takes {', '.join(names)}: say which is the input, "
        f'activity_trigger(input_name="{names[0]}")'
    )


def client_parameter(function: Callable[..., Any]) -> str:
    """The parameter annotated as a client, else the one called ``client``.

    Raises:
        TypeError: There is none, or there are several.
    """
    names = [p.name for p in _parameters(function)]
    annotated = [p.name for p in _parameters(function) if "OrchestrationClient" in _annotation(p)]
    found = annotated or [name for name in names if name == "client"]
    if len(found) == 1:
        return found[0]
    raise TypeError(
        f"{_name(function)}() must have one parameter annotated as DurableOrchestrationClient, or "
        f"one called client, but takes {', '.join(names) or 'none'}: add it, or name another with "
        "durable_client_input(client_name=...)"
    )


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _annotation(parameter: inspect.Parameter) -> str:
    """Text of an annotation, which may be a text that cannot be evaluated here."""
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
