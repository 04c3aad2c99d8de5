"""What a call by reference refers to. Source: sdk.md 2.1, 6.4, Q36-Q38."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from azure.durable_functions import constants
from azure.durable_functions._wire import type_discovery


@dataclass(frozen=True)
class TriggerKind:
    """What a function must be decorated with to be called in one way."""

    class_name: str
    """Of the trigger in `azure.durable_functions.decorators.metadata`."""
    binding_type: str
    name_property: str
    """Property of the trigger that renames the function for the host."""
    api: str
    """Method of the context that takes such a function."""
    decorator: str
    noun: str


ACTIVITY = TriggerKind(
    "ActivityTrigger",
    constants.ACTIVITY_TRIGGER,
    "activity",
    "call_activity",
    "activity_trigger",
    "activity",
)
ORCHESTRATION = TriggerKind(
    "OrchestrationTrigger",
    constants.ORCHESTRATION_TRIGGER,
    "orchestration",
    "call_sub_orchestrator",
    "orchestration_trigger",
    "orchestrator",
)


def function_name_of(reference: object, kind: TriggerKind) -> str:
    """The name under which the host knows a decorated function.

    Args:
        reference: What the user gave instead of a name.
        kind: What the function must be decorated with.

    Returns:
        The name given in the trigger, else in ``function_name()``, else the function's own.

    Raises:
        ValueError: It is not a decorated function, or one with another trigger.
    """
    if not isinstance(reference, FunctionBuilder):
        raise ValueError(
            f"The `{kind.api}` API received a `Callable` without an associated Azure Functions "
            "trigger-type. Please ensure you're using the Python programming model V2 and that "
            f"your {kind.noun} function is annotated with the `{kind.decorator}`decorator. "
            f"Otherwise, provide in the name of the {kind.noun} as a string."
        )
    function = reference._function
    trigger = function.get_trigger()
    found = None if trigger is None else trigger.get_binding_name()
    if trigger is None or found != kind.binding_type:
        raise ValueError(
            f"Received function with Trigger-type `{found}` but expected "
            f"`{kind.class_name}`. Ensure your function is annotated with the "
            f"`{kind.class_name}` decorator or directly pass in the name of the function "
            "as a string."
        )
    renamed = getattr(trigger, kind.name_property, None)
    return str(renamed or function.get_function_name())


def globals_of(reference: object) -> tuple[Any, ...]:
    """Module globals of a decorated function; none of a name."""
    function = type_discovery._unwrap_function_builder(reference)
    function = getattr(function, "orchestrator_function", function)
    found = getattr(inspect.unwrap(function) if callable(function) else None, "__globals__", None)
    return () if found is None else (found,)
