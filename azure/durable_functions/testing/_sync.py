"""The test host for tests that are not async: the same methods, without ``await``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from azure.durable_functions._client.sync_client import SyncDurableOrchestrationClient
from azure.durable_functions._wire.entity_id import EntityId

from ._doubles import _NOTHING, Call, HttpResponses, Stub
from ._host import Entity, Instance, Response, Status

if TYPE_CHECKING:
    from ._host import DurableTestHost

Result = TypeVar("Result")


class SyncInstance:
    """One instance; see `Instance`."""

    def __init__(self, host: SyncTestHost, instance: Instance) -> None:
        self._host = host
        self._instance = instance
        self.id = instance.id

    def __repr__(self) -> str:
        return repr(self._instance)

    @property
    def status(self) -> Status:
        """Where it stands; equal to the text and to the `OrchestrationRuntimeStatus`."""
        return self._instance.status

    @property
    def output(self) -> Any:
        """Its output, or the text of its failure."""
        return self._instance.output

    @property
    def custom_status(self) -> Any:
        """What it has set last."""
        return self._instance.custom_status

    @property
    def input(self) -> Any:
        """What it was started with."""
        return self._instance.input

    @property
    def history(self) -> list[dict[str, Any]]:
        """Its history events."""
        return self._instance.history

    @property
    def timeline(self) -> str:
        """The history for reading."""
        return self._instance.timeline

    def calls(self, activity: Any = None) -> list[Call]:
        """Its activity calls."""
        return self._instance.calls(activity)

    @overload
    def result(self) -> Any: ...
    @overload
    def result(self, expected_type: type[Result]) -> Result: ...
    def result(self, expected_type: Any = None) -> Any:
        """Let it end, and give its output, decoded into a type if one is given."""
        return self._host._run(self._instance.result(expected_type))

    def wait(self) -> None:
        """Let it end, however that is."""
        self._host._run(self._instance.wait())

    def assert_completed(self, output: Any = _NOTHING) -> None:
        """Fail the test unless it has completed."""
        self._instance.assert_completed(output)

    def assert_failed(self, match: str = "") -> None:
        """Fail the test unless it has failed."""
        self._instance.assert_failed(match)


class SyncHttp:
    """Requests to the app's HTTP functions; see `Http`."""

    def __init__(self, host: SyncTestHost) -> None:
        self._host = host

    def get(self, path: str, **given: Any) -> Response:
        """GET."""
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> Response:
        """POST."""
        return self.request("POST", path, **given)

    def put(self, path: str, **given: Any) -> Response:
        """PUT."""
        return self.request("PUT", path, **given)

    def delete(self, path: str, **given: Any) -> Response:
        """DELETE."""
        return self.request("DELETE", path, **given)

    def request(self, method: str, path: str, **given: Any) -> Response:
        """Have the function of a route answer."""
        return self._host._run(self._host._host.http.request(method, path, **given))


class SyncTestHost:
    """What a plain ``with DurableTestHost(app) as host`` gives; see `DurableTestHost`.

    It has an event loop of its own, which runs only while a method does.
    """

    def __init__(self, host: DurableTestHost) -> None:
        self._host = host
        self._loop = asyncio.new_event_loop()
        self.http = SyncHttp(self)
        try:
            self._run(host.__aenter__())
        except BaseException:
            self._loop.close()
            raise

    def close(self) -> None:
        """End the host and its loop."""
        try:
            self._run(self._host.__aexit__(None, None, None))
            self._run(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self._host.now

    @property
    def client(self) -> SyncDurableOrchestrationClient:
        """A client of this host, whose methods block."""
        return SyncDurableOrchestrationClient.around(self._host.client, self._run)

    @property
    def http_responses(self) -> HttpResponses:
        """PendingAnswers to durable HTTP requests."""
        return self._host.http_responses

    @property
    def instances(self) -> list[SyncInstance]:
        """All that there are."""
        return [SyncInstance(self, instance) for instance in self._host.instances]

    def start(
        self,
        orchestrator: Any,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> SyncInstance:
        """Start an instance."""
        work = self._host.start(orchestrator, input, instance_id=instance_id, version=version)
        return SyncInstance(self, self._run(work))

    def instance(self, instance_id: str) -> SyncInstance:
        """An instance that somebody else has started."""
        return SyncInstance(self, self._host.instance(instance_id))

    def raise_event(
        self, instance: SyncInstance | str, name: str, data: Any = None, *, raw: bool = False
    ) -> None:
        """Raise an event."""
        instance_id = instance if isinstance(instance, str) else instance.id
        self._run(self._host.raise_event(instance_id, name, data, raw=raw))

    def signal_entity(self, entity_id: EntityId, operation: str, input: Any = None) -> None:
        """Send an entity an operation."""
        self._run(self._host.signal_entity(entity_id, operation, input))

    def entity(self, entity_id: EntityId) -> Entity:
        """An entity, to look at."""
        return self._host.entity(entity_id)

    def calls(self, activity: Any = None) -> list[Call]:
        """All activity calls, or those of one activity."""
        return self._host.calls(activity)

    def run_function(self, function: Any, input: Any = None) -> Any:
        """Run a timer function, or one that nothing starts here, by hand."""
        return self._run(self._host.run_function(function, input))

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        self._run(self._host.settle())

    def advance(self, by: timedelta | float) -> None:
        """Let time pass."""
        self._run(self._host.advance(by))

    def stub_activity(self, activity: Any, **given: Any) -> Stub:
        """Answer calls of an activity in its place; see `DurableTestHost.stub_activity`."""
        return self._host.stub_activity(activity, **given)

    def stub_orchestrator(self, orchestrator: Any, **given: Any) -> Stub:
        """Answer in the place of a sub-orchestration."""
        return self._host.stub_orchestrator(orchestrator, **given)

    def stub_entity(self, name: str, **given: Any) -> Stub:
        """Answer operations in the place of an entity function."""
        return self._host.stub_entity(name, **given)

    def crash(self) -> None:
        """End the host as a power cut does."""
        self._run(self._host.crash())

    def recover(self) -> None:
        """Start the host again on what was committed."""
        self._run(self._host.recover())

    def crash_everywhere(self, scenario: Callable[[DurableTestHost], Awaitable[Any]]) -> int:
        """Run an async scenario once for each commit; see `DurableTestHost.crash_everywhere`."""
        return self._run(self._host.crash_everywhere(scenario))
