"""Frameworks subclass tasks, drive the executor and replace parts: all of that keeps working."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any
from unittest import mock

import pytest
from history_kit import History

import azure.durable_functions as df
from azure.durable_functions.models.actions.CallActivityAction import CallActivityAction
from azure.durable_functions.models.actions.NoOpAction import NoOpAction
from azure.durable_functions.models.history.HistoryEvent import HistoryEvent
from azure.durable_functions.models.ReplaySchema import ReplaySchema
from azure.durable_functions.models.Task import (
    AtomicTask,
    CompoundTask,
    LongTimerTask,
    RetryAbleTask,
    TaskBase,
    TaskState,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
)
from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor

Context = df.DurableOrchestrationContext


class FirstTwo(CompoundTask):
    """Done when two children are; a framework's own kind."""

    def __init__(self, tasks: list[TaskBase], constructor: Any) -> None:
        super().__init__(tasks, constructor)
        self.framework_attribute = "kept"

    def try_set_value(self, child: TaskBase) -> None:
        if child.state is TaskState.FAILED:
            self._first_error = child.result
            self.set_value(is_error=True, value=self._first_error)
        elif len(self.completed_tasks) == 2:
            self.set_value(is_error=False, value=[task.result for task in self.completed_tasks])


def test_a_compound_of_their_own_kind_works() -> None:
    from azure.durable_functions.models.actions.WhenAllAction import WhenAllAction

    def orchestrator(context: Context) -> Any:
        tasks = [context.call_activity(name) for name in "ABC"]
        compound = FirstTwo(tasks, WhenAllAction)
        results = yield compound
        return [results, len(compound.pending_tasks), compound.framework_attribute]

    answer = History().done(2, "c").done(0, "a").replay(orchestrator)

    assert answer["output"] == [["c", "a"], 1, "kept"]
    assert len(answer["actions"][0][0]["compoundActions"]) == 3


def test_a_compound_of_their_own_kind_may_fail() -> None:
    from azure.durable_functions.models.actions.WhenAllAction import WhenAllAction

    def orchestrator(context: Context) -> Any:
        yield FirstTwo([context.call_activity(name) for name in "AB"], WhenAllAction)

    assert History().failed(1).replay(orchestrator)["error"] == "reason \n details"


def test_a_finished_task_that_was_never_scheduled_goes_on_at_once() -> None:
    def orchestrator(context: Context) -> Any:
        ready = TaskBase(-1, NoOpAction())
        ready.set_value(is_error=False, value="ready")
        value = yield ready
        failed = TaskBase(-1, NoOpAction("metadata"))
        failed.set_value(is_error=True, value=ValueError("not so"))
        try:
            yield failed
        except ValueError as error:
            return [value, str(error)]

    answer = History().replay(orchestrator)

    assert answer["output"] == ["ready", "not so"]
    assert answer["actions"] == [[]]


def test_action_and_id_of_a_task_can_be_assigned() -> None:
    def orchestrator(context: Context) -> Any:
        task = context.call_activity("Original")
        task.action_repr = CallActivityAction("Replaced", 1)
        compound = context.task_all([context.call_activity("X")])
        compound.action_repr = CallActivityAction("Instead")
        compound.id = "mine"
        yield task
        yield compound
        return compound.id

    answer = History().done(0).done(1).replay(orchestrator)

    names = [action["functionName"] for action in answer["actions"][0]]
    assert (names, answer["output"]) == (["Replaced", "Instead"], "mine")


def test_the_executor_can_be_driven_directly() -> None:
    def orchestrator(context: Context) -> Any:
        return (yield context.call_activity("A"))

    context = Context(**History().done(0, 1).trigger())
    text = TaskOrchestrationExecutor().execute(context, context.histories, orchestrator)

    assert json.loads(text)["output"] == 1
    assert all(isinstance(event, HistoryEvent) for event in context.histories)


def test_events_may_be_changed_before_the_replay() -> None:
    def orchestrator(context: Context) -> Any:
        return (yield context.call_activity("A"))

    context = Context(**History().done(0, 1).trigger())
    context.histories[-1].Result = "2"  # type: ignore[attr-defined]  # fields are attributes

    assert json.loads(df.Orchestrator(orchestrator).handle(context))["output"] == 2


def test_a_wrapper_may_look_at_the_history_before_the_function_begins() -> None:
    seen: list[int] = []

    def orchestrator(context: Context) -> Any:
        return (yield context.call_activity("A"))

    def wrapper(context: Context) -> Any:
        seen.extend(event.event_type for event in context.histories)
        return orchestrator(context)

    answer = History().done(0, 1).replay(wrapper)

    assert (answer["output"], seen) == (1, [12, 0, 5])


