"""What an orchestrator function is given. Source: sdk.md 2.1, 3.7-3.13."""

from __future__ import annotations

import copy
import functools
import json
import logging
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, overload

from azure.durable_functions._wire import shapes, timestamps, type_discovery
from azure.durable_functions._wire.durable_http import DurableHttpRequest, TokenSource
from azure.durable_functions._wire.entity_id import EntityId
from azure.durable_functions._wire.function_context import FunctionContext
from azure.durable_functions._wire.json_utils import parse_timespan_attrib
from azure.durable_functions._wire.payloads import converted, decode, expected
from azure.durable_functions._wire.retry_options import RetryOptions
from azure.durable_functions._wire.vocabulary import HistoryEventType, ReplaySchema

from . import compat, completions, logs, references, triggers
from .actions import (
    Action,
    CallActivityAction,
    CallActivityWithRetryAction,
    CallEntityAction,
    CallHttpAction,
    CallSubOrchestratorAction,
    CallSubOrchestratorWithRetryAction,
    ContinueAsNewAction,
    CreateTimerAction,
    NoOpAction,
    SignalEntityAction,
    WaitForExternalEventAction,
)
from .history import HistoryEvent
from .tasks import (
    AtomicTask,
    CompoundTask,
    LongTimerTask,
    RetryAbleTask,
    TaskBase,
    TaskState,
    Timer,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
)

if TYPE_CHECKING:
    from uuid import UUID

    from typing_extensions import Unpack

    from azure.durable_functions._wire.converters import DataConverter

    from .executor import TaskOrchestrationExecutor
    from .pacing import Pacing
    from .signatures import (
        T1,
        T2,
        T3,
        T4,
        T5,
        Async,
        CallOptions,
        Generated,
        InputT,
        Kind,
        MapOptions,
        R,
        T,
        Taking,
        TaskT,
        TolerantMapOptions,
    )

_ORCHESTRATOR_STARTED = HistoryEventType.ORCHESTRATOR_STARTED.value
_EXECUTION_STARTED = HistoryEventType.EXECUTION_STARTED.value

Event = Mapping[str, Any]
"""A history event as JSON gave it."""


