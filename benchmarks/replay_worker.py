"""Replays triggers with whatever `azure.durable_functions` this interpreter has, and times it.

A line in: ``{"case": name, "triggers": [texts], "floor": bool}``; a line out: seconds per trigger
and the answers' hash, without the first trigger, which only warms up; with ``"answers": true`` the
answers themselves. The floor is the least that
an answer costs with the standard library: parsing trigger and payloads, resuming a bare generator,
encoding the answer. With ``"memory": true`` the line out is the peak of memory allocated while
answering one trigger, in bytes.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
import tracemalloc
import warnings
from datetime import timedelta
from typing import Any

if "--plain" in sys.argv:  # without the libraries that may read triggers faster
    sys.modules.update(dict.fromkeys(("msgspec", "msgspec.json", "orjson")))  # type: ignore[arg-type]


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


def mixed(context: Any) -> Any:
    for k in range(context.get_input()):
        if k % 4 == 0:
            yield context.call_activity("step", k)
        elif k % 4 == 1:
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        elif k % 4 == 2:
            yield context.call_sub_orchestrator("child", k, f"child{k}")
        else:
            yield context.wait_for_external_event(f"event{k}")
    return "done"


def counter(context: Any) -> None:
    total = context.get_state(lambda: 0) + context.get_input()
    context.set_state(total)
    context.set_result(total)


ORCHESTRATORS = {
    "chain": chain,
    "fan_out": fan_out,
    "any_loop": any_loop,
    "events": events,
    "mixed": mixed,
}


def floor(trigger_text: str) -> str:
    """The least that a replay must do for the same answer."""
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


def entity_floor(trigger_text: str) -> str:
    """The least that a batch must do for the same answer."""
    trigger = json.loads(trigger_text)
    state = json.loads(trigger["state"])
    results = []
    for operation in trigger["batch"]:
        began = time.time()
        state += json.loads(json.loads(operation["input"]))
        took = int((time.time() - began) * 1000)
        results.append(
            {
                "isError": False,
                "duration": took,
                "startTime": int(began * 1000),
                "result": json.dumps(state),
            }
        )
    return json.dumps(
        {"entityExists": True, "entityState": json.dumps(state), "results": results, "signals": []}
    )


def without_clock(answer: str) -> str:
    """An entity's answer without the times that differ from run to run."""
    fields = json.loads(answer)
    for result in fields.get("results", ()):
        result.pop("duration", None)
        result.pop("startTime", None)
    return json.dumps(fields)


def main() -> None:
    warnings.simplefilter("ignore")
    import azure.durable_functions as df

    handles: dict[str, Any] = {
        name: df.Orchestrator.create(function) for name, function in ORCHESTRATORS.items()
    }
    handles["entity"] = df.Entity.create(counter)
    print(json.dumps(df.__file__), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        case, triggers = asked["case"], asked["triggers"]
        least = entity_floor if case == "entity" else floor
        handle: Any = least if asked.get("floor") else handles[case]
        if asked.get("memory"):
            tracemalloc.start()
            handle(triggers[0])
            print(json.dumps(tracemalloc.get_traced_memory()[1]), flush=True)
            tracemalloc.stop()
            continue
        handle(triggers[0])  # who comes first in a round must not pay for cold caches
        del triggers[0]
        gc.collect()  # or a pass over what others have left falls into the time of whoever it hits
        began = time.perf_counter()
        answers = [handle(trigger) for trigger in triggers]
        seconds = (time.perf_counter() - began) / len(triggers)
        if case == "entity":
            answers = [without_clock(answer) for answer in answers]
        digest = hashlib.sha256("\n".join(answers).encode()).hexdigest()
        told = answers if asked.get("answers") else digest
        print(json.dumps([seconds, told]), flush=True)


if __name__ == "__main__":
    main()
