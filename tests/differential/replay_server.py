"""PendingAnswers triggers with whatever `azure.durable_functions` this interpreter has.

One JSON object a line: ``{"program": ..., "triggers": [...]}`` in, a list of ``[text, message]``
out.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import entity_programs
import programs

import azure.durable_functions as df


def replay(program: programs.Program, trigger: str) -> tuple[str | None, str | None]:
    """Text of the answer, or the message of what was raised; entity programs get batches."""
    handle: Any
    if "operations" in program:
        handle = df.Entity.create(entity_programs.entity(program))
    else:
        handle = df.Orchestrator.create(programs.orchestrator(program))
    try:
        return handle(trigger), None
    except Exception as error:
        return None, str(error)


def main() -> None:
    warnings.simplefilter("ignore")
    print(json.dumps(df.__file__), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answers = [replay(asked["program"], trigger) for trigger in asked["triggers"]]
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
