"""What an orchestrator waits for: the task tree.

A task is created by the context, gets its id when it is first yielded, and is completed by the
executor. Compound tasks are informed by their children. The classes are the official ones and are
subclassed by frameworks, so instances keep a `__dict__`. Source: sdk.md 2.3, 3.3-3.6, 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from azure.durable_functions._wire import timestamps
from azure.durable_functions._wire.vocabulary import ReplaySchema

from . import compat
from .actions import (
    Action,
    CompoundAction,
    CreateTimerAction,
    NoOpAction,
    SignalEntityAction,
    WhenAllAction,
    WhenAnyAction,
)

if TYPE_CHECKING:
    import typing_extensions

    from azure.durable_functions._wire.retry_options import RetryOptions

    from .context import DurableOrchestrationContext

    # With a default, so that a bare `TaskBase` goes on being a complete annotation.
    T_co = typing_extensions.TypeVar("T_co", covariant=True, default=Any)
else:
    T_co = TypeVar("T_co", covariant=True)


class TaskState(Enum):
    """Where a task stands."""

    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


# Plain globals: looking an enumeration member up costs three times as much in hot paths.
_RUNNING = TaskState.RUNNING
_SUCCEEDED = TaskState.SUCCEEDED
_FAILED = TaskState.FAILED


class TaskBase(Generic[T_co]):
    """One thing an orchestrator can yield or await; gives a `T_co`, or raises a failure."""

    # Seldom set, so they stand here until they are: writing all of them for every task took a third
    # of making it. What every replay reads of every task stands in the instance instead, because
    # CPython finds an attribute of the class more slowly than one of the instance.
    _other_parents: list[CompoundTask] | None = None
    is_played: bool = False
    """Whether an earlier episode has already seen the completion."""
    result: Any = None
    """Value of a succeeded task, exception of a failed one."""
    _is_unreadable = False
    """Whether the host's result could not be decoded: the result is the decoder's error."""
    _expected_output_type: type | None = None
    _given_api_name: str | None = None
    _may_drift = False
    """Whether the code may go on at another moment than the host that waits for what it lists."""
    _ended_at: int | None = None
    """Index of the event that has completed it; None where nobody has noted it."""
    _failure_sources: tuple[Any, ...] = ()
    """Classes, and mappings of module globals, that the class of a failure may be among."""

    def __init__(self, id_: int | str | None, actions: Action | list[Action]) -> None:
        self.id: int | str | None = id_
        """None until scheduled; then a number, the event's name, or -1 for compounds."""
        self.state = _RUNNING
        self.parent: CompoundTask | None = None
        """The compound built last over this task."""
        self.action_repr: Action | list[Action] = actions
        """What is listed when the task is first yielded; a list under schema V1."""
        self._is_scheduled_flag = False

    @property
    def _api_name(self) -> str:
        """Class name of the (first) action; tells entity calls from the rest."""
        if self._given_api_name is not None:
            return self._given_api_name
        actions = self.action_repr
        if isinstance(actions, list):
            return type(actions[0]).__name__ if actions else ""
        return type(actions).__name__

    @_api_name.setter
    def _api_name(self, name: str) -> None:
        self._given_api_name = name

    def __await__(self) -> Generator[TaskBase, Any, T_co]:
        """In an async orchestrator: wait for the task; gives its result or raises its failure."""
        result: T_co = yield self
        return result

    @property
    def is_completed(self) -> bool:
        """Whether the task has succeeded or failed."""
        return self.state is not _RUNNING

    @property
    def _is_scheduled(self) -> bool:
        return self._is_scheduled_flag

    def _set_is_scheduled(self, is_scheduled: bool) -> None:
        self._is_scheduled_flag = is_scheduled

    def set_is_played(self, is_played: bool) -> None:
        """Say whether the event that completed the task is a replayed one."""
        self.is_played = is_played

    def change_state(self, state: TaskState) -> None:
        """Move to a final state.

        Raises:
            Exception: The state given is RUNNING.
        """
        if state is _RUNNING:
            raise Exception("Cannot change Task to the RUNNING state.")
        self.state = state

    def set_value(self, is_error: bool, value: Any) -> None:
        """Complete the task and tell its parents.

        Raises:
            Exception: An error value that is no exception, nor a task that ended in one.
        """
        if is_error:
            if not isinstance(value, Exception) and not (
                isinstance(value, TaskBase) and isinstance(value.result, Exception)
            ):
                raise Exception(f"Task ID {self.id} failed but it's value was not an Exception")
            self.change_state(_FAILED)
        else:
            self.change_state(_SUCCEEDED)
        self.result = value
        self.propagate()

    def propagate(self) -> None:
        """Tell every compound that waits for this task, in the order they were built (Q17)."""
        if self.state is _RUNNING:
            return
        if self._other_parents:
            for parent in self._other_parents:
                parent.handle_completion(self)
        if self.parent is not None:
            self.parent.handle_completion(self)

    def _join(self, parent: CompoundTask) -> None:
        """Become a child of one more compound.

        Compounds that have finished need not be told any more; forgetting them keeps a shrinking
        `task_any` loop over n tasks from piling up n parents at each task (sdk.md Q23).
        """
        previous = self.parent and self.parent._last_heir()
        if previous is not None and previous is not parent:
            previous._is_whole = False
        if previous is not None and previous is not parent and previous.state is _RUNNING:
            waiting = [other for other in self._other_parents or () if other.state is _RUNNING]
            waiting.append(previous)
            self._other_parents = waiting
        self.parent = parent


