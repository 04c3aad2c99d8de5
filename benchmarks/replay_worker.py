"""Replays triggers with whatever `azure.durable_functions` this interpreter has, and times it.

A line in: ``{"case": name, "triggers": [texts]}``; a line out: seconds per trigger and the answers'
hash. Every text is new, so that no cache can flatter. ``floor`` as case name times what no
implementation can do without: parsing trigger and payloads, resuming a bare generator, writing the
answer.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import warnings
from typing import Any


def chain(context: Any) -> Any:
    value = None
    for _ in range(context.get_input()):
        value = yield context.call_activity("step", value)
    return "done"


def fan_out(context: Any) -> Any:
    tasks = [context.call_activity("step", k) for k in range(context.get_input())]
    results = yield context.task_all(tasks)
    return len(results)


def any_loop(context: Any) -> Any:
    tasks = [context.call_activity("step", k) for k in range(context.get_input())]
    while tasks:
        winner = yield context.task_any(tasks)
        tasks.remove(winner)
    return "done"


def events(context: Any) -> Any:
    for k in range(context.get_input()):
        yield context.wait_for_external_event(f"event{k}")
    return "done"


CASES = {"chain": chain, "fan_out": fan_out, "any_loop": any_loop, "events": events}


def floor(trigger_text: str) -> str:
    """The least that a replay must do for the same answer, with the standard library."""
    trigger = json.loads(trigger_text)

    def bare() -> Any:
        while True:
            yield

    generator = bare()
    next(generator)
    texts = []
    for event in trigger["history"]:
        if event["EventType"] in (5, 15):
            text = event.get("Result") or event.get("Input")
            generator.send(json.loads(text))
            texts.append(text)
    case = trigger["history"][1]["Name"]
    count = json.loads(trigger["input"])
    actions = ACTIONS[case](count, texts)
    fields = {"isDone": True, "schemaVersion": 2, "actions": [actions]}
    return json.dumps({**fields, "output": count if case == "fan_out" else "done"})


def _calls(inputs: Any) -> list[Any]:
    return [{"actionType": 0, "functionName": "step", "input": text} for text in inputs]


def _together(number: int, count: int) -> list[Any]:
    return [{"actionType": number, "compoundActions": _calls(str(k) for k in range(count))}]


def _waits(count: int) -> list[Any]:
    return [
        {"actionType": 6, "externalEventName": f"event{k}", "reason": "ExternalEvent"}
        for k in range(count)
    ]


ACTIONS: dict[str, Any] = {
    "chain": lambda count, texts: _calls(["null", *texts][:count]),
    "fan_out": lambda count, texts: _together(12, count),
    "any_loop": lambda count, texts: _together(11, count),
    "events": lambda count, texts: _waits(count),
}


def main() -> None:
    warnings.simplefilter("ignore")
    import azure.durable_functions as df

    handles = {name: df.Orchestrator.create(function) for name, function in CASES.items()}
    print(json.dumps(df.__file__), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        handle: Any = floor if asked["floor"] else handles[asked["case"]]
        triggers = asked["triggers"]
        began = time.perf_counter()
        answers = [handle(trigger) for trigger in triggers]
        seconds = (time.perf_counter() - began) / len(triggers)
        digest = hashlib.sha256("\n".join(answers).encode()).hexdigest()
        print(json.dumps([seconds, digest]), flush=True)


if __name__ == "__main__":
    main()
