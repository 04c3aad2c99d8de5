"""Keeps the instances of a task hub going: turns, activities, timers, retention."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from azure.durable_functions.local.store.database import Database
from azure.durable_functions.local.store.instances import Filter
from azure.durable_functions.local.store.space import StoreFull

from . import clock
from .clock import Clock
from .follow_up import StartActivities
from .hub import TaskHub
from .invoker import HasRun, HttpSender, Invoker
from .registry import Registry
from .scheduling.activities import Activities
from .scheduling.dispatcher import Dispatcher
from .scheduling.turn_runner import Turn
from .settings import HubSettings
from .texts.entity_rows import is_entity
from .turns.entities import Entities
from .turns.orchestrations import Orchestrations

logger = logging.getLogger("azure.durable_functions.local")

_LONGEST_EXPIRY_PAUSE = timedelta(hours=1)


class Engine:
    """Composes the parts of an engine; `start` begins work."""

    def __init__(
        self,
        database: Database,
        time: Clock,
        invoker: Invoker,
        registry: Registry,
        settings: HubSettings,
        http: HttpSender,
    ) -> None:
        """Prepare; the database must be open when `start` is called.

        Args:
            database: The store.
            time: Says when things happen and are due.
            invoker: Runs user functions.
            registry: Names of the app's functions.
            settings: What host.json says.
            http: Sends durable HTTP requests.
        """
        self._clock = time
        self._retention = settings.retention
        """How long ended instances are kept; None keeps them."""
        self.orchestrations = Orchestrations(
            database,
            time,
            invoker,
            registry,
            settings.limits,
            keeps_sessions=settings.keeps_sessions,
            result_patience_seconds=settings.result_patience_seconds,
        )
        """Runs turns of orchestrations."""
        self._entities = Entities(database, time, invoker, registry, settings.limits)
        self.dispatcher = Dispatcher(
            database,
            time,
            self._run_turn,
            Activities(database, time, invoker, http, self.orchestrations),
            settings,
            on_finished=lambda instance_id: self.hub.waiters.note_end(instance_id),
        )
        """Runs turns and activities as they become due."""
        self.hub = TaskHub(
            database,
            time,
            registry,
            settings,
            wake=self.dispatcher.wake,
            replay=invoker.orchestrate,
        )
        """The instances in the store."""
        self._expiry: asyncio.Task[None] | None = None
        """Purges what ended too long ago."""

    @property
    def registry(self) -> Registry:
        """Names of the app's functions."""
        return self.hub.registry

    @registry.setter
    def registry(self, registry: Registry) -> None:
        self.hub.registry = self.orchestrations.registry = self._entities.registry = registry
        for instance_id in self.orchestrations.take_waiting():
            self.dispatcher.wake(instance_id)

    async def start(self) -> None:
        """Continue everything that is unfinished."""
        await self.dispatcher.start()
        if self._retention is not None:
            self._expiry = asyncio.create_task(self._expire(self._retention))

    def pause(self) -> None:
        """Start nothing new until `resume`, while the app is loaded again."""
        self.dispatcher.pause()

    def resume(self) -> None:
        """End a pause."""
        self.dispatcher.resume()

    async def stop(self, patience_seconds: float = 10.0) -> None:
        """Let running functions finish for a while; what is abandoned runs again later."""
        if self._expiry is not None:
            self._expiry.cancel()
        self.hub.waiters.close()
        await self.dispatcher.stop(patience_seconds)

    def _run_turn(self, instance_id: str, has_run: HasRun, begin: StartActivities) -> Turn:
        if is_entity(instance_id):
            return self._entities.run_turn(instance_id, has_run)
        return self.orchestrations.run_turn(instance_id, has_run, begin)

    async def _expire(self, retention: timedelta) -> None:
        """Purge what ended too long ago, now and from time to time."""
        never = asyncio.Event()
        while True:
            now = self._clock.now()
            wanted = Filter(updated_to=clock.stored(now - retention))
            try:
                expired = await self.hub.purge_ended(wanted)
            except StoreFull:  # the next round tries again
                expired = 0
            if expired:
                logger.info("Purged %d instances that ended before %s", expired, now - retention)
            await self._clock.wait(now + min(retention, _LONGEST_EXPIRY_PAUSE), never)
