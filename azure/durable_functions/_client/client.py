"""The durable client: starts, queries and manages instances and entities. Source: sdk.md 5.

Every call goes to the host's RPC endpoint. A payload is JSON text that the transport encodes once
more, so request bodies are JSON strings that hold JSON (sdk.md 5.4).
"""

from __future__ import annotations

import functools
import json
import logging
import uuid
from asyncio import sleep
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import azure.functions as func

from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.payloads import converted, encode
from azure.durable_functions._wire.vocabulary import (
    TERMINAL_STATUSES,
    OrchestrationRuntimeStatus,
)

from . import http
from .bindings import DurableOrchestrationBindings
from .http import delete_async_request, get_async_request, post_async_request
from .queries import (
    RpcManagementOptions,
    name_segment,
    new_id_segment,
    query_value,
    with_query,
)
from .status import DurableOrchestrationStatus, EntityStateResponse, PurgeHistoryResult

if TYPE_CHECKING:
    from types import ModuleType

    from azure.durable_functions._wire.converters import DataConverter

    from .existing import IfExists

_LOGGER = logging.getLogger("azure.durable_functions")

_Post = Callable[..., Coroutine[Any, Any, list[Any]]]
_FINAL_WITH_STATUS = (OrchestrationRuntimeStatus.Canceled, OrchestrationRuntimeStatus.Terminated)


@functools.cache  # an import statement takes 0.5 us also when there is nothing to import
def _tracing() -> Any:
    """Needed with the first request, as all that requests need."""
    from . import tracing

    return tracing


@functools.cache
def _failures() -> ModuleType:
    """Needed when a request fails."""
    from . import failures

    return failures


