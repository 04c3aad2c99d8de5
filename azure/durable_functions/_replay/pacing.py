"""In which form the action list is sent, so that the extension goes on exactly when the code does.

The extension walks the list in order and awaits each entry before it starts the next one. What it
waits for is what the entry says: all of several, any of them, a single one. Usually the code waits
for the same. Where it does not (a `task_all` that failed while branches are open, a `task_any` over
a task that runs already, retries that take ids meanwhile), the next action would be started late or
never, or take ids that the SDK has given to others. There the entry is sent in another form, which
ends at the right moment.

A moment is the index of an event in the history. Source: extension-engine.md, part H (F1 to F9).
Only the way into the function that answers whole triggers needs this: our own host does not wait.
"""

from __future__ import annotations

import json
import math
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .actions import (
    Action,
    CompoundAction,
    ContinueAsNewAction,
    CreateTimerAction,
    SignalEntityAction,
    WhenAllAction,
    WhenAnyAction,
)
from .history import wire_events
from .leaves import (
    EVENT_RAISED,
    completions_in,
    end_of_turn,
    event_name,
    joined,
    leaf_tasks,
    leaves_of,
    scheduling_of,
)
from .tasks import RetryAbleTask, TaskBase, TaskState

if TYPE_CHECKING:
    from .executor import TaskOrchestrationExecutor

_NEVER = math.inf
_ENDS_AT_ONCE = (SignalEntityAction, ContinueAsNewAction)


class UnevenPaceWarning(UserWarning):
    """The extension may go on at another moment than the code, so ids may come to differ."""


@dataclass(frozen=True)
class _Entry:
    """One element of the action list."""

    action: Action
    asked_at: int
    owner: TaskBase | None
    """The task that it was listed for; its leaves are those of the action."""
    place: tuple[str, int] | None
    """File and line of the code that went on to it."""


class Pacing:
    """Watches the entries of one replay, from the first on that might not end in time."""

    def __init__(self, executor: TaskOrchestrationExecutor) -> None:
        """Begin with the last entry that anything is awaited for; those before ended in time."""
        # Not to keep it, and with it the user's function, alive until the garbage collector comes.
        self._executor: TaskOrchestrationExecutor = weakref.proxy(executor)
        self._context = executor.context
        self._listed: list[Action] = self._context._action_payload_v2
        self._entries: list[_Entry] = []
        self._given: list[int] = []
        """When others have given ids out: steps of retries that the host runs."""
        self._first = max(len(self._listed) - 1, 0)
        while self._first and isinstance(self._listed[self._first], _ENDS_AT_ONCE):
            self._first -= 1
        number, asked_at = executor.scheduled_at
        # Of a plain call it is not known; it ended with the event before at the latest.
        self._begun_at = asked_at if number == self._first else executor._seen_events - 1
        self.may_be_late = False
        """Whether the extension may wait for longer than the code; else only for shorter."""
        self.unmatched = 0
        """Entries for which there is no right form."""
        self._names: Counter[str] = Counter()
        """Of events that are waited for, in upper case."""
        self._count_names(self._listed)
        owner = executor.owner_of_the_last_entry()
        now = executor._seen_events
        for action in self._listed[self._first :]:
            asked_at = now if self._entries else self._begun_at
            self._entries.append(_Entry(action, asked_at, owner, None))

    def note_listed(self) -> None:
        """Take note of what was just listed, for the task that was yielded last."""
        from . import places

        now = self._executor._seen_events
        owner = self._executor.current_task
        place = places.of(self._executor.generator) if self._given else None
        new = self._listed[self._first + len(self._entries) :]
        self._count_names(new)
        for action in new:
            self._entries.append(_Entry(action, now, owner, place))

    def give_last_to(self, owner: TaskBase) -> None:
        """Correct the owner of the last entry: a task that nobody has yielded."""
        if self._entries:
            self._entries[-1] = replace(self._entries[-1], owner=owner)

    def note_given_id(self) -> None:
        """Take note that the host gives the next id to something that is not in the list."""
        self._given.append(self._executor._seen_events)

    @property
    def event_moments(self) -> Sequence[int]:
        """When events arrived that must not meet a new generation that was asked for after them.

        The extension keeps for the next generation what comes after `continue_as_new` was reached
        (Y41). In a replay that is when the entries before it have ended: if they end before an
        event that the code has waited for, the next generation gets that event once more.
        """
        if not self._is_continuing:
            return ()
        return [i for i, event in enumerate(self.events) if event["EventType"] == EVENT_RAISED]

    def formed(self) -> list[Action]:
        """The action list as it is sent; entries that need no other form are the same objects."""
        # An action that cannot be sent was taken out again, with all behind it.
        del self._entries[max(len(self._listed) - self._first, 0) :]
        shared = self._shared_names()
        if not (self.may_be_late or self._given or shared or self._is_continuing):
            return self._listed  # whatever the extension starts too early does no harm
        former = _Former(self._entries, self, frozenset())
        formed = former.formed()
        if shared and (self._given or not former.starts_in_time(formed, shared)):
            former = _Former(self._entries, self, shared)
            formed = former.formed()
        self.unmatched = len(former.unmatched)
        for unmatched in former.unmatched:
            _warn(*unmatched)
        return [*self._listed[: self._first], *formed]

    @property
    def ended_at(self) -> int | None:
        """When the function ended, failed or continued as new; None while it waits."""
        executor = self._executor
        return executor._seen_events - 1 if executor.has_execution_completed else None

    @property
    def given(self) -> Sequence[int]:
        """Moments at which others have given ids out."""
        return self._given

    @property
    def begun_at(self) -> int:
        """A moment at which everything before the first entry had ended."""
        return self._begun_at

    @property
    def names_before(self) -> Mapping[str, int]:
        """Names of events that entries before the first one wait for, and how often."""
        leaves = [leaf for action in self._listed[: self._first] for leaf in leaves_of(action)]
        return Counter(name for leaf in leaves if (name := event_name(leaf)) is not None)

    @property
    def begins_late(self) -> bool:
        """Whether there are entries before the first one that is watched."""
        return self._first > 0

    @property
    def _is_continuing(self) -> bool:
        return bool(self._listed) and isinstance(self._listed[-1], ContinueAsNewAction)

    def _count_names(self, actions: Sequence[Action]) -> None:
        names = [event_name(leaf) for action in actions for leaf in leaves_of(action)]
        self._names.update(name for name in names if name is not None)

    def _shared_names(self) -> frozenset[str]:
        """Names of events that several waits of the list are for, in upper case."""
        return frozenset(name for name, count in self._names.items() if count > 1)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """The history."""
        return wire_events(self._context._events)


