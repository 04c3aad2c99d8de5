"""How a user's function becomes an activity of an app with function.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.durable_functions._wire import activities, handles
from azure.durable_functions.decorators.functions import input_parameter


class Activity:
    """Makes an activity of a function of the user's."""

    @staticmethod
    def create(fn: Callable[..., Any], input_name: str | None = None) -> Callable[..., Any]:
        """Wrap an activity for the worker, so that it takes and gives values of its annotations.

        And so that what it raises is told in full: a `NonRetryableError` ends the host's retries.
        For apps with function.json, ``main = df.Activity.create(main)``; decorated activities are
        wrapped by their decorator.

        Args:
            fn: Takes the activity's input; also async.
            input_name: Name of the parameter that receives it; default the only one.

        Returns:
            A function with the same parameters; the user's is its ``activity_function``.

        Raises:
            TypeError: The function has no parameter for the input, or several.
        """
        name = input_name or input_parameter(fn, ())
        return handles.guarded(activities.wrapped(fn, name) or fn)