class AtomicTask(TaskBase):
    """A task with one action of its own."""

    action_repr: Action | list[Action]

    def _get_action(self) -> Action:
        actions = self.action_repr
        return actions[0] if isinstance(actions, list) else actions


class TimerTask(AtomicTask):
    """A timer; its result is None."""

    _context: Callable[[], DurableOrchestrationContext | None] | None = None
    """A weak reference to the context that has made it."""

    def __init__(self, id_: int | str | None, action: Action | list[Action]) -> None:
        super().__init__(id_, action)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        action = self._get_action()
        return isinstance(action, CreateTimerAction) and action.is_cancelled

    def cancel(self) -> None:
        """Tell the host not to wait for the timer any more.

        Raises:
            ValueError: The timer has fired already.
        """
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        context = None if self._context is None else self._context()
        if context is not None:
            context._watch_pace(may_be_late=False)  # to the extension it ends when it began
        action = self._get_action()
        if isinstance(action, CreateTimerAction):
            action.is_cancelled = True


class CompoundTask(TaskBase):
    """A task that is made of others; subclasses say in `try_set_value` when it is complete."""

    _first_error: Exception | None = None

    def __init__(
        self,
        tasks: Sequence[TaskBase],
        compound_action_constructor: Callable[[list[Any]], CompoundAction] | None = None,
    ) -> None:
        """Make the tasks children of this one.

        Args:
            tasks: Copied: what happens to the caller's list later has no effect (sdk.md Q19).
            compound_action_constructor: Action that lists the children; None under schema V1,
                where the leaves stand in the list of their own.

        Raises:
            TypeError: A generator or another iterable without length.
        """
        len(tasks)  # a generator fails here, as officially
        self._compound_action_constructor = compound_action_constructor
        self._as_official = compat.is_official()
        self._listed: Action | list[Action] | None = None
        super().__init__(-1, [])
        self._listed = None
        if self._as_official and isinstance(tasks, list):
            self.children: list[TaskBase] = tasks
        else:
            self.children = list(tasks)
        self.completed_tasks: list[TaskBase] = []
        self._pending: set[TaskBase] | None = None

        self._heir: CompoundTask | None = None
        """The compound that is told of children that still name this one as their parent."""
        self._is_whole: bool | None = None
        """Whether all children have this one as parent (over heirs) and are plain, each once."""
        as_official = self._as_official
        if not as_official and self._take_over():
            return

        # One walk answers all questions, and nothing is called: 0.03 us for each child.
        is_any_done = False
        is_any_new = False
        is_any_compound = False
        done_with: CompoundTask | None = None
        for child in self.children:
            previous = child.parent
            if previous is None or previous is done_with or as_official:
                child.parent = self
            elif previous.state is _RUNNING or previous._heir is not None:
                child._join(self)
            else:
                child.parent = self
                done_with = previous
                previous._is_whole = False
            if child.state is not _RUNNING:
                is_any_done = True
            if not child._is_scheduled_flag:
                is_any_new = True
                if type(child) is not AtomicTask and isinstance(child, CompoundTask):
                    is_any_compound = True
        if is_any_compound:
            self._may_drift = True
        # Children never become unscheduled again, so this need not be asked twice.
        self._is_scheduled_flag = not is_any_new
        if as_official:
            self._listed = self._listed_as_official()
        if not self.children:
            self._complete_empty()
        elif is_any_done:
            for child in list(self.children):
                is_new = as_official or child in self.pending_tasks
                if child.state is not _RUNNING and is_new:
                    self.handle_completion(child)

    @property
    def pending_tasks(self) -> set[TaskBase]:
        """Children that have not completed."""
        if self._pending is None:
            self._pending = set(self.children)
            self._pending.difference_update(self.completed_tasks)
        return self._pending

    @pending_tasks.setter
    def pending_tasks(self, tasks: set[TaskBase]) -> None:
        self._pending = tasks

    def _take_over(self) -> bool:
        """Step in for a finished compound over the same children, if there is one."""
        return False

    def _last_heir(self) -> CompoundTask:
        last: CompoundTask = self
        while last._heir is not None:
            last = last._heir
        if last is not self:
            self._heir = last
        return last

    def _complete_empty(self) -> None:
        self.state = _SUCCEEDED

    def _listed_as_official(self) -> Action | list[Action]:
        """Decided as the compound is built, with doubles (sdk.md Q16, Q18)."""
        constructor = self._compound_action_constructor
        if constructor is None:
            return [action for child in self.children for action in _as_list(child.action_repr)]
        return constructor(
            [child.action_repr for child in self.children if not child._is_scheduled]
        )

    @property
    def action_repr(self) -> Action | list[Action]:
        """What is listed when the compound is first yielded.

        Which children are already scheduled is looked at when this is asked, not when the
        compound is built: one of them may have been yielded alone in between (sdk.md Q18).
        """
        if self._listed is not None:
            return self._listed
        return self._unlisted(set())

    @action_repr.setter
    def action_repr(  # pyright: ignore[reportIncompatibleVariableOverride]  # computed here
        self, actions: Action | list[Action]
    ) -> None:
        self._listed = actions

    def _unlisted(self, seen: set[int]) -> Action | list[Action]:
        """Actions of the children that are not scheduled yet (schema V1: of all children, Q57).

        Args:
            seen: Identities of the tasks listed so far: one that stands in the tree twice is
                listed once, because it takes one id (sdk.md Q16).
        """
        constructor = self._compound_action_constructor
        actions: list[Any] = []
        for child in self.children:
            if constructor is not None and type(child) is AtomicTask:  # nearly all: no more asked
                if not child._is_scheduled_flag and id(child) not in seen:
                    seen.add(id(child))
                    actions.append(child.action_repr)
                continue
            if id(child) in seen or (constructor is not None and child._is_scheduled):
                continue
            if constructor is None and _is_signal(child):  # listed when it was made (D10)
                continue
            seen.add(id(child))
            if isinstance(child, CompoundTask) and child._listed is None:
                unlisted = child._unlisted(seen)
                if isinstance(unlisted, CompoundAction) and not unlisted.compound_tasks:
                    continue
            else:
                unlisted = child.action_repr
            if constructor is None:
                actions.extend(_as_list(unlisted))
            else:
                actions.append(unlisted)
        return actions if constructor is None else constructor(actions)

    @property
    def _is_scheduled(self) -> bool:
        if not self._is_scheduled_flag:
            # The flag first: reading it takes a fifth of asking the property.
            self._is_scheduled_flag = all(
                child._is_scheduled_flag or child._is_scheduled for child in self.children
            )
        return self._is_scheduled_flag

    def _set_is_scheduled(self, is_scheduled: bool) -> None:
        self._is_scheduled_flag = is_scheduled
        for child in self.children:
            if child._is_scheduled_flag is not is_scheduled:
                child._set_is_scheduled(is_scheduled)

    def handle_completion(self, child: TaskBase) -> None:
        """Take note of a finished child.

        Raises:
            Exception: The task is not one that this compound waits for.
        """
        pending = self.pending_tasks if self._pending is None else self._pending
        if child not in pending:
            raise Exception(
                f"Parent Task {self.id} does not have pending sub-task with ID {child.id}."
                f"This most likely means that Task {child.id} completed twice."
            )
        pending.remove(child)
        self.completed_tasks.append(child)
        if self.state is _RUNNING or self._as_official:  # a final state stays (sdk.md Q14, Q15)
            self.is_played = child.is_played
            self.try_set_value(child)

    def try_set_value(self, child: TaskBase) -> None:
        """Complete the compound if the child that has just finished decides it."""
        raise NotImplementedError


