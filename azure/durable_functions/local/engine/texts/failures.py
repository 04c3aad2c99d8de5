"""Texts of failures, as the extension writes them. Source: host.md 8.8, 8.9; protocol.md 6."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from azure.durable_functions._wire import failure_details, shapes
from azure.durable_functions.local.engine.invoker import Failure

from . import events


def activity_failed(name: str, failure: Failure) -> dict[str, Any]:
    """``Reason``, ``Details`` and ``FailureDetails`` of an activity that raised.

    The two blanks of the reason are the extension's, which cuts the message out of a longer text.
    A structured failure has neither text (extension-engine.md Y22).
    """
    structured = failure_details.of_activity_text(failure.text)
    if structured is not None:
        return {
            "Reason": f"Activity function '{name}' failed with an unhandled exception.",
            "Details": None,
            "FailureDetails": structured,
        }
    host_text = f"Result: Failure\nException: {failure.text}\nStack: {failure.stack}"
    return {
        "Reason": f"Activity function '{name}' failed:  {failure.text}",
        "Details": events.dump(
            {
                "$type": "System.Exception, System.Private.CoreLib",
                "ClassName": "System.Exception",
                "Message": f" {failure.text}",
                "Data": None,
                "InnerException": {
                    "ClassName": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException",
                    "Message": host_text,
                    "RemoteStackTrace": failure.stack,
                    "RemoteMessage": failure.text,
                },
                "StackTraceString": None,
                "HResult": -2146233088,
            }
        ),
        "FailureDetails": dict(failure.details) or None,
    }


def not_run(reason: str, error_type: str) -> dict[str, Any]:
    """Fields of a task that failed without any user code having run."""
    return {
        "Reason": reason,
        "Details": events.dump(
            {
                "$type": "System.Exception, System.Private.CoreLib",
                "ClassName": "System.Exception",
                "Message": reason,
                "InnerException": None,
            }
        ),
        "FailureDetails": {
            "ErrorType": error_type,
            "ErrorMessage": reason,
            "StackTrace": None,
            "InnerFailure": None,
            "IsNonRetriable": False,
            "Properties": None,
        },
    }


def child_failed(reason: str | None, details: dict[str, Any] | None) -> dict[str, Any]:
    """Fields of a sub-orchestration that failed or was terminated."""
    return {
        "Reason": reason,
        "Details": f"Message: {reason}" if reason is not None else None,
        "FailureDetails": details
        or {
            "ErrorType": "OrchestrationFailed",
            "ErrorMessage": reason,
            "StackTrace": None,
            "InnerFailure": None,
            "IsNonRetriable": False,
            "Properties": None,
        },
    }


def orchestrator_failed(name: str, text: str) -> str:
    """Output of an instance whose function raised."""
    return f"Orchestrator function '{name}' failed: {text}"


def structured_output(details: Mapping[str, Any]) -> str:
    """Output of an instance whose answer has ``failureDetails`` (extension-engine.md Y33)."""
    return f"{details['ErrorType'] or ''}: {details['ErrorMessage'] or ''}".rstrip(" ")


def is_final(event: str) -> bool:
    """Whether a failure's event says that trying again is of no use (extension-engine.md Y23)."""
    details = json.loads(event).get("FailureDetails")
    return shapes.is_object(details) and details.get("IsNonRetriable") is True


def raised(failure: Failure) -> str:
    """What the extension says of a function that has raised without an envelope (Y32)."""
    return (
        f"One or more errors occurred. (Result: Failure\nException: {failure.text}\n"
        f"Stack: {failure.stack})"
    )


def unknown_activity(name: str, explanation: str) -> dict[str, Any]:
    """Fields of a call of an activity that is not registered."""
    return not_run(f"Activity function '{name}' failed: {explanation}", "FunctionNotFound")


def unknown_orchestrator(name: str, explanation: str) -> dict[str, Any]:
    """Fields of a call of an orchestrator that is not registered."""
    return not_run(orchestrator_failed(name, explanation), "FunctionNotFound")
