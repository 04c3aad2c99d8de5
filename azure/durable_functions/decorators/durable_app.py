"""`DFApp` and `Blueprint`: function apps with the durable decorators. Source: sdk.md 6."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from azure.functions import AuthLevel, BindingApi, FunctionRegister, TriggerApi
from azure.functions.decorators.function_app import Function, FunctionBuilder

from azure.durable_functions._client.client import DurableOrchestrationClient
from azure.durable_functions._wire import handles
from azure.durable_functions._wire.retry_options import RetryOptions as RetryOptions
from azure.durable_functions.entity import Entity
from azure.durable_functions.orchestrator import Orchestrator

from .functions import (
    Decorate,
    DurableFunction,
    P,
    R,
    client_parameter,
    context_parameter,
    input_parameter,
)
from .metadata import ActivityTrigger, DurableClient, EntityTrigger, OrchestrationTrigger

try:
    from azure.functions import SettingsApi  # pyright: ignore[reportAssignmentType]
except ImportError:  # azure-functions of 2022 has none

    class SettingsApi:  # type: ignore[no-redef]  # for that release only
        """Stands where azure-functions has no settings decorators."""


if TYPE_CHECKING:
    from agents import ModelProvider

    from azure.durable_functions._wire.converters import DataConverter

_PLAIN = {
    *("str", "int", "float", "bool", "dict", "list", "None", "object"),
    *map(str, (str, int, float, bool, dict, list, None, object)),
}
"""Annotations of plain JSON, as classes or as texts."""

_MODEL_ACTIVITY = "run_model"
_MODEL_RETRIES = RetryOptions(first_retry_interval_in_milliseconds=2000, max_number_of_attempts=5)

_Decorator = Callable[[Any], FunctionBuilder]


class Blueprint(TriggerApi, BindingApi, SettingsApi):
    """Functions that an app registers with `register_functions`, durable ones among them."""

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        """Make a blueprint.

        Args:
            http_auth_level: Of HTTP functions that name none; a text is the member's name.

        Raises:
            KeyError: No such level.
        """
        super().__init__(auth_level=http_auth_level)  # type: ignore[no-untyped-call]
        self._is_durable_openai_agent_setup = False
        self._openai_model_provider: ModelProvider | None = None

    # Each decorator may stand without parentheses; its function is then the first argument.

    @overload
    def orchestration_trigger(self, context_name: Callable[P, R], /) -> DurableFunction[P, R]: ...
    @overload
    def orchestration_trigger(
        self,
        context_name: str | None = None,
        orchestration: str | None = None,
        input_type: type | None = None,
    ) -> Decorate: ...
    def orchestration_trigger(
        self,
        context_name: Any = None,
        orchestration: str | None = None,
        input_type: type | None = None,
    ) -> Any:
        """Make a generator or async function an orchestrator.

        Args:
            context_name: Name of its parameter; default the one it has.
            orchestration: Name for the host; default the function's own.
            input_type: Class of the input, for `get_input()`.

        Raises:
            TypeError: On decorating; the function does not take one parameter.
        """
        if callable(context_name):
            return self.orchestration_trigger()(context_name)

        @self._configure_function_builder
        def wrap(fb: FunctionBuilder) -> FunctionBuilder:
            handle: Any = fb._function._func
            name = context_name or context_parameter(handle.orchestrator_function, "orchestrator")
            _name_parameter(fb, name)
            fb.add_trigger(trigger=OrchestrationTrigger(name, orchestration))
            return _as_durable(fb)

        return self._configure_orchestrator_callable(wrap, input_type)

    @overload
    def activity_trigger(self, input_name: Callable[P, R], /) -> DurableFunction[P, R]: ...
    @overload
    def activity_trigger(
        self, input_name: str | None = None, activity: str | None = None
    ) -> Decorate: ...
    def activity_trigger(self, input_name: Any = None, activity: str | None = None) -> Any:
        """Make a function an activity.

        Args:
            input_name: Name of the parameter that receives the input; default the only one.
            activity: Name for the host; default the function's own.

        Raises:
            TypeError: On decorating; the function has no parameter for the input, or several.
        """
        if callable(input_name):
            return self.activity_trigger()(input_name)

        @self._configure_function_builder
        def wrap(fb: FunctionBuilder) -> FunctionBuilder:
            taken = [binding.name for binding in fb._function.get_bindings()]
            name = input_name or input_parameter(_user_function(fb), taken)
            _wrap_activity(fb, name)
            fb.add_trigger(trigger=ActivityTrigger(name, activity))
            return _as_durable(fb)

        return wrap

    @overload
    def entity_trigger(self, context_name: Callable[P, R], /) -> DurableFunction[P, R]: ...
    @overload
    def entity_trigger(
        self, context_name: str | None = None, entity_name: str | None = None
    ) -> Decorate: ...
    def entity_trigger(self, context_name: Any = None, entity_name: str | None = None) -> Any:
        """Make a function an entity.

        Args:
            context_name: Name of its parameter; default the one it has.
            entity_name: Name for the host; default the function's own.

        Raises:
            TypeError: On decorating; the function does not take one parameter.
        """
        if callable(context_name):
            return self.entity_trigger()(context_name)

        @self._configure_function_builder
        def wrap(fb: FunctionBuilder) -> FunctionBuilder:
            handle: Any = fb._function._func
            name = context_name or context_parameter(handle.entity_function, "entity")
            _name_parameter(fb, name)
            fb.add_trigger(trigger=EntityTrigger(name, entity_name))
            return _as_durable(fb)

        return self._configure_entity_callable(wrap)

    @overload
    def durable_client_input(self, client_name: Callable[P, R], /) -> DurableFunction[P, R]: ...
    @overload
    def durable_client_input(
        self,
        client_name: str | None = None,
        task_hub: str | None = None,
        connection_name: str | None = None,
    ) -> Decorate: ...
    def durable_client_input(
        self,
        client_name: Any = None,
        task_hub: str | None = None,
        connection_name: str | None = None,
    ) -> Any:
        """Give a function a client: an async one a `DurableOrchestrationClient`, with ``await``.

        Any other function runs on a thread, and gets a `SyncDurableOrchestrationClient`, whose
        methods block.

        Args:
            client_name: Name of the parameter that receives it; default the one annotated as a
                client, or called ``client``.
            task_hub: Of another hub than host.json's.
            connection_name: Of another storage connection.

        Raises:
            TypeError: On decorating; the function has no such parameter, or several.
        """
        if callable(client_name):
            return self.durable_client_input()(client_name)

        @self._configure_function_builder
        def wrap(fb: FunctionBuilder) -> FunctionBuilder:
            name = client_name or client_parameter(_user_function(fb))
            self._add_rich_client(fb, name, DurableOrchestrationClient)
            fb.add_binding(binding=DurableClient(name, task_hub, connection_name))
            return _as_durable(fb)

        return wrap

    def durable_openai_agent_orchestrator(
        self,
        _func: Any = None,
        *,
        model_provider: ModelProvider | None = None,
        model_retry_options: RetryOptions | None = _MODEL_RETRIES,
    ) -> Any:
        """Let an orchestrator run agents of the OpenAI Agents SDK; under `orchestration_trigger`.

        The function is given a `DurableAIAgentContext` and calls ``Runner.run_sync``; each call of
        a model is an activity.

        Args:
            _func: The function, where the decorator stands without parentheses.
            model_provider: Where models come from; default OpenAI. One for a whole function app.
            model_retry_options: How calls of models are retried; None does not.

        Raises:
            ImportError: The extra ``[openai]`` is not installed.
            TypeError: Not a `ModelProvider`.
            ValueError: The app has another provider already.
        """
        # Says what is missing, if it is not installed.
        from azure.durable_functions.openai_agents import orchestrator_generator

        orchestrator_generator.check_model_provider(model_provider)
        known = self._openai_model_provider
        if self._is_durable_openai_agent_setup and model_provider not in (None, known):
            raise ValueError(
                "a function app has one model provider for all its agents: give model_provider to "
                "the first durable_openai_agent_orchestrator only"
            )

        def decorate(function: Any) -> Any:
            if isinstance(function, FunctionBuilder):
                raise TypeError(
                    "durable_openai_agent_orchestrator must stand directly above its function"
                )
            if not self._is_durable_openai_agent_setup:
                self._openai_model_provider = model_provider
            self._setup_durable_openai_agent(model_provider, _MODEL_ACTIVITY)
            return orchestrator_generator.orchestrator_of(
                function, model_retry_options, _MODEL_ACTIVITY
            )

        return decorate if _func is None else decorate(_func)

    def _setup_durable_openai_agent(
        self, model_provider: ModelProvider | None, activity_name: str
    ) -> None:
        """Register the activity that asks models, once."""
        if not self._is_durable_openai_agent_setup:
            self._create_invoke_model_activity(model_provider, activity_name)
            self._is_durable_openai_agent_setup = True

    def _create_invoke_model_activity(
        self, model_provider: ModelProvider | None, activity_name: str
    ) -> Any:
        """Register the activity that asks models."""
        from azure.durable_functions.openai_agents import orchestrator_generator

        async def run_model_activity(input: str) -> str:
            return await orchestrator_generator.durable_openai_agent_activity(input, model_provider)

        marked: Any = run_model_activity
        marked._df_model_provider = model_provider
        return self.activity_trigger(input_name="input", activity=activity_name)(run_model_activity)

    def _configure_orchestrator_callable(
        self, wrap: _Decorator, input_type: type | None = None
    ) -> _Decorator:
        def decorator(orchestrator_func: Any) -> FunctionBuilder:
            user_function = _user_function(orchestrator_func)
            handle = Orchestrator.create(user_function)
            handles.take_name(handle, user_function)
            handle._df_input_type = input_type
            return wrap(_replaced(orchestrator_func, handle))

        return decorator

    def _configure_entity_callable(self, wrap: _Decorator) -> _Decorator:
        def decorator(entity_func: Any) -> FunctionBuilder:
            user_function = _user_function(entity_func)
            handle = Entity.create(user_function)
            handles.take_name(handle, user_function)
            return wrap(_replaced(entity_func, handle))

        return decorator

    def _add_rich_client(
        self,
        fb: FunctionBuilder,
        parameter_name: str,
        client_constructor: Callable[..., Any],
    ) -> None:
        """Let the function receive a client where the worker gives the binding's text."""
        from . import clients  # most functions have none

        fb._function._func = clients.wrapped(fb._function._func, parameter_name, client_constructor)


