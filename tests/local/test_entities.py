"""Entities: serial per key, in batches, each operation with its effect exactly once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import DirectInvoker, Engine
from host_process import WEBHOOK, HostProcess

import azure.durable_functions as df
from azure.durable_functions.local.engine.errors import BadArgument
from azure.durable_functions.local.engine.invoker import (
    Failure,
    Outcome,
    TimedOut,
    WorkerLost,
)
from azure.durable_functions.local.engine.settings import HubSettings, Limits

Context = df.DurableOrchestrationContext
Orchestration = Generator[Any, Any, Any]
COUNTER = df.EntityId("Counter", "a")


def counter(context: df.DurableEntityContext) -> None:
    value = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += context.get_input()
            context.set_state(value)
            context.set_result(value)
        case "get":
            context.set_result(value)
        case "fail":
            raise ValueError("not this")
        case _:
            context.destruct_on_exit()


def engine(
    orchestrator: Callable[[Any], Any] | None = None, settings: HubSettings | None = None
) -> Engine:
    orchestrators = {} if orchestrator is None else {"main": orchestrator}
    return Engine(DirectInvoker(orchestrators, {}, {"Counter": counter}), settings=settings)


def run(orchestrator: Callable[[Any], Any]) -> tuple[tuple[str, Any], str | None]:
    """Result of an orchestrator, and the counter's state."""

    async def scenario() -> tuple[tuple[str, Any], str | None]:
        async with engine(orchestrator) as started:
            instance_id = await started.hub.start_instance("main")
            await started.run_out()
            result = await started.result(instance_id)
            return result, await started.hub.entity_state("counter", "a")

    return asyncio.run(scenario())


def test_calls_answer_with_results_in_order() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_entity(COUNTER, "add", 2)
        return (yield context.call_entity(COUNTER, "add", 3))

    assert run(orchestrator) == (("Completed", 5), "5")


def test_signals_of_one_sender_arrive_in_order_before_its_call() -> None:
    def orchestrator(context: Context) -> Orchestration:
        for number in range(10):
            context.signal_entity(COUNTER, "add", number)
        return (yield context.call_entity(COUNTER, "get"))

    assert run(orchestrator) == (("Completed", 45), "45")


def test_a_failed_operation_raises_its_text_and_spares_the_rest() -> None:
    def orchestrator(context: Context) -> Orchestration:
        context.signal_entity(COUNTER, "add", 1)
        try:
            yield context.call_entity(COUNTER, "fail")
        except Exception as error:
            return [str(error), (yield context.call_entity(COUNTER, "get"))]

    assert run(orchestrator) == (("Completed", ["not this", 1]), "1")


def test_signals_of_an_orchestration_that_ends_at_once_are_sent() -> None:
    def orchestrator(context: Context) -> str:
        context.signal_entity(COUNTER, "add", 1)
        return "ended"

    assert run(orchestrator) == (("Completed", "ended"), "1")


def test_each_generation_of_an_eternal_orchestration_signals() -> None:
    def orchestrator(context: Context) -> Orchestration:
        number = context.get_input() or 1
        value = yield context.call_entity(COUNTER, "add", 1)
        if number < 5:
            context.continue_as_new(number + 1)
        return value

    assert run(orchestrator) == (("Completed", 5), "5")


def test_a_deleted_entity_is_gone() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_entity(COUNTER, "add", 1)
        yield context.call_entity(COUNTER, "delete")
        return (yield context.call_entity(COUNTER, "get"))

    assert run(orchestrator)[0] == ("Completed", 0)


def test_an_unknown_entity_answers_a_call_and_fails_a_signal() -> None:
    unknown = df.EntityId("nobody", "a")

    def calls(context: Context) -> Orchestration:
        try:
            yield context.call_entity(unknown, "op")
        except Exception as error:
            return str(error)

    def signals(context: Context) -> str:
        context.signal_entity(COUNTER, "add", 1)
        context.signal_entity(unknown, "op")
        return "done"

    told = "The function 'nobody' doesn't exist, is disabled, or is not an entity function."
    (status, text), _ = run(calls)
    assert status == "Completed"
    assert text.startswith(told)
    (status, text), state = run(signals)
    assert status == "Failed"
    assert text.startswith(f"Orchestrator function 'main' failed: {told}")
    assert state is None