class DurableOrchestrationContext:
    """The orchestration as its function sees it: what it may ask for, and what it may know.

    One object serves one replay. Everything that an orchestrator does must come from here, so that
    the next replay does the same.
    """

    # Most replays leave these as they are; writing them for each took 0.2 of 8 us.
    _function: Callable[..., Any] | None = None
    """The orchestrator that runs."""
    _history_objects: list[HistoryEvent] | None = None
    _is_history_hidden: bool = False
    """Whether a framework has put None in the place of the objects."""
    _parsed_history: list[Any] | None = None
    """The history, if it is certain that it holds dictionaries only."""
    _custom_status: Any = None
    _new_uuid_counter: int = 0
    _input_expected_type: type | None = None
    _executor: TaskOrchestrationExecutor | None = None
    """What answers a whole trigger with this context, while it does."""
    _pacing: Pacing | None = None
    """From the first entry on that the extension might wait for longer or shorter than the code."""
    _now: datetime | None = None
    """The time that was asked for last; time stamps stay text until then (sdk.md Q22)."""

    def __init__(
        self,
        history: list[dict[str, Any]],
        instanceId: str,
        isReplaying: bool,
        parentInstanceId: str | None,
        input: Any = None,
        upperSchemaVersion: int = 0,
        maximumShortTimerDuration: str | None = None,
        longRunningTimerIntervalDuration: str | None = None,
        upperSchemaVersionNew: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Parameters are the keys of the trigger's JSON object (protocol.md 1).

        Raises:
            ValueError: ``upperSchemaVersion`` is not 0, 1 or 2.
            IndexError: The history has no OrchestratorStarted.
        """
        self._events: list[Any] = history
        self._instance_id: str = instanceId
        self._is_replaying: bool = isReplaying
        self._parent_instance_id: str | None = parentInstanceId
        self._maximum_short_timer_duration = _span(maximumShortTimerDuration)
        self._long_timer_interval_duration = _span(longRunningTimerIntervalDuration)
        self._sequence_number: int = 0
        self._continue_as_new_flag: bool = False
        self._replay_schema = _negotiate(upperSchemaVersion, upperSchemaVersionNew)
        self._lists_flat = self._replay_schema is _V1
        self._lists_plainly = not self._lists_flat
        """Whether actions are only listed, and nobody takes note of when."""
        self._action_payload_v1: list[list[Action]] = []
        self._action_payload_v2: list[Action] = []
        self._unknown_fields = kwargs
        # Asked twice a step: of the instance, because of the class that takes 0.03 us longer.
        self._converter: DataConverter | None = None
        """How the app writes and reads payloads, if not as usual."""

        # The user sees `input` through get_input(), which decodes JSON text; the host sends what
        # the text parses to, so an object is turned back into text (sdk.md 2.1).
        self._input: Any = json.dumps(input) if isinstance(input, dict) else input

        self._unyielded = 0
        """Tasks made and not yielded yet."""
        self.open_tasks: defaultdict[int | str, Any] = defaultdict(list)
        """By id the task that has it; by event name a list of those who wait.

        A framework may put a mapping of its own in its place.
        """
        self.deferred_tasks: MutableMapping[int | str, Any] = {}
        """What delivers completions that nobody waits for yet (`Deferred`), by the same keys."""
        self._spelled: dict[str, str] = {}
        """Names of events in upper case, each as it was spelled first."""

        for first in history:
            kind = first.get("EventType") if type(first) is dict else _event_type(first)
            if kind == _ORCHESTRATOR_STARTED:
                break
        else:
            raise IndexError("The history has no OrchestratorStarted event, so it has no beginning")
        self._first_started: Any = first
        moment = first["Timestamp"] if type(first) is dict else _timestamp(first)
        self._unread_moments: list[Any] = [moment]

    @classmethod
    def from_json(cls, json_string: str) -> DurableOrchestrationContext:
        """Read a trigger.

        Raises:
            ValueError: It is not a JSON object with the fields of protocol.md 1.
        """
        fields = triggers.read(json_string)
        context = cls(**fields)
        context._parsed_history = fields["history"]
        return context

    # -- what the user may ask for -----------------------------------------------------------

    # Overloads for type checkers: by reference the result is the function's, of which a coroutine's
    # is what it returns; by name it is `expected_type`.

    @overload
    def call_activity(
        self, name: Taking[InputT, Async[R]], input_: InputT, **options: Unpack[CallOptions]
    ) -> TaskBase[R]: ...
    @overload
    def call_activity(
        self, name: Taking[None, Async[R]], **options: Unpack[CallOptions]
    ) -> TaskBase[R]: ...
    @overload
    def call_activity(
        self, name: Taking[InputT, R], input_: InputT, **options: Unpack[CallOptions]
    ) -> TaskBase[R]: ...
    @overload
    def call_activity(
        self, name: Taking[None, R], **options: Unpack[CallOptions]
    ) -> TaskBase[R]: ...
    @overload
    def call_activity(
        self,
        name: Callable[..., Any],
        input_: Any,
        expected_type: Kind[T],
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    @overload
    def call_activity(
        self,
        name: str,
        input_: Any = None,
        expected_type: Kind[T] = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        expected_type: Any = None,
        *,
        raises: Sequence[type[Exception]] = (),
        timeout: timedelta | float | None = None,
    ) -> TaskBase:
        """Run an activity.

        Args:
            name: Its name, or the decorated function.
            input_: Encoded at once.
            expected_type: Class of the result, for the codec.
            raises: Exceptions of one's own that the call may raise: a failure of such a type is
                caught by its class. Python's own and those in sight need not be named.
            timeout: `TaskTimeoutError` is raised if it has not ended by then; a number is seconds.
                What was started goes on, and the instance ends only after it.

        Raises:
            ValueError: The name is empty, or the function is not an activity.
            TypeError: The input cannot be encoded.
        """
        if self._converter is not None:
            input_ = converted(self._converter, input_)
        callee = name
        if not isinstance(name, str) and callable(name):
            expected_type = expected_type or type_discovery.activity_output_type(name)
            name = references.function_name_of(name, references.ACTIVITY)
        action = CallActivityAction(name, input_)
        # By position, as names take 0.1 us more.
        task = self._generate_task(action, None, None, None, AtomicTask, expected_type)
        if raises or timeout is not None or callee is not name:
            return self._with_options(task, callee, raises, timeout)
        return task

    @overload
    def call_activity_with_retry(
        self,
        name: Taking[InputT, Async[R]],
        retry_options: RetryOptions,
        input_: InputT,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Taking[None, Async[R]],
        retry_options: RetryOptions,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Taking[InputT, R],
        retry_options: RetryOptions,
        input_: InputT,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_activity_with_retry(
        self, name: Taking[None, R], retry_options: RetryOptions, **options: Unpack[CallOptions]
    ) -> TaskBase[R]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[..., Any],
        retry_options: RetryOptions,
        input_: Any,
        expected_type: Kind[T],
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: Any = None,
        expected_type: Kind[T] = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: Any = None,
        expected_type: Any = None,
        *,
        raises: Sequence[type[Exception]] = (),
        timeout: timedelta | float | None = None,
    ) -> TaskBase:
        """Run an activity that is tried again when it fails; the rest as `call_activity`."""
        callee = name
        if not isinstance(name, str) and callable(name):
            expected_type = expected_type or type_discovery.activity_output_type(name)
            name = references.function_name_of(name, references.ACTIVITY)
        input_ = converted(self._converter, input_)
        if compat.retries_in_sdk(retry_options):
            plain = CallActivityAction(name, input_)
            task = self._expanded(plain, retry_options, expected_type)
        else:
            action = CallActivityWithRetryAction(name, retry_options, input_)
            task = self._generate_task(action, retry_options, expected_type=expected_type)
        return self._with_options(task, callee, raises, timeout)

    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., Async[R]],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., Generated[R]],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., R],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Kind[T] = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        raises: Sequence[type[Exception]] = (),
        timeout: timedelta | float | None = None,
    ) -> TaskBase:
        """Run another orchestration and wait for its output.

        Args:
            name: Its name, or the decorated function.
            input_: Encoded at once.
            instance_id: Of the child; None lets the host derive one.
            version: Of the child; None means the host's default.
            expected_type: Class of the output, for the codec.
            raises: As of `call_activity`.
            timeout: As of `call_activity`.

        Raises:
            ValueError: The name is empty, or the function is not an orchestrator.
            TypeError: The input cannot be encoded.
        """
        callee = name
        if not isinstance(name, str) and callable(name):
            expected_type = expected_type or type_discovery.sub_orchestrator_output_type(name)
            name = references.function_name_of(name, references.ORCHESTRATION)
        action = CallSubOrchestratorAction(
            name, converted(self._converter, input_), instance_id, version
        )
        task = self._generate_task(action, expected_type=expected_type)
        return self._with_options(task, callee, raises, timeout)

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., Async[R]],
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., Generated[R]],
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., R],
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[R]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Kind[T] = None,
        **options: Unpack[CallOptions],
    ) -> TaskBase[T]: ...
    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        raises: Sequence[type[Exception]] = (),
        timeout: timedelta | float | None = None,
    ) -> TaskBase:
        """As `call_sub_orchestrator`; every attempt uses the same ``instance_id`` if given."""
        callee = name
        if not isinstance(name, str) and callable(name):
            expected_type = expected_type or type_discovery.sub_orchestrator_output_type(name)
            name = references.function_name_of(name, references.ORCHESTRATION)
        input_ = converted(self._converter, input_)
        if compat.retries_in_sdk(retry_options):
            plain = CallSubOrchestratorAction(name, input_, instance_id, version)
            task = self._expanded(plain, retry_options, expected_type)
        else:
            action = CallSubOrchestratorWithRetryAction(
                name, retry_options, input_, instance_id, version
            )
            task = self._generate_task(action, retry_options, expected_type=expected_type)
        return self._with_options(task, callee, raises, timeout)

    def call_http(
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: dict[str, str] | None = None,
        token_source: TokenSource | None = None,
        is_raw_str: bool = False,
    ) -> TaskBase[dict[str, Any]]:
        """Let the host make an HTTP request; the result is a dictionary (sdk.md 3.13).

        Args:
            method: Any HTTP method.
            uri: Absolute.
            content: Body, as JSON unless `is_raw_str`.
            headers: To send.
            token_source: Where the host gets a bearer token.
            is_raw_str: Send the text of `content` as it is.

        Raises:
            TypeError: `is_raw_str` with something that is not text.
        """
        json_content: str | None = None
        if is_raw_str:
            if not isinstance(content, str):
                raise TypeError(
                    "Invalid use of 'is_raw_str' parameter: 'is_raw_str' is set to 'True' but "
                    "'content' is not an instance of type 'str'. Either set 'is_raw_str' to "
                    "'False', or ensure your 'content' is of type 'str'."
                )
            json_content = content
        elif content is not None:
            json_content = json.dumps(content)
        request = DurableHttpRequest(method, uri, json_content, headers, token_source)
        return self._generate_task(CallHttpAction(request))

    def call_entity(
        self,
        entityId: EntityId,
        operationName: str,
        operationInput: Any = None,
        expected_type: Kind[T] = None,
        *,
        timeout: timedelta | float | None = None,
    ) -> TaskBase[T]:
        """Call an operation of an entity and wait for its answer.

        Raises:
            ValueError: No entity id.
            TypeError: The input cannot be encoded.
        """
        action = CallEntityAction(
            entityId, operationName, converted(self._converter, operationInput)
        )
        task = self._generate_task(action, expected_type=expected_type)
        return task if timeout is None else self.with_timeout(task, timeout)

    def signal_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None
    ) -> TaskBase:
        """Send an operation to an entity, at once; nothing comes back.

        The task returned is complete already: yielding it changes nothing (sdk.md Q49).

        Raises:
            ValueError: No entity id.
            TypeError: The input cannot be encoded.
        """
        return self._record_fire_and_forget_action(
            SignalEntityAction(entityId, operationName, converted(self._converter, operationInput))
        )

    def create_timer(self, fire_at: date | timedelta) -> Timer:
        """Wait until a moment.

        Args:
            fire_at: Naive values are UTC; a bare date is its midnight. A moment that has passed
                fires at once. A time span counts from now.

        Raises:
            ValueError: Not a date.
        """
        if isinstance(fire_at, timedelta):
            fire_at = self.current_utc_datetime + fire_at
        if isinstance(fire_at, datetime) and fire_at.tzinfo is not None and not self._as_official:
            fire_at = timestamps.to_utc(fire_at)  # the action carries clock fields (sdk.md Q45)
        action = CreateTimerAction(fire_at)
        if self._needs_long_timer(fire_at):
            return LongTimerTask(None, action, self)
        timer: Any = self._generate_task(action, task_constructor=TimerTask)
        timer._context = weakref.ref(self)
        made: Timer = timer
        return made

    def sleep(self, duration: timedelta | float) -> Timer:
        """Wait for a while; a number is seconds.

        Raises:
            TypeError: Neither a time span nor a number.
        """
        span = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
        return self.create_timer(self.current_utc_datetime + span)

    def wait_for_external_event(
        self,
        name: str,
        expected_type: Kind[T] = None,
        *,
        timeout: timedelta | float | None = None,
    ) -> TaskBase[T]:
        """Wait for an event that somebody raises; names are compared ignoring case.

        Without an expected type the value of an event that was raised with this package's client
        is its JSON *text* (sdk.md 5.4).

        Raises:
            ValueError: The name is empty.
        """
        task = self._generate_task(
            WaitForExternalEventAction(name), id_=name, expected_type=expected_type
        )
        return task if timeout is None else self.with_timeout(task, timeout)

    def with_timeout(self, task: TaskBase[R], timeout: timedelta | float) -> TaskBase[R]:
        """A task that ends as the given one, or raises `TaskTimeoutError` when time is over.

        What was started goes on: an activity cannot be stopped, and the instance ends only when
        none runs any more.

        Args:
            task: Yielded before or not.
            timeout: From now; a number is seconds.

        Raises:
            TypeError: It is no task, or no time span.
            ValueError: The time is not positive.
        """
        if not isinstance(task, TaskBase):  # pyright: ignore[reportUnnecessaryIsInstance]  # users
            raise TypeError(f"with_timeout takes a task of the context, got {task!r}")
        from .driven import TimeoutTask

        return TimeoutTask(task, _positive_span(timeout), self)

    @overload
    def map(
        self,
        function: Taking[InputT, TaskBase[R]] | Taking[InputT, Async[R]],
        items: Iterable[InputT],
        **options: Unpack[MapOptions],
    ) -> TaskBase[list[R]]: ...
    @overload
    def map(
        self,
        function: Taking[InputT, R],
        items: Iterable[InputT],
        **options: Unpack[MapOptions],
    ) -> TaskBase[list[R]]: ...
    @overload
    def map(
        self, function: str, items: Iterable[Any], **options: Unpack[MapOptions]
    ) -> TaskBase[list[Any]]: ...
    @overload
    def map(
        self,
        function: Taking[InputT, TaskBase[R]] | Taking[InputT, Async[R]],
        items: Iterable[InputT],
        **options: Unpack[TolerantMapOptions],
    ) -> TaskBase[list[R | Exception]]: ...
    @overload
    def map(
        self,
        function: Taking[InputT, R],
        items: Iterable[InputT],
        **options: Unpack[TolerantMapOptions],
    ) -> TaskBase[list[R | Exception]]: ...
    @overload
    def map(
        self, function: str, items: Iterable[Any], **options: Unpack[TolerantMapOptions]
    ) -> TaskBase[list[Any]]: ...
    def map(
        self,
        function: str | Callable[..., Any],
        items: Iterable[Any],
        *,
        max_concurrency: int,
        tolerated_failures: int = 0,
        return_exceptions: bool = False,
    ) -> TaskBase:
        """Call an activity for each item, so many at once; gives the results in the items' order.

        Args:
            function: Name of an activity, a decorated activity, or a function that makes a task of
                this context out of an item.
            items: Read at once.
            max_concurrency: How many may be open.
            tolerated_failures: So many items may fail; their exceptions stand among the results.
                With one more the whole fails, and nothing further is started.
            return_exceptions: Any number may.

        Raises:
            ValueError: A number is out of its range.
        """
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, got {max_concurrency!r}")
        if tolerated_failures < 0:
            raise ValueError(f"tolerated_failures must not be negative, got {tolerated_failures!r}")
        from .driven import MapTask

        def make(item: Any) -> TaskBase:
            if isinstance(function, str) or hasattr(function, "_function"):
                return self.call_activity(function, item)
            made: TaskBase | None = function(item)
            if not isinstance(made, TaskBase):
                raise TypeError(
                    f"the function given to map must return a task of the context, got {made!r}"
                )
            return made

        return MapTask(
            make,
            list(items),
            self,
            max_concurrency=max_concurrency,
            tolerated_failures=tolerated_failures,
            return_exceptions=return_exceptions,
        )

    @overload
    def task_all(
        self, activities: tuple[TaskBase[T1], TaskBase[T2]]
    ) -> TaskBase[tuple[T1, T2]]: ...
    @overload
    def task_all(
        self, activities: tuple[TaskBase[T1], TaskBase[T2], TaskBase[T3]]
    ) -> TaskBase[tuple[T1, T2, T3]]: ...
    @overload
    def task_all(
        self, activities: tuple[TaskBase[T1], TaskBase[T2], TaskBase[T3], TaskBase[T4]]
    ) -> TaskBase[tuple[T1, T2, T3, T4]]: ...
    @overload
    def task_all(
        self,
        activities: tuple[TaskBase[T1], TaskBase[T2], TaskBase[T3], TaskBase[T4], TaskBase[T5]],
    ) -> TaskBase[tuple[T1, T2, T3, T4, T5]]: ...
    @overload
    def task_all(self, activities: tuple[TaskBase[R], ...]) -> TaskBase[tuple[R, ...]]: ...
    @overload
    def task_all(self, activities: list[TaskBase[R]]) -> TaskBase[list[R]]: ...
    @overload
    def task_all(self, activities: Sequence[TaskBase]) -> TaskBase: ...
    @overload
    def task_all(
        self, activities: Sequence[TaskBase[R]], *, return_exceptions: bool
    ) -> TaskBase[list[R | Exception]]: ...
    def task_all(
        self, activities: Sequence[TaskBase], *, return_exceptions: bool = False
    ) -> TaskBase:
        """A task that succeeds with all results in list order, or fails at the first failure.

        The results are a list; awaited, those of a tuple are a tuple.

        Args:
            activities: Tasks of this context.
            return_exceptions: Wait for all, and give exceptions as results.

        Raises:
            TypeError: Not a list or tuple.
        """
        if return_exceptions:
            from .driven import GatherTask

            return GatherTask(activities, self._replay_schema)
        task = WhenAllTask(activities, self._replay_schema)
        if isinstance(activities, tuple):
            task._is_of_tuple = True
        return task

    def task_any(self, activities: Sequence[TaskT]) -> TaskBase[TaskT]:
        """A task whose result is the first of the tasks to finish, failed ones included.

        Raises:
            TypeError: Not a list or tuple.
        """
        return WhenAnyTask(activities, self._replay_schema)

    def continue_as_new(self, input_: Any) -> None:
        """End this generation; the next one starts with the given input and an empty history.

        Code after it runs on until the next yield, but what it asks for is not recorded; the
        first call wins (sdk.md Q50).

        Raises:
            TypeError: The input cannot be encoded.
        """
        action = ContinueAsNewAction(converted(self._converter, input_))
        self._watch_pace(may_be_late=False)
        self._record_fire_and_forget_action(action)
        self._continue_as_new_flag = True

    def get_input(self, expected_type: Kind[T] = None) -> T:
        """The orchestration's input, decoded anew at every call; None if there is none.

        Text that is not JSON, and what is not text, is given as it is (sdk.md Q54).
        """
        wanted: Any = expected_type or self._input_expected_type
        if self._converter is not None:
            wanted = expected(self._converter, wanted)
        raw = self._input
        found: Any = raw
        if raw is not None and (wanted is not None or isinstance(raw, str)):
            try:
                found = decode(raw if isinstance(raw, str) else json.dumps(raw), wanted)
            except json.JSONDecodeError:
                pass  # a text that is no JSON is the value itself
        given: T = found
        return given

    @property
    def logger(self) -> logging.Logger:
        """Logs under the orchestrator's name, and nothing while replaying."""
        name = self._orchestrator_name or "azure.durable_functions.orchestration"
        return self.create_replay_safe_logger(logging.getLogger(name))

    def create_replay_safe_logger(self, logger: logging.Logger) -> logging.Logger:
        """A logger that logs nothing while replaying; records carry the instance id.

        Args:
            logger: What it logs to.
        """
        safe: Any = logs.ReplaySafeLogger(logger, self)
        found: logging.Logger = safe  # an adapter has the same methods
        return found

    @property
    def _may_log(self) -> bool:
        """Whether what the code logs now was not logged before, by an earlier episode."""
        return not self.is_replaying

    @property
    def _orchestrator_name(self) -> str | None:
        for event in self._events:
            if _event_type(event) == _EXECUTION_STARTED:
                found = _field(event, "Name")
                return found if isinstance(found, str) else None
        return None

    def set_custom_status(self, status: Any) -> None:
        """Show a value in the instance's status; None takes it away."""
        self._custom_status = status

    def new_uuid(self) -> str:
        """A UUID that is the same in every replay."""
        moment = timestamps.format_moment(self.current_utc_datetime)
        name = f"{self._instance_id}_{moment}_{self._new_uuid_counter}"
        self._new_uuid_counter += 1
        import uuid  # 2 ms, and few orchestrators want one

        namespace = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
        return str(uuid.uuid5(namespace, name))

    def new_guid(self) -> UUID:
        """As `new_uuid`, with another rule and type; both share one counter."""
        name = f"{self._instance_id}_{self.current_utc_datetime}_{self._new_uuid_counter}"
        self._new_uuid_counter += 1
        import uuid

        return uuid.uuid5(uuid.NAMESPACE_URL, name)

    # -- what the user may know --------------------------------------------------------------

    @property
    def instance_id(self) -> str:
        """Id of the instance."""
        return self._instance_id

    @property
    def parent_instance_id(self) -> str | None:
        """Id of the orchestration that called this one; None for a top-level one."""
        return self._parent_instance_id

    @property
    def version(self) -> str | None:
        """Version of the instance; None or ``""`` if it has none."""
        return self._extract_version_from_history(self._events)

    @property
    def is_replaying(self) -> bool:
        """Whether the code at this point has already run in an earlier episode."""
        return self._is_replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """The time of this episode (of the episode replayed); never goes backwards."""
        now = self._now
        if self._unread_moments:
            for moment in self._unread_moments:
                if isinstance(moment, str):
                    moment = timestamps.parse_moment(moment)
                if now is None or moment > now:
                    now = moment
            self._now = now
            self._unread_moments.clear()
        assert now is not None  # the constructor queued the first moment
        return now

    @current_utc_datetime.setter
    def current_utc_datetime(self, value: datetime) -> None:
        self._now = value
        self._unread_moments.clear()

    @property
    def custom_status(self) -> Any:
        """The last value given to `set_custom_status`."""
        return self._custom_status

    @property
    def function_context(self) -> FunctionContext:
        """Fields of the trigger that this release does not know, as attributes."""
        return self._function_context

    @functools.cached_property
    def _as_official(self) -> bool:
        """Whether the official defects are wanted; asked where one would show, not at each start.

        Asking takes 0.5 us, a twentieth of a first episode.
        """
        return compat.is_official()

    @functools.cached_property
    def _failure_sources(self) -> tuple[Any, ...]:
        """Module globals of the orchestrator: where the class of a failure is looked for."""
        function = getattr(self._function, "__wrapped__", self._function)
        return (getattr(function, "__globals__", {}),)

    @functools.cached_property
    def _function_context(self) -> FunctionContext:
        return FunctionContext(**self._unknown_fields)

    @property
    def histories(self) -> list[HistoryEvent]:
        """The history as objects; made at the first look, then replayed from these."""
        if self._is_history_hidden:
            return None  # type: ignore[return-value]  # what a framework has put there itself
        if self._history_objects is None:
            self._history_objects = [
                HistoryEvent(**event) if shapes.is_object(event) else event
                for event in self._events
            ]
            self._events = self._history_objects
        return self._history_objects

    def _extend_history(self, events: Sequence[Event]) -> None:
        """Take further events into account for who looks at `histories`."""
        if self._history_objects is None:
            self._events.extend(events)
        else:
            self._history_objects.extend(HistoryEvent(**event) for event in events)

    @property
    def _histories(self) -> list[HistoryEvent]:
        return self.histories

    @_histories.setter
    def _histories(self, history: list[HistoryEvent] | None) -> None:
        self._is_history_hidden = history is None
        if history is None:  # what there is stays what is replayed
            return
        self._history_objects = history
        self._events = history

    @property
    def decision_started_event(self) -> HistoryEvent:
        """The first OrchestratorStarted."""
        first = self._first_started
        return HistoryEvent(**first) if shapes.is_object(first) else first

    @property
    def will_continue_as_new(self) -> bool:
        """Whether `continue_as_new` was called."""
        return self._continue_as_new_flag

    # -- bookkeeping, also touched by tasks, the executor and frameworks -----------------------

    @property
    def _actions(self) -> list[list[Action]]:
        """The actions so far, in the shape that the negotiated schema lists them."""
        return self._action_payload_v1 if self._lists_flat else [self._action_payload_v2]

    def _generate_task(
        self,
        action: Action,
        retry_options: RetryOptions | None = None,
        id_: int | str | None = None,
        parent: CompoundTask | None = None,
        task_constructor: Callable[[Any, Any], TaskBase] = AtomicTask,
        expected_type: Any = None,
    ) -> TaskBase:
        actions: Action | list[Action] = [action] if self._lists_flat else action
        task = task_constructor(id_, actions)
        self._unyielded += 1
        if self._converter is not None:
            expected_type = expected(self._converter, expected_type)
        if expected_type is not None:
            task._expected_output_type = expected_type
        if parent is not None:
            task.parent = parent
        if retry_options is None:
            return task
        retried = RetryAbleTask(task, retry_options, self)
        retried._expected_output_type = expected_type
        return retried

    def _expanded(self, action: Action, options: RetryOptions, expected_type: Any) -> TaskBase:
        """Attempts made here and not by the host."""
        from .driven import ExpandedRetryTask

        # Each attempt has an action of its own: `pacing` tells tasks apart by their actions.
        return ExpandedRetryTask(
            lambda: self._generate_task(copy.copy(action), expected_type=expected_type),
            options,
            self,
        )

    def _with_options(
        self,
        task: TaskBase,
        callee: object,
        raises: Sequence[type[Exception]],
        timeout: timedelta | float | None,
    ) -> TaskBase:
        sources: tuple[Any, ...] = (*raises, *references.globals_of(callee))
        if sources:
            task._failure_sources = sources
        return task if timeout is None else self.with_timeout(task, timeout)

    def _record_fire_and_forget_action(self, action: Action) -> TaskBase:
        # 1.7.0 counts a number but does not give it, so a yielded one takes the next (Q49).
        number = None if self._as_official else self._sequence_number
        task = AtomicTask(number, [action] if self._lists_flat else action)
        if self._executor is not None:
            self._executor.keep_owner()
        self._add_to_actions(task.action_repr)
        self._sequence_number += 1
        if not self._as_official:
            task._set_is_scheduled(True)
            task.state = TaskState.SUCCEEDED
        return task

    def _add_to_actions(self, action_repr: Action | list[Action]) -> None:
        if self._continue_as_new_flag:
            return
        # What most are is asked first: `isinstance` of an abstract class takes 0.15 us.
        if self._lists_plainly and type(action_repr) is CallActivityAction:
            self._action_payload_v2.append(action_repr)
            return
        if self._lists_flat:
            listed = action_repr if isinstance(action_repr, list) else [action_repr]
            self._action_payload_v1.append(
                [action for action in listed if not isinstance(action, NoOpAction)]
            )
        elif isinstance(action_repr, list):
            self._action_payload_v2.extend(action_repr)
        elif not isinstance(action_repr, NoOpAction):
            self._action_payload_v2.append(action_repr)
        if self._pacing is not None:
            self._pacing.note_listed()

    def _list_unasked(self, task: TaskBase) -> None:
        """List a task that nobody has yielded: another one starts it while the code waits."""
        self._watch_pace()
        self._add_to_actions(task.action_repr)
        if self._pacing is not None:
            self._pacing.give_last_to(task)

    def _note_given_id(self) -> None:
        """Take note that the host gives the next id to something that is not listed."""
        self._watch_pace(may_be_late=False)
        if self._pacing is not None:
            self._pacing.note_given_id()

    def _watch_pace(self, *, may_be_late: bool = True) -> None:
        """From now on, see to it that the extension goes on when the code does.

        Args:
            may_be_late: The extension might wait for longer than the code, not only for shorter.
        """
        if self._pacing is None and self._executor is not None and not self._lists_flat:
            if self._as_official:
                return
            from .pacing import Pacing  # most replays have no need of it

            self._pacing = Pacing(self._executor)
            self._lists_plainly = False
        if may_be_late and self._pacing is not None:
            self._pacing.may_be_late = True

    def _add_to_open_tasks(self, task: TaskBase) -> None:
        """Give a task its id, and a completion that has come before it (sdk.md 3.3)."""
        if isinstance(task, CompoundTask):
            for child in task.children:
                if type(child) is AtomicTask and child.id is None:
                    if not child._is_scheduled_flag:
                        self._number(child)
                elif not child._is_scheduled:
                    self._add_to_open_tasks(child)
            return
        if not isinstance(task, AtomicTask):
            return  # a framework's own kind, completed by itself
        key: int | str
        if isinstance(task.id, str):
            key = self._event_key(task.id)
            self.open_tasks[key].append(task)
        else:
            if task.id is None:
                task.id = self._sequence_number
                self._sequence_number += 1
            key = task.id
            self.open_tasks[key] = task
        if not task._is_scheduled_flag:
            self._unyielded -= 1
            task._set_is_scheduled(True)
        if key in self.deferred_tasks:
            self._complete_from_deferred(key)

    def _number(self, task: TaskBase) -> None:
        """Give the next id to a task that is not scheduled yet."""
        task.id = number = self._sequence_number
        self._sequence_number = number + 1
        self.open_tasks[number] = task
        task._is_scheduled_flag = True
        self._unyielded -= 1
        if number in self.deferred_tasks:
            self._complete_from_deferred(number)

    def _complete_from_deferred(self, key: int | str) -> None:
        deliver: Callable[[], object] = self.deferred_tasks[key]
        deliver()

    def _complete(self, key: int | str, completion: completions.Completion) -> None:
        """Apply a completion to the task that waits for it, or keep it until one does."""
        open_tasks = self.open_tasks
        if type(open_tasks) is not OWN_OPEN_TASKS:
            self._complete_for_framework(open_tasks, key, completion)
            return
        found = open_tasks.get(key)
        if not found:
            completions.keep(self, key, completion)
            return
        if shapes.is_array(found):
            # Of several who wait for one event the latest is served (sdk.md 3.9).
            task = found.pop()
            if not found:
                del open_tasks[key]
        else:
            task = found
            del open_tasks[key]
        completions.apply(task, completion, self._failure_sources)

    def _complete_for_framework(
        self,
        open_tasks: MutableMapping[int | str, Any],
        key: int | str,
        completion: completions.Completion,
    ) -> None:
        """As `_complete`, where a framework keeps the open tasks.

        Its `pop` may change the event in `histories`, so the payload is read after that.
        """
        try:
            found = open_tasks.pop(key)
        except KeyError:
            found = None
        if found is None or (shapes.is_array(found) and not found):
            completions.keep(self, key, completion)
            return
        task: Any = found
        if shapes.is_array(found):
            task = found.pop()
            if found:
                open_tasks[key] = found
        completion = completion._replace(event=self._event_as_it_is(completion))
        completions.apply(task, completion, self._failure_sources)

    def _event_as_it_is(self, completion: completions.Completion) -> Mapping[str, Any]:
        """The event with what was changed since in its object, if there is one."""
        event, source, position = completion.event, completion.source, completion.position
        objects = self._history_objects
        if source is None and objects is not None and position is not None:
            source = objects[position] if position < len(objects) else None
        if not isinstance(source, HistoryEvent):
            return event
        current = source.to_wire()
        # Only if it is that event: positions begin anew where a history tells of a new beginning.
        is_same = all(current.get(name) == event.get(name) for name in _IDENTIFYING)
        return current if is_same else event

    def _get_function_name(self, name: object, trigger_class: type) -> str:
        kind = references.ACTIVITY
        if trigger_class.__name__ == references.ORCHESTRATION.class_name:
            kind = references.ORCHESTRATION
        return references.function_name_of(name, kind)

    def _needs_long_timer(self, fire_at: date) -> bool:
        limit = self._maximum_short_timer_duration
        interval = self._long_timer_interval_duration
        if self._replay_schema is not ReplaySchema.V3 or not limit or not interval:
            return False
        if self._as_official:
            return timestamps.as_datetime(fire_at) > self.current_utc_datetime + limit
        final, now = timestamps.aligned(timestamps.as_datetime(fire_at), self.current_utc_datetime)
        return final > now + limit

    def _event_key(self, name: str) -> str:
        """Key under which events and those who wait for them meet: the host ignores case (Q12)."""
        return name if self._as_official else self._spelled.setdefault(name.upper(), name)

    def _set_is_replaying(self, is_replaying: bool) -> None:
        self._is_replaying = is_replaying

    @staticmethod
    def _extract_version_from_history(history_events: Iterable[Any]) -> str | None:
        """``Version`` of the first ExecutionStarted; None when it is not there (sdk.md Q41)."""
        for event in history_events:
            is_dict = type(event) is dict  # faster than `isinstance`
            fields: Any = event
            kind = fields.get("EventType") if is_dict else _event_type(event)
            if kind == _EXECUTION_STARTED:
                found: object = fields.get("Version") if is_dict else _field(event, "Version")
                return found if isinstance(found, str) else None
        return None

    def _pretty_print_history(self) -> str:
        """One line per event, for debugging."""
        return "\n".join(str(vars(event)) for event in self.histories)


def _positive_span(timeout: timedelta | float) -> timedelta:
    span = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
    if span <= timedelta():
        raise ValueError(f"a time-out must be longer than nothing, got {timeout!r}")
    return span


@functools.lru_cache(maxsize=16)  # a host sends the same two at each episode: 2 of 11 us
def _span(text: str | None) -> timedelta | None:
    return None if text is None else parse_timespan_attrib(text)


def _event_type(event: Any) -> Any:
    return event.get("EventType") if shapes.is_object(event) else event.event_type


def _field(event: Any, name: str) -> Any:
    """A field of an event in either form; None where it is missing."""
    return event.get(name) if shapes.is_object(event) else getattr(event, name, None)


def _timestamp(event: Any) -> Any:
    return event["Timestamp"] if shapes.is_object(event) else event.timestamp


OWN_OPEN_TASKS: Any = defaultdict
"""The class of `open_tasks`, unless a framework has put a mapping of its own in their place."""
_IDENTIFYING = ("EventType", "EventId", "Timestamp")

# By number: calling an enumeration takes ten times as long as a dictionary.
_SCHEMAS = {schema.value: schema for schema in ReplaySchema}


def _schema(number: Any) -> ReplaySchema:
    known = _SCHEMAS.get(number) if type(number) is int else None
    return ReplaySchema(number) if known is None else known


_V1 = ReplaySchema.V1  # looking a member up takes three times as long as a global
_USUAL: Mapping[Any, ReplaySchema] = {(1, 2): ReplaySchema.V3}
"""What the extension offers, and what that comes to."""


def _negotiate(upper: int, upper_new: int | None) -> ReplaySchema:
    """The schema to answer in. Source: protocol.md 7.1."""
    usual = _USUAL.get((upper, upper_new)) if type(upper) is type(upper_new) is int else None
    if usual is not None:
        return usual
    schema = _schema(upper)
    if upper_new is not None and upper_new > upper:
        return _schema(min(upper_new, ReplaySchema.V3.value))
    return schema
