"""What the outcome of an episode means for its instance: from an answer to changes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from azure.durable_functions._wire import failure_details, shapes
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, ActionType
from azure.durable_functions.local.engine.invoker import Failure, Outcome
from azure.durable_functions.local.engine.log_fields import about
from azure.durable_functions.local.engine.texts import answers, envelopes, events, failures
from azure.durable_functions.local.engine.texts.answers import Listed, OrchestratorAnswer

from . import decisions, misfits, retries
from .batch import Batch
from .changes import Changes, NextGeneration, Reported, UnknownEntity
from .decisions import NonDeterminism
from .material import Material
from .running import NotRun

logger = logging.getLogger("azure.durable_functions.local")

_CUSTOM_STATUS_KILOBYTES = 16


class Decided(NamedTuple):
    """The changes of a turn, and what the next turn's answer may be compared with."""

    changes: Changes
    listed: Listed | None = None
    """The answer, if it is that of a replay and the function waits for something now."""
    contradiction: NonDeterminism | None = None
    """The answer contradicts the history; the changes do not say yet what follows from it."""


def decide(
    material: Material, batch: Batch, outcome: Outcome | NotRun, before: Listed | None
) -> Decided:
    """What an episode changes.

    Args:
        material: Of the turn.
        batch: Of the turn.
        outcome: Of the episode.
        before: The last answer, if it was that of a replay and all that it asked for took effect.
    """
    changes = retries.begin(material, batch)
    if isinstance(outcome, NotRun):
        _fail(changes, outcome.reason)
        return Decided(changes)
    if before is not None and not outcome.is_increment and outcome.value == before.text:
        changes.repeats_last_answer = True
        return Decided(changes, before)
    text = _answer_text(outcome)
    if text is None:
        _fail_without_envelope(changes, outcome.failure)
        return Decided(changes)
    try:
        answer = answers.read(text, None if outcome.is_increment else before)
        _set_custom_status(changes, answer.fields)
        if changes.status != "Running":
            return Decided(changes)
        _start(changes, outcome, answer)
    except NonDeterminism as error:
        return Decided(_without_actions(changes), contradiction=error)
    except (answers.ProtocolError, UnknownEntity) as error:
        refused = _without_actions(changes)
        _fail(refused, str(error))
        return Decided(refused)
    waits = not ("error" in answer.fields or answer.fields.get("isDone"))
    return Decided(changes, answer.listed if waits and not outcome.is_increment else None)


def paused(material: Material, batch: Batch) -> Changes:
    """The changes of a turn that only suspends or resumes its instance (protocol.md 13.3)."""
    changes = Changes.of(material, batch)
    if batch.pauses.is_paused:
        changes.status = "Suspended"
    elif material.is_first:
        changes.status = "Pending"
    changes.output = batch.pauses.reason
    return changes


def terminated(material: Material, batch: Batch, reason: str | None) -> Changes:
    """The changes of a turn in which a message ends the instance."""
    changes = retries.begin(material, batch)
    changes.end("Terminated", reason)
    return changes


def of_foreign_version(material: Material, batch: Batch, mismatch: str) -> Changes:
    """The changes of a turn whose instance this host must let fail for its version."""
    changes = retries.begin(material, batch)
    text = f"VersionMismatch: {mismatch}"
    details: Any = failures.not_run(text, "VersionMismatch")["FailureDetails"]
    changes.reported = Reported(None, details)
    _fail(changes, text)
    return changes


def contradicted(changes: Changes, text: str) -> None:
    """Fail an instance whose code contradicts its history."""
    misfits.tell_failed(changes.material.instance, text)
    changes.end("Failed", text)


def _without_actions(refused: Changes) -> Changes:
    """Fresh changes after an answer was refused: of the answer only its custom status counts."""
    fresh = retries.begin(refused.material, refused.batch)
    fresh.custom_status = refused.custom_status
    return fresh


