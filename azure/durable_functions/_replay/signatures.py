"""Types that the signatures of calls are written with; for type checkers, never imported to run.

A callable whose first parameter is the input stands for an activity: what the decorators give is
one, because it can be called as the function itself. Source: docs/async.md.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from datetime import timedelta
from types import UnionType
from typing import Any, Concatenate, Literal, TypeAlias, TypedDict

from typing_extensions import NotRequired, TypeVar

from .tasks import TaskBase

T = TypeVar("T", default=Any)
"""What is asked for with ``expected_type``; without that it is any."""
R = TypeVar("R")
InputT = TypeVar("InputT")
TaskT = TypeVar("TaskT", bound=TaskBase[Any])
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")

Kind: TypeAlias = type[T] | UnionType | None
"""A class or an annotation; checkers cannot follow ``Order | None``, so that one gives any."""
Taking: TypeAlias = Callable[Concatenate[InputT, ...], R]
Async: TypeAlias = Coroutine[Any, Any, R]
Generated: TypeAlias = Generator[Any, Any, R]


class MapOptions(TypedDict):
    """Options of `DurableOrchestrationContext.map` with which it gives nothing but results."""

    max_concurrency: int
    return_exceptions: NotRequired[Literal[False]]


class TolerantMapOptions(TypedDict):
    """Those with which exceptions may stand among the results."""

    max_concurrency: int
    tolerated_failures: NotRequired[int]
    return_exceptions: NotRequired[bool]


class CallOptions(TypedDict, total=False):
    """Options of a call by keyword, see `DurableOrchestrationContext.call_activity`."""

    raises: Sequence[type[Exception]]
    timeout: timedelta | float | None
