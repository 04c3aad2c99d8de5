"""Random programs run to their end on the engine, with our package and with the official one.

Everything that runs outside of an episode (activities, children, entities) is finished one at a
time, in an order that the seed decides, so that both runs see the same messages in the same order.
"""

from __future__ import annotations

import asyncio
import json
import random
import warnings
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import comparison
import programs
import pytest
from engine_kit import DirectInvoker, Engine, ManualClock

import azure.durable_functions as df
from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Continuation,
    Continued,
    Failure,
    Outcome,
    WorkerLost,
)
from azure.durable_functions.local.engine.scheduling.dispatcher import Load
from azure.durable_functions.local.engine.settings import HubSettings
from azure.durable_functions.local.worker.sessions import Sessions

SEEDS = range(120)
_MOST_STEPS = 400


class StandingClock(ManualClock):
    """Does not move by being looked at: how often the engine looks must not matter."""

    def now(self) -> datetime:
        return self._now


class GatedInvoker(DirectInvoker):
    """Holds what runs outside of the main orchestrator's episodes until the test lets it go."""

    def __init__(self, program: programs.Program, seed: int) -> None:
        super().__init__(
            {"Main": programs.orchestrator(program), "Child": _child},
            dict.fromkeys(programs.ACTIVITIES, self._activity),
            dict.fromkeys(programs.ENTITIES, _entity),
        )
        self._rng = random.Random(seed)
        self.gates: list[tuple[str, asyncio.Event]] = []
        self.turns_held = 0

    def _activity(self, value: Any) -> Any:
        if self._rng.random() < 0.3:
            raise ValueError("bad luck")
        return value

    async def _held(self, name: str) -> None:
        gate = asyncio.Event()
        self.gates.append((name, gate))
        await gate.wait()

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        if name != "Main":
            self.turns_held += 1
            await self._held(json.loads(trigger)["instanceId"].rpartition(":")[2])
            self.turns_held -= 1
            return await super().orchestrate(name, trigger)
        return await self.main(trigger, session)

    async def main(self, trigger: str, session: str | None) -> Outcome:
        return await super().orchestrate("Main", trigger, session=session)

    async def run_activity(self, call: ActivityCall) -> Outcome:
        await self._held(f"{call.name}{call.input}")
        return await super().run_activity(call)

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        self.turns_held += 1
        await self._held(name)
        self.turns_held -= 1
        return await super().run_entity(name, trigger)

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        await self._held("http")
        return {"statusCode": 200, "headers": {}, "content": request.get("content")}


class OfficialMain(GatedInvoker):
    """The main orchestrator runs in the official package."""

    def __init__(
        self, program: programs.Program, seed: int, official: comparison.OfficialPackage
    ) -> None:
        super().__init__(program, seed)
        self._program = program
        self._official = official

    async def main(self, trigger: str, session: str | None) -> Outcome:
        [[text, message]] = self._official.answers(self._program, [trigger])
        if message is None:
            return Outcome(value=text)
        return Outcome(failure=Failure("Exception", message, "", {}))


class LosingWorkers(GatedInvoker):
    """Some workers are lost while they run the episode behind an activity."""

    def __init__(self, program: programs.Program, seed: int) -> None:
        super().__init__(program, seed)
        self._luck = random.Random(seed)

    async def go_on(self, then: Continuation, result: str) -> Continued | None:
        continued = await super().go_on(then, result)
        return None if self._luck.random() < 0.1 else continued


class LosingSessions(LosingWorkers):
    """The main orchestrator is kept in sessions; some are evicted, some workers are lost."""

    async def advance(self, name: str, session: str, state: str, events: str) -> Outcome | None:
        roll = self._luck.random()
        if roll < 0.15:
            self.sessions = Sessions()  # another worker
        elif roll < 0.25:
            await super().advance(name, session, state, events)
            raise WorkerLost("between its answer and the host")
        return await super().advance(name, session, state, events)

    async def go_on(self, then: Continuation, result: str) -> Continued | None:
        if self._luck.random() < 0.15:
            self.sessions = Sessions()  # another worker
        return await super().go_on(then, result)


def _child(context: df.DurableOrchestrationContext) -> Any:
    given: Any = context.get_input()
    if given % 3 == 0:
        raise ValueError("a child's bad luck")
    return given


def _entity(context: df.DurableEntityContext) -> None:
    if context.operation_name == "get" and context.get_input() == 5:
        raise ValueError("an entity's bad luck")
    context.set_state(context.get_state(lambda: 0) + 1)
    context.set_result(context.get_state())


