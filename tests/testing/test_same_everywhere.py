"""The same workflow on the test kit, on a host of its own, and there with the official package."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import comparison
import programs
import pytest
from host_process import WEBHOOK, HostProcess

from azure.durable_functions.testing import DurableTestHost

APP = """
import azure.durable_functions as df
import programs

app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def Main(context):
    return programs.orchestrator(context.get_input())(context)

@app.orchestration_trigger(context_name="context")
def Child(context):
    given = context.get_input()
    if given % 3 == 0:
        raise ValueError("a child's bad luck")
    return given
    yield  # a generator: plain functions that raise are told otherwise officially (Q28)

def activity(name):
    def run(value) -> object:
        return [name, value]
    run.__name__ = name
    app.activity_trigger(input_name="value")(run)

def entity(name):
    def run(context):
        context.set_state(context.get_state(lambda: 0) + 1)
        context.set_result(context.operation_name)
    run.__name__ = name
    app.entity_trigger(context_name="context")(run)

for name in programs.ACTIVITIES:
    activity(name)
for name in programs.ENTITIES:
    entity(name)
"""
# Where time, chance or a race decides, two hosts may rightly differ.
UNSURE = (
    "look",
    "http",
    "any",
    "any_loop",
    "race",
    "timer",
    "timer_elsewhere",
    "event",
    "retry",
    "continue",
)
SEEDS = range(600)
_WORK = (4, 7, 10, 14)


def sure_programs() -> list[dict[str, Any]]:
    found = []
    for seed in SEEDS:
        program = programs.random_program(random.Random(seed))
        text = json.dumps(program)
        if not program["defects"] and not any(f'["{kind}"' in text for kind in UNSURE):
            found.append(program)
    return found


def summary(status: dict[str, Any], history: list[dict[str, Any]]) -> Any:
    """Status, output, custom status, and what was scheduled under which number."""
    work = sorted(
        (event["EventType"], event["EventId"], event.get("Name"))
        for event in history
        if event["EventType"] in _WORK
    )
    return [status["runtimeStatus"], status["output"], status["customStatus"], work]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    shutil.copy(Path(programs.__file__), folder / "programs.py")
    return folder


async def on_the_kit(app: Path, chosen: list[dict[str, Any]]) -> list[Any]:
    found = []
    async with DurableTestHost(app) as host:
        for number, program in enumerate(chosen):
            instance = await host.start("Main", program, instance_id=f"i{number}")
            await instance.wait()
            status = {
                "runtimeStatus": instance.status,
                "output": instance.output,
                "customStatus": instance.custom_status,
            }
            found.append(summary(status, instance.history))
    return found


def on_a_host(app: Path, chosen: list[dict[str, Any]], *options: str) -> list[Any]:
    with HostProcess(app, "--no-watch", "--fresh", *options) as host, ThreadPoolExecutor(4) as pool:

        def one(number: int) -> Any:
            path = f"{WEBHOOK}/orchestrators/Main/i{number}?timeout=60&pollingInterval=1"
            host.call("POST", path, chosen[number])
            status = host.call("GET", f"{WEBHOOK}/instances/i{number}").json
            exported = host.call("GET", f"{WEBHOOK}/instances/i{number}?export=true").json
            return summary(status, exported["history"])

        return list(pool.map(one, range(len(chosen))))


def test_a_workflow_runs_alike_on_the_kit_and_on_hosts(app: Path) -> None:
    chosen = sure_programs()
    assert len(chosen) > 40
    kit = asyncio.run(on_the_kit(app, chosen))
    assert {"Completed", "Failed"} <= {status for status, *_ in kit}

    hosts = [on_a_host(app, chosen), on_a_host(app, chosen, "--sessions")]
    if comparison.OFFICIAL.exists():
        hosts.append(on_a_host(app, chosen, "--worker-python", str(comparison.OFFICIAL)))

    for host in hosts:
        different = [
            (program, here, there)
            for program, here, there in zip(chosen, kit, host, strict=True)
            if _without_text(here) != _without_text(there)
        ]
        assert different == []


def _without_text(found: list[Any]) -> list[Any]:
    """A failure's text has traces of where the code stood; its first line has not."""
    status, output, *rest = found
    return [status, str(output).partition("\n")[0] if status == "Failed" else output, *rest]
