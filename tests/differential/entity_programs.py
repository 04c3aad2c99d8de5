"""Random entities and batches for them, as data, and the entity function that runs them.

Like `programs`, it knows only the public API, so that the official package runs the same file.
"""

from __future__ import annotations

import json
import random
from typing import Any

import azure.durable_functions as df

EntityProgram = dict[str, Any]
"""``operations`` maps an operation's name to its steps, each a list that begins with its kind;
``defects`` names the defects of release 1.7.0 that the batch may meet (numbers of sdk.md 8)."""

_STATES = (None, "0", "7", '"text"', "[1, 2]", ' {"n" :  1} ', "null", "[]")
_VALUES = (None, 0, 5, "text", "", [1], {"n": 2}, False)


def entity(program: EntityProgram) -> Any:
    """The entity function of a program."""
    program = json.loads(json.dumps(program))  # entities change the values they are given

    def run(context: df.DurableEntityContext) -> None:
        held: Any = None
        for kind, *arguments in program["operations"][context.operation_name]:
            if kind == "look":
                held = context.get_state()
            elif kind == "look, else":
                held = context.get_state(lambda value=arguments[0]: value)
            elif kind == "take input":
                held = context.get_input()
            elif kind == "set":
                context.set_state(arguments[0])
            elif kind == "set held":
                context.set_state(held)
            elif kind == "change held" and isinstance(held, list):
                held.append(arguments[0])
            elif kind == "answer":
                context.set_result(arguments[0])
            elif kind == "answer held":
                context.set_result(held)
            elif kind == "answer with itself":
                context.set_result([context.entity_name, context.entity_key])
            elif kind == "answer with what cannot travel":
                context.set_result(object())
            elif kind == "leave":
                context.destruct_on_exit()
            elif kind == "raise":
                raise ValueError(arguments[0])

    return run


def random_batch(rng: random.Random) -> tuple[EntityProgram, str]:
    """A program and the trigger of one batch."""
    operations = {f"op{number}": _steps(rng) for number in range(rng.randint(1, 4))}
    names = [rng.choice(list(operations)) for _ in range(rng.randint(0, 6))]
    batch = [{"name": name, "input": _input(rng), "isSignal": rng.random() < 0.5} for name in names]
    defects = _defects([(operations[entry["name"]], entry["input"]) for entry in batch])
    if batch and rng.random() < 0.04:
        del rng.choice(batch)["input"]
        defects.add("Q98")
    trigger = {
        "self": {"name": "counter", "key": rng.choice(["a", "", "with@sign", "ä"])},
        "exists": rng.random() < 0.7,
        "state": rng.choice(_STATES),
        "batch": batch,
    }
    return {"operations": operations, "defects": sorted(defects)}, json.dumps(trigger)


def _steps(rng: random.Random) -> list[list[Any]]:
    def value() -> Any:
        return rng.choice(_VALUES)

    makers = (
        lambda: ["look"],
        lambda: ["look, else", value()],
        lambda: ["take input"],
        lambda: ["set", value()],
        lambda: ["set held"],
        lambda: ["change held", value()],
        lambda: ["answer", value()],
        lambda: ["answer held"],
        lambda: ["answer with itself"],
        lambda: ["leave"],
        lambda: ["raise", rng.choice(["", "broken"])],
    )
    steps = [rng.choice(makers)() for _ in range(rng.randint(0, 5))]
    if rng.random() < 0.01:
        steps.append(["answer with what cannot travel"])
    return steps


def _input(rng: random.Random) -> str | None:
    """JSON encoded twice as callers do it, at times once, as plain HTTP brings it, or nothing."""
    text = json.dumps(rng.choice(_VALUES))
    chance = rng.random()
    return None if chance < 0.06 else text if chance < 0.12 else json.dumps(text)


def _defects(runs: list[tuple[list[list[Any]], str | None]]) -> set[str]:
    """What 1.7.0 does otherwise with these operations, one after the other."""
    found: set[str] = set()
    answered = shared = False
    for steps, given in runs:
        kinds = [step[0] for step in steps]
        if "raise" in kinds:
            kinds = kinds[: kinds.index("raise")]
        if "take input" in kinds and not _is_encoded_twice(given):
            found.add("Q64")
        if "answer with what cannot travel" in kinds:
            found.add("Q97")
        answers = any(kind.startswith("answer") for kind in kinds)
        if answered and not answers:
            found.add("Q90")
        if shared and "change held" in kinds:
            found.add("Q91")
        answered = answered or answers
        if "answer held" in kinds:
            shared = True
            if "change held" in kinds[kinds.index("answer held") :]:
                found.add("Q91")
    return found


def _is_encoded_twice(text: str | None) -> bool:
    try:
        json.loads(json.loads(text or ""))
    except (TypeError, ValueError):
        return False
    return True