async def _run(
    invoker: GatedInvoker, program: programs.Program, seed: int, *, keeps_sessions: bool = False
) -> dict[str, Any]:
    """What an instance comes to: status, output, custom status and the ids in its history."""
    rng = random.Random(seed)
    events = list(program["events"])
    settings = HubSettings(
        max_episodes=20,
        max_activities=20,
        keeps_sessions=keeps_sessions,
        result_patience_seconds=60,  # however slow the machine is
    )
    async with Engine(invoker, time=StandingClock(), http=invoker, settings=settings) as engine:
        held = engine.dispatcher
        await engine.hub.start_instance("Main", instance_id="main", input_text='"0"')

        async def until_held() -> None:
            """Until only gates, time and events can change anything."""
            now = clock.stored(engine.clock.now())
            while not is_held(held.load) or (held.next_due or "9999") <= now:
                await asyncio.sleep(0)

        def is_held(load: Load) -> bool:
            return (
                load.running_turns == invoker.turns_held
                and len(invoker.gates) == invoker.turns_held + load.unrecorded_activities
                and not load.waiting_turns
                and not load.waiting_activities
                and not load.held_instances
                and not load.resting_instances
            )

        for _ in range(_MOST_STEPS):
            await until_held()
            found = await engine.hub.find("main")
            assert found is not None
            if found.is_terminal:
                break
            if events and rng.random() < 0.3:
                await engine.hub.raise_event("main", events.pop(), "1")
            elif invoker.gates:
                invoker.gates.sort(key=lambda held: held[0])
                invoker.gates.pop(rng.randrange(len(invoker.gates)))[1].set()
            elif held.next_due is not None:
                engine.clock.move_to(clock.from_stored(held.next_due))
            elif events:
                await engine.hub.raise_event("main", events.pop(), "1")
            else:
                break
        for _, gate in invoker.gates:
            gate.set()
        found = await engine.hub.find("main")
        assert found is not None
        recorded = await engine.history("main")
        return {
            "status": found.status,
            "output": found.output,
            "customStatus": found.custom_status,
            "history": [
                (
                    event["EventType"],
                    event["EventId"],
                    event.get("TaskScheduledId", event.get("TimerId")),
                )
                for event in recorded
            ],
        }


def _end(
    make: Callable[[], GatedInvoker],
    program: programs.Program,
    seed: int,
    *,
    keeps_sessions: bool = False,
) -> dict[str, Any]:
    async def bounded(work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        return await asyncio.wait_for(work, 60)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asyncio.run(bounded(_run(make(), program, seed, keeps_sessions=keeps_sessions)))


@pytest.mark.skipif(
    not comparison.OFFICIAL.exists(), reason="the official package is not installed: make official"
)
def test_programs_end_alike_with_both_packages() -> None:
    compared = ended = 0
    with comparison.OfficialPackage() as official:
        for seed in SEEDS:
            program = programs.random_program(random.Random(seed))
            if program["defects"]:
                continue  # there the two may differ, and one difference leads to the next
            ours = _end(lambda p=program, s=seed: GatedInvoker(p, s), program, seed)
            theirs = _end(lambda p=program, s=seed: OfficialMain(p, s, official), program, seed)
            assert ours == theirs, f"seed {seed}: {json.dumps(program)}"
            compared += 1
            ended += ours["status"] in ("Completed", "Failed")

    assert compared > len(SEEDS) / 4
    assert ended > compared * 0.8


def test_programs_end_alike_however_workers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when they are asked, by themselves behind an activity, or in sessions."""
    advanced = continued = 0
    for seed in SEEDS:
        program = programs.random_program(random.Random(seed))
        # Whether the code is replaying is what sessions change on purpose.
        kept = [statement for statement in program.get("statements", []) if statement != ["look"]]
        program = {**program, "statements": kept} if "statements" in program else program
        asked, alone = GatedInvoker(program, seed), LosingWorkers(program, seed)
        keeping = LosingSessions(program, seed)
        asked.goes_on = False
        plain = _end(lambda a=asked: a, program, seed)
        assert _end(lambda a=alone: a, program, seed) == plain, f"seed {seed}"
        kept = _end(lambda k=keeping: k, program, seed, keeps_sessions=True)
        assert kept == plain, f"seed {seed}"
        advanced += keeping.advanced
        continued += alone.continued

    assert advanced > len(SEEDS)
    assert continued > len(SEEDS) / 4