def _is_signal(task: TaskBase) -> bool:
    return isinstance(task, AtomicTask) and isinstance(task._get_action(), SignalEntityAction)


def _as_list(actions: Action | list[Action]) -> list[Action]:
    return actions if isinstance(actions, list) else [actions]


class WhenAllTask(CompoundTask):
    """Done when all children have succeeded, or at the first failure in history order."""

    _is_of_tuple = False
    """Whether checkers take the result for a tuple; who yields gets a list, as officially."""

    def __init__(self, task: Sequence[TaskBase], replay_schema: ReplaySchema) -> None:
        super().__init__(task, None if replay_schema is ReplaySchema.V1 else WhenAllAction)

    def __await__(self) -> Generator[TaskBase, Any, Any]:
        """The results: a list, and of tasks that were given as a tuple a tuple."""
        result = yield self
        return tuple(result) if self._is_of_tuple else result

    def _complete_empty(self) -> None:
        super()._complete_empty()
        if not self._as_official:
            self.result = []  # 1.7.0 gives None (sdk.md Q24)

    def try_set_value(self, child: TaskBase) -> None:
        """Succeed with the results in list order, or fail with the child's exception."""
        if child.state is _FAILED:
            if self._first_error is None:
                self._first_error = child.result
                self.set_value(is_error=True, value=child.result)
        elif not (self.pending_tasks if self._pending is None else self._pending):
            self.set_value(is_error=False, value=[task.result for task in self.children])


