"""What the frames between host and worker hold: the headers, key by key.

Imported for types alone, so a worker does not pay for it. The keys are private to one version of
host and worker, which always come from the same installation. In a class with ``total=False`` its
own keys may be absent; those of its base are always there.

Order matters in two places: a result with ``goesOn`` is followed by log lines of the early episode,
which the host holds back until it has logged the result; one with ``streams`` by its chunks.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class ActivityFacts(TypedDict):
    """What `df.activity_context()` returns."""

    instanceId: str
    """Of the orchestration that has called the activity."""
    name: str
    """Durable name of the activity."""


class HttpRequest(TypedDict):
    """A request for an HTTP function."""

    method: str
    """In upper case."""
    url: str
    """Absolute, with the query."""
    headers: dict[str, str]
    params: dict[str, str]
    """Of the query; repeated values joined by commas."""
    routeParams: dict[str, str]


class RetryState(TypedDict):
    """Of a timer function, from the second try on."""

    count: int
    """Retries so far, from 1."""
    max: int
    """At most this many; -1 without a limit."""
    message: str
    source: str
    stack: str
    """Of the failure before."""


class _Invocation(TypedDict):
    function: str
    """Name of the function."""
    invocationId: str
    """GUID; in log lines and in ``context.invocation_id``; names the state of a session."""
    client: dict[str, str]
    """Text of each durable client binding, by parameter."""
    instanceId: str | None
    """Of the instance for which it runs, for its log lines."""


class Invoke(_Invocation, total=False):
    """Host to worker: run a function.

    The payload is the trigger's text, the body of an HTTP request, new events of a session, or an
    activity's input followed by the two halves of an early episode's template.
    """

    type: Literal["invoke"]
    id: int
    """Number of the answer that the host waits for; both are set when it is sent."""
    session: str
    """``INSTANCE/EXECUTION``: keep, or advance, the orchestration under this name."""
    state: str
    """With `session`: the invocation that has left it as it must be; absent opens it again."""
    explain: Literal[True]
    """Do not run: say where the code asks for each action."""
    activity: ActivityFacts
    request: HttpRequest
    traceParent: str
    """W3C trace context, with `request`."""
    retry: RetryState
    then: EarlyEpisode


class EarlyEpisode(Invoke):
    """The episode that a worker may run right after an activity; `id` is that of the second answer.

    Without `session` and `state` the template is a whole trigger.
    """

    since: str
    """Time of the instance's last turn, as the store writes it; that of the episode is later."""
    events: tuple[str, str, str]
    """JSON before the first time, between the two times, and before the result."""
    around: tuple[int, int]
    """Offsets in the payload: where the template begins, and where its second half does."""


class More(TypedDict):
    """Host to worker: this much of a streamed response has been passed on."""

    type: Literal["more"]
    id: int
    bytes: int


class Cancel(TypedDict):
    """Host to worker: nobody wants the rest of a streamed response."""

    type: Literal["cancel"]
    id: int


class Raised(TypedDict):
    """An exception of user code."""

    typeName: str
    message: str
    """Its text, or why it cannot be had."""
    stack: str
    """Frames of user code only."""
    details: dict[str, Any]
    """``FailureDetails`` of the history (host.md 8.9)."""


class HttpResponse(TypedDict):
    """Of an HTTP function; the body is the payload."""

    status: int
    headers: list[tuple[str, str]]
    """Cookies may repeat."""


class Result(TypedDict, total=False):
    """Worker to host: how an invocation has ended.

    The payload is what the function returned (UTF-8), the body of an HTTP response or its first
    piece, or, for `Invoke.explain`, JSON: a list of action, file and line, or null.
    """

    type: Literal["result"]
    id: int
    """Of the invocation, or of its early episode."""
    error: Raised
    """The function raised; the host makes one itself if `starts` cannot be started."""
    state: str
    """The session was kept, in this state."""
    noSession: Literal[True]
    """There is none in the state that was asked for; nothing has run."""
    goesOn: Literal[True]
    """An early episode has begun after this activity and will be answered too."""
    now: str
    """Of an early episode: its time, as the store writes it."""
    starts: list[dict[str, Any]]
    """Orchestrations that outputs of type durableClient ask for; the host starts them first."""
    response: HttpResponse
    streams: Literal[True]
    """Further pieces of the response follow, as chunks."""


class _Chunk(TypedDict):
    type: Literal["chunk"]
    id: int
    """Of the invocation."""


class Chunk(_Chunk, total=False):
    """Worker to host: a further piece of a streamed response, the payload."""

    last: Literal[True]
    error: Raised
    """With `last`: the function raised."""


class LoadedFunction(TypedDict):
    """A function of the app."""

    name: str
    id: str
    scriptFile: str
    directory: str
    disabled: bool
    warnings: list[str]
    bindings: list[dict[str, Any]]
    """As in function.json, with app settings filled in."""
    retry: dict[str, Any] | None
    """Function-level retry policy."""
    advice: list[Any]
    """Habits that hurt: file, line and what to do instead."""


class Loaded(TypedDict):
    """Worker to host, once, before the first invocation."""

    type: Literal["loaded"]
    functions: list[LoadedFunction]
    """Disabled ones too."""
    errors: list[tuple[str, str]]
    """Name and reason of each function that cannot be used."""
    failure: str | None
    """Why the app as a whole cannot be used: traceback and a line."""
    mixedFolders: list[str]
    """Folders with function.json that are ignored beside function_app.py."""
    python: str
    """Version of the interpreter."""


class _Log(TypedDict):
    type: Literal["log"]
    level: int
    logger: str
    """Python's level and logger name."""
    function: str | None
    invocationId: str | None
    instanceId: str | None
    """None outside of any invocation."""


class Log(_Log, total=False):
    """Worker to host: a log record of user code; the payload is its formatted text."""

    extra: Any
    """What the app has given as `extra`."""


Header = Invoke | More | Cancel | Result | Chunk | Loaded | Log