class _Former:
    """Gives each entry its form; follows starts and ends from the first entry on (F4)."""

    def __init__(self, entries: Sequence[_Entry], pacing: Pacing, shared: frozenset[str]) -> None:
        """Take the entries.

        Args:
            entries: In their order.
            pacing: Knows moments and history.
            shared: Names of events that several waits are for. The one that began last is served
                first (Y132), so none of them may begin before the code asks for it.
        """
        self.unmatched: list[tuple[_Entry, _Entry | None, str]] = []
        """Entries for which no right form is known, each with the next one and the reason."""
        self._entries = entries
        self._pacing = pacing
        self._completed: Mapping[int, int] | None = None
        self._unsafe = [*pacing.given, *pacing.event_moments]
        """Moments between which the extension must not start anything before the code asks."""
        self._shared = shared
        self._unsafe += [
            index
            for index, event in enumerate(pacing.events if shared else ())
            if event["EventType"] == EVENT_RAISED and str(event.get("Name")).upper() in shared
        ]
        self._is_in_step = not (pacing.begins_late and shared)
        """Whether the extension is known to have begun the entry when the code asked for it."""
        self._tasks: dict[int, TaskBase] = {}
        for owner in {id(e.owner): e.owner for e in entries if e.owner is not None}.values():
            self._tasks.update(leaf_tasks(owner))

    def formed(self) -> list[Action]:
        """The entries in their forms."""
        return list(self._forms())

    def _forms(self) -> Iterator[Action]:
        start: float = self._pacing.begun_at
        for number, entry in enumerate(self._entries):
            following = self._entries[number + 1] if number + 1 < len(self._entries) else None
            moment = self._pacing.ended_at if following is None else following.asked_at
            form, start = self._form(entry, start, moment, following)
            self._is_in_step = self._is_in_step or start == moment
            yield form
            if start == _NEVER:  # the extension starts nothing of the rest
                yield from (rest.action for rest in self._entries[number + 1 :])
                return

    def starts_in_time(self, forms: Sequence[Action], shared: frozenset[str]) -> bool:
        """Whether the extension starts all that was asked for, and waits for the same events.

        Only where several waits share a name this may not be so: see `_Rehearsal`.
        """
        if any(form is not entry.action for form, entry in zip(forms, self._entries, strict=True)):
            return False
        pacing = self._pacing
        rehearsal = _Rehearsal(forms, shared, lambda leaf: self._leaf_end(leaf, -1))
        starts = rehearsal.starts(pacing.events, pacing.begun_at, pacing.names_before)
        return all(
            started <= entry.asked_at for started, entry in zip(starts, self._entries, strict=True)
        )

    def _form(
        self, entry: _Entry, start: float, moment: int | None, following: _Entry | None
    ) -> tuple[Action, float]:
        """The form of an entry, and when the extension starts the next one."""
        action, leaves = entry.action, list(leaves_of(entry.action))
        if moment is None or not all(map(self._is_known, leaves)):
            # The code waits, for this or for what was listed before; or for a framework's own kind.
            return action, start if moment is None else moment
        end = self._end(action, start)
        given = self._is_unsafe_between
        is_unsure = not self._is_in_step and any(
            event_name(leaf) in self._shared for leaf in leaves
        )
        is_right = end == moment or (end < moment and not given(end, moment))  # F1
        if is_unsure and (self._pacing.given or not is_right):
            self.unmatched.append((entry, following, _SHARED_NAME))
            return action, end
        if is_right:
            return action, end
        if given(min(end, moment), max(end, moment)) and self._was_left(moment, following):
            return action, end  # F7
        if any(self._leaf_end(leaf, start) == moment for leaf in leaves):
            return self._exact(leaves, start, moment), moment
        if not given(start, moment):
            return WhenAnyAction([action, WhenAllAction([])]), start  # F3
        self.unmatched.append((entry, following, _GIVEN_IDS))
        return action, end

    def _is_unsafe_between(self, begin: float, end: float) -> bool:
        return any(begin < moment <= end for moment in self._unsafe)

    def _exact(self, leaves: Sequence[Action], start: float, moment: int) -> Action:
        """A compound of the leaves, in their order, that ends at a moment (F2).

        It is the wait for the leaf that ended then. The leaves on either side may neither end it
        before nor hold it up: where one of them had ended by then, any of them is required as well;
        else they are alternatives. So nothing is nested deeply: .NET reads 64 levels of JSON.
        """
        ends = [self._leaf_end(leaf, start) for leaf in leaves]
        place = ends.index(moment)
        before, after = leaves[:place], leaves[place + 1 :]
        form = leaves[place]
        if any(end <= moment for end in ends[:place]):
            form = joined(WhenAllAction, [joined(WhenAnyAction, before), form])
        else:
            form = joined(WhenAnyAction, [*before, form])
        if any(end <= moment for end in ends[place + 1 :]):
            return joined(WhenAllAction, [form, joined(WhenAnyAction, after)])
        return joined(WhenAnyAction, [form, *after])

    def _end(self, action: Action, start: float) -> float:
        """When the extension's wait for an action ends that it starts at `start`."""
        if isinstance(action, CompoundAction):
            ends = [self._end(child, start) for child in action.compound_tasks]
            wants_all = isinstance(action, WhenAllAction)
            return (max if wants_all else min)(ends, default=start)
        return self._leaf_end(action, start)

    def _is_known(self, leaf: Action) -> bool:
        return isinstance(leaf, _ENDS_AT_ONCE) or id(leaf) in self._tasks

    def _leaf_end(self, leaf: Action, start: float) -> float:
        if isinstance(leaf, _ENDS_AT_ONCE):
            return start
        if isinstance(leaf, CreateTimerAction) and leaf.is_cancelled:
            return start  # F6
        return max(start, self._task_end(self._tasks[id(leaf)]))

    def _task_end(self, task: TaskBase) -> float:
        if task.state is TaskState.RUNNING:
            return _NEVER
        if isinstance(task, RetryAbleTask):
            return max(self._task_end(step) for step in task.children)
        if task._ended_at is not None:
            return task._ended_at
        if self._completed is None:
            self._completed = completions_in(self._pacing.events)
        return self._completed.get(task.id, -1) if isinstance(task.id, int) else -1

    def _was_left(self, moment: int, following: _Entry | None) -> bool:
        """Whether the extension did not start the next entry when the code had asked for it.

        So it is with histories that another SDK has begun, which sends all in the official form.
        """
        leaf = next(leaves_of(following.action), None) if following is not None else None
        task = None if leaf is None else self._tasks.get(id(leaf))
        if isinstance(task, RetryAbleTask):
            task = task.children[0]
        if leaf is None or task is None or not isinstance(task.id, int):
            return False
        turn_ends = end_of_turn(self._pacing.events, moment)
        if turn_ends is None:
            return False  # it is this turn
        wanted = (task.id, scheduling_of(leaf))
        before = self._pacing.events[:turn_ends]
        return not any((e.get("EventId"), e["EventType"]) == wanted for e in before)


