"""The official addresses: one table that says which home answers to which address.

Users of the official package import and patch deep names such as
``azure.durable_functions.models.Task.TaskBase``. Nothing lives there; each address is a module
object that looks its names up in their home and sets them there, so that a patch takes effect.
For type checkers and editors every address has a file under ``models/``, which never runs.
Source: sdk.md 1.3 and 1.4, architecture.md "Official addresses".
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

ROOT = "azure.durable_functions"


class Address(NamedTuple):
    """What answers under one official module name."""

    home: str
    """Module of ours that the names are read from and set in, below the root; "" for none."""
    defines: str
    """What belongs to the address, separated by blanks; its classes say that they live here."""
    also: str = ""
    """What can be reached there as well; modules with a star. With ``@home`` where another home
    of ours uses the name, so that a patch takes effect there."""


ADDRESSES: Mapping[str, Address] = {
    "models.DurableEntityContext": Address(
        "_entities.context",
        "DurableEntityContext from_json_util",
        "df_loads json*",
    ),
    "models.DurableHttpRequest": Address(
        "_wire.durable_http",
        "DurableHttpRequest",
        "TokenSource add_attrib add_json_attrib",
    ),
    "models.DurableOrchestrationBindings": Address(
        "_client.bindings",
        "DurableOrchestrationBindings",
        "FunctionContext json*",
    ),
    "models.DurableOrchestrationClient": Address(
        "_client.client",
        "DurableOrchestrationClient",
        "DurableOrchestrationBindings DurableOrchestrationStatus EntityId EntityStateResponse"
        " OrchestrationRuntimeStatus PurgeHistoryResult RpcManagementOptions datetime"
        " delete_async_request df_dumps func* get_async_request json* post_async_request sleep"
        " quote time urlparse",
    ),
    "models.DurableOrchestrationContext": Address(
        "_replay.context",
        "DurableOrchestrationContext",
        "Action ActivityTrigger AtomicTask CallActivityAction CallActivityWithRetryAction"
        " CallEntityAction CallHttpAction CallSubOrchestratorAction"
        " CallSubOrchestratorWithRetryAction ContinueAsNewAction CreateTimerAction"
        " DATETIME_STRING_FORMAT DurableHttpRequest EntityId FunctionBuilder FunctionContext"
        " HistoryEvent HistoryEventType LongTimerTask NAMESPACE_OID NAMESPACE_URL"
        " OrchestrationTrigger ReplaySchema RetryAbleTask RetryOptions SignalEntityAction"
        " TaskBase TimerTask TokenSource UUID WaitForExternalEventAction WhenAllTask WhenAnyTask"
        " activity_output_type defaultdict df_loads inspect* json* timezone parse_timespan_attrib"
        " sub_orchestrator_output_type uuid5",
    ),
    "models.DurableOrchestrationStatus": Address(
        "_client.status",
        "DurableOrchestrationStatus",
        "OrchestrationRuntimeStatus add_attrib add_datetime_attrib datetime dt_parse",
    ),
    "models.EntityStateResponse": Address("_client.status", "EntityStateResponse"),
    "models.FunctionContext": Address("_wire.function_context", "FunctionContext"),
    "models.OrchestrationRuntimeStatus": Address(
        "_wire.vocabulary",
        "OrchestrationRuntimeStatus",
        "Enum",
    ),
    "models.OrchestratorState": Address(
        "_replay.state",
        "OrchestratorState",
        "Action ReplaySchema add_attrib df_dumps",
    ),
    "models.PurgeHistoryResult": Address("_client.status", "PurgeHistoryResult"),
    "models.ReplaySchema": Address("_wire.vocabulary", "ReplaySchema", "Enum"),
    "models.RetryOptions": Address("_wire.retry_options", "RetryOptions", "add_attrib"),
    "models.RpcManagementOptions": Address(
        "_client.queries",
        "RpcManagementOptions",
        "DATETIME_STRING_FORMAT EntityId OrchestrationRuntimeStatus datetime",
    ),
    "models.Task": Address(
        "_replay.tasks",
        "AtomicTask CompoundTask LongTimerTask RetryAbleTask TaskBase TaskState TimerTask"
        " WhenAllTask WhenAnyTask",
        "Action CompoundAction CreateTimerAction NoOpAction ReplaySchema RetryOptions"
        " WhenAllAction WhenAnyAction datetime enum*",
    ),
    "models.TaskOrchestrationExecutor": Address(
        "_replay.executor",
        "TaskOrchestrationExecutor",
        "AtomicTask CompoundTask DurableOrchestrationContext GeneratorType HistoryEvent"
        " HistoryEventType OrchestratorState ResponseMessage@_replay.completions TaskBase TaskState"
        " df_loads@_replay.completions json*"
        " namedtuple warnings*",
    ),
    "models.TokenSource": Address(
        "_wire.durable_http",
        "ManagedIdentityTokenSource TokenSource",
        "ABC add_attrib",
    ),
    "models.actions.Action": Address("_replay.actions", "Action", "ABC abstractmethod"),
    "models.actions.ActionType": Address("_wire.vocabulary", "ActionType", "IntEnum"),
    "models.actions.CallActivityAction": Address(
        "_replay.actions",
        "CallActivityAction",
        "Action ActionType add_attrib df_dumps",
    ),
    "models.actions.CallActivityWithRetryAction": Address(
        "_replay.actions",
        "CallActivityWithRetryAction",
        "Action ActionType RetryOptions add_attrib add_json_attrib df_dumps",
    ),
    "models.actions.CallEntityAction": Address(
        "_replay.actions",
        "CallEntityAction",
        "Action ActionType EntityId add_attrib df_dumps",
    ),
    "models.actions.CallHttpAction": Address(
        "_replay.actions",
        "CallHttpAction",
        "Action ActionType DurableHttpRequest add_attrib add_json_attrib",
    ),
    "models.actions.CallSubOrchestratorAction": Address(
        "_replay.actions",
        "CallSubOrchestratorAction",
        "Action ActionType add_attrib df_dumps",
    ),
    "models.actions.CallSubOrchestratorWithRetryAction": Address(
        "_replay.actions",
        "CallSubOrchestratorWithRetryAction",
        "Action ActionType RetryOptions add_attrib add_json_attrib df_dumps",
    ),
    "models.actions.CompoundAction": Address(
        "_replay.actions",
        "CompoundAction",
        "Action abstractmethod add_attrib",
    ),
    "models.actions.ContinueAsNewAction": Address(
        "_replay.actions",
        "ContinueAsNewAction",
        "Action ActionType add_attrib df_dumps",
    ),
    "models.actions.CreateTimerAction": Address(
        "_replay.actions",
        "CreateTimerAction",
        "Action ActionType add_attrib add_datetime_attrib datetime*",
    ),
    "models.actions.NoOpAction": Address("_replay.actions", "NoOpAction", "Action"),
    "models.actions.SignalEntityAction": Address(
        "_replay.actions",
        "SignalEntityAction",
        "Action ActionType EntityId add_attrib df_dumps",
    ),
    "models.actions.WaitForExternalEventAction": Address(
        "_replay.actions",
        "WaitForExternalEventAction",
        "Action ActionType add_attrib",
    ),
    "models.actions.WhenAllAction": Address(
        "_replay.actions",
        "WhenAllAction",
        "ActionType CompoundAction",
    ),
    "models.actions.WhenAnyAction": Address(
        "_replay.actions",
        "WhenAnyAction",
        "ActionType CompoundAction",
    ),
    "models.entities.EntityState": Address(
        "_entities.batch",
        "EntityState",
        "OperationResult Signal df_dumps json*",
    ),
    "models.entities.OperationResult": Address("_entities.batch", "OperationResult", "df_dumps"),
    "models.entities.RequestMessage": Address(
        "_wire.entity_messages",
        "RequestMessage",
        "EntityId json*",
    ),
    "models.entities.ResponseMessage": Address("_wire.entity_messages", "ResponseMessage", "json*"),
    "models.entities.Signal": Address("_entities.batch", "Signal", "EntityId"),
    "models.history.HistoryEvent": Address(
        "_replay.history", "HistoryEvent", "HistoryEventType dt_parse"
    ),
    "models.history.HistoryEventType": Address("_wire.vocabulary", "HistoryEventType", "IntEnum"),
    "models.utils.df_serialization": Address(
        "_wire.df_serialization",
        "_FALLBACK_MESSAGE logger _deserialize_custom_object _get_serialize_default"
        " _serialize_custom_object df_dumps df_loads",
        "json* logging*",
    ),
    "models.utils.entity_utils": Address("_wire.entity_id", "EntityId"),
    "models.utils.http_utils": Address(
        "_client.http",
        "_client_session _close_session _get_session _handle_request_error _session_lock"
        " delete_async_request get_async_request post_async_request",
        "asyncio*",
    ),
    "models.utils.json_utils": Address(
        "_wire.json_utils",
        "add_attrib add_datetime_attrib add_json_attrib parse_timespan_attrib",
        "DATETIME_STRING_FORMAT datetime* re*",
    ),
    "models.utils.type_discovery": Address(
        "_wire.type_discovery",
        "_return_annotation _unwrap_function_builder activity_output_type logger"
        " sub_orchestrator_output_type",
        "functools* inspect* logging* typing*",
    ),
    "testing.OrchestratorGeneratorWrapper": Address(
        "testing.generator",
        "orchestrator_generator_wrapper",
        "TaskBase",
    ),
}
"""Every official module below the root that is not a file of ours, and its home."""

PACKAGES: Mapping[str, str] = {
    "models": "DurableOrchestrationBindings DurableOrchestrationClient DurableEntityContext"
    " DurableOrchestrationContext DurableHttpRequest ManagedIdentityTokenSource OrchestratorState"
    " OrchestrationRuntimeStatus PurgeHistoryResult RetryOptions TaskBase",
    "models.actions": "Action ActionType CallActivityAction CallActivityWithRetryAction"
    " CallSubOrchestratorAction CallHttpAction WaitForExternalEventAction CreateTimerAction"
    " WhenAnyAction WhenAllAction",
    "models.entities": "RequestMessage OperationResult Signal EntityState",
    "models.history": "HistoryEvent HistoryEventType",
    "models.utils": "",
}
"""Official packages without a file of ours, and the names in their ``__all__``."""

LAZY = frozenset({"testing.OrchestratorGeneratorWrapper"})
"""Addresses that their package registers when it is imported, which the root does not do."""

_ON_DEMAND = frozenset(short for short in ADDRESSES if short.startswith("models.actions."))
"""Addresses that are made when somebody imports them: actions travel one way only, so no decoder
looks for their classes, and fifteen modules are a seventh of all that importing the root makes."""

RELOADED_WITH_HOME = frozenset({"models.utils.df_serialization"})
"""Reloading these executes the home again; elsewhere that would make the classes anew."""

_OTHER_HOMES: Mapping[str, str] = {
    "ABC": "abc",
    "NAMESPACE_OID": "uuid",
    "NAMESPACE_URL": "uuid",
    "UUID": "uuid",
    "ActivityTrigger": f"{ROOT}.decorators.metadata",
    "DATETIME_STRING_FORMAT": f"{ROOT}.constants",
    "FunctionBuilder": "azure.functions.decorators.function_app",
    "OrchestrationTrigger": f"{ROOT}.decorators.metadata",
    "dt_parse": "dateutil.parser:parse",
    "namedtuple": "collections",
    "quote": "urllib.parse",
    "timezone": "datetime",
    "urlparse": "urllib.parse",
    "uuid5": "uuid",
}


class _AddressModule(ModuleType):
    """Reads and sets names where they live."""

    def __init__(
        self, name: str, home: str, homes: Mapping[str, str], elsewhere: Mapping[str, str]
    ) -> None:
        super().__init__(name, f"Official address; its names live in {home}.")
        self.__dict__["_home_name"] = home
        self.__dict__["_homes"] = homes
        self.__dict__["_elsewhere"] = elsewhere
        self.__dict__["_replaced"] = {}

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        home = self._home_of(name)
        try:
            return getattr(home, name)
        except AttributeError:
            elsewhere = self._elsewhere.get(name)
            if elsewhere is None:
                raise AttributeError(
                    f"module {self.__name__!r} has no attribute {name!r}"
                ) from None
        module, _, attribute = elsewhere.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:2] == "__":
            super().__setattr__(name, value)
            return
        home = self._home_of(name)
        if name in home.__dict__:
            self._replaced.setdefault(name, home.__dict__[name])
        setattr(home, name, value)

    def __delattr__(self, name: str) -> None:
        # `mock.patch` ends a patch by deleting what it has set: what stood there comes back.
        home = self._home_of(name)
        if name in self._replaced:
            setattr(home, name, self._replaced.pop(name))
        else:
            delattr(home, name)

    def __dir__(self) -> list[str]:
        home = sys.modules[self._home_name]
        return sorted({*dir(home), *self._homes, *self._elsewhere, *self.__dict__})

    def _home_of(self, name: str) -> ModuleType:
        return sys.modules[self._homes.get(name, self._home_name)]


class _PackageModule(ModuleType):
    """A package of addresses; its classes stand over the modules of their names (sdk.md 1.3)."""

    def __getattr__(self, name: str) -> Any:
        address = f"{self.__name__}.{name}"
        if address.removeprefix(f"{ROOT}.") not in _ON_DEMAND:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return importlib.import_module(address)

    def __setattr__(self, name: str, value: Any) -> None:
        is_shown = isinstance(value, ModuleType) and name in self.__dict__.get("__all__", ())
        if not is_shown:  # the import system tells a package of its modules in this way
            super().__setattr__(name, value)


class _AddressLoader:
    """Gives the address modules that `register` made, also to ``importlib.reload``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return _make(spec.name.removeprefix(f"{ROOT}."))

    def exec_module(self, module: ModuleType) -> None:
        short = module.__name__.removeprefix(f"{ROOT}.")
        if short in RELOADED_WITH_HOME and module.__dict__.get("_was_executed"):
            importlib.reload(sys.modules[module.__dict__["_home_name"]])
        module.__dict__["_was_executed"] = True


