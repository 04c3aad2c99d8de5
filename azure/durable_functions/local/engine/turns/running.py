"""Gets the outcome of an orchestrator's function: from a session, or by a replay."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, NamedTuple

from azure.durable_functions._wire import shapes
from azure.durable_functions.local.engine.invoker import (
    Invoker,
    Outcome,
    TimedOut,
    UnknownFunction,
    WorkerLost,
)
from azure.durable_functions.local.engine.lost_workers import MOST_LOST_WORKERS, LostWorkers
from azure.durable_functions.local.engine.texts import triggers
from azure.durable_functions.local.store.instances import Instance

from .batch import Batch
from .decisions import NonDeterminism
from .material import Material
from .memory import Remembered, Session

_MOST_TIME_OUTS = 3


class NotRun(NamedTuple):
    """There is no outcome, and trying again would not give one."""

    reason: str


class Running:
    """Runs functions of orchestrators, and counts what goes wrong with the workers."""

    def __init__(self, invoker: Invoker, *, keeps_sessions: bool) -> None:
        self._invoker = invoker
        self.keeps_sessions = keeps_sessions
        """Whether workers keep orchestrations between episodes."""
        self._lost = LostWorkers()
        self._time_outs: Counter[tuple[str, str]] = Counter()
        """How often in a row a function has not returned in time, by instance and execution."""

    def must_run_alone(self, instance: Instance) -> bool:
        """Whether the next loss of a worker would be the last that the instance may cost."""
        return self._lost.must_run_alone((instance.instance_id, instance.execution_id))

    async def run(
        self, material: Material, batch: Batch, remembered: Remembered
    ) -> Outcome | NotRun:
        """One episode: the outcome, or why there is none and will be none.

        What is remembered takes over the session that the worker keeps, and the time it took.

        Raises:
            WorkerLost, TimedOut: The function did not answer, and may be tried again.
        """
        name = material.instance.name
        registered = material.registry.find("orchestrator", name)
        if registered is None:
            return NotRun(material.registry.unknown("orchestrator", name))
        key = (material.instance.instance_id, material.instance.execution_id)
        began = time.monotonic()
        try:
            outcome = await self._outcome(registered, material, batch, remembered)
        except WorkerLost as error:
            if not self._lost.is_guilty(key, error):
                raise
            return NotRun(
                f"its code has ended {MOST_LOST_WORKERS} worker processes, one at each try"
            )
        except TimedOut as error:
            self._time_outs[key] += 1
            if self._time_outs[key] < _MOST_TIME_OUTS:
                raise
            del self._time_outs[key]
            return NotRun(
                f"it has not returned at any of {_MOST_TIME_OUTS} tries ({error}). An orchestrator "
                "only decides what is next; move what takes long into activities"
            )
        self._lost.forget(key)
        if self._time_outs:
            self._time_outs.pop(key, None)
        note(remembered, material, batch, outcome, time.monotonic() - began)
        return outcome

    async def _outcome(
        self, name: str, material: Material, batch: Batch, remembered: Remembered
    ) -> Outcome:
        """Let a worker advance its session, or else replay from the start."""
        session = session_of(material.instance)
        alone = self.must_run_alone(material.instance)
        if remembered.session is not None and not alone:
            new = events_since(material, batch, remembered.session.seen)
            state = remembered.session.state
            outcome = await self._invoker.advance(name, session, state, new)
            if outcome is not None:
                return outcome
        return await self._invoker.orchestrate(
            name,
            trigger(material, batch),
            alone=alone,
            session=session if self.keeps_sessions else None,
        )

    async def place_of(self, error: NonDeterminism, material: Material, batch: Batch) -> str:
        """Where in the user's code a contradiction stands, if the app's SDK can tell."""
        name = material.registry.find("orchestrator", material.instance.name) or ""
        try:
            explained: Any = json.loads(
                await self._invoker.explain(name, trigger(material, batch)) or "null"
            )
        except (WorkerLost, TimedOut, UnknownFunction):  # the report is right without it
            return ""
        if not shapes.is_array(explained) or not explained:
            return ""
        is_last = error.position is None or error.position >= len(explained)
        asked = explained[-1 if error.position is None or is_last else error.position]
        if asked["file"] is None:
            return ""
        place = f"{asked['file']}, line {asked['line']}"
        return f"; the last action it asks for is at {place}" if is_last else f" ({place})"


def note(
    remembered: Remembered, material: Material, batch: Batch, outcome: Outcome, seconds: float
) -> None:
    """Remember how an episode has left its session, and how long it has taken."""
    state = outcome.session_state
    seen = len(material.history) + 1 + len(batch.events)
    remembered.session = None if state is None else Session(state, seen)
    remembered.seconds = seconds


def session_of(instance: Instance) -> str:
    """Name of the session of an instance's execution."""
    return f"{instance.instance_id}/{instance.execution_id}"


def events_since(material: Material, batch: Batch, seen: int) -> str:
    """JSON text of the events after the first `seen` ones, those of this turn included."""
    new = [*material.history[seen:], material.started, *batch.events]
    return f"[{','.join(new)}]"


def trigger(material: Material, batch: Batch) -> str:
    """JSON text of the orchestration trigger (protocol.md 1): a join of stored texts."""
    started = batch.events[0] if material.is_first else material.history[1]
    begin, end = triggers.around(
        material.instance, material.limits, started, is_first=material.is_first
    )
    return f"{begin}{','.join([*material.history, material.started, *batch.events])}{end}"
