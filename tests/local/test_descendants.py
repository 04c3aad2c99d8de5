"""Orders that go down a tree of instances, and starts of an id that is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import AlreadyExists, InstanceEnded
from azure.durable_functions.local.engine.invoker import Outcome
from azure.durable_functions.local.store.instances import Filter

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]


def root(context: Context) -> Orchestration:
    children = [
        context.call_sub_orchestrator("middle", None, "middle"),
        context.call_sub_orchestrator("leaf", None, "leaf"),
    ]
    return (yield context.task_all(children))


def middle(context: Context) -> Orchestration:
    return (yield context.call_sub_orchestrator("leaf", None, "below"))


def leaf(context: Context) -> Orchestration:
    return (yield context.wait_for_external_event("go"))


def late(context: Context) -> Orchestration:
    yield context.wait_for_external_event("go")
    return (yield context.call_sub_orchestrator("leaf", None, "born late"))


TREE = {"root": root, "middle": middle, "leaf": leaf, "late": late}
ALL = ("one", "middle", "leaf", "below")


def in_an_engine(scenario: Callable[[Engine], Awaitable[None]], invoker: Any = None) -> None:
    async def run() -> None:
        async with Engine(invoker or DirectInvoker(TREE, {})) as engine:
            await scenario(engine)

    asyncio.run(run())


async def statuses(engine: Engine, *ids: str) -> list[str | None]:
    rows = [await engine.hub.find(instance_id) for instance_id in ids]
    return [None if row is None else row.status for row in rows]


async def begin(engine: Engine, name: str = "root") -> None:
    await engine.hub.start_instance(name, instance_id="one")
    await engine.settle()


def test_terminate_leaves_the_children_alone_unless_it_is_recursive() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.terminate("one", "why")
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Terminated", *["Running"] * 3]

    in_an_engine(scenario)


def test_a_recursive_terminate_ends_the_whole_tree_with_its_reason() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.terminate("one", "why", recursive=True)
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Terminated"] * 4
        below = await engine.hub.find("below")
        assert below is not None
        assert below.output == "why"

    in_an_engine(scenario)


class SlowInvoker(DirectInvoker):
    """Waits before it answers the second episode of an instance."""

    def __init__(self) -> None:
        super().__init__(TREE, {})
        self.is_running = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        outcome = await super().orchestrate(name, trigger, alone=alone, session=session)
        if self.episodes == 2:
            self.is_running.set()
            await self.may_answer.wait()
        return outcome


def test_a_child_that_is_just_being_started_is_ended_too() -> None:
    async def run() -> None:
        invoker = SlowInvoker()
        async with Engine(invoker) as engine:
            await begin(engine, "late")
            await engine.hub.raise_event("one", "go", None)
            await invoker.is_running.wait()
            await engine.hub.terminate("one", None, recursive=True)
            invoker.may_answer.set()
            await engine.settle()
            assert await statuses(engine, "one", "born late") == ["Terminated"] * 2

    asyncio.run(run())


def test_what_a_terminated_parent_has_left_behind_can_be_ended_later() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.terminate("one", None)
        await engine.hub.terminate("middle", None)
        await engine.settle()
        with pytest.raises(InstanceEnded):
            await engine.hub.terminate("one", None)

        await engine.hub.terminate("one", None, recursive=True)
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Terminated"] * 4
        with pytest.raises(InstanceEnded):
            await engine.hub.terminate("one", None, recursive=True)

    in_an_engine(scenario)


def test_a_tree_is_suspended_and_resumed() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.suspend("middle", None)
        await engine.settle()
        await engine.hub.suspend("one", "a pause", recursive=True)
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Suspended"] * 4

        await engine.hub.resume("one", None, recursive=True)
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Running"] * 4
        await engine.hub.raise_event("below", "go", "1")
        await engine.hub.raise_event("leaf", "go", "2")
        await engine.settle()
        assert await engine.result("one") == ("Completed", [1, 2])

    in_an_engine(scenario)


def test_a_recursive_purge_takes_what_has_ended_and_nothing_that_runs() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.terminate("one", None)
        await engine.hub.terminate("below", None)
        await engine.settle()  # "middle" fails with its child
        assert await engine.hub.purge("one", recursive=True) == 3
        assert await statuses(engine, *ALL) == [None, None, "Running", None]

    in_an_engine(scenario)


def test_a_purge_by_filter_takes_the_children_of_what_fits() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.raise_event("below", "go", None)
        await engine.hub.raise_event("leaf", "go", None)
        await engine.settle()
        only_one = Filter(instance_id_prefix="one")
        assert await engine.hub.purge_ended(only_one, recursive=True) == 4
        assert await statuses(engine, *ALL) == [None] * 4

    in_an_engine(scenario)


def test_a_child_of_a_replaced_parent_is_none_of_the_new_one() -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine)
        await engine.hub.terminate("one", None)
        await engine.settle()
        await engine.hub.start_instance("leaf", instance_id="one")
        await engine.settle()
        await engine.hub.terminate("one", None, recursive=True)
        await engine.settle()
        assert await statuses(engine, *ALL) == ["Terminated", *["Running"] * 3]

    in_an_engine(scenario)


@pytest.mark.parametrize("has_ended", [False, True], ids=["running", "ended"])
def test_if_exists_decides_about_an_instance_of_any_status(has_ended: bool) -> None:
    async def scenario(engine: Engine) -> None:
        await begin(engine, "leaf")
        if has_ended:
            await engine.hub.raise_event("one", "go", "1")
            await engine.settle()
        status = "Completed" if has_ended else "Running"
        before = await engine.hub.find("one")

        with pytest.raises(AlreadyExists, match=f"the status {status} already exists"):
            await engine.hub.start_instance("leaf", instance_id="one", if_exists="error")
        assert await engine.hub.start_instance("leaf", instance_id="one", if_exists="skip") == "one"
        await engine.settle()
        assert await engine.hub.find("one") == before

        await engine.hub.start_instance("leaf", instance_id="one", if_exists="replace")
        await engine.settle()
        after = await engine.hub.find("one")
        assert before is not None
        assert after is not None
        assert after.execution_id != before.execution_id
        assert after.status == "Running"

    in_an_engine(scenario)


@pytest.mark.parametrize("rule", ["error", "skip"])
def test_of_starts_at_the_same_time_one_wins(rule: Any) -> None:
    async def scenario(engine: Engine) -> None:
        starts = [
            engine.hub.start_instance("leaf", instance_id="one", input_text=str(n), if_exists=rule)
            for n in range(6)
        ]
        answers = await asyncio.gather(*starts, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, AlreadyExists)]
        assert len(refused) == (5 if rule == "error" else 0)
        row = await engine.hub.find("one")
        assert row is not None
        assert row.input == "0"

    in_an_engine(scenario)
