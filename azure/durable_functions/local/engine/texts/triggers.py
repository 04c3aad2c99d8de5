"""The orchestration trigger as JSON text. Source: protocol.md 1."""

from __future__ import annotations

import json

from azure.durable_functions.local.engine.settings import Limits
from azure.durable_functions.local.store.instances import Instance

from . import events
from .new_instance import SOURCE_TAG, tags_of


def _parsed(text: str | None) -> str:
    """An input as the extension's parser gives it back, whose text is stored as it came (Y8)."""
    if text is None or (text.startswith('"') and "\\u" not in text and "\\/" not in text):
        return text or "null"
    return events.parsed(text)


_SPANS = '"longRunningTimerIntervalDuration":"3.00:00:00","maximumShortTimerDuration":"6.00:00:00",'
_NO_SPANS = '"longRunningTimerIntervalDuration":"00:00:00","maximumShortTimerDuration":"00:00:00",'
_BEGIN_OF_STARTED = '{"OrchestrationInstance":'


def around(
    instance: Instance, limits: Limits, started: str, *, is_first: bool = False
) -> tuple[str, str]:
    """JSON text of an orchestration trigger: before its events, and behind them.

    Members and their order are the extension's (extension-engine.md Y1-Y7).

    Args:
        instance: Of the trigger.
        limits: Of the host.
        started: The event with which the generation begins.
        is_first: Whether this is the generation's first turn.
    """
    # What earlier releases have begun, told by its first event, may have timers of any length.
    spans = _SPANS if started.startswith(_BEGIN_OF_STARTED) else _NO_SPANS
    source_id = (tags_of(started) or {}).get(SOURCE_TAG)
    parent = None if instance.parent is None else json.loads(instance.parent)
    parent_id = None if parent is None else parent["OrchestrationInstance"]["InstanceId"]
    end = (
        f'],"input":{_parsed(instance.input)},'
        f'"instanceId":{events.dump(instance.instance_id)},'
        f'"isReplaying":{"false" if is_first else "true"},'
        f'"parentInstanceId":{events.dump(parent_id)},'
        f'"sourceInstanceId":{events.dump(source_id)},'
        f'"upperSchemaVersion":1,"upperSchemaVersionNew":3,{spans}'
        '"defaultHttpAsyncRequestSleepTimeMillseconds":'
        f"{limits.http_poll_milliseconds}}}"
    )
    return '{"history":[', end