_WORTH_A_LOOK = 8
"""Children from which on looking for a compound to take over from may pay."""


class WhenAnyTask(CompoundTask):
    """Done when the first child is; its result is that child's task, which may have failed."""

    def __init__(self, task: Sequence[TaskBase], replay_schema: ReplaySchema) -> None:
        super().__init__(task, None if replay_schema is ReplaySchema.V1 else WhenAnyAction)

    def _take_over(self) -> bool:
        """Step in for a finished `task_any` over the same children and its winner.

        A loop that waits for the next of n tasks until none is left builds n compounds, of n/2
        children on average. Comparing two lists takes 1 ns for each, the walk over children 30.
        """
        children = self.children
        parent = children[0].parent if len(children) >= _WORTH_A_LOOK else None
        if type(parent) is not WhenAnyTask or type(self) is not WhenAnyTask:
            return False
        before = parent._last_heir()
        if before.state is _RUNNING or len(before.completed_tasks) != 1:
            return False
        if before._is_whole is None:
            is_plain = set(map(type, before.children)) == {AtomicTask}
            before._is_whole = is_plain and len(set(before.children)) == len(before.children)
        if not before._is_whole:
            return False
        rest = before.children.copy()
        rest.remove(before.result)
        if rest != children:
            return False
        before._heir = self
        self._is_whole = True
        self._is_scheduled_flag = before._is_scheduled_flag
        return True

    def handle_completion(self, child: TaskBase) -> None:
        """Take note of a finished child."""
        last = self if self._heir is None else self._last_heir()
        if last.state is _RUNNING and last._pending is None and child.parent is self:
            # The first to finish is one of the children, because it has this as its parent: there
            # is no need for a set of all of them.
            last.completed_tasks.append(child)
            last.is_played = child.is_played
            last.try_set_value(child)
        else:
            CompoundTask.handle_completion(last, child)

    def try_set_value(self, child: TaskBase) -> None:
        """Succeed with the child itself."""
        if self.state is _RUNNING:
            self.set_value(is_error=False, value=child)


