"""The client for functions that are not async: each method blocks until the host has answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import azure.functions as func

from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus

from . import blocking
from .client import DurableOrchestrationClient
from .existing import IfExists
from .status import DurableOrchestrationStatus, EntityStateResponse, PurgeHistoryResult

Result = TypeVar("Result")

Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""Gives what a coroutine gives."""


class SyncDurableOrchestrationClient:
    """Talks to the host that started this function, from code that is not async.

    It has the methods of `DurableOrchestrationClient`, with the same arguments, answers and errors,
    and no ``await``. A ``def`` function with a client binding is given one; a function of an app
    with function.json makes one from the binding's text. Code that runs on an event loop cannot use
    it.
    """

    def __init__(self, context: str, function_invocation_id: str | None = None) -> None:
        """Make a client; arguments and errors as of `DurableOrchestrationClient`."""
        self._client = DurableOrchestrationClient(context, function_invocation_id)
        self._run_coroutine: Run = blocking.run

    @classmethod
    def around(
        cls, client: DurableOrchestrationClient, run: Run = blocking.run
    ) -> SyncDurableOrchestrationClient:
        """A client that has another one make its requests.

        Args:
            client: Makes them.
            run: Gives what a coroutine gives.
        """
        made = cls.__new__(cls)
        made._client = client
        made._run_coroutine = run
        return made

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return cast("Result", self._run_coroutine(work))

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._client.task_hub_name

    def start_new(
        self,
        orchestration_function_name: str,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        if_exists: IfExists | None = None,
    ) -> str:
        """Start an orchestration, and give the new instance's id."""
        return self._run(
            self._client.start_new(
                orchestration_function_name,
                instance_id,
                client_input,
                version,
                if_exists=if_exists,
            )
        )

    def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Status of one instance; falsy if there is none."""
        return self._run(
            self._client.get_status(instance_id, show_history, show_history_output, show_input)
        )

    def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Status of every instance."""
        return self._run(self._client.get_status_all())

    def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Status of the instances that all given conditions fit; naive times are UTC."""
        return self._run(
            self._client.get_status_by(
                created_time_from, created_time_to, runtime_status, instance_id_prefix
            )
        )

    def purge_instance_history(
        self, instance_id: str, *, recursive: bool = False
    ) -> PurgeHistoryResult:
        """Remove an instance that has ended, with all it has; or an entity, by ``@name@key``."""
        return self._run(self._client.purge_instance_history(instance_id, recursive=recursive))

    def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        *,
        recursive: bool = False,
    ) -> PurgeHistoryResult:
        """Remove the finished instances that all given conditions fit."""
        return self._run(
            self._client.purge_instance_history_by(
                created_time_from, created_time_to, runtime_status, recursive=recursive
            )
        )

    def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Raise an event to an instance."""
        self._run(
            self._client.raise_event(
                instance_id, event_name, event_data, task_hub_name, connection_name
            )
        )

    def terminate(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """End an instance at once."""
        self._run(self._client.terminate(instance_id, reason, recursive=recursive))

    def suspend(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """Let an instance pause until it is resumed."""
        self._run(self._client.suspend(instance_id, reason, recursive=recursive))

    def resume(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """Let a suspended instance go on."""
        self._run(self._client.resume(instance_id, reason, recursive=recursive))

    def rewind(
        self,
        instance_id: str,
        reason: str,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Let a failed instance try again what failed."""
        self._run(self._client.rewind(instance_id, reason, task_hub_name, connection_name))

    def restart(
        self,
        instance_id: str,
        restart_with_new_instance_id: bool = True,
        *,
        new_instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """Start an instance's orchestrator once more, and give the new instance's id."""
        return self._run(
            self._client.restart(
                instance_id,
                restart_with_new_instance_id,
                new_instance_id=new_instance_id,
                version=version,
            )
        )

    def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an operation to an entity; nothing comes back."""
        self._run(
            self._client.signal_entity(
                entityId, operation_name, operation_input, task_hub_name, connection_name
            )
        )

    def read_entity_state(
        self,
        entityId: EntityId,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> EntityStateResponse:
        """State of an entity as last committed."""
        return self._run(self._client.read_entity_state(entityId, task_hub_name, connection_name))

    def create_check_status_response(
        self, request: func.HttpRequest, instance_id: str
    ) -> func.HttpResponse:
        """The answer 202 with links to ask, steer and purge the instance."""
        return self._client.create_check_status_response(request, instance_id)

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The links of an instance, with the host's own origin."""
        return self._client.create_http_management_payload(instance_id)

    def get_client_response_links(
        self, request: func.HttpRequest | None, instance_id: str
    ) -> dict[str, str]:
        """The links of an instance, by the host's keys."""
        return self._client.get_client_response_links(request, instance_id)

    def wait_for_completion_or_create_check_status_response(
        self,
        request: func.HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
    ) -> func.HttpResponse:
        """Answer with the output if the instance ends in time, else as a check-status response."""
        return self._run(
            self._client.wait_for_completion_or_create_check_status_response(
                request, instance_id, timeout_in_milliseconds, retry_interval_in_milliseconds
            )
        )
