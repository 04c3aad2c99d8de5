"""URLs of status queries, purges and entity calls. Source: sdk.md 2.10, Q65, Q67."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus


def segment(text: object) -> str:
    """One path segment, percent-encoded; ``:`` and ``,`` stay (sdk.md Q65)."""
    given = str(text)
    if given.isalnum() and given.isascii():  # as ids of the host's
        return given
    return quote(given, safe=":,@!$&'()*+;=~")


def query_value(text: object) -> str:
    """One query value, percent-encoded; ``:`` and ``,`` stay, ``/`` too as officially.

    A moment is written in UTC, without a zone it is UTC.
    """
    if isinstance(text, datetime):
        return timestamps.format_moment(text if text.tzinfo is None else timestamps.to_utc(text))
    return quote(str(text), safe=":,/")


class RpcManagementOptions:
    """Parts of a management URL."""

    def __init__(
        self,
        instance_id: str | None = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        show_history: bool | None = None,
        show_history_output: bool | None = None,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        show_input: bool | None = None,
        operation_name: str | None = None,
        entity_Id: EntityId | None = None,
        instance_id_prefix: str | None = None,
    ) -> None:
        self._instance_id = instance_id
        self._task_hub_name = task_hub_name
        self._connection_name = connection_name
        self._show_history = show_history
        self._show_history_output = show_history_output
        self._created_time_from = created_time_from
        self._created_time_to = created_time_to
        self._runtime_status = runtime_status
        self._show_input = show_input
        self.operation_name = operation_name
        self.entity_Id = entity_Id
        self._instance_id_prefix = instance_id_prefix

    def to_url(self, base_url: str | None) -> str:
        """The URL below a base that ends in a slash; each parameter only if it is truthy.

        Raises:
            ValueError: There is no base.
        """
        if base_url is None:
            raise ValueError("orchestration bindings has not RPC base url")
        if self.entity_Id:
            name, key = segment(self.entity_Id.name), segment(self.entity_Id.key)
            url = f"{base_url}entities/{name}/{key}"
        else:
            url = f"{base_url}instances/{segment(self._instance_id or '')}"
        is_list = self.entity_Id is None and not self._instance_id
        statuses = self._runtime_status
        parameters: tuple[tuple[str, object], ...] = (
            ("taskHub", self._task_hub_name),
            ("connectionName", self._connection_name),
            ("showInput", self._show_input),
            ("showHistory", self._show_history),
            ("showHistoryOutput", self._show_history_output),
            ("createdTimeFrom", self._created_time_from),
            ("createdTimeTo", self._created_time_to),
            ("op", self.operation_name),
            ("instanceIdPrefix", self._instance_id_prefix if is_list else None),
            ("runtimeStatus", ",".join(s.value for s in statuses) if statuses else None),
        )
        query = [f"{name}={query_value(value)}" for name, value in parameters if value]
        return f"{url}?{'&'.join(query)}" if query else url
