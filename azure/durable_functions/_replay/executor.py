"""Walks a history and drives the user's function against it. Source: sdk.md 3.2.

Made for long histories: one pass, no recursion on finished tasks, and nothing is read that nobody
asked for (payloads are decoded when a task takes them, time stamps when somebody asks the time).
"""

from __future__ import annotations

import functools
import inspect
import json
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from types import CoroutineType, GeneratorType
from typing import Any, NamedTuple

from azure.durable_functions._wire import shapes
from azure.durable_functions._wire.payloads import converted, encode
from azure.durable_functions._wire.vocabulary import FAILURE_LABEL, HistoryEventType

from . import completions, logs
from . import context as contexts
from .actions import Action, NoOpAction, WhenAllAction, WhenAnyAction
from .history import wire_events
from .state import OrchestratorState, refused_by_every_codec, refused_status, state_text
from .tasks import AtomicTask, CompoundTask, TaskBase, TaskState

_RUNNING = TaskState.RUNNING
_SUCCEEDED = TaskState.SUCCEEDED
_FAILED = TaskState.FAILED

_EXECUTION_STARTED = HistoryEventType.EXECUTION_STARTED.value
_ORCHESTRATOR_STARTED = HistoryEventType.ORCHESTRATOR_STARTED.value
_EVENT_SENT = HistoryEventType.EVENT_SENT.value
_CONTINUE_AS_NEW = HistoryEventType.CONTINUE_AS_NEW.value
_TASK_COMPLETED = HistoryEventType.TASK_COMPLETED.value


class SetTaskValuePayload(NamedTuple):
    """How an event type completes a task."""

    is_success: bool
    task_id_key: str


_COMPLETING: Mapping[int, SetTaskValuePayload] = {
    HistoryEventType.TASK_COMPLETED: SetTaskValuePayload(True, "TaskScheduledId"),
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: SetTaskValuePayload(
        True, "TaskScheduledId"
    ),
    HistoryEventType.TIMER_FIRED: SetTaskValuePayload(True, "TimerId"),
    HistoryEventType.EVENT_RAISED: SetTaskValuePayload(True, "Name"),
    HistoryEventType.TASK_FAILED: SetTaskValuePayload(False, "TaskScheduledId"),
    HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED: SetTaskValuePayload(
        False, "TaskScheduledId"
    ),
}

_COMPLETING_TYPES = frozenset(HistoryEventType(number) for number in _COMPLETING)
_PASSED_OVER = frozenset(int(kind) for kind in HistoryEventType) - {
    *(int(kind) for kind in _COMPLETING),
    _EXECUTION_STARTED,
    _ORCHESTRATOR_STARTED,
    _EVENT_SENT,
    _CONTINUE_AS_NEW,
}

UserFunction = Callable[..., Any]


