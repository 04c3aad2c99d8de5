"""URLs of the client's requests, and which ids and names can travel in them.

The extension decodes a path twice, once as a form, before it splits it. So what looks like a
separator, a blank or an escape after one decoding arrives as something else, or nowhere. Such texts
are refused before anything is sent; orchestrations may use them among themselves. Source: sdk.md
2.10, Q65, Q67; extension.md X20, X51, 1.10.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.vocabulary import OrchestrationRuntimeStatus

_PLAIN = re.compile(r"[A-Za-z0-9_:@-]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_FORBIDDEN_IN_IDS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_LONGEST_ID = 256
_STEPS = (".", "..")
_EMPTY_KEY = "$"
"""In the path of a read it stands for the empty key (http-api.md 7.1)."""


def segment(text: str) -> str:
    """One path segment, percent-encoded; ``:`` and ``,`` stay (sdk.md Q65)."""
    return quote(text, safe=":,@!$&'()*;=~")


def name_segment(what: str, given: object) -> str:
    """The path segment of a name, an event's name or the id of an instance that exists.

    Args:
        what: The parameter, for the error's text.
        given: What the caller has given for it.

    Raises:
        ValueError: It is empty, or would not arrive as it is.
        TypeError: It is a coroutine.
    """
    if isinstance(given, str) and _PLAIN.fullmatch(given):  # most
        return given
    text = _text(what, given)
    problem = _problem(text)
    if problem is not None:
        raise ValueError(
            f"{what} {text!r} cannot be sent: {problem}. The host decodes a path before it splits "
            "it, so names and ids may have neither '/' nor '+', nor '%' before two hex digits."
        )
    return segment(text)


def new_id_segment(what: str, given: object) -> str:
    """The path segment of the id of an instance that is to be started.

    Raises:
        ValueError: As `name_segment`; or it breaks a rule of the extension's.
        TypeError: As `name_segment`.
    """
    text = _text(what, given)
    rule = None
    if text.startswith("@"):
        rule = "Orchestration instance IDs must not start with @."
    elif _FORBIDDEN_IN_IDS.search(text):
        rule = "Orchestration instance IDs must not contain /, \\, #, ?, or control characters."
    elif len(text) > _LONGEST_ID:
        rule = f"Instance ID lengths must not exceed {_LONGEST_ID} characters."
    if rule is not None:
        raise ValueError(f"{what} {text!r} cannot be used. {rule}")
    return name_segment(what, text)


def key_segment(given: object) -> str:
    """The path segment of an entity's key.

    Raises:
        ValueError: As `name_segment`; or it breaks a rule of the extension's.
        TypeError: As `name_segment`.
    """
    text = _text("entity key", given)
    if _FORBIDDEN_IN_IDS.search(text):
        raise ValueError(
            f"entity key {text!r} cannot be used. "
            "Entity keys must not contain /, \\, #, ?, or control characters."
        )
    if text == _EMPTY_KEY:
        raise ValueError(
            "entity key '$' cannot be sent: in the path of a read it stands for the empty key"
        )
    return name_segment("entity key", text)


def _text(what: str, given: object) -> str:
    if inspect.iscoroutine(given):
        called = given.__name__
        given.close()  # this error says it better than the warning of a forgotten coroutine
        raise TypeError(f"{what} is what {called}() gives before it is awaited: write await")
    if given is None or given == "":
        raise ValueError(f"{what} must be a non-empty string.")
    return str(given)


def _problem(text: str) -> str | None:
    if "/" in text:
        return "'/' separates the parts of a path, also when it is escaped"
    if "+" in text:
        return "'+' arrives as a blank, also when it is escaped"
    escape = _ESCAPE.search(text)
    if escape is not None:
        return f"{escape[0]!r} is decoded as an escape, also when its '%' is escaped"
    if text in _STEPS:
        return "it is a step in a path"
    if "\x00" in text:
        return "no path may hold the character U+0000"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which UTF-8 has no bytes for"
    return None


def query_value(text: object) -> str:
    """One query value, percent-encoded; ``:`` and ``,`` stay, ``/`` too as officially.

    A moment is written in UTC, without a zone it is UTC.
    """
    if isinstance(text, datetime):
        return timestamps.format_moment(text if text.tzinfo is None else timestamps.to_utc(text))
    return quote(str(text), safe=":,/")


def with_query(url: str, **values: object) -> str:
    """The URL with the parameters whose values are not None."""
    query = [f"{name}={query_value(value)}" for name, value in values.items() if value is not None]
    return f"{url}?{'&'.join(query)}" if query else url


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
            name = name_segment("entity name", self.entity_Id.name)
            key = key_segment(self.entity_Id.key)
            url = f"{base_url}entities/{name}/{key}"
        else:
            given = self._instance_id
            url = f"{base_url}instances/{name_segment('instance_id', given) if given else ''}"
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