def test_waiting_operations_run_as_one_batch_up_to_the_limit() -> None:
    async def scenario() -> list[int]:
        settings = HubSettings(limits=Limits(max_entity_batch=4))
        started = engine(settings=settings)
        started.database.open()
        for _ in range(10):
            await started.hub.signal_entity("COUNTER", "a", "add", '"1"')
        await started.start()
        await started.settle()
        assert await started.hub.entity_state("counter", "a") == "10"
        await started.stop(1)
        await started.database.close()
        return [len(batch["batch"]) for batch in started.invoker.batches]

    assert asyncio.run(scenario()) == [4, 4, 2]


def test_only_one_batch_of_a_key_runs_at_a_time() -> None:
    class Watching(DirectInvoker):
        running = most = 0

        async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Any:
            self.running += 1
            self.most = max(self.most, self.running)
            outcome = await super().run_entity(name, trigger, alone=alone)
            self.running -= 1
            return outcome

    async def scenario() -> int:
        invoker = Watching({}, {}, {"Counter": counter})
        async with Engine(invoker) as started:
            for _ in range(20):
                await started.hub.signal_entity("counter", "a", "add", '"1"')
            await started.settle()
            assert await started.hub.entity_state("counter", "a") == "20"
            return invoker.most

    assert asyncio.run(scenario()) == 1


def test_a_batch_that_takes_too_long_answers_every_operation() -> None:
    class Slow(DirectInvoker):
        async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Any:
            raise TimedOut("Timeout value of 00:00:01 was exceeded by function: Functions.Counter")

    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_entity(COUNTER, "get")
        except Exception as error:
            return str(error)

    async def scenario() -> tuple[str, Any]:
        async with Engine(Slow({"main": orchestrator}, {}, {"Counter": counter})) as started:
            instance_id = await started.hub.start_instance("main")
            await started.settle()
            return await started.result(instance_id)

    status, text = asyncio.run(scenario())
    assert status == "Completed"
    assert "Timeout value of 00:00:01 was exceeded by function" in text


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\tb"])
def test_keys_that_the_extension_refuses_are_refused(key: str) -> None:
    async def scenario() -> None:
        async with engine() as started:
            with pytest.raises(BadArgument, match="Entity keys must not contain"):
                await started.hub.signal_entity("counter", key, "add", None)

    asyncio.run(scenario())