class DFApp(Blueprint, FunctionRegister):
    """A function app with durable functions."""

    def __init__(
        self,
        http_auth_level: AuthLevel | str = AuthLevel.FUNCTION,
        *,
        data_converter: DataConverter | None = None,
    ) -> None:
        """Make an app; the rest as `Blueprint`.

        Args:
            http_auth_level: As of `Blueprint`.
            data_converter: Writes and reads all payloads of the app's functions, those of its
                blueprints included, and of the clients that they get.
        """
        super().__init__(http_auth_level)
        self._data_converter = data_converter
        self._built: tuple[int, list[Function]] | None = None

    def get_functions(self) -> list[Function]:
        """The app's functions, built and checked for unique names; may be asked repeatedly.

        Raises:
            ValueError: Two functions of one name, or one without a trigger.
        """
        count = len(self._function_builders)
        if self._built is None or self._built[0] != count:
            self.functions_bindings = {}  # where names are collected
            self._function_builders = _with_one_model_activity(self._function_builders)
            if self._data_converter is not None:
                for builder in self._function_builders:
                    _convert(builder, self._data_converter)
            functions = super().get_functions()
            from . import clients

            clients.tell_orchestrators(functions)
            self._built = (count, functions)
        return self._built[1]


def _as_durable(fb: FunctionBuilder) -> FunctionBuilder:
    """The builder, callable as the user's function."""
    if type(fb) is FunctionBuilder:
        fb.__class__ = DurableFunction  # what azure-functions has registered already
    return fb


