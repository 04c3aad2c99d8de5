"""A whole engine inside a test: real store, real decisions, time that only the test moves."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import traceback
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.local.engine import clock, engine
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Continuation,
    Continued,
    Failure,
    HttpSender,
    Outcome,
)
from azure.durable_functions.local.engine.registry import Registry
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.http_sender import DurableHttpSender
from azure.durable_functions.local.store.database import IN_MEMORY, Database
from azure.durable_functions.local.worker.continuations import following, put_behind
from azure.durable_functions.local.worker.sessions import Sessions
from azure.durable_functions.testing._clock import VirtualClock

BEGINNING = datetime(2026, 1, 15, 10, 0, tzinfo=timezone.utc)


class ManualClock(VirtualClock):
    """Stands still until somebody moves it; each look is a microsecond later."""

    def __init__(self) -> None:
        super().__init__(BEGINNING)

    def now(self) -> datetime:
        self.move_to(super().now() + timedelta(microseconds=1))
        return super().now()


class DirectInvoker:
    """Calls functions in place, through the same handles as a worker."""

    def __init__(
        self,
        orchestrators: dict[str, Callable[[Any], Any]],
        activities: dict[str, Callable[[Any], Any]],
        entities: dict[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.handles = {name: df.Orchestrator.create(fn) for name, fn in orchestrators.items()}
        self.activities = activities
        self.entities = {name: df.Entity.create(fn) for name, fn in (entities or {}).items()}
        self.batches: list[dict[str, Any]] = []
        self.started: Counter[str] = Counter()
        self.episodes = 0
        self.advanced = 0
        self.continued = 0
        self.goes_on = True
        self.now: Callable[[], datetime] = lambda: BEGINNING
        self.sessions = Sessions()

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        self.episodes += 1
        if session is not None:
            return self._answered(name, session, None, trigger)
        return _outcome(lambda: self.handles[name](trigger))

    async def advance(self, name: str, session: str, state: str, events: str) -> Outcome | None:
        outcome = self._answered(name, session, state, events)
        if outcome.value == "":
            return None
        self.advanced += 1
        return outcome._replace(is_increment=True)

    def _answered(self, name: str, session: str, state: str | None, payload: str) -> Outcome:
        header = {"session": session, "state": state, "invocationId": uuid.uuid4().hex}
        after = None

        def answer() -> str:
            nonlocal after
            frame = self.sessions.answer(self.handles[name], header, payload)
            after = frame.header.get("state")
            return frame.payload.decode()

        outcome = _outcome(answer)
        return outcome._replace(session_state=after)

    async def explain(self, name: str, trigger: str) -> str | None:
        return json.dumps(self.handles[name].explain(trigger))

    async def run_activity(self, call: ActivityCall) -> Outcome:
        await call.after.kept()
        self.started[f"{call.name}({call.input})"] += 1
        value = json.loads(call.input or "null")
        await asyncio.sleep(0)
        outcome = _outcome(lambda: json.dumps(self.activities[call.name](value)))
        then = call.then
        if then is None or outcome.value is None or not self.goes_on:
            return outcome
        running = asyncio.ensure_future(self.go_on(then, outcome.value))

        async def continued() -> Continued | None:  # complains if nobody awaits it
            return await running

        return outcome._replace(continued=continued())

    async def go_on(self, then: Continuation, result: str) -> Continued | None:
        payload, around = put_behind(b"", then.around)
        told = {"since": then.since, "events": then.events, "around": around}
        moment, payload = following(told, payload, self.now().replace(tzinfo=None), result)
        text = payload.decode()
        if then.session is None:
            outcome = await self.orchestrate(then.name, text)
        else:
            session, state = then.session
            if not self.sessions.is_in(session, state):
                return None
            outcome = self._answered(then.name, session, state, text)
            if outcome.value == "":
                return None
            outcome = outcome._replace(is_increment=True)
        self.continued += 1
        return Continued(clock.from_stored(moment), outcome)

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        self.batches.append(json.loads(trigger))
        await asyncio.sleep(0)
        return _outcome(lambda: self.entities[name](trigger))

    def registry(self) -> Registry:
        return Registry(self.handles, self.activities, self.entities)


def _outcome(call: Callable[[], str]) -> Outcome:
    try:
        return Outcome(value=call())
    except Exception as error:
        stack = "".join(traceback.format_tb(error.__traceback__))
        kind = type(error).__name__
        details = {"ErrorType": kind, "ErrorMessage": str(error), "StackTrace": stack}
        return Outcome(failure=Failure(kind, str(error), stack, details))


class Engine:
    """A hub on a store, driven by hand."""

    def __init__(
        self,
        invoker: DirectInvoker,
        database: Database | None = None,
        time: ManualClock | None = None,
        settings: HubSettings | None = None,
        http: HttpSender | None = None,
    ) -> None:
        settings = settings or HubSettings(max_episodes=20, max_activities=20)
        self.database = database or Database(IN_MEMORY)
        self.clock = time or ManualClock()
        self.invoker = invoker
        invoker.now = self.clock.now
        self.http = DurableHttpSender()
        self._engine = engine.Engine(
            self.database,
            self.clock,
            invoker,
            invoker.registry(),
            replace(settings, retry_pause_seconds=0.0),
            http or self.http,
        )
        self.hub = self._engine.hub
        self.dispatcher = self._engine.dispatcher
        self.orchestrations = self._engine.orchestrations
        self.start = self._engine.start
        self.stop = self._engine.stop
        self.pause = self._engine.pause
        self.resume = self._engine.resume

    @property
    def registry(self) -> Registry:
        return self._engine.registry

    @registry.setter
    def registry(self, registry: Registry) -> None:
        self._engine.registry = registry

    async def __aenter__(self) -> Engine:
        self.database.open()
        await self._engine.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._engine.stop(patience_seconds=1)
        await self.http.close()
        await self.database.close()

    async def settle(self) -> None:
        """Run until only time or a client can change anything."""
        await self.dispatcher.wait_until_quiet()

    async def run_out(self) -> None:
        """Settle, and let time jump from timer to timer until none is left."""
        await self.settle()
        while (due := self.dispatcher.next_due) is not None:
            self.clock.move_to(clock.from_stored(due))
            await self.settle()

    async def result(self, instance_id: str) -> tuple[str, Any]:
        """Status and output of an instance."""
        found = await self.hub.find(instance_id)
        assert found is not None
        text = found.output
        if found.status == "Completed" and text is not None:
            return found.status, json.loads(text)
        return found.status, text

    async def history(self, instance_id: str) -> list[dict[str, Any]]:
        return [json.loads(event) for event in await self.hub.history_of(instance_id)]

    async def count(self, table: str) -> int:
        def query(connection: sqlite3.Connection) -> int:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

        return await self.database.read(query)


async def run_to_end(
    orchestrator: Callable[[Any], Any],
    activities: dict[str, Callable[[Any], Any]] | None = None,
    input_: Any = None,
    more: dict[str, Callable[[Any], Any]] | None = None,
) -> tuple[str, Any]:
    """Status and output of one orchestrator that needs nobody from outside."""
    invoker = DirectInvoker({"main": orchestrator, **(more or {})}, activities or {})
    async with Engine(invoker) as engine:
        text = None if input_ is None else json.dumps(json.dumps(input_))
        instance_id = await engine.hub.start_instance("main", input_text=text)
        await engine.run_out()
        return await engine.result(instance_id)
