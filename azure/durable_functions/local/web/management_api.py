"""The HTTP management API. Source: http-api.md.

Routes are tried in the order of 2.1; a request that matches none gets 404 without a body.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from azure.durable_functions.local.engine import clock
from azure.durable_functions.local.engine.errors import (
    AlreadyExists,
    BadArgument,
    InstanceEnded,
    NoSuchInstance,
    NotPossible,
    WrongStatus,
)
from azure.durable_functions.local.engine.hub import IfExists, TaskHub
from azure.durable_functions.local.engine.instance_ids import check_instance_id
from azure.durable_functions.local.engine.texts import entity_rows, events
from azure.durable_functions.local.engine.texts.entity_rows import is_entity
from azure.durable_functions.local.store.instances import Filter, Instance

from . import exchange, instance_views, page_tokens, waiting
from .exchange import Answer, Request
from .links import Links

_ARGUMENT = "System.ArgumentException"
_ALREADY_EXISTS = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
_PAGE_SIZE = 100
_LARGEST_PAGE = 100_000
_CONTINUATION = "x-ms-continuation-token"
_STATUS_NAMES = instance_views.STATUS_NAMES
_DIGITS_OF_NUMBERS = 10


class ManagementApi:
    """PendingAnswers requests about one task hub."""

    def __init__(self, hub: TaskHub, links: Links, *, uses_app_lease: bool = True) -> None:
        """Takes what it works on.

        Args:
            hub: The task hub.
            links: The parts of URLs in responses.
            uses_app_lease: Whether ``makePrimary`` is accepted.
        """
        self._hub = hub
        self._links = links
        self._uses_app_lease = uses_app_lease

    async def answer(self, request: Request) -> Answer:
        """Answers a request; its path is below the base of the port that it came through."""
        hub_name = request.query.text("taskHub")
        foreign = bool(hub_name) and (hub_name or "").lower() != self._links.hub_name.lower()
        segments = request.segments
        if "" in segments:
            return _NOT_FOUND
        match segments:
            case [first, *rest] if first.lower() == "orchestrators" and request.method == "POST":
                if 1 <= len(rest) <= 2:
                    return await self._start(request, rest[0], *rest[1:], foreign=foreign)
            case [first, *rest] if first.lower() == "entities":
                return await self._entities(request, rest, foreign)
            case [first] if first.lower() == "instances" and request.method == "GET":
                return exchange.as_json(200, []) if foreign else await self._list(request)
            case [first, instance_id] if first.lower() == "instances" and request.method == "GET":
                return exchange.empty(404) if foreign else await self._status(request, instance_id)
            case [first] if first.lower() == "instances" and request.method == "DELETE":
                return exchange.empty(404) if foreign else await self._purge_ended(request)
            case [first, instance_id] if (
                first.lower() == "instances" and request.method == "DELETE" and not foreign
            ):
                return await self._purge(request, instance_id)
            case [first] if first.lower() == "makeprimary":
                if self._uses_app_lease:
                    return exchange.empty(200)
                return exchange.problem(
                    400,
                    "Cannot make current app primary. This app is not using the AppLease feature.",
                )
            case [first, instance_id, operation, *rest] if first.lower() == "instances":
                return await self._operate(request, instance_id, operation, rest, foreign)
            case _:
                pass
        return exchange.empty(404)

    async def _start(
        self, request: Request, name: str, instance_id: str | None = None, *, foreign: bool
    ) -> Answer:
        try:
            input_text = exchange.read_json_text(request)
        except exchange.InvalidJson as error:
            return _invalid_json(error)
        if foreign:
            return exchange.bad_argument(f"This host has only the hub {self._links.hub_name}.")
        if_exists: Any = request.query.text("ifExists")  # this host's own
        if if_exists not in (None, *get_args(IfExists)):
            return exchange.bad_argument(f"ifExists is error, skip or replace, not {if_exists!r}")
        try:
            started = await self._hub.start_instance(
                name,
                instance_id=instance_id,
                input_text=input_text,
                version=request.query.text("version"),
                if_exists=if_exists,
            )
        except BadArgument as error:
            return exchange.bad_argument(str(error))
        except AlreadyExists as error:
            return exchange.problem(409, str(error))
        return await self._answer_started(
            request, started, lambda error: exchange.problem(400, str(error))
        )

    async def _answer_started(
        self, request: Request, instance_id: str, refuse: Callable[[waiting.BadWait], Answer]
    ) -> Answer:
        """Answers at once or, with both wait parameters, when the instance has ended (5.2)."""
        timeout = request.query.number("timeout")
        interval = request.query.number("pollingInterval")
        if timeout is None or interval is None:
            return self._check_status(request, instance_id)
        try:
            timeout = waiting.checked_timeout(timeout, interval)
        except waiting.BadWait as error:
            return refuse(error)
        except waiting.TooLong as error:
            return exchange.unexpected(str(error), "System.OverflowException")
        instance = await self._hub.wait_until_finished(instance_id, timeout)
        if instance is None or not instance.is_terminal:
            return self._check_status(request, instance_id)
        if instance.status == "Completed":
            return exchange.as_json(200, instance_views.shown(instance.output))
        return exchange.as_json(200, instance_views.status(instance))

    def _check_status(self, request: Request, instance_id: str) -> Answer:
        links = self._links.of_instance(
            instance_id,
            origin=self._links.public_origin if request.is_of_worker else request.origin,
            with_key=not request.is_of_worker,
            hub_name=request.query.text("taskHub"),
            connection=request.query.text("connection"),
        )
        del links["rewindPostUri"]  # the extension omits it here (4.2)
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return exchange.as_json(202, links, headers)

    async def _status(self, request: Request, instance_id: str) -> Answer:
        instance = await self._hub.find(instance_id)
        if instance is None:
            return exchange.empty(404)
        query = request.query
        if query.flag("export"):  # this host's own: the complete history
            return exchange.as_json(200, await self._export(instance))
        show_input = query.flag("showInput") is not False
        history: list[dict[str, Any]] | None = None
        if query.flag("showHistory") and instance.status != "Pending":
            history = instance_views.history(
                await self._hub.history_of(instance_id),
                show_input=show_input,
                show_output=bool(query.flag("showHistoryOutput")),
                is_continued=instance.continued,
                show_details=bool(query.flag("showDetails")),
            )
        view = instance_views.status(instance, show_input=show_input, history=history)
        if query.flag("showFailure"):  # this host's own: class, frames and causes
            view["failure"] = await self._hub.failure_of(instance_id)
        if query.flag("showDetails"):  # this host's own
            found = await self._hub.details_of(instance_id)
            view.update({} if found is None else instance_views.details(found))
        if not instance.is_terminal:
            return exchange.as_json(202, view, {"Location": request.url, "Retry-After": "5"})
        if instance.status == "Failed" and query.flag("returnInternalServerErrorOnFailure"):
            return exchange.as_json(500, view)
        return exchange.as_json(200, view)

    async def _export(self, instance: Instance) -> dict[str, Any]:
        """Returns a run in the format of `testing.replay`: the complete history and its input."""
        parent = None if instance.parent is None else json.loads(instance.parent)
        return {
            "instanceId": instance.instance_id,
            "name": instance.name,
            "status": instance.status,
            "input": instance_views.shown(instance.input),
            "parentInstanceId": parent and parent["OrchestrationInstance"]["InstanceId"],
            "history": [
                json.loads(event) for event in await self._hub.history_of(instance.instance_id)
            ],
        }

    async def _list(self, request: Request) -> Answer:
        query = request.query
        wanted = Filter(
            instance_id_prefix=query.text("instanceIdPrefix") or None,
            created_from=_stored(query, "createdTimeFrom"),
            created_to=_stored(query, "createdTimeTo"),
            statuses=_statuses(query.text("runtimeStatus")),
            # This host's own, for `durable list`.
            name=query.text("name") or None,
            custom_status=_piece(query.text("customStatus")),
            has_entities=query.flag("entities") is not False,
            is_newest_first=query.flag("newestFirst") is True,
        )
        page = await self._page(request, wanted)
        if isinstance(page, Answer):
            return page
        found, token = page
        # The extension only hides inputs in a filtered list (X36).
        show_input = query.flag("showInput") is not False or wanted == Filter()
        views = [instance_views.status(item, show_input=show_input) for item in found]
        return exchange.as_json(200, views, {_CONTINUATION: token})

    async def _entities(self, request: Request, rest: list[str], foreign: bool) -> Answer:
        """Reads, lists, signals and deletes entities (http-api.md 7)."""
        match (request.method, rest):
            case ("GET", [name, key]):
                if foreign:
                    return _NOT_FOUND
                state = await self._hub.entity_state(name, "" if key == "$" else key)
                return (
                    _NOT_FOUND
                    if state is None
                    else exchange.as_json(200, instance_views.shown(state))
                )
            case ("GET", ([] | [_])):
                return (
                    exchange.as_json(200, [])
                    if foreign
                    else await self._list_entities(request, rest[0] if rest else None)
                )
            case ("POST", [name, *key]) if len(key) <= 1:
                operation = request.query.text("op") or ""
                return await self._signal(request, name, key, operation, foreign)
            case ("DELETE", [name, *key]) if len(key) <= 1:
                return await self._signal(request, name, key, "delete", foreign)
            case ("POST" | "DELETE", []):
                return exchange.problem(
                    400,
                    "Invalid entity id: entity name must not be a null or empty string. "
                    "(Parameter 'entityName')",
                )
            case _:
                return _NOT_FOUND

    async def _signal(
        self, request: Request, name: str, key: list[str], operation: str, foreign: bool
    ) -> Answer:
        if foreign:
            return exchange.bad_argument(f"This host has only the hub {self._links.hub_name}.")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        text = None
        if request.body:
            try:
                if content_type == "application/json":
                    text = events.dump(exchange.read_json(request))
                else:
                    text = events.dump(exchange.read_text(request))
            except exchange.InvalidJson as error:
                return exchange.problem(400, f"Could not parse JSON content: {error}")
        try:
            await self._hub.signal_entity(name, key[0] if key else "", operation, text)
        except BadArgument as error:
            return exchange.problem(400, str(error))
        return exchange.empty(202)

    async def _list_entities(self, request: Request, name: str | None) -> Answer:
        query = request.query
        wanted = Filter(
            instance_id_prefix="@" if name is None else f"@{name.lower()}@",
            updated_from=_stored(query, "lastOperationTimeFrom"),
            updated_to=_stored(query, "lastOperationTimeTo"),
        )
        page = await self._page(request, wanted)
        if isinstance(page, Answer):
            return page
        found, token = page
        with_state = query.flag("fetchState") is True
        # As in the extension: either state or existence decides, depending on what it reads.
        is_shown = entity_rows.has_state if with_state else entity_rows.exists
        views = [instance_views.entity(e, with_state=with_state) for e in found if is_shown(e)]
        return exchange.as_json(200, views, {_CONTINUATION: token})

    async def _page(self, request: Request, wanted: Filter) -> tuple[list[Instance], str] | Answer:
        """Returns a page of a list and the token of the next one, or an error response."""
        top = request.query.integer("top")
        if top is not None and top < 1:
            return exchange.bad_argument(f"top must be at least 1, got {top}")
        size = _PAGE_SIZE if top is None else min(top, _LARGEST_PAGE)
        try:
            after = page_tokens.read(request.headers.get(_CONTINUATION, ""))
        except ValueError:
            return exchange.bad_argument(f"{_CONTINUATION} is not a token of this host")
        found = await self._hub.page(replace(wanted, after=after), limit=size + 1)
        return found[:size], page_tokens.make(found[size - 1]) if len(found) > size else ""

    async def _operate(
        self, request: Request, instance_id: str, operation: str, rest: list[str], foreign: bool
    ) -> Answer:
        operate = _OPERATIONS.get((operation.lower(), len(rest)))
        if request.method != "POST" or operate is None:
            return exchange.empty(404)
        if foreign:
            return exchange.empty(404)
        if is_entity(instance_id) and await self._hub.find(instance_id) is not None:
            return exchange.bad_argument(f"{instance_id} is an entity, which takes signals only")
        try:
            answer: Answer = await operate(self, request, instance_id, *rest)
            return answer
        except NoSuchInstance:
            return exchange.empty(404)
        except InstanceEnded:
            return exchange.empty(410)
        except NotPossible as error:
            return exchange.unexpected(str(error))

    async def _purge(self, request: Request, instance_id: str) -> Answer:
        try:
            deleted = await self._hub.purge(instance_id, recursive=_is_recursive(request))
        except WrongStatus as error:
            return exchange.as_json(412, str(error))
        if not deleted and not is_entity(instance_id):
            return _NOT_FOUND
        return exchange.as_json(200, {"instancesDeleted": deleted})

    async def _purge_ended(self, request: Request) -> Answer:
        created_from = _stored(request.query, "createdTimeFrom")
        if created_from is None:
            return exchange.as_json(400, "Please provide value for 'createdTimeFrom' parameter.")
        wanted = Filter(
            created_from=created_from,
            created_to=_stored(request.query, "createdTimeTo"),
            statuses=_statuses(request.query.text("runtimeStatus")),
        )
        deleted = await self._hub.purge_ended(wanted, recursive=_is_recursive(request))
        return exchange.as_json(200, {"instancesDeleted": deleted}) if deleted else _NOT_FOUND

    async def _raise_event(self, request: Request, instance_id: str, name: str) -> Answer:
        found = await self._hub.find(instance_id)
        if found is None:
            return exchange.empty(404)
        if found.is_terminal:  # 404 and 410 take precedence over 400 (6.1)
            return exchange.empty(410)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            return exchange.problem(400, "Only application/json request content is supported")
        try:
            value = exchange.read_json(request)
        except exchange.InvalidJson as error:
            return _invalid_json(error)
        if not request.body.strip():
            return _invalid_json(exchange.InvalidJson("the body is empty"))
        await self._hub.raise_event(instance_id, name, events.dump_payload(value))
        return exchange.empty(202)

    async def _terminate(self, request: Request, instance_id: str) -> Answer:
        recursive = _is_recursive(request)
        await self._hub.terminate(instance_id, _reason(request), recursive=recursive)
        return exchange.empty(202)

    async def _suspend(self, request: Request, instance_id: str) -> Answer:
        recursive = _is_recursive(request)
        await self._hub.suspend(instance_id, _reason(request), recursive=recursive)
        return exchange.empty(202)

    async def _resume(self, request: Request, instance_id: str) -> Answer:
        recursive = _is_recursive(request)
        await self._hub.resume(instance_id, _reason(request), recursive=recursive)
        return exchange.empty(202)

    async def _rewind(self, request: Request, instance_id: str) -> Answer:
        try:
            await self._hub.rewind(instance_id, _reason(request))
        except NoSuchInstance:  # official text, byte for byte
            return exchange.as_json(
                404, f'No orchestration with instance ID "${instance_id}" found.'
            )
        except WrongStatus as error:
            return exchange.as_json(412, str(error))
        return exchange.empty(202)

    async def _restart(self, request: Request, instance_id: str) -> Answer:
        with_new_id = request.query.flag("restartWithNewInstanceId") is not False
        new_id = None if with_new_id else instance_id
        return await self._restart_as(request, instance_id, new_id)

    async def _restart_with_options(self, request: Request, instance_id: str) -> Answer:
        new_id = request.query.text("newInstanceId")
        if new_id is None or not new_id.strip():
            return exchange.problem(400, "A new orchestration instance ID must be provided.")
        try:
            check_instance_id(new_id, "newInstanceId")
        except BadArgument as error:
            return exchange.exception(400, str(error), str(error), _ARGUMENT)
        return await self._restart_as(request, instance_id, new_id, request.query.text("version"))

    async def _restart_as(
        self, request: Request, instance_id: str, new_id: str | None, version: str | None = None
    ) -> Answer:
        try:
            started = await self._hub.restart(instance_id, new_id=new_id, version=version)
        except NoSuchInstance:
            return _cannot_restart(
                f"No instance with ID '{instance_id}' was found. (Parameter 'instanceId')"
            )
        except BadArgument as error:
            return _cannot_restart(str(error))
        except AlreadyExists as error:
            return exchange.exception(
                409,
                "A non-terminal instance with this instance ID already exists.",
                str(error),
                _ALREADY_EXISTS,
            )
        return await self._answer_started(
            request, started, lambda error: _cannot_restart(str(error), error.kind)
        )


_OPERATIONS: Mapping[tuple[str, int], Any] = {
    ("raiseevent", 1): ManagementApi._raise_event,
    ("terminate", 0): ManagementApi._terminate,
    ("suspend", 0): ManagementApi._suspend,
    ("resume", 0): ManagementApi._resume,
    ("rewind", 0): ManagementApi._rewind,
    ("restart", 0): ManagementApi._restart,
    ("restartwithoptions", 0): ManagementApi._restart_with_options,
}
"""By name and number of further path segments."""


_NOT_FOUND = exchange.empty(404)


def _reason(request: Request) -> str | None:
    return request.query.text("reason")


def _is_recursive(request: Request) -> bool:
    """Returns whether children are included; the extension ignores this (X45)."""
    return request.query.flag("recursive") is True


def _cannot_restart(text: str, kind: str = _ARGUMENT) -> Answer:
    return exchange.exception(
        400,
        "InstanceId does not match a valid orchestration instance.",
        text,
        kind,
    )


def _invalid_json(error: exchange.InvalidJson) -> Answer:
    return exchange.exception(
        400, "Invalid JSON content", str(error), "Newtonsoft.Json.JsonReaderException"
    )


def _stored(query: exchange.Query, name: str) -> str | None:
    moment = query.moment(name)
    return None if moment is None else clock.stored(moment)


def _statuses(text: str | None) -> frozenset[str] | None:
    """Parses names or numbers; None if none is valid (5.5). An unknown number matches nothing."""
    found: set[str] = set()
    for part in (text or "").split(","):
        part = part.strip()
        if part in _STATUS_NAMES:
            found.add(part)
        elif part.isascii() and part.isdigit() and len(part) < _DIGITS_OF_NUMBERS:
            is_named = int(part) < len(_STATUS_NAMES)
            found.add(_STATUS_NAMES[int(part)] if is_named else part)
    return frozenset(found) or None


def _piece(text: str | None) -> str | None:
    """Returns a text to find in stored custom statuses: without blanks, escaped to ASCII."""
    return "".join((text or "").split()).encode("ascii", "backslashreplace").decode() or None