def _start(changes: Changes, outcome: Outcome, answer: OrchestratorAnswer) -> None:
    """Let the answer's actions take effect, and end the instance if the answer does.

    Raises:
        NonDeterminism, ProtocolError, UnknownEntity: The answer is refused.
    """
    fields, actions = answer.fields, answer.actions
    limit = changes.material.limits.max_orchestration_actions
    known = len(changes.material.leaves) if outcome.is_increment or answer.is_suffix else 0
    if known + sum(1 for _ in answers.flatten(actions)) > limit:
        _fail(
            changes,
            f"Maximum amount of orchestration actions ({limit}) has been reached. This value can "
            "be configured in host.json file as MaxOrchestrationActions.",
        )
        return
    if outcome.is_increment:
        decisions.apply_increment(changes, actions, fields.get("canceledTimers", ()))
    else:
        decisions.apply(changes, actions, is_suffix=answer.is_suffix)
    if changes.still_open():
        return
    if "error" in fields:
        _raised(changes, fields, outcome.failure)
    elif fields.get("isDone"):
        _returned(changes, fields, actions)


def _returned(
    changes: Changes, fields: Mapping[str, Any], actions: Sequence[Mapping[str, Any]]
) -> None:
    if actions and actions[-1].get("actionType") == ActionType.CONTINUE_AS_NEW:
        changes.next_generation = NextGeneration(actions[-1].get("input"))
        return
    output = fields.get("output")
    changes.end("Completed", None if output is None else events.dump(output))


def _raised(changes: Changes, answer: Mapping[str, Any], failure: Failure | None) -> None:
    """End the instance with the error of its answer."""
    output = failures.orchestrator_failed(changes.material.instance.name, str(answer["error"]))
    details = _details(failure)
    changes.reported = Reported(details, details)
    structured = failure_details.of_answer(answer.get("failureDetails"))
    if structured is not None:  # the parent still gets the usual text (extension-engine.md Y33)
        changes.reported = Reported(details, structured, structured, events.storable(output))
        output = failures.structured_output(structured)
    changes.end("Failed", output)


def _fail(changes: Changes, text: str) -> None:
    changes.end("Failed", failures.orchestrator_failed(changes.material.instance.name, text))


def _answer_text(outcome: Outcome) -> str | None:
    """The result object, from the value or from the failure envelope; None without either."""
    if outcome.failure is None:
        return outcome.value or ""
    return envelopes.answer_in(outcome.failure.message)


def _fail_without_envelope(changes: Changes, failure: Failure | None) -> None:
    """Fail at once, with the extension's text; open work is dropped (extension-engine.md Y32).

    Once the function has scheduled something, that text does not have the reason. So the log has.
    """
    instance = changes.material.instance
    details = _details(failure)
    changes.reported = Reported(details, details)
    if failure is None:
        _fail(changes, "the worker gave no answer")
        return
    contradiction = envelopes.contradicted(changes.material.history)
    if contradiction is None:
        _fail(changes, failures.raised(failure))
        return
    logger.error(
        "Instance %s fails: orchestrator '%s' raised without reporting what it had asked for so "
        "far. As on Azure, its status only reports non-determinism. It raised: %s",
        instance.instance_id,
        instance.name,
        failure.text.partition(FAILURE_LABEL)[0],
        extra=about(instance.instance_id, instance.name),
    )
    changes.end("Failed", contradiction)


def _set_custom_status(changes: Changes, answer: Mapping[str, Any]) -> None:
    """Take the custom status over; a missing one means none (protocol.md 3)."""
    status = answer.get("customStatus")
    if status is None:
        if not (changes.material.is_first and changes.material.instance.continued):
            changes.custom_status = None
        return
    text = json.dumps(status, separators=(",", ":"), ensure_ascii=False)
    kilobytes = len(text.encode("utf-16-le", "surrogatepass")) // 1024
    if kilobytes > _CUSTOM_STATUS_KILOBYTES:
        _fail(
            changes,
            f"The UTF-16 size of the JSON-serialized payload must not exceed "
            f"{_CUSTOM_STATUS_KILOBYTES} KB. The current payload size is {kilobytes} KB.",
        )
        return
    changes.custom_status = events.dump(status)


def _details(failure: Failure | None) -> dict[str, Any] | None:
    """What user code raised: the envelope's exception has it as its cause."""
    if failure is None:
        return None
    if FAILURE_LABEL not in failure.message:
        return dict(failure.details) or None
    inner: Any = failure.details.get("InnerFailure")
    if shapes.is_object(inner):
        return inner
    message = failure.message.rpartition(FAILURE_LABEL)[0]
    return {**failure.details, "ErrorMessage": message} if failure.details else None