def _with_one_model_activity(builders: list[FunctionBuilder]) -> list[FunctionBuilder]:
    """Without the further activities that ask models, one of each blueprint with agents (OA9).

    Raises:
        ValueError: They have different model providers.
    """
    kept: list[FunctionBuilder] = []
    providers: list[Any] = []
    for builder in builders:
        function: Any = builder._function._func
        function = getattr(function, "activity_function", function)
        if hasattr(function, "_df_model_provider"):
            providers.append(function._df_model_provider)
            if len(providers) > 1:
                continue
        kept.append(builder)
    if any(provider is not providers[0] for provider in providers):
        raise ValueError(
            "the app and its blueprints have agents with different model providers: give all of "
            "them the same object by model_provider="
        )
    return kept


def _convert(fb: FunctionBuilder, converter: DataConverter) -> None:
    """Let a function of the app write and read its payloads with the app's converter."""
    function: Any = fb._function._func
    inside: Any = getattr(function, "activity_function", None)
    for each in (function, inside):
        found: Any = handles.behind(each) or each  # what it stands around, if it wraps one
        if hasattr(found, "_df_data_converter"):  # an orchestrator, an entity, or with a client
            found._df_data_converter = converter
    trigger = fb._function.get_trigger()
    if isinstance(trigger, ActivityTrigger) and not hasattr(function, "_df_is_converted"):
        from azure.durable_functions._wire import activities

        converted: Any = activities.converted(function, trigger.name, converter)
        converted._df_is_converted = True
        fb._function._func = converted


def _user_function(decorated: Any) -> Callable[..., Any]:
    """The function itself, also when another decorator of azure-functions came first."""
    found: Callable[..., Any] = (
        decorated._function._func if isinstance(decorated, FunctionBuilder) else decorated
    )
    return found


def _replaced(decorated: Any, handle: Any) -> Any:
    """What to go on decorating: the builder that stood there, now with the handle in it."""
    if isinstance(decorated, FunctionBuilder):
        decorated._function._func = handle
        return decorated
    return handle


def _wrap_activity(fb: FunctionBuilder, name: str) -> None:
    """Let an activity get and give values of its annotations, and tell what it raises in full.

    See `azure.durable_functions._wire.activities` and `handles.guarded`.
    """
    function: Any = fb._function._func
    if not set(map(str, getattr(function, "__annotations__", {}).values())) <= _PLAIN:
        from azure.durable_functions._wire import activities  # plain functions do without

        function = activities.wrapped(function, name) or function
    fb._function._func = handles.guarded(function)


def _name_parameter(fb: FunctionBuilder, name: str) -> None:
    """Let the handle's parameter carry the binding's name, which the worker compares (Q112)."""
    handle: Any = fb._function._func
    [parameter] = inspect.signature(handle).parameters.values()
    if parameter.name != name:
        handles.show_parameter(handle, name, parameter.annotation)
