"""Holds today's code against recorded histories: would it decide the same?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.durable_functions._errors import DurableFunctionsError
from azure.durable_functions._wire import handles, shapes
from azure.durable_functions._wire.payloads import encode
from azure.durable_functions._wire.vocabulary import ActionType, HistoryEventType
from azure.durable_functions.local.engine.texts.events import STATUS_NUMBERS
from azure.durable_functions.orchestrator import Orchestrator

from ._strict import NonDeterministic

Json = dict[str, Any]

_HTTP = "BuiltIn::HttpActivity"
_STARTED = HistoryEventType.EXECUTION_STARTED.value
_ENDED = HistoryEventType.EXECUTION_COMPLETED.value
_EPISODE = HistoryEventType.ORCHESTRATOR_STARTED.value
_EPISODE_ENDED = HistoryEventType.ORCHESTRATOR_COMPLETED.value
_TERMINATED = HistoryEventType.EXECUTION_TERMINATED.value
_WORK = {
    HistoryEventType.TASK_SCHEDULED.value: "activity",
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED.value: "sub-orchestration",
    HistoryEventType.TIMER_CREATED.value: "timer",
    HistoryEventType.EVENT_SENT.value: "entity",
}
_STATUS = {number: name for name, number in STATUS_NUMBERS.items()}


class NotReplayable(DurableFunctionsError):
    """A recording lacks what a replay needs; says what, and where to get it."""


class ReplayDiffers(NonDeterministic):
    """Today's code decides otherwise than the recording; says where and how."""


def replay(orchestrator: Any, history: Any) -> Any:
    """Replay a recorded run with today's code.

    Args:
        orchestrator: An orchestrator (decorated, made with `Orchestrator.create`, or the plain
            function), or a whole app as `DurableTestHost` takes it.
        history: What ``durable history ID --export FILE`` has written, an orchestration trigger, a
            list of its events, or a status with ``historyEvents``; as a value, as JSON text, or as
            the path of a file.

    Returns:
        The output of a run that has ended; None for one that goes on.

    Raises:
        ReplayDiffers: The code would decide otherwise.
        NotReplayable: The recording does not carry what is needed.
    """
    recording = _Recording.of(_value_of(history))
    handle = _handle_of(orchestrator, recording.name)
    if recording.is_status:
        return _Simulation(handle, recording).run()
    return _Replay(handle, recording).run()


def _value_of(history: Any) -> Any:
    if isinstance(history, Path):
        return json.loads(history.read_text("utf-8"))
    if isinstance(history, str):
        if history.lstrip()[:1] in ("{", "["):
            return json.loads(history)
        return json.loads(Path(history).read_text("utf-8"))
    to_json = getattr(history, "to_json", None)  # a client's status object
    if to_json is not None:
        return {**to_json(), "historyEvents": history._history}
    return history


def _handle_of(orchestrator: Any, name: str) -> Any:
    """The handle of a function, or of the one of an app that has that name."""
    build = getattr(orchestrator, "_function", None)  # decorated
    if build is not None and hasattr(build, "get_user_function"):
        return build.get_user_function()
    if handles.behind(orchestrator) is not None:
        return orchestrator
    if callable(orchestrator) and hasattr(orchestrator, "__code__"):
        return Orchestrator.create(orchestrator)
    from . import _apps

    for function in _apps.load(orchestrator).functions:
        trigger = function.trigger
        durable_name = str(trigger.get("orchestration") or function.name)
        if trigger["type"] == "orchestrationTrigger" and durable_name.lower() == name.lower():
            return function.call
    raise ReplayDiffers(f"the app has no orchestrator {name!r} any more, which the recording runs")


@dataclass
class _Recording:
    name: str
    events: list[Json]
    is_status: bool
    trigger: Json = field(default_factory=dict[str, Any])

    @staticmethod
    def of(value: Any) -> _Recording:
        if shapes.is_array(value):
            value = {"history": value}
        if not shapes.is_object(value):
            raise NotReplayable(f"a recording is a JSON object or an array, got {value!r:.80}")
        events = value.get("history")
        is_status = events is None
        if is_status:
            events = value.get("historyEvents")
        if not events:
            raise NotReplayable(
                "the recording has no history; get a status with show_history=True and "
                "show_history_output=True, or use 'durable history ID --export FILE'"
            )
        if not is_status and isinstance(events[0].get("EventType"), str):
            is_status = True
        beginnings = (_STARTED, "ExecutionStarted")
        nothing: Json = {}
        started: Json = next((e for e in events if e["EventType"] in beginnings), nothing)
        name = started.get("Name") or started.get("FunctionName") or value.get("name")
        if name is None:
            raise NotReplayable("the recording has no ExecutionStarted, so it has no beginning")
        given = value.get("input")
        if given is None and started.get("Input") is not None:
            given = started["Input"]
            if not is_status:
                given = json.loads(given)
        trigger = {
            "instanceId": value.get("instanceId") or "recorded",
            "isReplaying": True,
            "parentInstanceId": value.get("parentInstanceId"),
            "input": given,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 3,
        }
        return _Recording(str(name), list(events), is_status, trigger)


