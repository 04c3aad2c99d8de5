"""Stand-ins for what an app calls, and the record of what was called."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from azure.durable_functions._wire import activity_failures, failure_details, typed
from azure.durable_functions._wire.converters import DataConverter
from azure.durable_functions._wire.payloads import converted, decode, encode, expected
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL
from azure.durable_functions.local.engine.invoker import (
    ActivityCall,
    Failure,
    HttpFailed,
    Outcome,
)
from azure.durable_functions.local.worker.raised import describe
from azure.durable_functions.local.workers.pool import WorkerPool

_NOTHING: Any = object()


@dataclass
class Call:
    """One run of an activity."""

    name: str
    input: Any
    attempt: int
    """1 for the first; 2 if the same call of the same instance has failed once, and so on."""
    time: datetime
    """Virtual time at which it began."""
    instance_id: str
    result: Any = None
    error: str | None = None
    """``TypeName: message`` if it has raised."""


@dataclass
class Stub:
    """PendingAnswers in the place of a function."""

    returns: Any = _NOTHING
    raises: BaseException | type[BaseException] | None = None
    calls: Callable[..., Any] | None = None
    times: int | None = None
    """How often it answers; None means for ever."""
    used: int = 0

    def __post_init__(self) -> None:
        given = [self.returns is not _NOTHING, self.raises is not None, self.calls is not None]
        if sum(given) != 1:
            raise TypeError("a stub takes exactly one of returns=, raises= and calls=")

    @property
    def is_spent(self) -> bool:
        """Whether it answers no more."""
        return self.times is not None and self.used >= self.times

    async def answer(self, *arguments: Any) -> Any:
        """What it returns or raises."""
        self.used += 1
        if self.raises is not None:
            raise self.raises
        if self.calls is None:
            return self.returns
        found = self.calls(*arguments)
        return await found if inspect.isawaitable(found) else found

    def fresh(self) -> Stub:
        """The same, not used yet."""
        return Stub(self.returns, self.raises, self.calls, self.times)


class Stubs:
    """Stubs by kind and name; of several for one name the first that is not spent answers."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], list[Stub]] = {}

    def add(self, kind: str, name: str, stub: Stub) -> Stub:
        """Put one behind those that are there."""
        self._by_name.setdefault((kind, name.lower()), []).append(stub)
        return stub

    def find(self, kind: str, name: str) -> Stub | None:
        """Who answers the next call."""
        for stub in self._by_name.get((kind, name.lower()), ()):
            if not stub.is_spent:
                return stub
        return None

    @property
    def names(self) -> list[tuple[str, str]]:
        """Kind and name, in lower case, of every function with a stub."""
        return list(self._by_name)

    def fresh(self) -> Stubs:
        """The same, not used yet."""
        copied = Stubs()
        copied._by_name = {
            key: [stub.fresh() for stub in stubs] for key, stubs in self._by_name.items()
        }
        return copied


@dataclass
class HttpResponse:
    """What a durable HTTP request gets."""

    url: str
    """Pattern with ``*``."""
    method: str | None
    status: int
    content: str
    headers: Mapping[str, str]
    times: int | None
    used: int = 0


