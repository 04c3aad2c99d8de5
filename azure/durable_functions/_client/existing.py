"""Starting an instance of an id that may exist already. Source: extension.md X6-X8.

The local host decides in the transaction that starts the instance; it reads ``ifExists``. The
extension does not know that parameter: it refuses with 409 what is running, and replaces what has
ended. So the client asks first, and ends what is to be replaced.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Literal, Protocol

from azure.durable_functions._errors import OrchestrationAlreadyExistsError
from azure.durable_functions._wire.vocabulary import TERMINAL_STATUSES

from .failures import unexpected

IfExists = Literal["error", "skip", "replace"]

_PATIENCE_SECONDS = 180.0
"""As long as the extension itself waits where it may replace what runs (X8)."""
_PAUSES = (0.1, 0.2, 0.5, 1.0)


class Client(Protocol):
    """What this module asks of a client."""

    async def get_status(self, instance_id: str, /) -> Any:
        """The instance's status; falsy if there is no such instance."""
        ...

    async def _send_operation(
        self, instance_id: str, operation: str, reason: str, /
    ) -> tuple[int, Any]: ...


async def start(
    client: Client,
    instance_id: str,
    rule: IfExists,
    begin: Callable[[], Awaitable[str]],
) -> str:
    """Start an instance by a rule; gives its id.

    Args:
        client: Asks for the instance and ends it.
        instance_id: Of the new instance.
        rule: What to do if there is one of that id, in whatever status.
        begin: Asks the host to start it.

    Raises:
        OrchestrationAlreadyExistsError: There is one, and the rule is "error"; or one that was to
            be replaced has not ended in three minutes.
    """
    if rule == "replace":
        return await _replace(client, instance_id, begin)
    found = await client.get_status(instance_id)
    if found:
        if rule == "skip":
            return instance_id
        status = getattr(found.runtime_status, "name", found.runtime_status)
        taken = OrchestrationAlreadyExistsError(
            f"An Orchestration instance with the status {status} already exists."
        )
        taken.instance_id = instance_id
        raise taken
    try:
        return await begin()
    except OrchestrationAlreadyExistsError:  # somebody was faster
        if rule == "skip":
            return instance_id
        raise


async def _replace(client: Client, instance_id: str, begin: Callable[[], Awaitable[str]]) -> str:
    deadline = monotonic() + _PATIENCE_SECONDS
    reason = f"A new instance creation request has been issued for instance {instance_id}."
    while True:
        try:
            return await begin()
        except OrchestrationAlreadyExistsError:
            if monotonic() > deadline:
                raise
        status, body = await client._send_operation(instance_id, "terminate", reason)
        # 500: it is just changing its status. 404 and 410: it is not in the way any more.
        if status not in (202, 404, 410, 500):
            raise unexpected(status, body)
        await _wait_until_ended(client, instance_id, deadline)


async def _wait_until_ended(client: Client, instance_id: str, deadline: float) -> None:
    asked = 0
    while monotonic() <= deadline:
        found = await client.get_status(instance_id)
        if not found or found.runtime_status in TERMINAL_STATUSES:
            return
        await sleep(_PAUSES[min(asked, len(_PAUSES) - 1)])
        asked += 1
