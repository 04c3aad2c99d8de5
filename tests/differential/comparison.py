"""Compares our package with the official one on random programs and histories."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

import emulated_host
import entity_programs
import programs
import replay_server
from emulated_host import Answer

from azure.durable_functions._replay import compat
from azure.durable_functions._replay.context import DurableOrchestrationContext

HERE = Path(__file__).parent
BROUGHT_BACK = {"Q10", "Q12", "Q14", "Q15", "Q16", "Q17", "Q18", "Q24", "Q45", "Q49"}
OFFICIAL = HERE.parent.parent / ".venv-official" / "bin" / "python"


class OfficialPackage:
    """The official package, answering in a process of its own."""

    def __enter__(self) -> OfficialPackage:
        self._process = subprocess.Popen(
            [str(OFFICIAL), str(HERE / "replay_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            # Nothing of this checkout may be found in the place of the official package.
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        assert self._process.stdout is not None
        where = Path(json.loads(self._process.stdout.readline()))
        assert OFFICIAL.parent.parent.resolve() in where.resolve().parents, where
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def answers(self, program: dict[str, Any], triggers: list[str]) -> list[list[Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"program": program, "triggers": triggers}) + "\n")
        self._process.stdin.flush()
        found: list[list[Any]] = json.loads(self._process.stdout.readline())
        return found


@dataclass
class Report:
    """What a series of programs has shown."""

    programs: int = 0
    episodes: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    divergences: list[str] = field(default_factory=list)


def compare(official: OfficialPackage, seed: int, report: Report) -> None:
    """Run one program on the emulated host with our package, then ask the official one the same.

    The first difference ends a program: it is explained by a defect that the program names, or it
    is a divergence. With the switch for instances in flight on, the defects that it brings back
    explain nothing.
    """
    rng = random.Random(seed)
    program = programs.random_program(rng)
    ours: list[Answer] = []

    def replay(trigger: str) -> Answer:
        paced = replay_server.replay(program, trigger)
        ours.append(_unpaced(program, trigger))
        assert _without_compounds(paced) == _without_compounds(ours[-1])
        return paced

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        host = emulated_host.EmulatedHost(rng, program["events"], rng.choice([None, 0, "text"]))
        triggers = host.run(replay)
    theirs = official.answers(program, triggers)
    _judge(seed, program, triggers, ours, theirs, report)


def _unpaced(program: dict[str, Any], trigger: str) -> Answer:
    """The answer in the official form, which the extension may await for too long or too short."""
    with mock.patch.object(DurableOrchestrationContext, "_watch_pace", autospec=True):
        return replay_server.replay(program, trigger)


def _without_compounds(answer: Answer) -> tuple[list[Any], Any]:
    """What an answer asks for, in order, and what else it says."""
    text, message = answer
    if text is None:
        text = (message or "").rpartition("$OutOfProcData$:")[2]
    try:
        state = json.loads(text)
    except ValueError:  # no envelope
        return [], message
    return _leaves(state.pop("actions")[0]), state


def _leaves(actions: list[Any]) -> list[Any]:
    found: list[Any] = []
    for action in actions:
        found += _leaves(action["compoundActions"]) if "compoundActions" in action else [action]
    return found


def compare_entity(official: OfficialPackage, seed: int, report: Report) -> None:
    """Let both packages answer one random batch; differences as in `compare`."""
    program, trigger = entity_programs.random_batch(random.Random(seed))
    ours = [_without_clock(replay_server.replay(program, trigger))]
    theirs = [
        _without_state(_without_clock(answer)) for answer in official.answers(program, [trigger])
    ]
    _judge(seed, program, [trigger], ours, theirs, report)


def _without_clock(answer: Sequence[str | None]) -> Answer:
    """The answer with the times set to 0 that tell when an operation ran, and how long."""
    text, message = answer
    if text is not None:
        text = re.sub(r'"(duration|startTime)": \d+', r'"\1": 0', text)
    return text, message


def _without_state(answer: Answer) -> Answer:
    """The answer without the state of an entity that does not exist, which ours does not send."""
    text, message = answer
    if text is not None:
        state = r'(?<="entityExists": false, "entityState": )"(?:[^"\\]|\\.)*"'
        text = re.sub(state, "null", text)
    return text, message


def _judge(
    seed: int,
    program: dict[str, Any],
    triggers: list[str],
    ours: list[Answer],
    theirs: Sequence[Sequence[str | None]],
    report: Report,
) -> None:
    report.programs += 1
    report.episodes += len(triggers)
    for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if our == tuple(their):
            continue
        defects = set(program["defects"])
        if compat.is_official():
            defects -= BROUGHT_BACK
        if defects:
            report.explained[",".join(sorted(defects))] += 1
        else:
            report.divergences.append(
                f"seed {seed}, episode {index}\n  program {json.dumps(program)}\n"
                f"  ours     {our}\n  official {their}\n  trigger  {triggers[index]}"
            )
        return
