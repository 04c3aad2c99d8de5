"""A whole app under test: the engine in memory, time that jumps, no ports, files or threads."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import urlsplit

from azure.durable_functions._client import http
from azure.durable_functions._client.client import DurableOrchestrationClient
from azure.durable_functions._client.queries import name_segment
from azure.durable_functions._replay import references
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.envelopes import without_envelopes
from azure.durable_functions._wire.payloads import decode, encode, expected
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus
from azure.durable_functions.local import failure_texts
from azure.durable_functions.local.engine import clock as clocks
from azure.durable_functions.local.engine.engine import Engine
from azure.durable_functions.local.engine.invoker import Failure, Outcome
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.engine.texts import entity_rows, events
from azure.durable_functions.local.store import history, instances
from azure.durable_functions.local.store.database import IN_MEMORY, Database, StoreClosed
from azure.durable_functions.local.store.instances import Instance as Row
from azure.durable_functions.local.web import instance_views
from azure.durable_functions.local.web.exchange import Request
from azure.durable_functions.local.web.functions_api import (
    FunctionsApi,
    client_texts,
    http_functions,
)
from azure.durable_functions.local.web.links import WEBHOOK_PATH, Links
from azure.durable_functions.local.web.management_api import ManagementApi
from azure.durable_functions.local.worker.binding_types import (
    ACTIVITY_TRIGGER,
    EPISODE_TRIGGERS,
    HTTP_TRIGGER,
)
from azure.durable_functions.local.workers.app_info import FunctionInfo, registry_of

from . import _apps, _timeline
from ._clock import VirtualClock
from ._doubles import (
    _NOTHING,
    Call,
    DoublingPool,
    HttpResponses,
    Stub,
    Stubs,
    failure_of,
    typed_as,
)
from ._strict import StrictReplay
from ._timers import FunctionTimers, trigger_text

if TYPE_CHECKING:
    from azure.durable_functions._wire.converters import DataConverter
    from azure.durable_functions.local.worker.frames import RetryState

    from ._sync import SyncTestHost

Result = TypeVar("Result")

BEGINNING = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
"""The time at which a test begins, unless it says otherwise."""

_MOST_JUMPS = 10_000
_SLACK = timedelta(milliseconds=1)
_numbers = itertools.count(1)


class InstanceFailed(AssertionError):
    """An instance did not come to what was expected; the text has its timeline."""


class FunctionFailed(AssertionError):
    """A function that the test, or its time, has run has raised; the text says what and where."""


class Status(str):
    """Where an instance stands: equal to the text and to the `OrchestrationRuntimeStatus`."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(
            other.value if isinstance(other, OrchestrationRuntimeStatus) else other
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class _MemoryStore(Database):
    """A store that can die between two commits, and be opened again as it was left."""

    def __init__(self) -> None:
        super().__init__(IN_MEMORY, flush=self._die_or_commit)
        self.commits = 0
        """How many transactions have been committed."""
        self.dies_at: int | None = None
        """The number of the commit, from 1, that the store does not survive."""
        self.has_died = asyncio.Event()

    def die(self) -> None:
        """Take nothing more, as the store of a process that is gone."""
        self.abandon()
        self.has_died.set()

    def live_again(self) -> None:
        """What was committed is there, and nothing else."""
        self.take_up()
        self.has_died.clear()

    def _die_or_commit(self, connection: Any) -> None:
        if self.commits + 1 == self.dies_at:
            self.dies_at = None
            self.die()
            raise StoreClosed("the test has crashed the host here")
        self.commits += 1
        connection.execute("COMMIT")