def __getattr__(name: str) -> Any:
    if name == "TraceContextTextMapPropagator":
        found = _tracing().propagator_class()
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class DurableOrchestrationClient:
    """Talks to the host that started this function."""

    _converter: DataConverter | None = None
    """How the app writes and reads payloads, if not as usual."""
    _orchestrators: Mapping[str, str] | None = None
    """The app's orchestrators by their names in lower case, where the whole app is known."""

    def __init__(self, context: str, function_invocation_id: str | None = None) -> None:
        """Make a client.

        Args:
            context: Text of the durable client binding.
            function_invocation_id: Sent along, so that the host can correlate.

        Raises:
            TypeError: Not text, or a field of the binding is missing.
            json.JSONDecodeError: The text is not JSON.
        """
        self._event_name_placeholder = "{eventName}"
        self._function_name_placeholder = "{functionName}"
        self._instance_id_placeholder = "[/{instanceId}]"
        self._reason_placeholder = "{text}"
        self._created_time_from_query_key = "createdTimeFrom"
        self._created_time_to_query_key = "createdTimeTo"
        self._runtime_status_query_key = "runtimeStatus"
        self._show_history_query_key = "showHistory"
        self._show_history_output_query_key = "showHistoryOutput"
        self._show_input_query_key = "showInput"
        self._orchestration_bindings = DurableOrchestrationBindings.from_json(context)
        self._function_invocation_id = function_invocation_id
        self._post_async_request: _Post = post_async_request
        self._get_async_request: _Post = get_async_request
        self._delete_async_request: _Post = delete_async_request

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._orchestration_bindings.task_hub_name

    async def start_new(
        self,
        orchestration_function_name: str,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        if_exists: IfExists | None = None,
    ) -> str:
        """Start an orchestration.

        Without `if_exists` an instance of the id that runs is refused, and one that has ended is
        replaced. The local host decides about `if_exists` in one step with the start. The extension
        does not know it, so the client asks for the instance before, and ends it if it is to be
        replaced, which takes some seconds: an instance that ends or is started in between may be
        replaced all the same.

        Args:
            orchestration_function_name: Its name.
            instance_id: Of the new instance; None lets the host make one.
            client_input: Any value the codec takes.
            version: Of the new instance; None means the host's default.
            if_exists: What to do about an instance of the id, in whatever status: "error" raises,
                "skip" gives its id and starts nothing, "replace" terminates and replaces it. Its
                sub-orchestrations go on.

        Returns:
            Id of the new instance.

        Raises:
            ValueError: Name or id cannot be sent as it is, or `if_exists` is none of the three.
            OrchestrationAlreadyExistsError: An instance of the id is in the way.
            Exception: The host refuses; the text is its reason.
        """
        if if_exists not in (None, "error", "skip", "replace"):
            raise ValueError(f'if_exists must be "error", "skip" or "replace", not {if_exists!r}')
        url = self._get_start_new_url(instance_id, orchestration_function_name, version)
        self._look_for_orchestrator(orchestration_function_name)
        if if_exists is None or not instance_id:
            return await self._start(url, orchestration_function_name, instance_id, client_input)
        from . import existing  # few starts need it

        url += f"{'&' if '?' in url else '?'}ifExists={if_exists}"

        async def begin() -> str:
            return await self._start(url, orchestration_function_name, instance_id, client_input)

        return await existing.start(self, str(instance_id), if_exists, begin)

    async def _start(self, url: str, name: str, instance_id: str | None, client_input: Any) -> str:
        trace_parent, trace_state = self._get_current_activity_context()
        status, body = await self._post_async_request(
            url,
            self._get_json_input(converted(self._converter, client_input)),
            trace_parent,
            trace_state,
            self._function_invocation_id,
        )
        if status <= 202 and body:
            return str(body["id"])
        raise _failures().not_started(status, body, name, instance_id)

    def _look_for_orchestrator(self, name: str) -> None:
        """Tell of a name that the app does not have: the host starts it, and it fails at once."""
        known = self._orchestrators
        if known is None or str(name).lower() in known:
            return
        import difflib  # only a mistake needs it

        near = difflib.get_close_matches(str(name).lower(), known, 1)
        hint = f"; is {known[near[0]]!r} meant?" if near else ""
        _LOGGER.warning(
            "start_new(%r): this app has no orchestrator of that name, so the instance will fail%s",
            name,
            hint,
        )

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Status of one instance; falsy if there is none.

        Args:
            instance_id: Which one.
            show_history: With the events of its history.
            show_history_output: With the results in them.
            show_input: Has no effect: the host shows the input in any case (sdk.md Q68).

        Raises:
            ValueError: No instance id, or one that cannot be sent as it is.
            Exception: The host answers an error, or anything unexpected; ``reason`` says why.
        """
        in_path = name_segment("instance_id", instance_id)
        base_url = self._rpc_base_url
        if base_url is None or show_history or show_history_output or show_input:
            url = RpcManagementOptions(
                instance_id=instance_id,
                show_history=show_history,
                show_history_output=show_history_output,
                show_input=show_input,
            ).to_url(base_url)
        else:  # what is asked most, in a loop: 2 of 75 us
            url = f"{base_url}instances/{in_path}"
        status, body = await self._get_async_request(url)
        if status in (200, 202, 404) or (
            status in (400, 500) and not _failures().is_error_body(status, body)
        ):
            return self._status_of(body)
        raise _failures().unexpected(status, body)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Status of every instance."""
        return await self._get_statuses(RpcManagementOptions())

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Status of the instances that all given conditions fit; naive times are UTC."""
        return await self._get_statuses(
            RpcManagementOptions(
                created_time_from=created_time_from,
                created_time_to=created_time_to,
                runtime_status=runtime_status,
                instance_id_prefix=instance_id_prefix,
            )
        )

    async def purge_instance_history(
        self, instance_id: str, *, recursive: bool = False
    ) -> PurgeHistoryResult:
        """Remove an instance that has ended, with all it has; or an entity, by ``@name@key``.

        Args:
            instance_id: Which one. Nothing is removed if there is none.
            recursive: Also its sub-orchestrations that have ended, and theirs. The local host does
                so; the extension ignores it.

        Raises:
            ValueError: No instance id, or one that cannot be sent as it is.
            Exception: The instance has not ended (status 412), or the host answers anything else
                that is unexpected; ``reason`` says why.
        """
        url = f"{self._required_base_url()}instances/{name_segment('instance_id', instance_id)}"
        url = with_query(url, recursive="true" if recursive else None)
        return self._parse_purge_instance_history_response(await self._delete_async_request(url))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        *,
        recursive: bool = False,
    ) -> PurgeHistoryResult:
        """Remove the finished instances that all given conditions fit.

        The request always names terminal statuses. Without one the extension would remove what
        runs as well, and entities.

        Args:
            created_time_from: The earliest start.
            created_time_to: The latest start.
            runtime_status: Which of Completed, Failed, Canceled and Terminated; None means all
                four. Other statuses are left out.
            recursive: As for `purge_instance_history`.

        Raises:
            ValueError: `created_time_from` is missing, or `runtime_status` has only statuses of
                instances that have not ended.
            Exception: The host answers anything unexpected.
        """
        if created_time_from is None:
            raise ValueError("created_time_from is required when purging by filter.")
        options = RpcManagementOptions(
            created_time_from=created_time_from,
            created_time_to=created_time_to,
            runtime_status=_terminal(runtime_status),
        )
        url = options.to_url(self._rpc_base_url)
        if recursive:
            url += "&recursive=true"
        return self._parse_purge_instance_history_response(await self._delete_async_request(url))

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Raise an event to an instance; an orchestrator receives the data as JSON text.

        Raises:
            ValueError: No event name, or a name or id that cannot be sent as it is.
            Exception: There is no such instance, or it has ended.
        """
        status, body = await self._post_async_request(
            self._get_raise_event_url(instance_id, event_name, task_hub_name, connection_name),
            encode(converted(self._converter, event_data)),
            function_invocation_id=self._function_invocation_id,
        )
        if status == 202:
            return
        reasons = {
            404: f"No instance with ID {instance_id} found.",
            410: f"Instance with ID {instance_id} is gone: either completed or failed",
            400: "Only application/json request content is supported",
        }
        told = reasons.get(status, f"Webhook returned unrecognized status code {status}")
        raise _failures().explained(Exception(told), status, body)

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """End an instance at once; no code of it runs any more. Finished ones are left alone.

        Args:
            instance_id: Which one.
            reason: Becomes its output. One that begins with ``//`` makes the extension fail on
                every query that shows the instance, lists included, until it is purged.
            recursive: Also its sub-orchestrations, and theirs. The local host does so; the
                extension ignores it.

        Raises:
            ValueError: No instance id, or one that cannot be sent as it is.
            Exception: There is no such instance, or the host refuses; ``reason`` says why.
        """
        await self._post_operation(instance_id, "terminate", reason, recursive)

    async def suspend(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """Let an instance pause until it is resumed; arguments and errors as of `terminate`.

        One that is suspended already is refused.
        """
        await self._post_operation(instance_id, "suspend", reason, recursive)

    async def resume(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """Let a suspended instance go on; arguments and errors as of `terminate`.

        One that is not suspended is refused.
        """
        await self._post_operation(instance_id, "resume", reason, recursive)

    async def rewind(
        self,
        instance_id: str,
        reason: str,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Let a failed instance try again what failed.

        Raises:
            Exception: There is no such instance, or it has not failed.
        """
        base_url = self._rpc_base_url
        if base_url is None:
            raise Exception(
                "The Python SDK only supports RPC endpoints."
                "Please remove the `localRpcEnabled` setting from host.json"
            )
        in_path = name_segment("instance_id", instance_id)
        url = f"{base_url}instances/{in_path}/rewind?reason={query_value(reason or '')}"
        if task_hub_name is not None:
            url += f"&taskHub={query_value(task_hub_name)}"
        if connection_name is not None:
            url += f"&connection={query_value(connection_name)}"
        status, body = await self._post_async_request(
            url, None, function_invocation_id=self._function_invocation_id
        )
        if status in (200, 202):
            return
        if status == 404:
            told = f"No instance with ID {instance_id} found."
        elif status == 410:
            told = "The rewind operation is only supported on failed orchestration instances."
        elif isinstance(body, str):
            told = body
        else:
            told = f"Received unexpected payload from the durable-extension: {[status, body]}"
        raise _failures().explained(Exception(told), status, body)

    async def restart(
        self,
        instance_id: str,
        restart_with_new_instance_id: bool = True,
        *,
        new_instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """Start an instance's orchestrator once more, with the same input.

        Args:
            instance_id: Of the instance to repeat.
            restart_with_new_instance_id: False replaces it, which must have ended.
            new_instance_id: Of the new instance; None lets it be made.
            version: Of the new instance; None means the host's default. This and `new_instance_id`
                need the extension 3.19.

        Returns:
            Id of the new instance.

        Raises:
            ValueError: An id is missing or cannot be sent as it is, or the arguments contradict
                each other.
            OrchestrationAlreadyExistsError: An instance of the new id has not ended.
            Exception: There is no such instance, or the host refuses; ``reason`` says why.
        """
        in_path = name_segment("instance_id", instance_id)
        base = f"{self._required_base_url()}instances/{in_path}"
        if new_instance_id is None and version is None:
            new_id = "true" if restart_with_new_instance_id else "false"
            url = f"{base}/restart?restartWithNewInstanceId={new_id}"
        else:
            if new_instance_id is None:
                new_instance_id = uuid.uuid4().hex if restart_with_new_instance_id else instance_id
            elif not restart_with_new_instance_id and new_instance_id != instance_id:
                raise ValueError(
                    f"restart_with_new_instance_id=False keeps the id {instance_id!r}, so "
                    f"new_instance_id cannot be {new_instance_id!r}: leave one of them out"
                )
            new_id_segment("new_instance_id", new_instance_id)
            url = with_query(
                f"{base}/restartWithOptions", newInstanceId=new_instance_id, version=version
            )
        status, body = await self._post_async_request(
            url, None, function_invocation_id=self._function_invocation_id
        )
        if status in (202, 410):
            if shapes.is_object(body) and "id" in body:
                return str(body["id"])
            return str(body) if body else instance_id
        raise _failures().not_restarted(status, body, instance_id, new_instance_id)

    async def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an operation to an entity; nothing comes back.

        Raises:
            ValueError: Name or key cannot be sent as it is.
            Exception: The host refuses; ``reason`` says why.
        """
        options = RpcManagementOptions(
            operation_name=operation_name,
            connection_name=connection_name,
            task_hub_name=task_hub_name,
            entity_Id=entityId,
        )
        trace_parent, trace_state = self._get_current_activity_context()
        status, body = await self._post_async_request(
            options.to_url(self._rpc_base_url),
            self._get_json_input(converted(self._converter, operation_input)),
            trace_parent,
            trace_state,
            self._function_invocation_id,
        )
        if status != 202:
            raise _failures().unexpected(status, body)

    async def read_entity_state(
        self,
        entityId: EntityId,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> EntityStateResponse:
        """State of an entity as last committed.

        Raises:
            ValueError: Name or key cannot be sent as it is.
            Exception: The host answers anything unexpected; ``reason`` says why.
        """
        options = RpcManagementOptions(
            connection_name=connection_name, task_hub_name=task_hub_name, entity_Id=entityId
        )
        status, body = await self._get_async_request(options.to_url(self._rpc_base_url))
        if status == 200:
            return EntityStateResponse(True, self._incoming(body))
        if status == 404:
            return EntityStateResponse(False)
        raise _failures().unexpected(status, body)

    def create_check_status_response(
        self, request: func.HttpRequest, instance_id: str
    ) -> func.HttpResponse:
        """The answer 202 with links to ask, steer and purge the instance.

        Args:
            request: What is being answered: its origin replaces that of the links. May be None.
            instance_id: Which instance.
        """
        links = self.get_client_response_links(request, instance_id)
        return func.HttpResponse(
            status_code=202,
            body=json.dumps(links),
            mimetype="application/json",
            headers={
                "Content-Type": "application/json",
                "Location": links["statusQueryGetUri"],
                "Retry-After": "10",
            },
        )

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The links of an instance, with the host's own origin."""
        return self.get_client_response_links(None, instance_id)

    def get_client_response_links(
        self, request: func.HttpRequest | None, instance_id: str
    ) -> dict[str, str]:
        """The links of an instance, by the host's keys; ``id`` is the instance id itself.

        Raises:
            ValueError: No instance id, or one that no link can hold.
        """
        in_path = name_segment("instance_id", instance_id)
        templates = self._orchestration_bindings.management_urls
        placeholder = templates["id"]
        links: dict[str, str] = {}
        for key, template in templates.items():
            link = template
            if request is not None and request.url:
                link = self._replace_url_origin(request.url, link)
            links[key] = link.replace(placeholder, in_path)
        if "id" in links:
            links["id"] = str(instance_id)
        return links

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: func.HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
    ) -> func.HttpResponse:
        """Answer with the output if the instance ends in time, else as a check-status response.

        Raises:
            Exception: The interval is longer than the time-out.
        """
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise Exception(
                f"Total timeout {timeout_in_milliseconds} (ms) should be bigger than retry "
                f"timeout {retry_interval_in_milliseconds} (ms)"
            )
        remaining = timeout_in_milliseconds / 1000
        deadline = time() + remaining
        while True:
            status = await self.get_status(instance_id)
            if status:
                state = status.runtime_status
                if state is OrchestrationRuntimeStatus.Completed:
                    return self._create_http_response(200, status.output)
                if state in _FINAL_WITH_STATUS:
                    return self._create_http_response(200, status.to_json())
                if state is OrchestrationRuntimeStatus.Failed:
                    return self._create_http_response(500, status.to_json())
            if remaining <= 0:
                return self.create_check_status_response(request, instance_id)
            pause = min(retry_interval_in_milliseconds / 1000, remaining)
            await sleep(pause)
            # A sleep may end a moment early; that must not cost one more request.
            remaining = min(remaining - pause, deadline - time())

    @property
    def _rpc_base_url(self) -> str | None:
        return self._orchestration_bindings.rpc_base_url

    def _required_base_url(self) -> str:
        if self._rpc_base_url is None:
            raise ValueError("orchestration bindings has not RPC base url")
        return self._rpc_base_url

    async def _get_statuses(
        self, options: RpcManagementOptions
    ) -> list[DurableOrchestrationStatus]:
        url = options.to_url(self._rpc_base_url)
        found: list[Any] = []
        continuation = ""
        while True:
            if self._get_async_request is http.get_async_request:
                status, body, continuation = await http.get_page(url, continuation)
            else:  # somebody's stand-in knows one page only
                status, body = await self._get_async_request(url)
            if status != 200:
                raise _failures().unexpected(status, body)
            found += body or []  # an empty body is an empty list
            if not continuation:
                return [self._status_of(item) for item in found]

    def _status_of(self, body: Any) -> DurableOrchestrationStatus:
        status = DurableOrchestrationStatus.from_json(body)
        if self._converter is not None:
            status._input = self._incoming(status._input)
            if status.runtime_status is OrchestrationRuntimeStatus.Completed:
                status._output = self._incoming(status._output)  # else the text of a failure
        return status

    def _incoming(self, value: Any) -> Any:
        """What a value shown by the host stands for."""
        if self._converter is None or value is None:
            return value
        if isinstance(value, str):
            try:
                return self._converter.deserialize(value)
            except ValueError:
                pass  # no JSON text in a text, as inputs of clients are: the value itself
        return self._converter.deserialize(encode(value))

    async def _post_operation(
        self, instance_id: str, operation: str, reason: str, recursive: bool
    ) -> None:
        status, body = await self._send_operation(
            instance_id, operation, reason, recursive=recursive
        )
        if status in (202, 410):  # one that has ended already is left alone (sdk.md Q78)
            return
        if status == 404:
            missing = Exception(f"No instance with ID '{instance_id}' found.")
            raise _failures().explained(missing, status, body)
        raise _failures().unexpected(status, body)

    async def _send_operation(
        self, instance_id: str, operation: str, reason: str, *, recursive: bool = False
    ) -> tuple[int, Any]:
        in_path = name_segment("instance_id", instance_id)
        url = (
            f"{self._required_base_url()}instances/{in_path}/{operation}"
            f"?reason={query_value(reason or '')}"
        )
        if recursive:
            url += "&recursive=true"
        status, body = await self._post_async_request(
            url, None, function_invocation_id=self._function_invocation_id
        )
        return status, body

    @staticmethod
    def _get_json_input(client_input: object) -> str | None:
        return None if client_input is None else encode(client_input)

    def _get_start_new_url(
        self,
        instance_id: str | None,
        orchestration_function_name: str,
        version: str | None = None,
    ) -> str:
        name = name_segment("orchestration_function_name", orchestration_function_name)
        url = f"{self._required_base_url()}orchestrators/{name}"
        if instance_id is not None:  # the host makes one for an empty id, too
            url += f"/{new_id_segment('instance_id', instance_id) if instance_id != '' else ''}"
        return with_query(url, version=version)

    def _get_raise_event_url(
        self,
        instance_id: str,
        event_name: str,
        task_hub_name: str | None,
        connection_name: str | None,
    ) -> str:
        event = name_segment("event_name", event_name)
        in_path = name_segment("instance_id", instance_id)
        url = f"{self._required_base_url()}instances/{in_path}/raiseEvent/{event}"
        query: list[str] = []
        if task_hub_name:
            query.append(f"taskHub={query_value(task_hub_name)}")
        if connection_name:
            query.append(f"connection={query_value(connection_name)}")
        return f"{url}?{'&'.join(query)}" if query else url

    @staticmethod
    def _parse_purge_instance_history_response(response: list[Any]) -> PurgeHistoryResult:
        status, body = response[0], response[1]
        if status == 200:
            return PurgeHistoryResult.from_json(body)
        if status == 404:
            return PurgeHistoryResult(instancesDeleted=0)
        raise _failures().unexpected(status, body)

    @staticmethod
    def _create_http_response(status_code: int, body: Any) -> func.HttpResponse:
        return func.HttpResponse(
            status_code=status_code,
            body=body if isinstance(body, str) else json.dumps(body),
            mimetype="application/json",
            headers={"Content-Type": "application/json"},
        )

    @staticmethod
    def _replace_url_origin(request_url: str, value_url: str) -> str:
        """The link under the request's origin; a relative request URL has none (sdk.md Q83)."""
        request_parts = urlsplit(request_url)
        value_parts = urlsplit(value_url)
        if not request_parts.netloc or not value_parts.netloc:
            return value_url
        return value_url.replace(
            f"{value_parts.scheme}://{value_parts.netloc}/",
            f"{request_parts.scheme}://{request_parts.netloc}/",
        )

    @staticmethod
    def _get_current_activity_context() -> tuple[str | None, str | None]:
        replaced = globals().get("TraceContextTextMapPropagator")  # users' tests patch it here
        headers: tuple[str | None, str | None] = _tracing().trace_headers(replaced)
        return headers


def _terminal(
    statuses: Sequence[OrchestrationRuntimeStatus] | None,
) -> list[OrchestrationRuntimeStatus]:
    """The statuses of a purge: only those of instances that have ended.

    Raises:
        ValueError: All that are given are of instances that have not.
    """
    if not statuses:
        return list(TERMINAL_STATUSES)
    found = [status for status in statuses if status in TERMINAL_STATUSES]
    if not found:
        named = ", ".join(status.value for status in statuses)
        raise ValueError(
            f"runtime_status {named}: only instances that have ended can be purged, so name some "
            f"of {', '.join(status.value for status in TERMINAL_STATUSES)}"
        )
    return found