class RetryAbleTask(WhenAllTask):
    """An activity or sub-orchestration that the host retries.

    The host runs attempts and waits by itself; this task only keeps the ids in step: every wait
    and every further attempt takes the next one. After the last failure the host sets one more
    timer, and the failure surfaces when that has fired (protocol.md 8.3).
    """

    def __init__(
        self, child: TaskBase, retry_options: RetryOptions, context: DurableOrchestrationContext
    ) -> None:
        super().__init__([child], context._replay_schema)
        self.action_repr = self.action_repr  # stays: what the host starts later is not listed
        self.retry_options = retry_options
        self.num_attempts = 1
        self.context = context
        self.actions = child.action_repr
        self.is_waiting_on_timer = False
        self.error: Exception | None = None
        self._begun_at: datetime | None = None

    def _set_is_scheduled(self, is_scheduled: bool) -> None:
        if self.retry_options.retry_timeout_in_milliseconds is not None and self._begun_at is None:
            self._begun_at = self.context.current_utc_datetime
        super()._set_is_scheduled(is_scheduled)

    @property
    def id_(self) -> str:
        """Text that names the attempts and waits so far, for instance ``[0]_retryable_proxy``."""
        return f"{[child.id for child in self.children]}_retryable_proxy"

    def try_set_value(self, child: TaskBase) -> None:
        """Go on to the next wait or attempt, or complete."""
        if self.is_waiting_on_timer:
            self.is_waiting_on_timer = False
            if self.num_attempts >= self.retry_options.max_number_of_attempts:
                self.set_value(is_error=True, value=self.error)
            else:
                self.num_attempts += 1
                attempt = AtomicTask(None, NoOpAction("attempt of a retried task"))
                attempt._expected_output_type = self._expected_output_type
                self._wait_for(attempt)
        elif child.state is _SUCCEEDED:
            self.set_value(is_error=False, value=child.result)
        elif child._is_unreadable:
            # The attempt has succeeded, so the host will not try again (sdk.md Q40).
            self.set_value(is_error=True, value=child.result)
        elif getattr(child.result, "_ends_retries", False) or self._is_too_late():
            self.set_value(is_error=True, value=child.result)  # the host sets no timer then
        else:
            self.error = child.result
            self.is_waiting_on_timer = True
            self._wait_for(TimerTask(None, NoOpAction("wait of a retried task")))

    def _is_too_late(self) -> bool:
        """Whether the retry time-out ends it here: the host then sets no timer (8.3)."""
        limit = self.retry_options.retry_timeout_in_milliseconds
        if limit is None or self._begun_at is None:
            return False
        is_last = self.num_attempts >= self.retry_options.max_number_of_attempts
        end = self._begun_at + timedelta(milliseconds=limit)
        return not is_last and self.context.current_utc_datetime >= end

    def _wait_for(self, task: TaskBase) -> None:
        task._set_is_scheduled(True)  # the host starts it by itself: nothing is listed
        self.children.append(task)
        self.pending_tasks.add(task)
        task.parent = self
        self.context._note_given_id()
        self.context._add_to_open_tasks(task)


class LongTimerTask(WhenAllTask):
    """A timer further away than the host lets one timer be: a chain of shorter ones.

    Source: sdk.md 3.10; only under schema V3 with both settings.
    """

    def __init__(
        self,
        id_: int | str | None,
        action: CreateTimerAction,
        orchestration_context: DurableOrchestrationContext,
    ) -> None:
        self.action = action
        self._orchestration_context = orchestration_context
        self._final_fire_time = timestamps.as_datetime(action.fire_at)
        first = self.get_next_timer_task(
            self._final_fire_time, orchestration_context.current_utc_datetime
        )
        super().__init__([first], orchestration_context._replay_schema)
        self.action_repr = self.action_repr  # stays: later timers are listed by themselves
        self.id = id_

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self.action.is_cancelled

    def is_canceled(self) -> bool:
        """The official spelling of `is_cancelled` at this class."""
        return self.action.is_cancelled

    def cancel(self) -> None:
        """Tell the host not to wait for the timer that is running now (sdk.md Q48).

        Raises:
            ValueError: The timer has fired already.
        """
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self._orchestration_context._watch_pace(may_be_late=False)
        self.action.is_cancelled = True
        if self._as_official:
            return
        for timer in self.pending_tasks:
            if isinstance(timer, TimerTask):
                timer.cancel()

    def get_next_timer_task(self, final_fire_time: datetime, current_time: datetime) -> TimerTask:
        """The timer to wait for next, given the time that it is now."""
        context = self._orchestration_context
        limit = context._maximum_short_timer_duration
        interval = context._long_timer_interval_duration
        final, now = timestamps.aligned(final_fire_time, current_time)
        if limit is not None and interval is not None and final - now > limit:
            final = now + interval
        timer: Any = context._generate_task(CreateTimerAction(final), task_constructor=TimerTask)
        found: TimerTask = timer
        return found

    def add_new_child(self, child_timer: TimerTask) -> None:
        """Wait for one more timer, which is listed as an action of its own."""
        context = self._orchestration_context
        self.children.append(child_timer)
        self.pending_tasks.add(child_timer)
        child_timer.parent = self
        context._add_to_open_tasks(child_timer)
        context._list_unasked(child_timer)
        child_timer._set_is_scheduled(True)

    def try_set_value(self, child: TaskBase) -> None:
        """Complete if the final time has come, else wait for the next timer."""
        final, now = timestamps.aligned(
            self._final_fire_time, self._orchestration_context.current_utc_datetime
        )
        if now < final:
            self.add_new_child(self.get_next_timer_task(final, now))
        elif child.state is _FAILED:
            super().try_set_value(child)
        elif not self.pending_tasks:
            self.set_value(is_error=False, value=[child.result])


Timer: TypeAlias = TimerTask | LongTimerTask
"""What `create_timer` returns: both can be cancelled."""