class _Rehearsal:
    """Does as the extension does with entries some of whose waits share an event's name.

    Such an event ends the wait that began last (Y132). If entries begin before the code asks for
    them, that may be another wait than the SDK's.
    """

    def __init__(
        self, forms: Sequence[Action], shared: frozenset[str], end_of: Callable[[Action], float]
    ) -> None:
        self._forms = forms
        self._shared = shared
        self._end_of = end_of
        self._waiting: dict[str, list[Action]] = {name: [] for name in shared}
        self._early = dict.fromkeys(shared, 0)
        self._served: set[int] = set()

    def starts(
        self, events: Sequence[Mapping[str, Any]], begun_at: int, waited: Mapping[str, int]
    ) -> list[float]:
        """When each entry is started; never, if it is not.

        Args:
            events: The history.
            begun_at: When the first entry begins.
            waited: How many waits for a name there are before that.
        """
        found: list[float] = []
        for name in self._shared:  # what came before and nobody has waited for
            self._early[name] = -waited.get(name, 0)
        for index, event in enumerate(events):
            name = str(event.get("Name")).upper()
            if event["EventType"] == EVENT_RAISED and name in self._shared:
                self._serve(name)
            if index < begun_at:
                continue
            while len(found) < len(self._forms) and (
                not found or self._is_over(self._forms[len(found) - 1], index)
            ):
                if not found:
                    self._early = {n: max(count, 0) for n, count in self._early.items()}
                self._start(self._forms[len(found)])
                found.append(index if found else -1)
        return found + [_NEVER] * (len(self._forms) - len(found))

    def _serve(self, name: str) -> None:
        if self._waiting[name]:
            self._served.add(id(self._waiting[name].pop()))
        else:
            self._early[name] += 1

    def _start(self, form: Action) -> None:
        for leaf in leaves_of(form):
            name = event_name(leaf)
            if name not in self._shared:
                continue
            self._waiting[name].append(leaf)
            if self._early[name]:
                self._early[name] -= 1
                self._serve(name)

    def _is_over(self, action: Action, now: int) -> bool:
        if isinstance(action, CompoundAction):
            over = [self._is_over(child, now) for child in action.compound_tasks]
            return all(over) if isinstance(action, WhenAllAction) else any(over)
        if event_name(action) in self._shared:
            return id(action) in self._served
        return self._end_of(action) <= now


_GIVEN_IDS = (
    "while retries that the host runs take ids. Let the SDK run the retries: give df.RetryPolicy "
    "instead of df.RetryOptions, or set AZURE_FUNCTIONS_DURABLE_RETRIES=sdk for the whole app"
)
_SHARED_NAME = (
    "while several waits for events of one name are open, of which the extension may serve another "
    "one. Give each wait an event name of its own"
)


def _warn(entry: _Entry, following: _Entry | None, reason: str) -> None:
    file, line = (following.place if following else None) or ("<unknown>", 0)
    asked = entry.action.to_json()
    asked.pop("input", None)
    text = (
        f"the extension may not go on here when the orchestrator does, {reason}. "
        f"It waits for {json.dumps(asked, default=str)}"
    )
    try:
        warnings.warn_explicit(text, UnevenPaceWarning, file, line)
    except UnevenPaceWarning:  # warnings are errors here; what was decided stands
        import logging

        logging.getLogger("azure.durable_functions").warning("%s, line %d: %s", file, line, text)