APP = """
import json
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.entity_trigger(context_name="context")
def Counter(context):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        context.set_state(value + context.get_input())
    elif context.operation_name == "delete":
        context.destruct_on_exit()


@app.route("signal/{key}")
@app.durable_client_input(client_name="client")
async def signal(req, client):
    entity = df.EntityId("Counter", req.route_params["key"])
    await client.signal_entity(entity, "add", 1)
    read = await client.read_entity_state(entity)
    return func.HttpResponse(json.dumps([read.entity_exists, read.entity_state]))
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    folder: Path = tmp_path_factory.mktemp("app")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    with HostProcess(folder) as started:
        yield started


def state_becomes(host: HostProcess, key: str, wanted: object) -> None:
    for _ in range(5000):
        reply = host.call("GET", f"{WEBHOOK}/entities/counter/{key}")
        if (reply.json if reply.status == 200 else None) == wanted:
            return
    raise AssertionError(f"{key} is {reply}, not {wanted}")


def test_entities_can_be_signalled_read_listed_and_deleted_over_http(host: HostProcess) -> None:
    base = f"{WEBHOOK}/entities"
    for body in ("5", 2):  # encoded twice as the SDK does it, and once
        assert host.call("POST", f"{base}/Counter/k?op=add", body).status == 202
    state_becomes(host, "k", 7)

    [listed] = host.call("GET", f"{base}/COUNTER?fetchState=true").json
    assert listed["entityId"] == {"name": "counter", "key": "k"}
    assert listed["state"] == 7
    assert host.call("GET", base).json[0]["state"] is None
    [as_instance] = host.call("GET", f"{WEBHOOK}/instances?instanceIdPrefix=@").json
    assert as_instance["name"] == as_instance["instanceId"] == "@counter@k"
    assert as_instance["runtimeStatus"] == "Running"
    assert as_instance["input"] == {"exists": True, "state": "7", "sorter": {}}
    assert as_instance["customStatus"] == {"entityExists": True}
    raised = host.call("POST", f"{WEBHOOK}/instances/@counter@k/raiseEvent/x", 1)
    assert raised.status == 400

    assert host.call("DELETE", f"{base}/counter/k").status == 202
    state_becomes(host, "k", None)
    assert host.call("GET", base).json == []


def test_the_client_in_the_app_signals_and_reads(host: HostProcess) -> None:
    assert host.call("POST", "/api/signal/client").json == [False, None]
    state_becomes(host, "client", 1)
    assert host.call("POST", "/api/signal/client").json[0] is True


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("nobody/a?op=x", 400, "The function 'nobody' doesn't exist"),
        ("counter/a%23b?op=x", 400, "Entity keys must not contain"),
        ("counter/a/b?op=x", 404, None),
    ],
)
def test_wrong_signals_are_refused(
    path: str, status: int, told: str | None, host: HostProcess
) -> None:
    reply = host.call("POST", f"{WEBHOOK}/entities/{path}")

    assert reply.status == status
    if told is not None:
        assert told in json.loads(reply.body)["Message"]


def test_a_batch_that_has_ended_three_workers_fails_and_says_so() -> None:
    tries: list[bool] = []

    class Deadly(DirectInvoker):
        async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Any:
            tries.append(alone)
            raise WorkerLost("gone")

    def orchestrator(context: Context) -> Orchestration:
        try:
            yield context.call_entity(COUNTER, "get")
        except Exception as error:
            return str(error)

    async def scenario() -> tuple[str, Any]:
        invoker = Deadly({"main": orchestrator}, {}, {"Counter": counter})
        async with Engine(invoker) as started:
            instance_id = await started.hub.start_instance("main")
            await started.settle()
            while (await started.result(instance_id))[0] != "Completed":
                await started.settle()
            return await started.result(instance_id)

    status, text = asyncio.run(scenario())
    assert status == "Completed"
    assert text == (
        "Entity function 'Counter' failed: it has ended 3 worker processes, one at each try"
    )
    assert tries == [False, False, True]


def test_a_batch_that_is_refused_is_tried_again_once_not_once_per_message() -> None:
    class Broken(DirectInvoker):
        tries = 0
        is_broken = True

        async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Any:
            self.tries += 1
            if self.is_broken:
                return Outcome(failure=Failure("ImportError", "no such module", "", {}))
            return await super().run_entity(name, trigger, alone=alone)

    async def scenario() -> None:
        invoker = Broken({}, {}, {"Counter": counter})
        paused, released = asyncio.Event(), asyncio.Event()

        async def pause(seconds: float) -> None:
            paused.set()
            await released.wait()

        async with Engine(invoker) as started:
            started.dispatcher.backoff.sleep = pause
            await started.hub.signal_entity("counter", "a", "add", '"1"')
            await paused.wait()
            for _ in range(4):
                await started.hub.signal_entity("counter", "a", "add", '"1"')
            assert invoker.tries == 1
            invoker.is_broken = False
            released.set()
            while await started.hub.entity_state("counter", "a") != "5":
                await asyncio.sleep(0)
            assert invoker.tries == 2

    asyncio.run(asyncio.wait_for(scenario(), 20))
