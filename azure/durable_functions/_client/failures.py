"""What a failed request raises. Source: sdk.md 5.3, extension.md 1.10.

The text is that of release 1.7.0, to the byte, since apps compare it. What the host says beyond it
goes into ``error.reason`` and into the error's notes, which a traceback shows (from Python 3.11).
"""

from __future__ import annotations

from typing import Any

from azure.durable_functions._errors import OrchestrationAlreadyExistsError
from azure.durable_functions._wire import shapes

_EXISTS = "OrchestrationAlreadyExistsException"


def reason_of(body: Any) -> str | None:
    """What the host gives as its reason, in any of the forms of its error bodies; or None."""
    if shapes.is_object(body):
        told = body.get("ExceptionMessage") or body.get("Message")
        return str(told) if told else None
    return body if isinstance(body, str) and body.strip() else None


def explained(error: Exception, status: int, body: Any) -> Exception:
    """An error that has the host's reason as ``reason``, and the HTTP status as ``status_code``.

    ``reason`` is None where the host gives none.
    """
    told: Any = error
    told.reason = reason = reason_of(body)
    told.status_code = status
    if reason is not None and reason != str(error):
        message = body.get("Message") if shapes.is_object(body) else None
        whole = reason if message in (None, "", reason) else f"{message} {reason}"
        # As `add_note` of Python 3.11 does; 3.10 only keeps it.
        told.__notes__ = [*getattr(error, "__notes__", ()), f"The host says: {whole}"]
    return error


def unexpected(status: int, body: Any = None) -> Exception:
    """An answer that the protocol does not know."""
    error = Exception(f"The operation failed with an unexpected status code {status}")
    return explained(error, status, body)


def not_started(status: int, body: Any, name: str, instance_id: str | None) -> Exception:
    """Why an orchestration was not started."""
    reason = reason_of(body)
    if is_already_there(status, body):
        taken = OrchestrationAlreadyExistsError(reason or f"An instance {instance_id} exists.")
        taken.instance_id = instance_id
        return explained(taken, status, body)
    if status == 400 and reason is not None and shapes.is_object(body):
        return explained(Exception(reason), status, body)
    if not body:
        with_id = "" if instance_id is None else f" with the id {instance_id!r}"
        return explained(
            Exception(f"The host has not started {name!r}{with_id}: status {status}, no reason"),
            status,
            body,
        )
    return explained(Exception(body), status, body)


def not_restarted(
    status: int, body: Any, instance_id: str, new_instance_id: str | None
) -> Exception:
    """Why an instance was not started once more.

    The official operation has texts of release 1.7.0; the text of the other one is the host's.

    Args:
        status: Of the answer.
        body: Of the answer.
        instance_id: Of the instance that was to be repeated.
        new_instance_id: The one that was asked for; None for the official operation.
    """
    is_official = new_instance_id is None
    text = str(unexpected(status))
    if not is_official:
        text = reason_of(body) or text
    if is_already_there(status, body):
        taken = OrchestrationAlreadyExistsError(text)
        taken.instance_id = instance_id if is_official else new_instance_id
        return explained(taken, status, body)
    if status == 404 and is_official:
        text = f"No instance with ID '{instance_id}' found."
    elif status == 404:  # an unknown instance is answered with 400 here (X51)
        text = (
            "The host has no operation restartWithOptions, which new_instance_id and version need: "
            "the Durable Task extension 3.19 has it"
        )
    return explained(Exception(text), status, body)


def is_already_there(status: int, body: Any) -> bool:
    """Whether a start was refused because of an instance of the same id.

    Extensions before 3.19 answer 500, and name only their exception.
    """
    if status != 500:
        return status == 409
    return shapes.is_object(body) and str(body.get("ExceptionType")).endswith(_EXISTS)


def is_error_body(status: int, body: Any) -> bool:
    """Whether the answer to a status query tells an error, and not the status of an instance.

    A Failed instance may be answered with 500 too, and a text was always taken as a message.
    """
    if status not in (400, 500):
        return False
    if not shapes.is_object(body):
        return status == 500 and not body
    return "runtimeStatus" not in body and ("ExceptionMessage" in body or "Message" in body)