def _flatten(actions: Sequence[Json]) -> Iterator[Json]:
    for action in actions:
        if "compoundActions" in action:
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def _asked(action: Json) -> tuple[str, str] | None:
    """Kind and name of what an action schedules; None if it schedules nothing."""
    kind = action["actionType"]
    if kind in (ActionType.CALL_ACTIVITY, ActionType.CALL_ACTIVITY_WITH_RETRY):
        return "activity", action["functionName"]
    if kind in (ActionType.CALL_SUB_ORCHESTRATOR, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY):
        return "sub-orchestration", action["functionName"]
    if kind == ActionType.CREATE_TIMER:
        return "timer", ""
    if kind in (ActionType.CALL_ENTITY, ActionType.SIGNAL_ENTITY):
        return "entity", action["instanceId"]
    if kind == ActionType.CALL_HTTP:
        return "activity", _HTTP
    return None


def _recorded(event: Json) -> tuple[str, str]:
    kind = _WORK[event["EventType"]]
    if kind == "timer":
        return kind, ""
    return kind, str(event["InstanceId"] if kind == "entity" else event["Name"])


def _shown(what: tuple[str, str] | None) -> str:
    if what is None:
        return "nothing"
    return f"{what[0]} {what[1]!r}" if what[1] else f"a {what[0]}"


def _different(name: str, recorded: str, now: str) -> ReplayDiffers:
    return ReplayDiffers(
        f"orchestrator {name!r} decides otherwise than recorded\n"
        f"  recorded: {recorded}\n  asks now: {now}\n"
        "  give the changed orchestrator a new name or version, or let the old runs end"
    )


def _same(first: tuple[str, str], second: tuple[str, str]) -> bool:
    return first[0] == second[0] and first[1].lower() == second[1].lower()


class _Whole:
    """What a session tells, of a function that stands around its handle: it is called each time."""

    def __init__(self, function: Any, trigger: Json) -> None:
        self._function = function
        self._trigger = trigger
        self._events: list[Any] = []
        self._listed = 0
        self._context: Any = None

    def advance(self, events: Sequence[Any]) -> Json:
        """As of an `OrchestrationSession`."""
        self._events += events
        trigger = {**self._trigger, "history": self._events}
        told = handles.ask(self._function, json.dumps(trigger), self._answer)
        if told is None:
            raise NotReplayable("what stands around the orchestrator has not called it")
        return told

    def _answer(self, handle: Any) -> Json:
        session = handle.open_session({**self._trigger, "history": list(self._events)})
        told: Json = session.advance(list(self._events))
        session.close()
        self._context = session._context
        actions = told["actions"][0]
        first, self._listed = self._listed, len(actions)
        return {**told, "actions": [actions[first:]]}


def _session_of(function: Any, trigger: Json) -> Any:
    return (
        function.open_session(trigger) if handles.is_handle(function) else _Whole(function, trigger)
    )


