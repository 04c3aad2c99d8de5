"""The extension's host is killed in mid-flight, twice: everything goes on with our SDK.

The messages that it was working on come back after a minute, as the app's host.json says: it is
the least that the extension takes, and its default is five. So one story is told, of many.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from host_process import WEBHOOK, copy_app
from stack import ExtensionProcess

APP = Path(__file__).parent / "apps" / "kills"
ADDRESSED = ["addressed-1", "addressed-2", "addressed-3"]
"""Have got their event just before the first kill."""
WAITING = ["waiting-1", "waiting-2", "waiting-3"]
"""Wait for an event at the first kill; at the second their timers run."""
PACKING = ["packing-1", "packing-2", "packing-3"]
"""Activities of theirs run at the first kill."""
DONE = {
    "packed": [f"piece {piece}" for piece in range(4)],
    "sent": [f"sent Rome {number}" for number in range(3)],
    "shelf": 4,
}
_LONGEST_SECONDS = 200.0


class Story:
    """What is done to the host, and what has become of everybody at the end."""

    def __init__(self, host: ExtensionProcess) -> None:
        self._host = host
        self.notes = host.folder / "notes"
        self.ends: dict[str, dict[str, Any]] = {}

    def tell(self) -> None:
        host = self._host
        self._begin("order", *ADDRESSED, *WAITING)
        self._wait_until("waiting", *ADDRESSED, *WAITING)
        self._begin("slow", "slow")
        self._begin("order", *PACKING)
        host.until(self.notes.exists)
        self._wait_until("packing", *PACKING)
        self._give_address(*ADDRESSED)
        host.kill_extension()
        host.start()
        self._give_address(*WAITING)
        time.sleep(1)  # of the two seconds of their timers
        host.kill()
        host.start()
        self._wait_until("waiting", *PACKING)
        self._give_address(*PACKING)
        for instance_id in (*ADDRESSED, *WAITING, *PACKING, "slow"):
            self.ends[instance_id] = self._end(instance_id)

    def _begin(self, orchestrator: str, *instance_ids: str) -> None:
        for instance_id in instance_ids:
            path = f"{WEBHOOK}/orchestrators/{orchestrator}/{instance_id}"
            assert self._host.call("POST", path).status == 202

    def _give_address(self, *instance_ids: str) -> None:
        for instance_id in instance_ids:
            path = f"{WEBHOOK}/instances/{instance_id}/raiseEvent/Address"
            assert self._host.call("POST", path, "Rome").status == 202

    def _wait_until(self, custom_status: str, *instance_ids: str) -> None:
        for instance_id in instance_ids:
            self._wait(instance_id, lambda shown: shown["customStatus"] == custom_status)

    def _end(self, instance_id: str) -> dict[str, Any]:
        ended = ("Completed", "Failed", "Terminated")
        return self._wait(instance_id, lambda shown: shown["runtimeStatus"] in ended)

    def _wait(self, instance_id: str, holds: Any) -> dict[str, Any]:
        end = time.monotonic() + _LONGEST_SECONDS
        shown: dict[str, Any] = self._host.status(instance_id).json
        while not holds(shown):
            assert time.monotonic() < end, f"it has not come so far: {shown}"
            time.sleep(0.1)
            shown = self._host.status(instance_id).json
        return shown


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    with ExtensionProcess(copy_app(APP, tmp_path_factory.mktemp("kills") / "app")) as host:
        told = Story(host)
        told.tell()
    return told


@pytest.mark.parametrize("instance_id", ADDRESSED)
def test_an_event_that_was_acknowledged_before_a_kill_is_delivered(
    instance_id: str, story: Story
) -> None:
    assert story.ends[instance_id]["output"] == DONE


@pytest.mark.parametrize("instance_id", WAITING)
def test_who_waits_for_an_event_and_then_for_a_timer_outlives_two_kills(
    instance_id: str, story: Story
) -> None:
    assert story.ends[instance_id]["output"] == DONE


@pytest.mark.parametrize("instance_id", PACKING)
def test_an_instance_whose_activities_run_outlives_a_kill(instance_id: str, story: Story) -> None:
    assert story.ends[instance_id]["output"] == DONE


def test_an_activity_of_a_killed_host_runs_again(story: Story) -> None:
    assert story.ends["slow"]["output"] == 8.0
    assert story.notes.read_text().splitlines().count("sleeps") >= 2
