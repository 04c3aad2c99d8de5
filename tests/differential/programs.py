"""Random orchestrator programs, as data, and the orchestrator that runs them.

Knows only the public API of `azure.durable_functions`, so that the same file runs in the
interpreter of the official package. A program is a list of statements; see `random_program`.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from datetime import timedelta, timezone
from typing import Any

import azure.durable_functions as df

Program = dict[str, Any]
Expression = list[Any]

ACTIVITIES = ("A", "B", "C")
ENTITIES = ("Counter", "Audit")


def orchestrator(program: Program) -> Any:
    """The orchestrator function of a program."""

    def run(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return _Run(context, program).statements()

    def plain(context: df.DurableOrchestrationContext) -> Any:
        if program.get("status") is not None:
            context.set_custom_status(program["status"])
        if program["plain"] == "raise":
            raise ValueError("plain and raising")
        return program["plain"]

    return plain if "plain" in program else run


class _Run:
    def __init__(self, context: df.DurableOrchestrationContext, program: Program) -> None:
        self._context = context
        self._program = program
        self._kept: list[Any] = []
        self._seen: list[Any] = []
        self._continues = False

    def statements(self) -> Generator[Any, Any, Any]:
        for statement in self._program["statements"]:
            yield from self.statement(statement)
            if statement[0] == "continue" and self._continues:
                return None
        return self._seen

    def statement(self, statement: list[Any]) -> Generator[Any, Any, None]:
        kind, *arguments = statement
        if kind == "wait":
            yield from self._wait(arguments[0])
        elif kind == "try":
            yield from self._try(*arguments)
        elif kind == "any_loop":
            yield from self._any_loop(arguments[0])
        elif kind == "race":
            yield from self._race(*arguments)
        elif kind == "keep":
            self._kept.append(self._task(arguments[0]))
        elif kind == "signal":
            self._context.signal_entity(df.EntityId(*arguments[:2]), arguments[2], arguments[3])
        elif kind == "yield_signal":
            entity = df.EntityId("Counter", "k")
            self._seen.append((yield self._context.signal_entity(entity, "op", 1)))
        elif kind == "status":
            self._context.set_custom_status(arguments[0])
        elif kind == "look":
            self._seen.append(self._look())
        elif kind == "raise":
            raise KeyError(arguments[0])
        elif kind == "continue" and self._context.get_input() != arguments[0]:
            self._context.continue_as_new(arguments[0])
            self._continues = True

    def _wait(self, expression: Expression) -> Generator[Any, Any, None]:
        self._seen.append(self._shown((yield self._task(expression))))

    def _try(self, expression: Expression, fallback: Expression) -> Generator[Any, Any, None]:
        try:
            self._seen.append(self._shown((yield self._task(expression))))
        except Exception as error:
            self._seen.append(str(error))
            self._seen.append(self._shown((yield self._task(fallback))))

    def _any_loop(self, expressions: list[Expression]) -> Generator[Any, Any, None]:
        tasks = [self._task(expression) for expression in expressions]
        while tasks:
            winner = yield self._context.task_any(tasks)
            self._seen.append([tasks.index(winner), self._shown(winner)])
            tasks.remove(winner)

    def _race(self, expression: Expression, seconds: int) -> Generator[Any, Any, None]:
        task = self._task(expression)
        timer = self._timer(seconds)
        winner = yield self._context.task_any([task, timer])
        if winner == timer:
            self._seen.append("timeout")
        else:
            timer.cancel()
            self._seen.append(self._shown(winner))

    def _look(self) -> list[Any]:
        context = self._context
        return [context.is_replaying, str(context.current_utc_datetime), context.new_uuid()]

    def _shown(self, value: Any) -> Any:
        """A result without task objects in it."""
        if isinstance(value, list):
            return [self._shown(item) for item in value]
        if hasattr(value, "is_completed"):
            return ["task", self._shown(value.result)]
        return str(value) if isinstance(value, Exception) else value

    def _timer(self, seconds: int) -> Any:
        context = self._context
        return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))

    def _task(self, expression: Expression) -> Any:
        context = self._context
        kind, *arguments = expression
        if kind == "activity":
            return context.call_activity(*arguments)
        if kind == "retry":
            name, attempts, given = arguments
            return context.call_activity_with_retry(name, df.RetryOptions(1000, attempts), given)
        if kind == "timer":
            return self._timer(arguments[0])
        if kind == "timer_elsewhere":
            zone = timezone(timedelta(hours=arguments[1]))
            fire_at = context.current_utc_datetime + timedelta(seconds=arguments[0])
            return context.create_timer(fire_at.astimezone(zone))
        if kind == "event":
            return context.wait_for_external_event(arguments[0])
        if kind == "sub":
            return context.call_sub_orchestrator(*arguments)
        if kind == "sub_retry":
            name, attempts, given = arguments
            options = df.RetryOptions(1000, attempts)
            return context.call_sub_orchestrator_with_retry(name, options, given)
        if kind == "http":
            return context.call_http("GET", "https://example.test/", arguments[0])
        if kind == "entity":
            return context.call_entity(df.EntityId(*arguments[:2]), arguments[2], arguments[3])
        if kind == "kept":
            return self._kept[arguments[0]]
        tasks = [self._task(item) for item in arguments[0]]
        return context.task_all(tasks) if kind == "all" else context.task_any(tasks)


def random_program(rng: random.Random) -> Program:
    """A program; everything in it is JSON.

    Its ``defects`` name the defects of release 1.7.0 that it may meet (numbers of sdk.md 8): where
    one is named, the two packages may differ.
    """
    return _Writer(rng).program()


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._events: list[str] = []
        self._kept = 0
        self._defects: set[str] = set()

    def program(self) -> Program:
        rng = self._rng
        if rng.random() < 0.03:
            plain = rng.choice(["raise", 1, {"a": [1, "é"]}, False, None])
            if plain == "raise":
                self._defects.add("Q28")
            return {"plain": plain, "status": rng.choice([None, "s"]), **self._facts()}
        statements = [self._statement() for _ in range(rng.randint(1, 6))]
        if rng.random() < 0.12:
            statements.append(["continue", rng.randint(1, 3)])
        elif rng.random() < 0.08:
            statements.append(["raise", "the end"])
        if self._events and ["look"] in statements:
            self._defects.add("Q26")  # an early event is complete already when it is waited for
        return {"statements": statements, **self._facts()}

    def _facts(self) -> dict[str, Any]:
        raised = []
        for name in self._events:
            if self._rng.random() < 0.05:
                self._defects.add("Q12")
                name = name.upper()
            raised.append(name)
        return {"defects": sorted(self._defects), "events": raised}

    def _statement(self) -> list[Any]:
        rng = self._rng
        roll = rng.random()
        if roll < 0.30:
            return ["wait", self._expression(2)]
        if roll < 0.50:
            return ["try", self._expression(2), self._leaf()]
        if roll < 0.60:
            return ["any_loop", [self._leaf() for _ in range(rng.randint(1, 4))]]
        if roll < 0.72:
            return ["race", self._leaf(), rng.randint(1, 60)]
        if roll < 0.80:
            statement = ["keep", self._leaf(can_be_kept=False)]
            self._kept += 1
            return statement
        if roll < 0.81:
            self._defects.add("Q49")
            return ["yield_signal"]
        if roll < 0.87:
            return ["signal", rng.choice(ENTITIES), "k", "op", rng.choice([None, 1, "x"])]
        if roll < 0.93:
            status = rng.choice(["s", {"n": 1}, [1], 0, ""])
            if not status:
                self._defects.add("Q31")
            return ["status", status]
        return ["look"]

    def _expression(self, depth: int) -> Expression:
        rng = self._rng
        if depth == 0 or rng.random() < 0.45:
            return self._leaf()
        kind = rng.choice(["all", "all", "any"])
        size = rng.choice([0, 1, 2, 2, 3, 3, 4])
        if size == 0:
            # An empty compound in the middle of a replay also turns is_replaying off.
            self._defects |= {"Q24", "Q26"}
        children = [self._expression(depth - 1) for _ in range(size)]
        if any(child[0] == "all" for child in children):
            self._defects |= {"Q14", "Q15"}
        kept = [child[1] for child in children if child[0] == "kept"]
        if len(kept) != len(set(kept)):
            self._defects.add("Q16")
        return [kind, children]

    def _leaf(self, *, can_be_kept: bool = True) -> Expression:
        rng = self._rng
        roll = rng.random()
        if can_be_kept and self._kept and roll < 0.12:
            # A task that is yielded in several places may meet these.
            self._defects |= {"Q14", "Q16", "Q17", "Q18", "Q26"}
            return ["kept", rng.randrange(self._kept)]
        if roll < 0.50:
            return ["activity", rng.choice(ACTIVITIES), rng.choice([None, 1, "x", [1, {"a": 2}]])]
        if roll < 0.64:
            return ["retry", rng.choice(ACTIVITIES), rng.randint(1, 3), rng.randint(0, 9)]
        if roll < 0.72:
            return ["timer", rng.randint(0, 100)]
        if roll < 0.73:
            self._defects.add("Q45")
            return ["timer_elsewhere", rng.randint(0, 100), rng.choice([-5, 1, 9])]
        if roll < 0.82:
            name = f"event{len(self._events)}"
            if self._events and rng.random() < 0.15:
                name = rng.choice(self._events)
                self._defects.add("Q10")
            self._events.append(name)
            return ["event", name]
        if roll < 0.89:
            return ["sub", "Child", rng.randint(0, 9)]
        if roll < 0.92:
            return ["sub_retry", "Child", rng.randint(1, 2), rng.randint(0, 9)]
        if roll < 0.94:
            return ["http", rng.choice([None, {"a": 1}])]
        return ["entity", rng.choice(ENTITIES), "k", "get", rng.choice([None, 5])]