class TaskOrchestrationExecutor:
    """Runs one orchestrator function against one history."""

    event_to_SetTaskValuePayload: Mapping[int, SetTaskValuePayload] = _COMPLETING

    def __init__(self) -> None:
        self.initialize()

    def initialize(self) -> None:
        """Forget everything; the next `execute` starts anew."""
        self.context: Any = None
        self._function: UserFunction | None = None
        self.generator: Generator[Any, Any, Any] | CoroutineType[Any, Any, Any] | None = None
        self.current_task: TaskBase = _NOTHING[False]
        self.scheduled_at = (-1, -1)
        """Number of the entry that was listed last other than by a plain call, and the moment."""
        self._last_owner: tuple[int, TaskBase] | None = None
        """How many entries were listed when a listed task was yielded again, and whose the last is.
        """
        self.output: Any = None
        self.exception: BaseException | None = None
        self.orchestrator_returned = False
        self._given: Sequence[Any] | None = None
        self._seen_events = 0
        self._boundary = 0
        self._has_played = True
        """Whether `IsPlayed` is to be believed: not in the first turn of a generation."""

    def execute(
        self,
        context: contexts.DurableOrchestrationContext,
        history: Sequence[Any],
        fn: UserFunction,
    ) -> str:
        """Replay the function.

        Args:
            context: Given to the function; holds what it asks for.
            history: Events as JSON gave them, or `HistoryEvent` objects.
            fn: The user's function.

        Returns:
            The state JSON.

        Raises:
            Exception: The function raised; the text carries the state JSON (protocol.md 6.1).
        """
        if self.context is not None:
            self.initialize()
        logs.install()
        token = logs.current.set(context)
        context._executor = self
        try:
            self.begin(context, fn)
            if history is context._parsed_history:
                self.advance(history)
            else:
                self._given = history
                self.advance(wire_events(history))
        finally:
            logs.current.reset(token)
            context._executor = None  # or only the garbage collector would free the two
        if context._unyielded > 0:
            self.warn_of_forgotten()
        return self.get_orchestrator_state_str()

    def warn_of_forgotten(self) -> None:
        """Tell of tasks never yielded, if the function that has made them has returned."""
        if self.orchestrator_returned:
            from . import forgotten  # only where something is wrong, as `places` below

            forgotten.warn(self.context, self._function)

    def begin(self, context: contexts.DurableOrchestrationContext, fn: UserFunction) -> None:
        """Call the function. Of a generator nothing runs yet."""
        self.context = context
        self._function = fn
        context._function = fn
        try:
            returned = fn(context)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self.exception = error
            return
        if isinstance(returned, (GeneratorType, CoroutineType)):
            # A coroutine that awaits tasks is driven as a generator that yields them.
            self.generator = returned
        elif inspect.isasyncgen(returned):
            self.exception = TypeError(
                f"The orchestrator {getattr(fn, '__name__', fn)!r} is an async generator; write "
                "'await' in the place of 'yield', or 'def' in the place of 'async def'"
            )
        else:
            self.orchestrator_returned = True
            if not context.will_continue_as_new:
                self.output = returned

    def advance(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Process further events; those before the last OrchestratorStarted count as replayed."""
        first = self._seen_events
        if first == 0 and self.exception is None:
            if len(events) < 2:
                raise Exception(
                    f"Internal Durable Functions error: received History array of size "
                    f"{len(events)} when a minimum size of 2 is expected. Please report this "
                    "issue at https://github.com/Azure/azure-functions-durable-python/issues."
                )
            if self.orchestrator_returned:
                return
            if len(events) == 2 and self._begins_plainly(events):
                return
        self._boundary = first
        for index in range(len(events) - 1, -1, -1):
            if events[index]["EventType"] == _ORCHESTRATOR_STARTED:
                self._boundary = first + index
                break
        if first == 0 and len(events) > 1:
            is_replay = bool(events[1]["IsPlayed"]) or self._boundary > 0
            self.current_task = _NOTHING[is_replay]
            # Events that were carried over say that they were played (extension-engine.md Y17).
            self._has_played = is_replay
        # Frameworks may replace the steps in a subclass; then every event takes every step.
        if type(self) is TaskOrchestrationExecutor:
            events = self._walk_plain(events)
        for event in events:
            if self.has_execution_completed:
                return
            self._step(event)

    def _begins_plainly(self, events: Sequence[Mapping[str, Any]]) -> bool:
        """Take the first episode of an instance, if these two events are no more than that.

        Every instance has one; it needs none of the loops (0.8 of 9 us).
        """
        started, begun = events
        if (
            type(self) is not TaskOrchestrationExecutor
            or started["EventType"] != _ORCHESTRATOR_STARTED
            or begun["EventType"] != _EXECUTION_STARTED
            or "Timestamp" not in started
        ):
            return False
        self.current_task = _NOTHING[bool(begun["IsPlayed"])]
        self._seen_events = 1
        self.resume_user_code()
        self._seen_events = 2
        return True

    def _step(self, event: Mapping[str, Any]) -> None:
        """Take one event into account, whatever it is."""
        try:
            self.process_event(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # An event that is not as it must be ends the instance with a text that says so.
            from . import executor_errors  # most replays raise nothing

            self.exception = executor_errors.bad_event(self._seen_events, event, error)
        except Exception as error:  # ours: told with the actions, or the extension hides its text
            self.exception = error
        self._seen_events += 1

    def _walk_plain(self, events: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Take events into account, the usual ones without a call.

        Half of the events need nothing at all, and most others complete an activity that the
        function waits for: a step of a chain takes 4 us this way and 6 us by `_step`.

        Returns:
            Those that are left, because a framework has put a mapping of its own in the place of
            `open_tasks`: they take every step.
        """
        context = self.context
        if self.has_execution_completed:
            return ()
        if type(context.open_tasks) is not contexts.OWN_OPEN_TASKS:
            return events
        first = self._seen_events
        moments = context._unread_moments
        open_tasks = context.open_tasks
        boundary = self._boundary
        decode = completions.decoder()
        position = self._seen_events - 1
        for position, event in enumerate(events, self._seen_events):
            kind = event["EventType"]
            if kind == _TASK_COMPLETED:
                self._seen_events = position
                key = event.get("TaskScheduledId")
                task = open_tasks.get(key) if type(key) is int else None
                if type(task) is AtomicTask:
                    try:
                        text = event.get("Result")
                        if text is not None:
                            task.result = decode(text, task._expected_output_type)
                    except Exception:
                        self._step(event)  # meets it again and tells the task
                    else:
                        del open_tasks[key]
                        task.is_played = position < boundary or bool(event.get("IsPlayed"))
                        task.state = _SUCCEEDED
                        if task.parent is not None:
                            task.propagate()
                        if self.current_task.state is not _RUNNING:
                            self.resume_user_code()
                            # `has_execution_completed`, which as a call takes 0.1 us more.
                            if (
                                self.orchestrator_returned
                                or self.exception is not None
                                or context._continue_as_new_flag
                                or context.open_tasks is not open_tasks
                            ):
                                break
                        continue
                else:
                    self._step(event)
                if self.has_execution_completed or context.open_tasks is not open_tasks:
                    break
            elif kind == _ORCHESTRATOR_STARTED and "Timestamp" in event:
                moments.append(event["Timestamp"])
            elif kind not in _PASSED_OVER:
                self._seen_events = position
                if kind == _EXECUTION_STARTED:  # as in `process_event`; each history has one
                    self.resume_user_code()
                else:
                    self._step(event)
                    boundary = self._boundary  # continuing as new begins again
                if self.has_execution_completed or context.open_tasks is not open_tasks:
                    break
        self._seen_events = max(self._seen_events, position + 1)
        return () if context.open_tasks is open_tasks else events[position + 1 - first :]

    def process_event(self, event: Any) -> None:
        """Take one event into account; types that replay does not use are passed over."""
        kind: Any = event["EventType"] if shapes.is_object(event) else event.event_type
        if kind in _COMPLETING:
            payload = _COMPLETING[kind]
            self.set_task_value(event, payload.is_success, payload.task_id_key)
            self.resume_user_code()
        elif kind == _ORCHESTRATOR_STARTED:
            self.context._unread_moments.append(contexts._timestamp(event))
        elif kind == _EXECUTION_STARTED:
            self.resume_user_code()
        elif kind == _EVENT_SENT:
            self._rekey_entity_call(event)
        elif kind == _CONTINUE_AS_NEW:
            self._start_over()

    def set_task_value(self, event: Any, is_success: bool, id_key: str) -> None:
        """Complete the task that waits for the event, or keep the event until one does."""
        source, looked_at = None, event
        if self._given is not None or type(looked_at) is not dict:
            source = self._object_of(event)
            [event] = wire_events([event])
        key = event.get(id_key)
        if id_key == "Name":
            key = self.context._event_key(str(key))
        elif key is None:  # a broken host's event that fits no task (sdk.md Q41)
            warnings.warn(
                "Potential duplicate Task completion for TaskId: None", UserWarning, stacklevel=2
            )
            return
        elif type(key) is not int:
            raise ValueError(f"it must carry a whole number in {id_key}, got {key!r}")
        is_played = self._seen_events < self._boundary or (
            bool(event.get("IsPlayed")) and self._has_played
        )
        completion = completions.Completion(event, is_played, self._seen_events, source)
        self.context._complete(key, completion)

    def _object_of(self, event: Any) -> Any:
        """The object that was given as an event, if the caller has given objects."""
        if type(event) is not dict:
            return event
        given, position = self._given, self._seen_events
        return given[position] if given is not None and position < len(given) else None

    def resume_user_code(self) -> None:
        """Deliver the awaited task, if it is complete, and go on until one is not."""
        context = self.context
        generator = self.generator
        if generator is None:
            return
        task: TaskBase = self.current_task
        if task.state is _RUNNING:
            return
        context._is_replaying = task.is_played
        try:
            while True:
                if task.state is _FAILED:
                    if isinstance(task, CompoundTask):  # branches may be open
                        context._watch_pace()
                    from . import executor_errors  # most replays raise nothing

                    yielded = generator.throw(executor_errors.exception_of(task))
                else:
                    yielded = generator.send(task.result)
                if context._continue_as_new_flag:
                    return
                if type(yielded) is AtomicTask and yielded.id is None:  # nearly all
                    task = self.current_task = yielded
                    if not task._is_scheduled_flag:
                        context._add_to_actions(task.action_repr)
                        context._number(task)
                else:
                    while not isinstance(yielded, TaskBase):
                        from . import executor_errors  # most replays raise nothing

                        yielded = generator.throw(executor_errors.not_a_task(yielded, generator))
                        if context._continue_as_new_flag:
                            return
                    if yielded._is_scheduled:
                        known, count = self._last_owner, len(context._action_payload_v2)
                        if known is None or known[0] != count:
                            self._last_owner = (count, task)
                            context._watch_pace(may_be_late=False)
                        self.current_task = yielded
                    else:
                        self._schedule(yielded)  # pyright: ignore[reportUnknownArgumentType]  # any
                    task = self.current_task
                if task.state is _RUNNING:
                    return
        except StopIteration as stop:
            self.output = stop.value
            self.orchestrator_returned = True
        except Exception as error:
            from . import executor_errors  # most replays raise nothing

            self.exception = executor_errors.as_awaited(error, generator)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # `sys.exit()`, or what cancels tasks of asyncio
            self.exception = error

    def get_orchestrator_state_str(self) -> str:
        """The state JSON.

        Raises:
            Exception: The function raised (protocol.md 6.1).
        """
        context, output = self.context, self.output
        if (
            self.exception is None
            and context._custom_status is None
            and (output is None or (type(output) is str and context._converter is None))
        ):
            # It waits, as nearly always, or has returned a text: there is nothing to check, and to
            # put it into a state and that into JSON takes 4 of 8 us.
            is_done = self.orchestrator_returned or context._continue_as_new_flag
            tail = "" if output is None else f', "output": {encode(output)}'
            try:
                return state_text(is_done, self._told_actions(), context._replay_schema, tail)
            except Exception as refused:  # some action cannot be sent; told with the others
                self.exception = refused
        text, error = self.final_text()
        if error is None:
            return text
        # Exactly `Exception`: the worker sends the class name on (sdk.md 3.4).
        raise Exception(f"{error}{FAILURE_LABEL}{text}") from error

    def final_text(self, first_action: int = 0) -> tuple[str, BaseException | None]:
        """The state of `final_state` as JSON text.

        An action that cannot be sent, because of a retry policy of the user's own class for
        instance, ends the function: it and what follows it are left out.
        """
        state, error = self.final_state(first_action)
        try:
            return state.to_json_string(), error
        except Exception as refused:
            self.exception = self.exception or refused
            del self.context._action_payload_v2[self._sendable() :]
            state, error = self.final_state(first_action)
            return state.to_json_string(), error

    def _sendable(self) -> int:
        """How many actions of the list can be sent, up to the first that cannot."""
        actions: list[Action] = self.context._action_payload_v2
        for index, action in enumerate(actions):
            try:
                action.to_text()
            except Exception:  # whatever it is, it was raised above and is told
                return index
        return len(actions)

    def _told_actions(self) -> list[list[Action]]:
        """The actions in the form in which they are sent."""
        pacing = self.context._pacing
        return self.context._actions if pacing is None else [pacing.formed()]

    def final_state(self, first_action: int = 0) -> tuple[OrchestratorState, BaseException | None]:
        """What the host is told, and the exception that ended the function, if any.

        An output or a custom status that cannot be encoded is left out and ends it too.

        Args:
            first_action: Actions before this one are left out; never under schema V1.
        """
        context = self.context
        output, status = self.output, context.custom_status
        if self.exception is None and output is not None:
            try:
                output = converted(context._converter, output)
            except Exception as raised:  # anything, by a converter of the user's
                self.exception = raised
            else:
                self.exception = refused_by_every_codec(output)
        if status is not None:
            refusal = refused_status(status)
            if refusal is not None:
                status = None
                self.exception = self.exception or refusal
        error = self.exception
        if error is not None:
            from . import mistakes

            mistakes.explain(error, self._function, self.output)
        state = OrchestratorState(
            # The extension takes no error with `isDone: true`: it would tell of non-determinism
            # instead, after `continue_as_new` for instance (extension-engine.md, Y30 and Y31).
            is_done=error is None and self.orchestration_invocation_succeeded,
            actions=[context._action_payload_v2[first_action:]]
            if first_action
            else self._told_actions(),
            output=output if error is None else None,
            replay_schema=context._replay_schema,
            error=None if error is None else (str(error) or str(type(error))),
            custom_status=status,
        )
        if error is not None:
            from . import executor_errors  # most replays raise nothing

            state._failure_details = executor_errors.structured(error, context._replay_schema)
        return state, error

    @functools.cached_property
    def task_completion_events(self) -> set[HistoryEventType]:
        """Types of events that complete a task."""
        return set(_COMPLETING_TYPES)

    def is_task_completion_event(self, event_type: HistoryEventType) -> bool:
        """Whether events of this type complete a task."""
        return event_type in _COMPLETING

    @property
    def has_execution_completed(self) -> bool:
        """Whether the function has returned, raised or continued as new."""
        return (
            self.orchestrator_returned
            or self.exception is not None
            or self.context._continue_as_new_flag
        )

    @property
    def orchestration_invocation_succeeded(self) -> bool:
        """Whether the function has returned or continued as new."""
        return self.orchestrator_returned or bool(self.context.will_continue_as_new)

    def owner_of_the_last_entry(self) -> TaskBase:
        """The task for which the last entry of the action list was made.

        That is the one yielded last, unless others were yielded since that stand in the list
        already.
        """
        known, count = self._last_owner, len(self.context._action_payload_v2)
        return known[1] if known is not None and known[0] == count else self.current_task

    def keep_owner(self) -> None:
        """Take note that an entry follows that nobody waits for: a signal, a new generation."""
        count = len(self.context._action_payload_v2)
        self._last_owner = (count + 1, self.owner_of_the_last_entry())

    def _schedule(self, task: TaskBase) -> None:
        """Give ids to a task that is yielded for the first time, and list what it asks for."""
        context = self.context
        # Asked before the children get their ids: the list names those that have none yet.
        actions = task.action_repr
        if task._may_drift or (type(actions) in _COMPOUNDS and _is_partial(task, actions)):
            context._watch_pace()
        self.current_task = task
        self.scheduled_at = (len(context._action_payload_v2), self._seen_events)
        context._add_to_actions(actions)
        context._add_to_open_tasks(task)
        task._set_is_scheduled(True)

    def _rekey_entity_call(self, event: Any) -> None:
        """An entity answers under the request's id, which the EventSent tells (sdk.md 3.12)."""
        source = self._object_of(event)
        [event] = wire_events([event])
        open_tasks = self.context.open_tasks
        number = event.get("EventId")
        if number not in open_tasks or not completions.is_entity_call(open_tasks[number]):
            return
        task = open_tasks.pop(number)
        if type(open_tasks) is not contexts.OWN_OPEN_TASKS:  # its `pop` may have changed the event
            sent = completions.Completion(event, False, self._seen_events, source)
            event = self.context._event_as_it_is(sent)
        try:
            request_id = str(json.loads(event["Input"])["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("its Input must be a JSON object with the request's id") from error
        key = self.context._event_key(request_id)
        open_tasks[key].append(task)
        if key in self.context.deferred_tasks:
            self.context._complete_from_deferred(key)

    def _start_over(self) -> None:
        context, generator = self.context, self.generator
        self.initialize()
        self.context, self.generator = context, generator


_COMPOUNDS = frozenset((WhenAllAction, WhenAnyAction))  # `isinstance` takes 0.15 us


def _is_partial(task: TaskBase, actions: Any) -> bool:
    """Whether children of a compound stand in the list already, so that only the rest is listed."""
    return len(actions.compound_tasks) != len(getattr(task, "children", ()))


def _nothing_awaited(is_played: bool) -> TaskBase:
    task = AtomicTask(-1, NoOpAction("before the first yield"))
    task.state = TaskState.SUCCEEDED
    task.is_played = is_played
    return task


_NOTHING = {is_played: _nothing_awaited(is_played) for is_played in (False, True)}
"""What a function waits for before it has started: nothing, and that is there already.

Never changed, so one for each case does for all executors.
"""
