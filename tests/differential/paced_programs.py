"""Random programs on the double of the extension's algorithm: it goes on exactly when they do.

To the programs of `programs` come the ways of waiting that the official package does not have.
"""

from __future__ import annotations

import random
import warnings
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import programs
from extension_double import ExtensionDouble, Outcome

import azure.durable_functions as df
from azure.durable_functions.orchestrator import Orchestrator

Program = programs.Program
NEWER = ("map", "gather", "in_time", "policy", "sleep")


def random_program(rng: random.Random, *, newer: bool) -> Program:
    """A program with races; with the newer ways of waiting beside the official ones."""
    program = programs.random_program(rng)
    if newer and "statements" in program:
        for _ in range(rng.randint(1, 3)):
            statement = _newer_statement(rng)
            program["statements"].insert(rng.randint(0, len(program["statements"])), statement)
    return program


def _newer_statement(rng: random.Random) -> list[Any]:
    return [rng.choice(NEWER), rng.randint(1, 7), rng.randint(1, 4), rng.random() < 0.4]


class _Run(programs._Run):
    def statements(self) -> Generator[Any, Any, Any]:
        for statement in self._program["statements"]:
            if statement[0] in NEWER:
                yield from self._newer(*statement)
            else:
                yield from self.statement(statement)
                if self._continues:
                    return None
        return self._seen

    def _newer(self, kind: str, size: int, width: int, is_odd: bool) -> Generator[Any, Any, None]:
        context = self._context
        task: Any
        if kind == "map":
            task = context.map(
                lambda n: self._task(["retry", "A", 2, n] if is_odd else ["activity", "A", n]),
                range(size),
                max_concurrency=width,
                return_exceptions=width > 2,
            )
        elif kind == "gather":
            tasks = [self._task(["activity", "A", n]) for n in range(size)]
            tasks.append(self._task(["retry", "B", 2, size] if is_odd else ["timer", size]))
            task = context.task_all(tasks, return_exceptions=True)
        elif kind == "in_time":
            inner = ["retry", "A", 3, size] if is_odd else ["activity", "A", size]
            task = context.with_timeout(self._task(inner), timedelta(seconds=width))
        elif kind == "policy":
            policy = df.RetryPolicy(timedelta(seconds=width), 3)
            task = context.call_activity_with_retry("A", policy, size)
            if is_odd:
                task = context.task_any([task, self._task(["activity", "B", 1])])
        else:
            task = context.sleep(timedelta(hours=size * 20))
            if is_odd:
                task = context.task_any([task, self._task(["activity", "C", size])])
        try:
            self._seen.append(self._shown((yield task)))
        except Exception as error:
            self._seen.append(str(error))


def orchestrator(program: Program) -> Any:
    """The orchestrator function of a program."""
    if "statements" not in program:
        return programs.orchestrator(program)

    def run(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return _Run(context, program).statements()

    return run


def activity(name: str, given: Any) -> Any:
    """What an activity, a child or an entity gives."""
    if isinstance(given, int) and given % (4 if name == "Child" else 5) >= 3:
        raise ValueError(f"{name} {given}")
    return [name, given]


@dataclass
class Run:
    """How a program went on the double."""

    outcome: Outcome | None
    wrong: str | None
    unmatched: int
    """Entries for which no right form exists, of which the SDK has warned."""
    has_generations: bool = False
    """Whether the program continues as new."""


class _Replays:
    """The SDK's side, with a look at its context."""

    def __init__(self, function: Any, is_official: Callable[[int], bool]) -> None:
        self._function = function
        self._is_official = is_official
        self._turns = 0
        self.context: Any = None
        self.unmatched = 0

    def __call__(self, trigger: str) -> str:
        self.context = df.DurableOrchestrationContext.from_json(trigger)
        self._turns += 1
        if self._is_official(self._turns):
            self.context._watch_pace = lambda **_: None
        try:
            return Orchestrator(self._function).handle(self.context)
        finally:
            pacing = self.context._pacing
            self.unmatched += 0 if pacing is None else pacing.unmatched


def run(
    seed: int, *, newer: bool = False, is_official: Callable[[int], bool] = lambda turn: False
) -> Run:
    """Run the random program of a seed.

    Args:
        seed: Gives program, events and durations.
        newer: Whether it may use what the official package lacks.
        is_official: Whether the answer of a turn has the official form; 1 is the first.
    """
    rng = random.Random(seed)
    program = random_program(rng, newer=newer)
    replays = _Replays(orchestrator(program), is_official)
    events = [
        (timedelta(seconds=rng.randint(0, 40)), name, {"of": name})
        for name in program.get("events", [])
        for _ in range(rng.choice([1, 1, 1, 2]))
    ]
    # What nobody raises would be waited for for ever; that is no hang of the extension's.
    events += [
        (timedelta(days=40 + n), name, "late") for n in range(4) for name in program["events"]
    ]

    def seconds(name: str, given: Any) -> float:
        return float(zlib.crc32(f"{seed}{name}{given}".encode()) % 12 + 1)

    double = ExtensionDouble(
        replays,
        activity,
        events,
        input=rng.choice([None, 0, "text"]),
        seed=seed,
        seconds=seconds,
        longest_timer=rng.choice([None, timedelta(hours=9)]) if newer else None,
        open_tasks=lambda: replays.context.open_tasks,
        may_differ=lambda: replays.unmatched > 0,
        early=rng.choice([timedelta(), timedelta(milliseconds=700)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            goes_on = "continue" in {statement[0] for statement in program.get("statements", [])}
            return Run(double.run(), None, replays.unmatched, goes_on)
        except Exception as error:
            return Run(None, f"{type(error).__name__}: {error}", replays.unmatched)