@dataclass
class HttpResponses:
    """PendingAnswers to durable HTTP requests (`call_http`); the record of those that were sent."""

    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """As in the history: ``method``, ``uri``, ``content``, ``headers``."""
    _responses: list[HttpResponse] = field(default_factory=list[HttpResponse])

    def add(
        self,
        url: str,
        *,
        method: str | None = None,
        status: int = 200,
        json: Any = _NOTHING,
        text: str = "",
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Answer requests to a URL.

        Args:
            url: Absolute; ``*`` stands for anything.
            method: None takes all.
            status: Of the answer.
            json: Value of its body; wins over `text`.
            text: Its body.
            headers: Of the answer.
            times: How often; None means for ever. The first one added that fits answers.
        """
        content = text if json is _NOTHING else encode(json)
        self._responses.append(HttpResponse(url, method, status, content, headers or {}, times))

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request of the engine's.

        Raises:
            HttpFailed: Nothing was added for it.
        """
        self.requests.append(dict(request))
        method, url = str(request["method"]).upper(), str(request["uri"])
        for response in self._responses:
            spent = response.times is not None and response.used >= response.times
            wanted = response.method is None or response.method.upper() == method
            if not spent and wanted and fnmatchcase(url, response.url):
                response.used += 1
                return {
                    "statusCode": response.status,
                    "headers": dict(response.headers),
                    "content": response.content,
                }
        raise HttpFailed(
            f"the test has no response for {method} {url}; give it one with "
            f"host.http_responses.add({url!r}, ...)"
        )

    def fresh(self) -> HttpResponses:
        """The same answers, not used yet."""
        copied = HttpResponses()
        for response in self._responses:
            copied._responses.append(replace(response, used=0))
        return copied


class DoublingPool(WorkerPool):
    """Hands invocations to stubs where there are some, and notes the activities' calls."""

    stubs: Stubs
    now: Callable[[], datetime]
    calls: list[Call]
    converter: DataConverter | None = None
    """The app's; stubs give and get plain values."""
    watch_episode: Callable[[str, str, Outcome], Awaitable[Outcome]] | None = None
    """Sees every episode: name, trigger, outcome; gives the outcome that counts."""

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        """Run one episode, or let a stub answer."""
        stub = self.stubs.find("orchestrator", name)
        if stub is None:
            outcome = await super().orchestrate(name, trigger, alone=alone)
            if self.watch_episode is not None:
                outcome = await self.watch_episode(name, trigger, outcome)
            return outcome
        state: dict[str, Any] = {"isDone": True, "schemaVersion": 2, "actions": [[]]}
        try:
            state["output"] = self._write(
                await stub.answer(self._read(json.loads(trigger)["input"]))
            )
        except Exception as error:
            state.update(isDone=False, error=str(error))
            if failure_details.is_asked_for(error):
                state["failureDetails"] = failure_details.of_exception(error)
            failure = failure_of(error)
            message = f"{error}{FAILURE_LABEL}{encode(state)}"
            details = {**failure.details, "InnerFailure": failure.details}
            return Outcome(failure=Failure("Exception", message, failure.stack, details))
        return Outcome(value=encode(state))

    async def run_activity(self, call: ActivityCall) -> Outcome:
        """Run an activity or let a stub answer, and note the call."""
        name, instance_id = call.name, call.instance_id
        given = self._read(call.input)
        noted = Call(name, given, self._attempt(name, given, instance_id), self.now(), instance_id)
        self.calls.append(noted)
        stub = self.stubs.find("activity", name)
        if stub is None:
            outcome = await super().run_activity(call)
        else:
            await call.after.kept()
            try:
                outcome = Outcome(value=encode(self._write(await stub.answer(given))))
            except Exception as error:
                told = activity_failures.structured(error) or error
                outcome = Outcome(failure=failure_of(told))
        if outcome.failure is not None:
            noted.error = _short(outcome.failure)
        elif outcome.value is not None:
            noted.result = self._read(outcome.value)
        return outcome

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        """Run a batch, or let a stub answer each operation."""
        stub = self.stubs.find("entity", name)
        if stub is None:
            return await super().run_entity(name, trigger, alone=alone)
        batch: Any = json.loads(trigger)
        results: list[dict[str, Any]] = []
        for operation in batch["batch"]:
            text = operation["input"]
            given = None if text is None else self._read(json.loads(text))
            answer: dict[str, Any] = {"isError": False, "duration": 0, "startTime": 0}
            try:
                answer["result"] = encode(self._write(await stub.answer(operation["name"], given)))
            except Exception as error:
                answer.update(isError=True, result=encode(str(error)))
            results.append(answer)
        return Outcome(
            value=encode(
                {
                    "entityExists": batch["exists"],
                    "entityState": batch["state"],
                    "results": results,
                    "signals": [],
                }
            )
        )

    def _read(self, text: Any) -> Any:
        """The value of a payload; text that is none as it is."""
        if not isinstance(text, str):
            return text
        try:
            return decode(text, expected(self.converter, None))
        except ValueError:
            return text

    def _write(self, value: Any) -> Any:
        return converted(self.converter, value)

    def _attempt(self, name: str, given: Any, instance_id: str) -> int:
        attempt = 1
        for call in self.calls:
            if (call.name, call.input, call.instance_id) == (name, given, instance_id):
                attempt = 1 if call.error is None else attempt + 1
        return attempt


def _short(failure: Failure) -> str:
    fields = failure_details.of_activity_text(failure.text)
    if fields is None:
        return failure.text
    return f"{fields['ErrorType'].rpartition('.')[2]}: {fields['ErrorMessage']}"


def typed_as(call: Call, activity: Any) -> Call:
    """A call with input and result of the types that a decorated activity is annotated with."""
    function = activity._function.get_user_function()
    function = getattr(function, "activity_function", function)  # without our decoding around it
    annotations = typed.annotations_of(function)
    first = next(iter(inspect.signature(function).parameters), "")
    return replace(
        call,
        input=_of_type(call.input, annotations.get(first)),
        result=_of_type(call.result, annotations.get("return")),
    )


def _of_type(value: Any, kind: Any) -> Any:
    is_wanted = kind is not None and value is not None and typed.is_typed(kind)
    return typed.from_plain(value, kind) if is_wanted else value


def failure_of(error: BaseException) -> Failure:
    """An exception as a worker reports it."""
    told = describe(error)
    return Failure(told["typeName"], told["message"], told["stack"], told["details"])