class _AddressFinder:
    """Finds addresses whose package is imported later, and those to be reloaded."""

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{ROOT}."):
            return None
        short = fullname.removeprefix(f"{ROOT}.")
        if short not in ADDRESSES and short not in PACKAGES:
            return None
        return _spec(short)


_loader: Any = _AddressLoader()  # no base class: importlib.abc would cost six modules


def _spec(short: str) -> ModuleSpec:
    is_package = short in PACKAGES
    spec = ModuleSpec(f"{ROOT}.{short}", _loader, is_package=is_package)
    if is_package and spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(
            os.path.join(os.path.dirname(__file__), *short.split("."))
        )
    return spec


def _make(short: str) -> ModuleType:
    name = f"{ROOT}.{short}"
    if short in PACKAGES:
        return _PackageModule(name, "Official address of a package; nothing lives here.")
    address = ADDRESSES[short]
    homes: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for listed in address.also.split():
        if "@" in listed:
            used, _, home = listed.partition("@")
            homes[used] = f"{ROOT}.{home}"
        elif listed.endswith("*"):
            module = listed[:-1]
            elsewhere[module] = "azure.functions" if module == "func" else module
        elif listed in _OTHER_HOMES:
            module, _, spelling = _OTHER_HOMES[listed].partition(":")
            elsewhere[listed] = f"{module}:{spelling or listed}"
        elif listed in _homes:
            elsewhere[listed] = f"{ROOT}.{_homes[listed]}:{listed}"
    return _AddressModule(name, f"{ROOT}.{address.home}", homes, elsewhere)


