"""The same app, with our SDK and with the official package in the worker, comes to the same end.

The official package is a black box in an interpreter of its own (``make official``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_process import WEBHOOK, HostProcess, copy_app

HERE = Path(__file__).parent
OFFICIAL = HERE.parent.parent / ".venv-official" / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official package is not installed: make official"
)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HostProcess, HostProcess]]:
    folder = tmp_path_factory.mktemp("oracle")
    source = HERE / "apps" / "oracle"
    with (
        HostProcess(copy_app(source, folder / "ours")) as ours,
        HostProcess(
            copy_app(source, folder / "official"), "--worker-python", str(OFFICIAL)
        ) as official,
    ):
        yield ours, official


def outcome(finished: dict[str, Any]) -> dict[str, Any]:
    shown = ("name", "runtimeStatus", "input", "output", "customStatus")
    return {key: finished[key] for key in shown}


def recorded(finished: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(e["EventType"], e.get("FunctionName")) for e in finished["historyEvents"]]


ALONE = {
    "chain": None,
    "fan_out": "[1, 2, 3, 4, 5]",  # as a client sends it: a JSON string that holds JSON
    "retry": None,
    "retries_in_parallel": None,
    "retry_exhausted": None,
    "timer": None,
    "parent_of_failing": None,
    "failed": None,
    "raised": None,
    "counting": None,
    "entities": None,
    "requests": None,
}


@pytest.mark.parametrize(("name", "given"), ALONE.items(), ids=list(ALONE))
def test_both_end_in_the_same_state(
    hosts: tuple[HostProcess, HostProcess], name: str, given: object
) -> None:
    ours, official = (host.run(name, given) for host in hosts)

    if name == "failed":  # the text holds the traceback, whose paths differ
        for finished in (ours, official):
            finished["output"] = finished["output"].partition(" \n ")[0]
    if name != "retries_in_parallel":  # there the order of arrival is chance
        assert recorded(ours) == recorded(official)
    if name in ("retry", "retries_in_parallel"):
        assert ours["runtimeStatus"] == official["runtimeStatus"] == "Completed"
    assert outcome(ours) == outcome(official)


def test_both_take_an_event_and_cancel_the_timer(hosts: tuple[HostProcess, HostProcess]) -> None:
    results = []
    for host in hosts:
        started = host.call("POST", f"{WEBHOOK}/orchestrators/event")
        instance_id = started.json["id"]
        host.call("POST", f"{WEBHOOK}/instances/{instance_id}/raiseEvent/approval", {"ok": True})
        results.append(host.finished(instance_id))

    ours, official = results
    assert outcome(ours) == outcome(official)
    assert ours["output"] == {"ok": True}
    assert ours["customStatus"] == "answered"


def test_both_run_children(hosts: tuple[HostProcess, HostProcess]) -> None:
    results = [host.run("parent") for host in hosts]

    assert results[0]["output"] == results[1]["output"]
    assert results[0]["output"][0] == 14
    assert recorded(results[0]) == recorded(results[1])
