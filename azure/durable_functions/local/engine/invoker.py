"""What the engine knows of user functions: their names, and how to have them run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from azure.durable_functions.local.store.commit import KEPT, Commit


@dataclass(frozen=True)
class Failure:
    """An exception of user code, as the worker reports it."""

    type_name: str
    """Name of the class as it appears in messages, for instance ``ValueError``."""
    message: str
    stack: str
    """Traceback of user code."""
    details: Mapping[str, object] = field(default_factory=dict[str, object])
    """``FailureDetails`` of the history (host.md 8.9)."""

    @property
    def text(self) -> str:
        """``TypeName: message``, as the worker sends it on."""
        return f"{self.type_name}: {self.message}"


class Outcome(NamedTuple):
    """How an invocation ended: with a value or with a failure."""

    value: str | None = None
    """Text that the function returned, as its converter encoded it."""
    failure: Failure | None = None
    session_state: str | None = None
    """In which the worker keeps the orchestration, so that `Invoker.advance` may follow."""
    is_increment: bool = False
    """The answer's actions are those that no answer of the session has listed before."""
    continued: Awaitable[Continued | None] | None = None
    """What comes of a `Continuation`, or None; to be awaited, once."""


Replay = Callable[[str, str], Awaitable[Outcome]]
"""Runs an orchestrator, given its name and a trigger, without effect on the instance."""


class Continuation(NamedTuple):
    """The episode that is to follow an activity, if the worker that has run it can go on at once.

    It saves a call of the worker, and storing a result that the next commit would delete again.
    """

    name: str
    """Of the orchestrator."""
    since: str
    """When the orchestration's last turn was, as the store writes it; the episode is later."""
    around: tuple[str, str]
    """What the function is given, JSON texts: up to the episode's own events, and behind them."""
    events: tuple[str, str, str]
    """These events without their times and the result: `events.completion_to_be`."""
    session: tuple[str, str] | None = None
    """Name and state as for `Invoker.advance`; None for a replay."""


class Continued(NamedTuple):
    """The episode has run."""

    now: datetime
    """Its time, aware UTC; that of its events, too."""
    outcome: Outcome
    seconds: float = 0.0
    """How long it has taken, as seen from the host."""


class ActivityCall(NamedTuple):
    """An activity that is to be run."""

    name: str
    input: str | None
    """JSON text, or any text."""
    instance_id: str
    """Of the orchestration that has asked for it."""
    alone: bool = False
    """In a worker that does nothing else meanwhile."""
    then: Continuation | None = None
    """What is to follow, if its worker can."""
    after: Commit = KEPT
    """The function must not begin before this one is on disk; all else may."""


HasRun = Callable[[], None]
"""To be called when a function has run: what follows is the disk's, so the next one may begin."""


class WorkerLost(Exception):
    """The process that ran the function is gone; whether it had an effect is not known."""


class WorkerRetired(WorkerLost):
    """The host itself has ended the process, to load changed code: nobody is to blame."""


class UnknownFunction(Exception):
    """The app has no such function (any more)."""


class TimedOut(Exception):
    """The function ran longer than ``functionTimeout``; the text says so as officially."""


HTTP_ACTIVITY = "BuiltIn::HttpActivity"
"""Name of the activity that stands for a durable HTTP request (protocol.md 12.2)."""


class HttpFailed(Exception):
    """A durable HTTP request got no answer; the text says why."""


class HttpSender(Protocol):
    """Sends durable HTTP requests."""

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, whatever its status (protocol.md 12).

        Raises:
            HttpFailed: There was none.
        """
        ...


class Invoker(Protocol):
    """Runs user functions; the engine does not know where."""

    async def orchestrate(
        self, name: str, trigger: str, *, alone: bool = False, session: str | None = None
    ) -> Outcome:
        """Run one episode, in a worker of its own if `alone`.

        With the name of a session the worker may keep the orchestration under it afterwards.

        Raises:
            WorkerLost, TimedOut, UnknownFunction
        """
        ...

    async def advance(self, name: str, session: str, state: str, events: str) -> Outcome | None:
        """Run one episode of an orchestration that a worker has kept.

        Args:
            name: Of the function.
            session: As given to `orchestrate`.
            state: In which its last episode that counts has left it: `Outcome.session_state`.
            events: JSON text of those that follow.

        Returns:
            The outcome; None if no worker has such a session: nothing has run then.

        Raises:
            WorkerLost, TimedOut, UnknownFunction
        """
        ...

    async def explain(self, name: str, trigger: str) -> str | None:
        """JSON text: for each action, without compounds, ``action``, ``file`` and ``line``.

        None or ``null`` if nobody can tell; raises as `orchestrate`.
        """
        ...

    async def run_activity(self, call: ActivityCall) -> Outcome:
        """Run an activity; raises as `orchestrate`.

        Behind one that has not failed the worker may run what is to follow; then the outcome's
        ``continued`` tells of that.
        """
        ...

    async def run_entity(self, name: str, trigger: str, *, alone: bool = False) -> Outcome:
        """Run a batch of operations; as `orchestrate`."""
        ...
