"""Instances that the code or the host does not fit: what is told of them.

Why an unfinished instance waits stands in its row, in the place of the output, which it lacks.
"""

from __future__ import annotations

import logging

from azure.durable_functions.local.engine import log_fields
from azure.durable_functions.local.engine.texts import events
from azure.durable_functions.local.store.instances import Instance

logger = logging.getLogger("azure.durable_functions.local")

_WAITS = "Waits: "


def note(reason: str) -> str:
    """The note of why an instance waits."""
    return events.storable(f"{_WAITS}{reason}")


def is_note(output: str | None) -> bool:
    """Whether what stands in the place of the output is such a note."""
    return output is not None and output.startswith(_WAITS)


def tell(instance: Instance, reason: str) -> None:
    """Tell that an instance waits, which has been found out just now."""
    about = log_fields.about(instance.instance_id, instance.name)
    if reason.startswith("its version"):
        logger.warning(
            "Instance %s is waiting: %s. It resumes on a host with a matching defaultVersion; "
            "or set versionMatchStrategy to None, or versionFailureStrategy to Fail",
            instance.instance_id,
            reason,
            extra=about,
        )
    else:
        logger.error(
            "Instance %s of %s is waiting: %s. It resumes when the code matches its history again: "
            "revert the change",
            instance.instance_id,
            instance.name,
            reason,
            extra=about,
        )


def tell_failed(instance: Instance, text: str) -> None:
    """Tell that an instance has failed because its code does not fit its history."""
    logger.error(
        "Instance %s of %s failed: %s. To continue it, revert the change, then run: "
        "durable rewind %s",
        instance.instance_id,
        instance.name,
        text,
        instance.instance_id,
        extra=log_fields.about(instance.instance_id, instance.name),
    )
