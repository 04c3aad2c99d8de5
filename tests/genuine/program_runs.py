"""Runs random programs on a started host, many at a time."""

from __future__ import annotations

import collections
import json
import os
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Any

import programs
import pytest
from host_process import WEBHOOK, HostProcess, copy_app
from stack import ExtensionProcess

APPS = Path(__file__).parent / "apps"
FIRST = int(os.environ.get("GENUINE_FIRST_SEED", "1"))
"""Other seeds are other programs."""
RACES = frozenset({"any", "any_loop", "race", "look", "http", "yield_signal"})
"""Statements whose outcome may depend on which of two things is faster."""
_AT_A_TIME = 24
_PAUSE_SECONDS = 0.3
_PATIENCE_SECONDS = {HostProcess: 8.0, ExtensionProcess: 20.0}
"""After so long without a change a program is taken to wait for ever, as some do everywhere."""

Ends = dict[int, dict[str, Any]]
"""Status objects with their histories, by seed."""


def program_of(seed: int) -> programs.Program:
    return programs.random_program(random.Random(seed))


def seeds(wanted: int, *, with_races: bool) -> list[int]:
    """The first so many programs; none calls other servers."""

    def fitting() -> Iterator[int]:
        for seed in count(FIRST):
            told = program_of(seed)
            if _races(told) == with_races and '["http"' not in json.dumps(told):
                yield seed

    return list(islice(fitting(), wanted))


def _races(told: object) -> bool:
    if isinstance(told, dict):
        return any(_races(each) for each in told.values())
    if not isinstance(told, list):
        return False
    return (bool(told) and isinstance(told[0], str) and told[0] in RACES) or any(map(_races, told))


def chosen(request: pytest.FixtureRequest, test: str) -> list[int]:
    """Seeds of the tests of this module that are to run."""
    return [
        item.callspec.params["seed"]
        for item in request.session.items
        if item.path == request.path and getattr(item, "originalname", None) == test
    ]


def app_in(folder: Path) -> Path:
    """The app that runs programs."""
    app = copy_app(APPS / "programs", folder / "app")
    shutil.copy(programs.__file__, app / "programs.py")
    return app


def ends(host: HostProcess, seeds: Iterable[int]) -> Ends:
    """Run programs until all have ended, or take too long."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = pool.map(lambda seed: (seed, _end(host, seed)), seeds)
        return dict(found)


def _end(host: HostProcess, seed: int) -> dict[str, Any]:
    instance = f"{WEBHOOK}/instances/p{seed}"
    given = {"program": program_of(seed), "given": 0}
    started = host.call("POST", f"{WEBHOOK}/orchestrators/Program/p{seed}", given)
    assert started.status == 202, started
    # What is raised before the instance has begun may be lost on Azure Storage.
    unraised = list(given["program"]["events"])
    seen, changed = None, time.monotonic()
    while True:
        shown = host.status(f"p{seed}")
        if shown.status == 200 or time.monotonic() > changed + _PATIENCE_SECONDS[type(host)]:
            found: dict[str, Any] = host.status(f"p{seed}", showHistory=True).json
            return found
        if shown.json["runtimeStatus"] != "Pending":
            while unraised:
                event = unraised.pop(0)
                host.call("POST", f"{instance}/raiseEvent/{event}", {"of": event})
        if shown.body != seen:
            seen, changed = shown.body, time.monotonic()
        time.sleep(_PAUSE_SECONDS)


def told(end: dict[str, Any]) -> dict[str, Any]:
    """What two hosts must have in common at the end of a program."""
    kinds = collections.Counter(
        f"{event['EventType']} {event.get('FunctionName') or ''}".strip()
        for event in end["historyEvents"]
        if event["EventType"] != "EventRaised"  # nobody may have waited for it
    )
    return {
        "status": end["runtimeStatus"],
        "output": without_details(end["output"]),
        "customStatus": end["customStatus"],
        "events": dict(sorted(kinds.items())),
    }


def without_details(value: Any) -> Any:
    """Texts of failures up to the message: what follows names files and types of the host."""
    if isinstance(value, dict):
        return {name: without_details(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_details(each) for each in value]
    return value.split(" \n ")[0] if isinstance(value, str) else value