@dataclass(frozen=True)
class Response:
    """What one of the app's HTTP functions has answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class Http:
    """Sends requests to the app's own HTTP functions."""

    def __init__(self, host: DurableTestHost) -> None:
        self._host = host

    async def get(self, path: str, **given: Any) -> Response:
        """GET; see `request`."""
        return await self.request("GET", path, **given)

    async def post(self, path: str, **given: Any) -> Response:
        """POST; see `request`."""
        return await self.request("POST", path, **given)

    async def put(self, path: str, **given: Any) -> Response:
        """PUT; see `request`."""
        return await self.request("PUT", path, **given)

    async def delete(self, path: str, **given: Any) -> Response:
        """DELETE; see `request`."""
        return await self.request("DELETE", path, **given)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = _NOTHING,
        data: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Have the function of a route answer; 404 where there is none, 500 where it raises.

        Args:
            method: Any.
            path: With the prefix (``/api/...``) and the query; or a whole URL, as in the links of
                a check-status response, which also reaches the management API.
            json: Value of the body.
            data: The body, if not JSON.
            headers: Of the request.
        """
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not _NOTHING:
            data = encode(json)
            sent.setdefault("content-type", "application/json")
        body = data.encode() if isinstance(data, str) else data
        return await self._host._request(method.upper(), path, body, sent)


class Entity:
    """An entity of the app."""

    def __init__(self, host: DurableTestHost, entity_id: EntityId) -> None:
        self._host = host
        self._id = entity_rows.instance_id_of(entity_id.name, entity_id.key)

    @property
    def exists(self) -> bool:
        """Whether it has a state."""
        return self._text is not None

    @property
    def state(self) -> Any:
        """Its state as last committed; None if it does not exist."""
        return None if self._text is None else instance_views.shown(self._text)

    @property
    def _text(self) -> str | None:
        return entity_rows.state_of(self._host._row(self._id))


class Instance:
    """One instance that a test has started or looks at."""

    def __init__(self, host: DurableTestHost, instance_id: str) -> None:
        self._host = host
        self.id = instance_id

    def __repr__(self) -> str:
        row = self._host._row(self.id)
        return f"<Instance {self.id}: {'not there' if row is None else row.status}>"

    @property
    def _row(self) -> Row:
        row = self._host._row(self.id)
        if row is None:
            raise InstanceFailed(f"there is no instance {self.id!r}")
        return row

    @property
    def status(self) -> Status:
        """``Pending``, ``Running``, ``Suspended``, ``Completed``, ``Failed`` or ``Terminated``.

        It is equal to the text and to the `OrchestrationRuntimeStatus`.
        """
        return Status(self._row.status)

    @property
    def output(self) -> Any:
        """Its output, or the text of its failure; None before the end."""
        output = instance_views.shown(self._row.output)
        return self._host.client._incoming(output) if self.status == "Completed" else output

    @property
    def custom_status(self) -> Any:
        """What it has set last."""
        return instance_views.shown(self._row.custom_status)

    @property
    def input(self) -> Any:
        """What it was started with."""
        return self._host.client._incoming(instance_views.shown(self._row.input))

    @property
    def history(self) -> list[dict[str, Any]]:
        """The history events of the current execution, as the extension sends them."""
        return [json.loads(text) for text in self._host._events(self.id)]

    @property
    def timeline(self) -> str:
        """The history for reading, one event a line."""
        return "\n".join(_timeline.lines(self.history))

    def calls(self, activity: Any = None) -> list[Call]:
        """The activity calls of this instance, in order; see `DurableTestHost.calls`."""
        return [call for call in self._host.calls(activity) if call.instance_id == self.id]

    @overload
    async def result(self) -> Any: ...
    @overload
    async def result(self, expected_type: type[Result]) -> Result: ...
    async def result(self, expected_type: Any = None) -> Any:
        """Let things happen, and time pass if it may, until the instance has ended.

        Args:
            expected_type: A class or annotation that the output is decoded into.

        Returns:
            Its output.

        Raises:
            InstanceFailed: It has failed or was terminated, or waits for something that only the
                test can do; the text says what, with the timeline.
        """
        await self.wait()
        if self.status != "Completed":
            raise InstanceFailed(self._told(f"instance {self.id} is {self.status}"))
        if expected_type is None:
            return self.output
        return decode(self._row.output, expected(self._host._converter, expected_type))

    async def wait(self) -> None:
        """As `result`, without a look at how it ended."""
        await self._host._drive(lambda: self._row.is_terminal)

    def assert_completed(self, output: Any = _NOTHING) -> None:
        """Fail the test unless the instance has completed, with that output if one is given."""
        if self.status != "Completed":
            raise InstanceFailed(self._told(f"instance {self.id} is {self.status}, not Completed"))
        if output is not _NOTHING and self.output != output:
            told = f"instance {self.id} has the output {self.output!r}, not {output!r}"
            raise InstanceFailed(self._told(told))

    def assert_failed(self, match: str = "") -> None:
        """Fail the test unless it has failed, with a text that the pattern is found in."""
        if self.status != "Failed":
            raise InstanceFailed(self._told(f"instance {self.id} is {self.status}, not Failed"))
        if not re.search(match, str(self.output)):
            raise InstanceFailed(self._told(f"{match!r} is not found in the failure"))

    def _told(self, problem: str) -> str:
        row = self._row
        reason = ""
        if row.output and row.status != "Completed":
            reason = f"\n{without_envelopes(row.output)}"
        turn = self._host._last_turn(self.id)
        if failure := events.failure_in(turn):
            reason += f"\n{failure_texts.told(failure)}"
        waits = "" if row.is_terminal else self._host._why_nothing_happens()
        return f"{problem}{reason}{waits}\nTimeline:\n{self.timeline}"


class DurableTestHost:
    """Runs an app in the test: ``async with DurableTestHost(app) as host``.

    In a test that is not async use it with a plain ``with``; what the block is given then has the
    same methods, without ``await``.
    """

    def __init__(
        self,
        app: Any,
        *,
        auto_advance: bool = True,
        strict_replay: bool = False,
        now: datetime = BEGINNING,
        settings: HubSettings | None = None,
        route_prefix: str | None = None,
        timer_functions: bool = True,
        early_timers: bool | None = None,
    ) -> None:
        """Prepare; entering the block loads the app.

        Args:
            app: A `DFApp`, a `Blueprint`, a module or its dotted name, or an app folder.
            auto_advance: Whether time may jump to the next timer when nothing else can happen.
            strict_replay: Replay every turn twice, and hold its actions against those of the turn
                before: a function that is not deterministic fails its test.
            now: Virtual time at the beginning, aware.
            settings: Of the engine; None takes those of the app folder's host.json.
            route_prefix: Of the app's HTTP functions; None as in host.json, else ``api``.
            timer_functions: Whether timer functions run when time passes.
            early_timers: Whether timers fire up to a second early, as they do on Azure, so that the
                time is then before the due time; None as in `settings`.
        """
        self._runs_timer_functions = timer_functions
        self._early_timers = early_timers
        self.auto_advance = auto_advance
        self._app = app
        self._is_strict = strict_replay
        self._beginning = now.astimezone(timezone.utc)
        self._settings = settings
        self._route_prefix = route_prefix
        self.http_responses = HttpResponses()
        """PendingAnswers to durable HTTP requests."""
        self.http = Http(self)
        self._stubs = Stubs()
        self._calls: list[Call] = []
        self._started: list[str] = []
        self._problem: BaseException | None = None
        self._origin = f"http://durable-test-{next(_numbers)}"
        self._sync: SyncTestHost
        self._loop: asyncio.AbstractEventLoop
        self._clock: VirtualClock
        self._store: _MemoryStore
        self._pool: DoublingPool
        self._converter: DataConverter | None = None
        self._engine: Engine
        self._functions: FunctionsApi
        self._management: ManagementApi
        self._timers: FunctionTimers
        self._left: dict[str, tuple[Row, list[str], list[str]]] | None = None
        """Row, events and those of the last turn by instance, once the block has been left."""

    # -- beginning and end ----------------------------------------------------------------------

    async def __aenter__(self) -> DurableTestHost:
        self._loop = asyncio.get_running_loop()
        loaded = _apps.load(self._app)
        worker = _apps.InlineWorker(loaded)
        self._clock = VirtualClock(self._beginning)
        self._store = _MemoryStore()
        self._store.open()
        self._links = Links(
            public_origin=self._origin,
            hub_name="TestHub",
            connection_name="Storage",
            key="key",
            rpc_base_url=f"{self._origin}{WEBHOOK_PATH}/",
        )

        async def start() -> _apps.InlineWorker:
            return worker

        self._pool = DoublingPool(start, 1)
        self._pool.stubs = self._stubs
        self._pool.calls = self._calls
        self._pool.now = self._clock.now
        self._pool.client_texts = lambda function: client_texts(function, self._links)
        self._pool.converter = self._converter = loaded.data_converter
        self._pool.start_instances = self._start_instances
        self._strict = StrictReplay(loaded.functions) if self._is_strict else None
        if self._strict is not None:
            self._pool.watch_episode = self._watch_episode
        app = await self._pool.start()
        host_json = _apps.host_json_of(self._app)
        if self._settings is None:
            self._settings = host_json.hub
        if self._early_timers is not None:
            limits = replace(self._settings.limits, early_timers=self._early_timers)
            self._settings = replace(self._settings, limits=limits)
        prefix = self._route_prefix
        routes, errors = http_functions(
            app.enabled, host_json.route_prefix if prefix is None else prefix
        )
        if errors:
            raise _apps.AppNotLoaded("\n".join(f"{name}: {reason}" for name, reason in errors))
        self._functions = FunctionsApi(self._pool)
        self._functions.functions = routes
        self._timers = FunctionTimers(
            app if self._runs_timer_functions else replace(app, functions=[]), self._clock.now()
        )
        http.install_transport(f"{self._origin}/", self)
        await self._begin()
        for kind, name in self._stubs.names:
            self._check(kind, name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        http.remove_transport(f"{self._origin}/")
        await self._engine.stop(patience_seconds=0)
        await self._pool.stop()
        if self._store.has_died.is_set():
            self._store.live_again()
        # A failed test is reported when all is over, and shows what it has had in its hands.
        self._left = self._store.peek(_all_of)
        await self._store.close()

    def __enter__(self) -> SyncTestHost:
        from ._sync import SyncTestHost

        self._sync = SyncTestHost(self)
        return self._sync

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sync.close()

    async def _begin(self) -> None:
        self._engine = Engine(
            self._store,
            self._clock,
            self._pool,
            registry_of(self._pool.app),
            # How many commits there are must not depend on how fast the machine is.
            replace(self._settings or HubSettings(), result_patience_seconds=0),
            self.http_responses,
        )
        self._management = ManagementApi(self._engine.hub, self._links)
        await self._engine.start()

    # -- instances, events, entities ------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The virtual time, aware UTC."""
        return self._clock.now()

    @property
    def client(self) -> DurableOrchestrationClient:
        """A client of this host, as a function of the app would have it."""
        client = DurableOrchestrationClient(json.dumps(self._links.client_binding()))
        client._converter = self._converter
        return client

    async def start(
        self,
        orchestrator: Any,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> Instance:
        """Start an instance, as a client does.

        Args:
            orchestrator: Its name, or the decorated function.
            input: Any value the codec takes.
            instance_id: None makes one.
            version: None means the default.

        Raises:
            LookupError: The app has no such orchestrator.
            Exception: The host refuses; the text says why.
        """
        name = orchestrator
        if not isinstance(name, str):
            name = references.function_name_of(orchestrator, references.ORCHESTRATION)
        if self._engine.hub.registry.find("orchestrator", name) is None:
            raise LookupError(self._engine.hub.registry.explained("orchestrator", name))
        chosen = instance_id or uuid.uuid4().hex

        async def begin() -> None:
            row = self._row(chosen)
            if row is None or row.is_terminal:
                await self.client.start_new(name, chosen, input, version)

        if instance_id is not None and self._row(chosen) is not None:
            await self.client.start_new(name, chosen, input, version)  # refused, if it is running
        else:
            await self._do(begin)
        self._started.append(chosen)
        return Instance(self, chosen)

    def instance(self, instance_id: str) -> Instance:
        """An instance that somebody else has started."""
        return Instance(self, instance_id)

    @property
    def instances(self) -> list[Instance]:
        """All that there are, in the order of their ids."""
        ids = list(self._store.peek(_all_of) if self._left is None else self._left)
        return [Instance(self, instance_id) for instance_id in ids if instance_id[:1] != "@"]

    async def raise_event(
        self, instance: Instance | str, name: str, data: Any = None, *, raw: bool = False
    ) -> None:
        """Raise an event.

        Args:
            instance: Which instance.
            name: Of the event.
            data: Its value. It takes the client's way, so an orchestration without an expected type
                gets its JSON text (sdk.md 5.4).
            raw: Send the value as a plain HTTP request's body, as somebody without the client does.

        Raises:
            ValueError: No URL can carry the name of the event.
            Exception: Nobody would take it.
        """
        instance_id = instance if isinstance(instance, str) else instance.id
        if raw:
            name_segment("event name", name)

            async def send() -> None:
                await self._engine.hub.raise_event(instance_id, name, encode(data))
        else:

            async def send() -> None:
                await self.client.raise_event(instance_id, name, data)

        await self._do(send)
        await self.settle()

    async def signal_entity(self, entity_id: EntityId, operation: str, input: Any = None) -> None:
        """Send an entity an operation, and let it run."""
        await self._do(lambda: self.client.signal_entity(entity_id, operation, input))
        await self.settle()

    def entity(self, entity_id: EntityId) -> Entity:
        """An entity, to look at.

        Raises:
            LookupError: The app has no such entity function.
        """
        self._check("entity", entity_id.name)
        return Entity(self, entity_id)

    def calls(self, activity: Any = None) -> list[Call]:
        """All activity calls, in order, or those of one activity.

        Args:
            activity: Its name, or the decorated function; then inputs and results are of the types
                that it is annotated with.

        Raises:
            LookupError: The app has no such activity.
        """
        if activity is None:
            return list(self._calls)
        name = activity
        if not isinstance(name, str):
            name = references.function_name_of(activity, references.ACTIVITY)
        self._check("activity", name)
        found = [call for call in self._calls if call.name.lower() == name.lower()]
        return found if isinstance(activity, str) else [typed_as(call, activity) for call in found]

    async def run_function(self, function: Any, input: Any = None) -> Any:
        """Run a function of the app by hand: a timer function, or one that nothing starts here.

        Args:
            function: Its name, or the decorated function.
            input: Of an activity, or the text of another trigger's message.

        Returns:
            What an activity returns; of others None.

        Raises:
            LookupError: The app has no such function.
            ValueError: It is an HTTP function, an orchestrator or an entity.
            FunctionFailed: It has raised.
        """
        name = function if isinstance(function, str) else function._function.get_function_name()
        found = self._pool.app.find(name)
        if found is None:
            known = ", ".join(sorted(repr(each.name) for each in self._pool.app.enabled))
            raise LookupError(f"the app has no function {name!r}; it has {known}")
        if found.kind == HTTP_TRIGGER or found.kind in EPISODE_TRIGGERS:
            raise ValueError(
                f"{found.name} is run by other means: HTTP functions by host.http, orchestrators "
                "by host.start, entities by host.signal_entity"
            )
        outcome = await self._run(found, trigger_text(found, input, encode(input)))
        if outcome.failure is not None:
            raise FunctionFailed(_told_failure(found, outcome.failure))
        await self.settle()
        is_activity = found.kind == ACTIVITY_TRIGGER and outcome.value
        return decode(outcome.value, expected(self._converter, None)) if is_activity else None

    async def _run(
        self, function: FunctionInfo, text: str, retry: RetryState | None = None
    ) -> Outcome:
        """Run a function; once more if the host crashed meanwhile."""
        outcome = await self._pool.run_function(function, text, retry=retry)
        if outcome.failure is not None and self._store.has_died.is_set():
            await self.recover()
            outcome = await self._pool.run_function(function, text, retry=retry)
        return outcome

    # -- time -----------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Let everything happen that can happen now; time stands still."""
        while True:
            quiet = asyncio.ensure_future(self._engine.dispatcher.wait_until_quiet())
            died = asyncio.ensure_future(self._store.has_died.wait())
            await asyncio.wait({quiet, died}, return_when=asyncio.FIRST_COMPLETED)
            quiet.cancel()
            died.cancel()
            if not self._store.has_died.is_set():
                break
            await self.recover()
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem

    async def advance(self, by: timedelta | float) -> None:
        """Let time pass, and everything that falls due in it happen in its order.

        Args:
            by: How long; a number is seconds.
        """
        span = by if isinstance(by, timedelta) else timedelta(seconds=by)
        end = self._clock.now() + span
        await self.settle()
        # Episodes of one moment are a microsecond apart, so a daily timer falls due a little late.
        while True:
            due, timer_due = self._next_due, self._timers.next_due
            if timer_due is not None and timer_due <= end and timer_due <= (due or end):
                await self._run_timer()
            elif due is not None and due <= end + _SLACK:
                self._clock.move_to(due)
                await self.settle()
            else:
                break
        self._clock.move_to(end)
        await self.settle()

    @property
    def _next_due(self) -> datetime | None:
        due = self._engine.dispatcher.next_due
        return None if due is None else clocks.from_stored(due)

    async def _drive(self, is_over: Callable[[], bool]) -> None:
        """Settle, and let time jump if it may, until it is over or nothing more happens."""
        jumps = 0
        while jumps < _MOST_JUMPS:
            await self.settle()
            due, timer_due = self._next_due, self._timers.next_due
            if is_over() or due is None or not self.auto_advance:
                return
            if timer_due is not None and timer_due <= due:
                await self._run_timer()
            else:
                jumps += 1
                self._clock.move_to(due)
        raise InstanceFailed(
            f"after {_MOST_JUMPS} timers it still goes on, at {self.now:%Y-%m-%d %H:%M}; a "
            "workflow without an end is tested with host.advance(...)"
        )

    async def _run_timer(self) -> None:
        """Let it be the time of the next timer function, and run it."""
        assert self._timers.next_due is not None  # the caller has looked
        self._clock.move_to(self._timers.next_due)
        await self.settle()
        run = self._timers.take()
        outcome = await self._run(
            run.function, trigger_text(run.function, None, ""), run.retry_state
        )
        failure = outcome.failure
        if failure is not None and not self._timers.retry(run, failure, self._clock.now()):
            raise FunctionFailed(_told_failure(run.function, failure))
        await self.settle()

    def _why_nothing_happens(self) -> str:
        due = self._next_due
        if due is not None:
            return (
                f"\nIt is {self.now}; the next timer falls due at {due}: "
                "await host.advance(...), or leave auto_advance on"
            )
        return "\nNothing more can happen by itself: does it wait for an event that nobody raises?"

    # -- stand-ins ------------------------------------------------------------------------------

    def stub_activity(
        self,
        activity: Any,
        *,
        returns: Any = _NOTHING,
        raises: BaseException | type[BaseException] | None = None,
        calls: Callable[[Any], Any] | None = None,
        times: int | None = None,
    ) -> Stub:
        """Answer calls of an activity in its place.

        Args:
            activity: Its name, or the decorated function.
            returns: A value.
            raises: An exception.
            calls: A function of the input, async or not.
            times: How often; None means for ever. Several stubs answer in the order in which they
                were given; after the last one has answered its times, the activity itself runs.
        """
        name = activity
        if not isinstance(name, str):
            name = references.function_name_of(activity, references.ACTIVITY)
        return self._stub("activity", name, Stub(returns, raises, calls, times))

    def stub_orchestrator(
        self,
        orchestrator: Any,
        *,
        returns: Any = _NOTHING,
        raises: BaseException | type[BaseException] | None = None,
        calls: Callable[[Any], Any] | None = None,
        times: int | None = None,
    ) -> Stub:
        """Answer in the place of a sub-orchestration; as `stub_activity`."""
        name = orchestrator
        if not isinstance(name, str):
            name = references.function_name_of(orchestrator, references.ORCHESTRATION)
        return self._stub("orchestrator", name, Stub(returns, raises, calls, times))

    def stub_entity(
        self,
        name: str,
        *,
        returns: Any = _NOTHING,
        raises: BaseException | type[BaseException] | None = None,
        calls: Callable[[str, Any], Any] | None = None,
        times: int | None = None,
    ) -> Stub:
        """Answer operations in the place of an entity function; ``calls`` gets operation, input."""
        return self._stub("entity", name, Stub(returns, raises, calls, times))

    def _stub(self, kind: Any, name: str, stub: Stub) -> Stub:
        if hasattr(self, "_engine"):  # else it is looked at when the block is entered
            self._check(kind, name)
        return self._stubs.add(kind, name, stub)

    def _check(self, kind: Any, name: str) -> None:
        """Refuse a name that the app does not have.

        Raises:
            LookupError: It has none; says which there are.
        """
        registry = self._engine.hub.registry
        if registry.find(kind, name) is None:
            raise LookupError(registry.explained(kind, name))

    # -- crashes --------------------------------------------------------------------------------

    async def crash(self) -> None:
        """End the host as a power cut does: what is not committed is lost. See `recover`."""
        self._store.die()
        await self._engine.stop(patience_seconds=0)

    async def recover(self) -> None:
        """Start the host again on what was committed."""
        if not self._store.has_died.is_set():
            raise RuntimeError("the host has not crashed")
        await self._engine.stop(patience_seconds=0)
        self._store.live_again()
        await self._begin()

    async def crash_everywhere(self, scenario: Callable[[DurableTestHost], Awaitable[Any]]) -> int:
        """Run a scenario without a crash, then once for each commit with a crash in its place.

        The host comes up again by itself; what the scenario was asking for is asked again.

        Args:
            scenario: Coroutine function of a host; starts instances and waits for them. It runs on
                fresh hosts that have the stubs of this one.

        Returns:
            How many commits there were.

        Raises:
            AssertionError: One run ended differently; the text says where it crashed and how.
        """
        expected, commits = await self._life(scenario, None)
        for commit in range(1, commits + 1):
            found, _ = await self._life(scenario, commit)
            if found != expected:
                raise AssertionError(
                    f"with a crash at commit {commit} of {commits} it ends with\n  {found}\n"
                    f"and without one with\n  {expected}"
                )
        return commits

    async def _life(
        self, scenario: Callable[[DurableTestHost], Awaitable[Any]], dies_at: int | None
    ) -> tuple[Any, int]:
        host = DurableTestHost(
            self._app,
            auto_advance=self.auto_advance,
            strict_replay=self._is_strict,
            now=self._beginning,
            settings=self._settings,
            route_prefix=self._route_prefix,
            timer_functions=self._runs_timer_functions,
        )
        host._stubs = self._stubs.fresh()
        host.http_responses = self.http_responses.fresh()
        async with host:
            host._store.commits = 0
            host._store.dies_at = dies_at
            returned = await scenario(host)
            await host.settle()
            ends = [
                (row.name, row.status, Instance(host, row.instance_id).output, row.custom_status)
                for row in map(host._row, host._started)
                if row is not None
            ]
            states = {
                key: host.client._incoming(state)
                for key, state in host._store.peek(_entity_states).items()
            }
            return (returned, ends, states), host._store.commits

    async def _do(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """What a client asks; once more if the host crashed while it was asked."""
        try:
            return await work()
        except StoreClosed:
            if not self._store.has_died.is_set():
                raise
            await self.recover()
            return await work()

    # -- what the rooms call --------------------------------------------------------------------

    def _events(self, instance_id: str) -> list[str]:
        if self._left is not None:
            return self._left[instance_id][1] if instance_id in self._left else []
        return self._store.peek(lambda c: history.events(c, instance_id))

    def _last_turn(self, instance_id: str) -> list[str]:
        if self._left is not None:
            return self._left[instance_id][2] if instance_id in self._left else []
        return self._store.peek(lambda c: history.last_turn(c, instance_id))

    def _row(self, instance_id: str) -> Row | None:
        if self._left is not None:
            return self._left[instance_id][0] if instance_id in self._left else None
        return self._store.peek(lambda c: instances.find(c, instance_id))

    async def request(
        self, method: str, url: str, *, body: str | None, headers: Mapping[str, str]
    ) -> http.Answer:
        """Answer a client of the app: the seam of the client's transport.

        Raises:
            RuntimeError: Another thread asks, while the host's event loop does not run.
        """
        content = None if body is None else body.encode()
        sent = {"content-type": "application/json", **headers}
        asked = self._request(method, url, content, sent)
        if asyncio.get_running_loop() is self._loop:
            answer = await asked
        elif self._loop.is_running():  # a client that blocks, or one on a loop of its own
            elsewhere = asyncio.run_coroutine_threadsafe(asked, self._loop)
            answer = await asyncio.wrap_future(elsewhere)
        else:
            asked.close()
            raise RuntimeError(
                "the test host's event loop does not run: in a test that is not async use "
                "host.client"
            )
        return http.Answer(answer.status, answer.headers, answer.text)

    async def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        if url.startswith("/"):
            url = f"{self._origin}{url}"
        parts = urlsplit(url)
        is_management = parts.path.startswith(f"{WEBHOOK_PATH}/")
        request = Request(
            method=method,
            url=url,
            path=parts.path.removeprefix(WEBHOOK_PATH) if is_management else parts.path,
            query_text=parts.query,
            headers=headers,
            body=body or b"",
            has_body=body is not None,
        )
        if is_management:
            answer = await self._management.answer(request)
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status, found, answer.body)
        function = self._functions.find(request)
        if function is None:
            return Response(404, {}, b"")
        response = await self._functions.run(function)
        if isinstance(response, Failure):
            plain = {"content-type": "text/plain; charset=utf-8"}
            text = f"{response.text}\n\n{response.stack}".rstrip()
            return Response(500, plain, text.encode("utf-8", "backslashreplace"))
        return Response(
            response.status,
            {name.lower(): value for name, value in response.headers},
            await response.whole(),
        )

    async def _start_instances(self, starts: list[dict[str, Any]]) -> None:
        for start in starts:
            given = start.get("Input")
            await self._engine.hub.start_instance(
                start["FunctionName"],
                instance_id=start.get("InstanceId"),
                input_text=None if given is None else encode(given),
            )

    async def _watch_episode(self, name: str, trigger: str, outcome: Outcome) -> Outcome:
        assert self._strict is not None  # only then is this called
        problem = self._strict.check(name, trigger, outcome)
        if problem is None:
            return outcome
        self._problem = problem
        return Outcome(failure=failure_of(problem))


def _all_of(connection: Any) -> dict[str, tuple[Row, list[str], list[str]]]:
    rows = instances.page(connection, instances.Filter(), limit=-1)
    return {
        row.instance_id: (
            row,
            history.events(connection, row.instance_id),
            history.last_turn(connection, row.instance_id),
        )
        for row in rows
    }


def _told_failure(function: FunctionInfo, failure: Failure) -> str:
    told = failure_texts.of_worker(
        {
            "typeName": failure.type_name,
            "message": failure.message,
            "stack": failure.stack,
            "details": dict(failure.details),
        }
    )
    return f"{function.name} has failed: {failure_texts.told(told)}"


def _entity_states(connection: Any) -> dict[str, str | None]:
    rows = instances.page(connection, instances.Filter(instance_id_prefix="@"), limit=-1)
    return {row.instance_id: entity_rows.state_of(row) for row in rows}
