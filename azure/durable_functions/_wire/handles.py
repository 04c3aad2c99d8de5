"""What the worker sees of a wrapped function: one parameter, of the name that its binding has.

The worker compares names, and gives the argument by keyword. Source: sdk.md 6.3, Q112.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

MISSING: Any = object()
"""Stands for an argument that was not given by position or as ``context``."""


def only_argument(function_name: str, context: Any, renamed: Mapping[str, Any]) -> Any:
    """The one argument of a handle, however it was given.

    Raises:
        TypeError: None was given, or several.
    """
    given = [*(() if context is MISSING else (context,)), *renamed.values()]
    if len(given) != 1:
        raise TypeError(f"{function_name}() takes one argument, the context, got {len(given)}")
    return given[0]


def mark(handle: Any) -> None:
    """Let a handle know itself: `functools.wraps` copies every attribute, but not what it is."""
    handle._df_handle = handle


def is_handle(function: object) -> bool:
    """Whether a function is a handle itself, so that what it stands around may be called.

    What wraps a handle is to be called: a tracer, for instance, would lose its spans.
    """
    return function is not None and getattr(function, "_df_handle", None) is function


def behind(function: Any) -> Any:
    """The handle that a function is or stands around; None if there is none in sight."""
    while function is not None:
        handle = getattr(function, "_df_handle", None)
        if is_handle(handle):
            return handle
        function = getattr(function, "__wrapped__", None)
    return None


class Asking:
    """Given to a function in the place of its trigger: its handle does something else then.

    It goes through whatever wraps the handle, which may read ``body`` as of any trigger.
    """

    def __init__(self, trigger: str, work: Callable[[Any], Any]) -> None:
        self.body = trigger
        self._work = work
        self.told: Any = None
        """What the work has given; None if the handle has not been called."""

    def answer(self, handle: Any) -> str:
        """Do the work, for a handle that was called with this."""
        self.told = self._work(handle)
        return _NO_DECISION


_NO_DECISION = '{"isDone": false, "actions": [[]]}'


def ask(function: Any, trigger: str, work: Callable[[Any], T]) -> T | None:
    """Have the handle that a function is or stands around do some work with itself.

    Args:
        function: A handle, or what wraps one; the latter is called.
        trigger: For what wraps it.
        work: Is given the handle.

    Returns:
        What the work gives; None if no handle was called: what stands around it decides that.
    """
    if is_handle(function):
        return work(function)
    asking = Asking(trigger, work)
    returned = function(asking)
    if inspect.iscoroutine(returned):
        # It is run as far as it goes without an event loop, which is to the handle mostly.
        with contextlib.suppress(StopIteration):
            returned.send(None)
        returned.close()
    told: T | None = asking.told
    return told


def show_parameter(handle: Any, name: str, annotation: Any = inspect.Parameter.empty) -> None:
    """Let signature and annotations of a handle tell of one parameter with this name."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameter = inspect.Parameter(name, kind, annotation=annotation)
    handle.__signature__ = inspect.Signature([parameter], return_annotation=str)
    # Real classes: the worker looks at them, and postponed evaluation would leave texts.
    handle.__annotations__ = {"return": str}
    if annotation is not inspect.Parameter.empty:
        handle.__annotations__ = {name: annotation, "return": str}


def take_name(handle: Any, user_function: Callable[..., Any]) -> None:
    """What the worker and tools see of a function; no ``__wrapped__``: the signature stays."""
    handle.__name__ = user_function.__name__
    handle.__qualname__ = user_function.__qualname__
    handle.__module__ = user_function.__module__
    handle.__doc__ = user_function.__doc__


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """An activity around a function; it is called and seen as the function is.

    The user's is its ``activity_function``.
    """
    call: Any
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*arguments: Any, **keywords: Any) -> Any:
            try:
                return await function(*arguments, **keywords)
            except Exception as error:
                told = _structured(error)
                if told is None:
                    raise
                raise told from error

        call = call_async
    else:

        @functools.wraps(function)
        def call_sync(*arguments: Any, **keywords: Any) -> Any:
            try:
                return function(*arguments, **keywords)
            except Exception as error:
                told = _structured(error)
                if told is None:
                    raise
                raise told from error

        call = call_sync
    call.activity_function = getattr(function, "activity_function", function)
    made: Callable[..., Any] = call
    return made


def _structured(error: Exception) -> Exception | None:
    from . import activity_failures  # with the first failure

    return activity_failures.structured(error)