class _Replay:
    """Feeds a full history, episode by episode."""

    def __init__(self, handle: Any, recording: _Recording) -> None:
        self._handle = handle
        self._recording = recording
        self._trigger = {**recording.trigger, "history": recording.events}
        self._session = _session_of(handle, {**self._trigger, "history": list(recording.events)})
        self._leaves = 0
        """Actions asked for so far."""

    def run(self) -> Any:
        starts = [k for k, e in enumerate(self._recording.events) if e["EventType"] == _EPISODE]
        if not starts:
            raise NotReplayable("the recording has no OrchestratorStarted event")
        fed = 0
        answer: Json = {}
        for start, end in zip(starts, [*starts[1:], len(self._recording.events)], strict=True):
            episode = self._recording.events[start:end]
            if any(event["EventType"] == _TERMINATED for event in episode):
                return None  # what came with it, nobody has run
            work = [event for event in episode if event["EventType"] in _WORK]
            decided = (*_WORK, _EPISODE_ENDED, _ENDED)
            until = start + sum(event["EventType"] not in decided for event in episode)
            answer = self._session.advance(self._recording.events[fed:until])
            fed = until
            is_whole = any(event["EventType"] == _EPISODE_ENDED for event in episode)
            self._compare(answer, work, until, is_whole=is_whole)
            ended = next((e for e in episode if e["EventType"] == _ENDED), None)
            if ended is not None:
                return _compare_end(answer, ended["OrchestrationStatus"], ended.get("Result"))
        if answer.get("isDone") or "error" in answer:
            raise ReplayDiffers(
                f"the recording goes on waiting, but now the code ends: "
                f"{answer.get('error') or answer.get('output')!r}"
            )
        return None

    def _compare(self, answer: Json, work: list[Json], until: int, *, is_whole: bool) -> None:
        actions = list(_flatten(answer["actions"][0]))
        first, self._leaves = self._leaves, self._leaves + len(actions)
        asked = [(k, what) for k, a in enumerate(actions) if (what := _asked(a)) is not None]
        if not is_whole:  # the last trigger of a running instance: what it led to is not recorded
            return
        # What the host schedules by itself (waits and attempts of retries) stands in front.
        own = work[len(work) - len(asked) :] if len(asked) <= len(work) else work
        for position in range(max(len(asked), len(own))):
            was = _recorded(own[position]) if position < len(own) else None
            k, now = asked[position] if position < len(asked) else (None, None)
            if was is not None and now is not None and _same(was, now):
                continue
            place = "" if k is None else self._place(first + k, until)
            raise _different(self._recording.name, _shown(was), f"{_shown(now)}{place}")
        host_made = work[: len(work) - len(asked)] if len(asked) <= len(work) else []
        if host_made and not self._retries(answer):
            was = _recorded(host_made[0])
            raise _different(self._recording.name, _shown(was), "nothing in its place")

    def _retries(self, answer: Json) -> bool:
        """Whether the code has asked for anything that the host retries by itself."""
        listed = self._session._context._action_payload_v2
        kinds = (ActionType.CALL_ACTIVITY_WITH_RETRY, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY)
        return any(a["actionType"] in kinds for a in _flatten([each.to_json() for each in listed]))

    def _place(self, position: int, until: int) -> str:
        trigger = {**self._trigger, "history": self._recording.events[:until]}
        text = json.dumps(trigger)
        told: list[Any] = handles.ask(self._handle, text, lambda asked: asked.explain(text)) or []
        if position >= len(told) or told[position]["file"] is None:
            return ""
        return f"\n            at {told[position]['file']}, line {told[position]['line']}"


def _compare_end(
    answer: Mapping[str, Any], status: Any, result: Any, *, is_text: bool = True
) -> Any:
    """Compare the end of a recording with what the code answers now; gives its output.

    Args:
        answer: The session's.
        status: Name or number of the recorded one.
        result: The recorded one: JSON text or, of a status query, mostly the value itself.
        is_text: Whether it is text for sure.
    """
    name = status if isinstance(status, str) else _STATUS.get(status, str(status))
    if name == "Terminated":
        return None
    if name == "Failed":
        if "error" not in answer:
            raise ReplayDiffers(f"the recording failed, now the code does not:\n  {result}")
        return None
    if "error" in answer:
        raise ReplayDiffers(f"the recording is {name}, now the code fails: {answer['error']}")
    if not answer.get("isDone"):
        raise ReplayDiffers(f"the recording is {name}, now the code goes on waiting")
    output = answer.get("output")
    if name != "Completed":
        return output
    recorded: list[Any] = [] if is_text else [result]
    if isinstance(result, str):
        try:
            recorded.append(json.loads(result))
        except ValueError:
            recorded.append(result)
    encoded = None if output is None else json.loads(encode(output))
    # As text too: NaN is not equal to itself.
    texts = [json.dumps(each, sort_keys=True) for each in recorded or [None]]
    if encoded not in (recorded or [None]) and json.dumps(encoded, sort_keys=True) not in texts:
        raise ReplayDiffers(
            f"the recorded output is {(recorded or [None])[0]!r}, now it is {encoded!r}"
        )
    return output