class Watched(MutableMapping[Any, Any]):
    """A mapping that tells what was put into it."""

    def __init__(self) -> None:
        self._values: dict[Any, Any] = {}
        self.log: list[Any] = []

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.log.append(key)
        self._values[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_deferred_tasks_may_be_another_mapping() -> None:
    def orchestrator(context: Context) -> Any:
        yield context.call_activity("A")
        return (yield context.wait_for_external_event("E"))

    context = Context(**History().raised("E", 5).done(0).trigger())
    watched = Watched()
    context.deferred_tasks = watched

    assert json.loads(df.Orchestrator(orchestrator).handle(context))["output"] == 5
    assert watched.log == ["E"]


class Rewriting(defaultdict[Any, Any]):
    """Open tasks whose `pop` changes the event in the history, just before it is decoded."""

    context: Context

    def pop(self, key: Any, *default: Any) -> Any:
        for event in self.context.histories:
            if event.Name == key and event.Input is not None:
                event.Input = event.Input.replace("original", "rewritten")
            if event.TaskScheduledId == key:
                event.__dict__["Result"] = '"rewritten"'
        return super().pop(key, *default)


def rewriting(context: Context) -> None:
    context.open_tasks = Rewriting(list, context.open_tasks)
    context.open_tasks.context = context


def test_a_pop_of_theirs_may_rewrite_what_an_entity_answers() -> None:
    def orchestrator(context: Context) -> Any:
        rewriting(context)
        return (yield context.call_entity(df.EntityId("name", "key"), "run"))

    answered = History().sent(0, "call-1").episode()
    answer = answered.answered("call-1", {"result": '"original"'}).replay(orchestrator)

    assert answer["output"] == "rewritten"


def test_a_pop_of_theirs_may_rewrite_a_result_long_after_the_beginning() -> None:
    def orchestrator(context: Context) -> Any:
        first = yield context.call_activity("A")
        rewriting(context)
        second = yield context.call_activity("B")
        third = yield context.wait_for_external_event("E")
        return [first, second, third, list(context.open_tasks)]

    done = History().done(0, "original").episode().done(1, "original").episode()
    answer = done.raised("E", "original").replay(orchestrator)

    assert answer["output"] == ["original", "rewritten", "rewritten", []]


def test_a_pop_of_theirs_may_rewrite_objects_that_were_given_to_the_executor() -> None:
    given = [HistoryEvent(**event) for event in History().raised("E", "original").events]

    class Tasks(defaultdict[Any, Any]):
        def pop(self, key: Any, *default: Any) -> Any:
            given[-1].Input = '"rewritten"'
            return super().pop(key, *default)

    def orchestrator(context: Context) -> Any:
        context.open_tasks = Tasks(list, context.open_tasks)
        return (yield context.wait_for_external_event("E"))

    context = Context(**History().raised("E", "original").trigger())
    text = TaskOrchestrationExecutor().execute(context, given, orchestrator)

    assert json.loads(text)["output"] == "rewritten"


def test_open_tasks_of_theirs_are_popped_in_a_session_too() -> None:
    def orchestrator(context: Context) -> Any:
        rewriting(context)
        first = yield context.call_activity("A")
        return [first, (yield context.wait_for_external_event("E"))]

    history = History()
    session = df.Orchestrator.create(orchestrator).open_session(history.trigger())
    session.advance(list(history.events))
    for more in (History().episode().done(0, "original"), History().raised("E", "original")):
        answer = session.advance(more.events[2:])

    assert answer["output"] == ["rewritten", "rewritten"]


def test_several_who_wait_for_one_event_may_lie_in_a_mapping_of_theirs() -> None:
    def orchestrator(context: Context) -> Any:
        rewriting(context)
        return (yield context.task_all([context.wait_for_external_event("E") for _ in range(2)]))

    answer = History().raised("E", 1).raised("E", 2).replay(orchestrator)

    assert answer["output"] == [2, 1]


class HandedOut(dict[Any, Any]):
    """Early events, each of which is given away once, in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: defaultdict[Any, list[Any]] = defaultdict(list)
        self.log: list[Any] = []

    def __contains__(self, key: Any) -> bool:
        return bool(self.queues.get(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.queues[key].append(value)

    def __getitem__(self, key: Any) -> Any:
        deliver = self.queues[key].pop(0)

        def logging() -> None:
            self.log.append(key)
            deliver()

        return logging


def early_events(put_in_place: Callable[[Context], None]) -> Any:
    def orchestrator(context: Context) -> Any:
        put_in_place(context)
        yield context.call_activity("gate")
        first = yield context.wait_for_external_event("reply")
        second = yield context.wait_for_external_event("reply")
        return [first, second]

    early = History().raised("reply", 1).raised("reply", 2).done(0)
    return early.replay(orchestrator).get("output")


def test_early_events_may_be_handed_out_by_a_mapping_of_theirs() -> None:
    mapping = HandedOut()

    def put_in_place(context: Context) -> None:
        context.deferred_tasks = mapping

    assert early_events(put_in_place) == [1, 2]
    assert mapping.log == ["reply", "reply"]


def test_a_mapping_of_theirs_that_only_looks_on_loses_no_event() -> None:
    class Looking(dict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            assert callable(value)
            super().__setitem__(key, value)

    def put_in_place(context: Context) -> None:
        context.deferred_tasks = Looking(context.deferred_tasks)

    assert early_events(put_in_place) == [1, 2]


def test_what_is_called_for_an_early_event_may_be_theirs() -> None:
    called: list[str] = []

    def orchestrator(context: Context) -> Any:
        context.deferred_tasks = {"reply": lambda: called.append("reply")}
        yield context.wait_for_external_event("reply")

    History().replay(orchestrator)

    assert called == ["reply"]


def test_an_early_event_lies_under_its_own_name() -> None:
    def orchestrator(context: Context) -> Any:
        yield context.call_activity("gate")
        kept = {name: callable(value) for name, value in context.deferred_tasks.items()}
        return [kept, (yield context.wait_for_external_event("REPLY"))]

    answer = History().raised("Reply", 1).done(0).replay(orchestrator)

    assert answer["output"] == [{"Reply": True}, 1]


def test_histories_may_be_set_to_none() -> None:
    def orchestrator(context: Context) -> Any:
        context._histories = None
        return [(yield context.call_activity("A")), context._histories]

    assert History().done(0, 1).replay(orchestrator)["output"] == [1, None]


def test_patched_classes_are_used() -> None:
    made: list[str] = []

    class Tracing(WhenAllTask):
        def __init__(self, task: Any, replay_schema: ReplaySchema) -> None:
            made.append("task_all")
            super().__init__(task, replay_schema)

    def orchestrator(context: Context) -> Any:
        yield context.task_all([context.call_activity("A")])

    import sys

    import azure.durable_functions.models.DurableOrchestrationContext  # noqa: F401

    module = sys.modules["azure.durable_functions.models.DurableOrchestrationContext"]
    with mock.patch.object(module, "WhenAllTask", Tracing):
        History().replay(orchestrator)

    assert made == ["task_all"]


def test_free_attributes_may_be_set_on_the_context() -> None:
    def orchestrator(context: Any) -> Any:
        context._tracker = ["seen"]
        return context._tracker

    assert History().replay(orchestrator)["output"] == ["seen"]


def test_tasks_know_their_bases_and_states() -> None:
    task = AtomicTask(None, NoOpAction())
    assert issubclass(TimerTask, AtomicTask)
    assert issubclass(WhenAnyTask, CompoundTask)
    assert issubclass(RetryAbleTask, WhenAllTask)
    assert issubclass(LongTimerTask, WhenAllTask)
    assert task.state is TaskState.RUNNING
    with pytest.raises(Exception, match="Cannot change Task to the RUNNING state"):
        task.change_state(TaskState.RUNNING)
    with pytest.raises(Exception, match="failed but it's value was not an Exception"):
        task.set_value(is_error=True, value="text")
    with pytest.raises(NotImplementedError):
        CompoundTask([task]).handle_completion(task)


def test_a_completion_that_is_not_awaited_is_refused() -> None:
    task = AtomicTask(7, NoOpAction())
    compound = WhenAnyTask([AtomicTask(1, NoOpAction())], ReplaySchema.V3)

    with pytest.raises(
        Exception, match=r"does not have pending sub-task with ID 7.*completed twice"
    ):
        compound.handle_completion(task)


def test_a_retried_task_names_its_attempts() -> None:
    def orchestrator(context: Context) -> Any:
        task = context.call_activity_with_retry("A", df.RetryOptions(1, 3))
        try:
            yield task
        finally:
            context.set_custom_status([task.id_, task.num_attempts])  # type: ignore[attr-defined]
        return [task.id_, task.num_attempts]  # type: ignore[attr-defined]  # official names

    answer = History().failed(0).episode().fired(1).episode().done(2, 1).replay(orchestrator)

    assert answer["output"] == ["[0, 1, 2]_retryable_proxy", 2]
