"""Tasks that go on by themselves: time-outs, retries of the SDK's own, bounded fan-outs.

What they start after they were yielded must not wait for what was started before: `pacing` sees to
that, as the extension awaits each action before it starts the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.durable_functions._errors import NonRetryableError, TaskFailedError, TaskTimeoutError
from azure.durable_functions._wire.retry_options import RetryContext, RetryOptions
from azure.durable_functions._wire.vocabulary import ReplaySchema

from .actions import WhenAllAction, WhenAnyAction
from .tasks import CompoundTask, LongTimerTask, TaskBase, TaskState, TimerTask, WhenAllTask

if TYPE_CHECKING:
    from .context import DurableOrchestrationContext

_LONGEST_WAIT = timedelta(days=6)
RETRY_AFTER = "RetryAfter"


class GatherTask(WhenAllTask):
    """Done when all children are; failures are results."""

    def try_set_value(self, child: TaskBase) -> None:
        """Succeed with results and exceptions in list order."""
        if not self.pending_tasks:
            self.set_value(is_error=False, value=[_outcome(task) for task in self.children])


class TimeoutTask(CompoundTask):
    """Ends as its task does, or with `TaskTimeoutError` when a timer fires before."""

    def __init__(
        self, task: TaskBase, span: timedelta, context: DurableOrchestrationContext
    ) -> None:
        self._timer = context.create_timer(span)
        self._span = span
        is_flat = context._replay_schema is ReplaySchema.V1
        super().__init__([task, self._timer], None if is_flat else WhenAnyAction)

    def try_set_value(self, child: TaskBase) -> None:
        """End as the child has ended that was first."""
        if child is self._timer:
            self.set_value(
                is_error=True, value=TaskTimeoutError(f"a task has not ended within {self._span}")
            )
            return
        if not self._timer.is_completed:
            self._timer.cancel()
        self.set_value(is_error=child.state is TaskState.FAILED, value=child.result)


class DrivenTask(CompoundTask):
    """Adds children while it runs."""

    _may_drift = True

    def __init__(self, first: Sequence[TaskBase], context: DurableOrchestrationContext) -> None:
        self._context = context
        self._to_handle: deque[TaskBase] = deque()
        is_flat = context._replay_schema is ReplaySchema.V1
        super().__init__(first, None if is_flat else WhenAllAction)

    def _start(self, child: TaskBase) -> None:
        """Wait for one more child, and list it unless it was yielded before."""
        is_done = child.is_completed  # a signal, or one that was waited for before
        self.children.append(child)
        self.pending_tasks.add(child)
        child._join(self)
        if not child._is_scheduled:
            # Listed first: one whose event is there already completes at once and starts the next.
            self._context._list_unasked(child)
            self._context._add_to_open_tasks(child)
            child._set_is_scheduled(True)
        if is_done:
            self.handle_completion(child)

    def handle_completion(self, child: TaskBase) -> None:
        """Take note of a finished child; of those that this starts and finishes, afterwards."""
        self._to_handle.append(child)
        if len(self._to_handle) > 1:
            return  # the call that is under way goes on with it, or a long row would nest too deep
        while self._to_handle:
            super().handle_completion(self._to_handle[0])
            self._to_handle.popleft()


class ExpandedRetryTask(DrivenTask):
    """Attempts and waits of a retry policy, as plain activities and timers."""

    def __init__(
        self,
        attempt: Callable[[], TaskBase],
        options: RetryOptions,
        context: DurableOrchestrationContext,
    ) -> None:
        self._attempt = attempt
        self._options = options
        self._attempts = 1
        self._begun_at = context.current_utc_datetime
        super().__init__([attempt()], context)

    def _set_is_scheduled(self, is_scheduled: bool) -> None:
        self._begun_at = self._context.current_utc_datetime
        super()._set_is_scheduled(is_scheduled)

    def try_set_value(self, child: TaskBase) -> None:
        """Complete, or go on with a wait or an attempt."""
        if isinstance(child, (TimerTask, LongTimerTask)):
            self._attempts += 1
            self._start(self._attempt())
        elif child.state is TaskState.SUCCEEDED or child._is_unreadable:
            self.set_value(is_error=child.state is TaskState.FAILED, value=child.result)
        else:
            try:
                wait = self._wait_after(child)
            except Exception as error:  # of the user's predicate: the orchestrator's to catch
                self.set_value(is_error=True, value=error)
                return
            if wait is None:
                self.set_value(is_error=True, value=child.result)
            else:
                self._start(self._context.create_timer(wait))

    def _wait_after(self, child: TaskBase) -> timedelta | None:
        """How long to wait before the next attempt; None if there is none."""
        options, error = self._options, child.result
        elapsed = self._context.current_utc_datetime - self._begun_at
        if self._attempts >= options.max_number_of_attempts or not isinstance(
            error, TaskFailedError
        ):
            return None
        limit = options.retry_timeout_in_milliseconds
        if limit is not None and elapsed >= timedelta(milliseconds=limit):
            return None
        failure = error.failure
        if failure.is_non_retriable:
            return None
        for kind in (NonRetryableError, *options.non_retryable):
            # By the class, where it is in sight, which knows its bases; else by its name.
            is_one = not isinstance(kind, str) and isinstance(error, kind)
            if is_one or failure.is_caused_by(kind):
                return None
        told = RetryContext(self._attempts, failure, elapsed, error)
        if options.handle is not None and not options.handle(told):
            return None
        return max(self._backed_off(), _asked_for(failure.error_type, failure.error_message))

    def _backed_off(self) -> timedelta:
        options = self._options
        longest = options.max_retry_interval_in_milliseconds
        limit = _LONGEST_WAIT if longest is None else timedelta(milliseconds=longest)
        growth = options.backoff_coefficient or 1
        try:
            milliseconds = options.first_retry_interval_in_milliseconds * growth ** (
                self._attempts - 1
            )
            wait = min(timedelta(milliseconds=milliseconds), limit)
        except OverflowError:
            wait = limit
        return wait * (1 - options.jitter * self._chance())

    def _chance(self) -> float:
        """From 0 to 1, the same in every replay and different for each attempt."""
        import hashlib  # few policies have a jitter

        text = f"{self._context.instance_id}:{self.children[0].id}:{self._attempts}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


class MapTask(DrivenTask):
    """Runs a task for each item, a bounded number of them at a time."""

    def __init__(
        self,
        make: Callable[[Any], TaskBase],
        items: Sequence[Any],
        context: DurableOrchestrationContext,
        *,
        max_concurrency: int,
        tolerated_failures: int,
        return_exceptions: bool,
    ) -> None:
        self._make = make
        self._waiting: Iterator[Any] = iter(items[max_concurrency:])
        self._failures_left = tolerated_failures
        self._returns_exceptions = return_exceptions
        super().__init__([make(item) for item in items[:max_concurrency]], context)

    def _complete_empty(self) -> None:
        super()._complete_empty()
        self.result = []

    def try_set_value(self, child: TaskBase) -> None:
        """Start the next one; succeed with the results in the items' order, or fail."""
        if child.state is TaskState.FAILED and not self._returns_exceptions:
            self._failures_left -= 1
            if self._failures_left < 0:
                self.set_value(is_error=True, value=_exception_of(child))
                return
        for item in self._waiting:
            try:
                made = self._make(item)
            except Exception as error:  # of the user's function: the orchestrator's to catch
                self.set_value(is_error=True, value=error)
            else:
                self._start(made)
            return
        if not self.pending_tasks:
            self.set_value(is_error=False, value=[_outcome(task) for task in self.children])


def _outcome(task: TaskBase) -> Any:
    return _exception_of(task) if task.state is TaskState.FAILED else task.result


def _exception_of(task: TaskBase) -> Any:
    result = task.result
    return result.result if isinstance(result, TaskBase) else result


def _asked_for(error_type: str, message: str) -> timedelta:
    """The time that an activity has asked for by `RetryAfter`, whose text begins with seconds."""
    if error_type.rpartition(".")[2] != RETRY_AFTER:
        return timedelta()
    try:
        return timedelta(seconds=float(message.partition(" ")[0]))
    except (ValueError, OverflowError):
        return timedelta()