class _Simulation:
    """Runs the code against a status query's history, which has results but no numbers.

    A result belongs to the first call of its name that has none yet.
    """

    def __init__(self, handle: Any, recording: _Recording) -> None:
        self._recording = recording
        self._beginning = [
            {**_event(_EPISODE, recording.events[0])},
            {
                **_event(_STARTED, recording.events[0]),
                "Name": recording.name,
                "Input": json.dumps(recording.trigger["input"]),
            },
        ]
        self._session = _session_of(handle, {**recording.trigger, "history": self._beginning})
        self._open: list[tuple[int, tuple[str, str]]] = []
        self._next_id = 0

    def run(self) -> Any:
        answer = self._take(self._session.advance(list(self._beginning)))
        for event in self._recording.events:
            kind = event["EventType"]
            if kind in ("ExecutionStarted", "TimerCreated", "GenericEvent"):
                continue
            if kind in ("ExecutionSuspended", "ExecutionResumed"):
                continue
            if kind == "ExecutionTerminated":
                return None
            if kind in ("TaskScheduled", "SubOrchestrationInstanceCreated", "EventSent"):
                continue  # not answered yet
            if kind == "ExecutionCompleted":
                status, result = event["OrchestrationStatus"], event.get("Result")
                return _compare_end(answer, status, result, is_text=False)
            told = [_event(_EPISODE, event), self._completion(kind, event)]
            answer = self._take(self._session.advance(told))
        return None

    def _take(self, answer: Json) -> Json:
        for action in _flatten(answer["actions"][0]):
            what = _asked(action)
            kind = action["actionType"]
            if kind in (
                ActionType.CALL_ACTIVITY_WITH_RETRY,
                ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY,
                ActionType.CALL_ENTITY,
            ):
                raise NotReplayable(
                    f"{_shown(what)}: a status query does not carry the numbers that calls with a "
                    "retry policy and entity calls are matched by. Use 'durable history ID "
                    "--export FILE' of the local host, or a recorded trigger"
                )
            if what is not None:
                self._open.append((self._next_id, what))
                self._next_id += 1
        return answer

    def _completion(self, kind: str, event: Json) -> Json:
        if kind == "EventRaised":
            return {
                **_event(HistoryEventType.EVENT_RAISED.value, event),
                "Name": event["Name"],
                "Input": event.get("Input"),  # shown as it is stored, unlike results
            }
        if kind == "TimerFired":
            return {
                **_event(HistoryEventType.TIMER_FIRED.value, event),
                "TimerId": self._number(("timer", ""), kind),
            }
        names = {"Task": "activity", "SubOrchestrationInstance": "sub-orchestration"}
        noun = kind.removesuffix("Completed").removesuffix("Failed")
        if noun not in names:
            raise NotReplayable(f"an event of type {kind} cannot be replayed from a status query")
        number = self._number((names[noun], str(event.get("FunctionName"))), kind)
        failed = kind.endswith("Failed")
        code = {
            ("Task", False): HistoryEventType.TASK_COMPLETED,
            ("Task", True): HistoryEventType.TASK_FAILED,
            ("SubOrchestrationInstance", False): (
                HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
            ),
            ("SubOrchestrationInstance", True): HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        }[noun, failed]
        common = {**_event(code.value, event), "TaskScheduledId": number}
        if failed:
            return {**common, **{key: event.get(key) for key in _FAILED}}
        if "Result" not in event:
            raise NotReplayable(
                "the recording has no results; ask with show_history_output=True as well"
            )
        return {**common, "Result": _payload(event, "Result")}

    def _number(self, wanted: tuple[str, str], kind: str) -> int:
        for position, (number, what) in enumerate(self._open):
            if _same(what, wanted):
                del self._open[position]
                return number
        open_now = ", ".join(_shown(what) for _, what in self._open) or "nothing"
        raise _different(self._recording.name, f"{kind} of {_shown(wanted)}", open_now)


_FAILED = ("Reason", "Details", "FailureDetails")


def _event(kind: int, source: Mapping[str, Any]) -> Json:
    return {
        "EventType": kind,
        "EventId": -1,
        "IsPlayed": True,
        "Timestamp": source["Timestamp"],
    }


def _payload(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    return None if value is None else json.dumps(value)


def replay_all(app: Any, paths: Sequence[Path], tell: Callable[[str], None]) -> int:
    """Replay recordings against an app, telling of each; gives how many do not fit."""
    bad = 0
    for path in paths:
        try:
            replay(app, path)
        except (ReplayDiffers, NotReplayable, ValueError, OSError) as error:
            bad += 1
            tell(f"FAILED  {path}\n{error}")
        else:
            tell(f"ok      {path}")
    return bad