_homes: Mapping[str, str] = {
    name: address.home for address in ADDRESSES.values() for name in address.defines.split()
}
"""Home of everything that belongs to some address."""


def register() -> None:
    """Make every address importable, patchable and visible.

    Eagerly, because azure-functions finds the classes of decoded objects by looking their
    ``__module__`` up in ``sys.modules``. Doing it again (the root was reloaded) changes nothing.
    """
    if any(isinstance(finder, _AddressFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _AddressFinder())  # before the files there, which never run
    for short in (*PACKAGES, *(short for short in ADDRESSES if short not in LAZY | _ON_DEMAND)):
        register_module(short)
    for short in _ON_DEMAND:
        _give_official_module(short)
    for short, names in PACKAGES.items():
        package = sys.modules[f"{ROOT}.{short}"]
        for name in names.split():  # class over module of the same name (sdk.md 1.3)
            setattr(package, name, getattr(sys.modules[f"{ROOT}.{_homes[name]}"], name))
        if names:
            package.__dict__["__all__"] = names.split()


def register_module(short: str) -> None:
    """Make one address importable and an attribute of its package."""
    spec = _spec(short)
    module = _make(short)
    module.__dict__.update(__spec__=spec, __loader__=_loader, __package__=spec.parent)
    if spec.submodule_search_locations is not None:
        module.__dict__["__path__"] = spec.submodule_search_locations
    _loader.exec_module(module)
    sys.modules[spec.name] = module
    parent, _, own_name = spec.name.rpartition(".")
    setattr(sys.modules[parent], own_name, module)
    if short in ADDRESSES:
        _give_official_module(short)


def _give_official_module(short: str) -> None:
    """Let the home's classes say that they live here; pickles and decoders rely on it."""
    address = ADDRESSES[short]
    home = sys.modules[f"{ROOT}.{address.home}"]
    for name in address.defines.split():
        value = home.__dict__.get(name)
        if isinstance(value, type):
            value.__module__ = f"{ROOT}.{short}"
