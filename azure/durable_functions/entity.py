"""How a user's function becomes an entity of the app. Source: sdk.md 2.2, 3.14."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Protocol

from azure.durable_functions._entities.batch import EntityState, OperationResult
from azure.durable_functions._entities.context import DurableEntityContext
from azure.durable_functions._wire import handles
from azure.durable_functions._wire.payloads import converted

logger = logging.getLogger("azure.durable_functions")

UserFunction = Callable[[DurableEntityContext], Any]


class InternalEntityException(Exception):
    """An operation without a name; a host never sends one."""


class EntityHandle(Protocol):
    """What `Entity.create` returns."""

    entity_function: UserFunction

    def __call__(self, context: Any) -> str:
        """Run a batch; see `Entity.create`."""
        ...


class Entity:
    """Runs a user's function once for each operation of a batch."""

    def __init__(self, entity_func: UserFunction) -> None:
        self.fn: UserFunction = entity_func

    def handle(self, context: DurableEntityContext, batch: list[dict[str, Any]]) -> str:
        """Run a batch and return the state JSON (protocol.md 5.3).

        An operation that raises is answered with the exception's text; the batch goes on.

        Raises:
            InternalEntityException: An operation without a name.
            TypeError: The state cannot be encoded.
        """
        results = [self._run(context, operation) for operation in batch]
        state = EntityState(
            results=results,
            signals=[],
            entity_exists=context._exists,
            state=context._state
            if context._state_is_raw
            else converted(context._converter, context._state),
            state_is_raw=context._state_is_raw,
        )
        return state.to_json_string()

    def _run(self, context: DurableEntityContext, operation: dict[str, Any]) -> OperationResult:
        name = operation.get("name")
        if name is None:
            raise InternalEntityException(
                "Durable Functions Internal Error:Entity operation was missing a name field"
            )
        # The one clock of this package's pure side: a result says how long it took. Tests of apps
        # patch `datetime` and `timezone` of this module.
        started_at = _now()
        context._operation = name
        context._input = operation.get("input")
        context._result = None  # an operation that sets none has none (sdk.md Q90)
        try:
            returned = self.fn(context)
            if returned is not None:
                _refuse_unfinished(returned)
            result = _result(False, started_at, converted(context._converter, context._result))
            result.encode()
        except Exception as error:
            result = _result(True, started_at, str(error))
            result.encode()
            self._tell(context, name, error)
        return result

    @staticmethod
    def _tell(context: DurableEntityContext, operation: str, error: Exception) -> None:
        """Say in the log what has failed: the caller, if any, gets no more than the text."""
        from azure.durable_functions._wire import tracebacks  # with the first failure

        identity = f"@{context.entity_name}@{context.entity_key}"
        logger.error(
            "Operation %r of entity %s failed: %s", operation, identity, tracebacks.told(error)
        )

    @classmethod
    def create(cls, fn: UserFunction) -> EntityHandle:
        """Wrap an entity for the worker.

        Returns:
            A function of one argument, the worker's context object (its ``body`` is the trigger's
            JSON text) or that text itself; it returns the state JSON. The user's function is its
            attribute ``entity_function``.
        """

        def handle(context: Any = handles.MISSING, **renamed: Any) -> str:
            given = handles.only_argument(handle.__name__, context, renamed)
            if type(given) is handles.Asking:
                return given.answer(handle)
            body = getattr(given, "body", None)
            entity_context, batch = DurableEntityContext.from_json(given if body is None else body)
            entity_context._converter = handle._df_data_converter  # type: ignore[attr-defined]
            return cls(fn).handle(entity_context, batch)

        handle.entity_function = fn  # type: ignore[attr-defined]  # functions take any
        handle._df_data_converter = None  # type: ignore[attr-defined]
        handles.mark(handle)
        handles.show_parameter(handle, "context")  # without annotation, officially (sdk.md 2.2)
        return handle  # type: ignore[return-value]  # the attribute was set above


def _now() -> float:
    return datetime.now(timezone.utc).timestamp()


def _result(is_error: bool, started_at: float, value: Any) -> OperationResult:
    # The clock may be set back meanwhile; a duration is not negative.
    took = max(0.0, _now() - started_at)
    return OperationResult(is_error, int(took * 1000), int(started_at * 1000), value)


def _refuse_unfinished(returned: object) -> None:
    """Async and generator functions have not run at all when they return (sdk.md Q96)."""
    if inspect.iscoroutine(returned) or inspect.isgenerator(returned):
        returned.close()
        raise TypeError("An entity function must be a plain function: no 'async def', no 'yield'")
    if inspect.isasyncgen(returned):
        raise TypeError("An entity function must be a plain function: no 'async def', no 'yield'")
