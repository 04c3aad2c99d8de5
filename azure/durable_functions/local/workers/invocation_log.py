"""The lines that the log has for each invocation."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from azure.durable_functions.local import failure_texts
from azure.durable_functions.local.engine.invoker import OPEN, Gate
from azure.durable_functions.local.worker.link import Frame

from .app_info import FunctionInfo
from .time_limit import seconds_since

REASON_BY_HAND = "This function was programmatically called via the host APIs."


NO_REASON = "(null)"


class InvocationLog:
    """What the log is told of one invocation: a line when it begins, one when it has ended."""

    def __init__(
        self,
        function: FunctionInfo,
        header: Mapping[str, Any],
        reason: str = NO_REASON,
        after: Gate = OPEN,
    ) -> None:
        """It begins now, or when the commit is on disk."""
        self._name = function.name
        self._id = header["invocationId"]
        self._about = {
            "function_name": function.name,
            "invocation_id": self._id,
            "instance_id": header.get("instanceId"),
        }
        self._reason = reason
        self._after = after
        self._log = logging.getLogger(f"Function.{function.name}")
        self._is_over = False
        self._called_at = time.monotonic()
        if after.is_kept:
            self._begin()
        elif self._log.isEnabledFor(logging.INFO):
            after.when_told(self._begin)

    def _begin(self) -> None:
        if not self._is_over:
            text = "Executing 'Functions.%s' (Reason='%s', Id=%s)"
            self._log.info(text, self._name, self._reason, self._id, extra=self._about)

    def seconds(self) -> float:
        """For how long it has been running."""
        return seconds_since(self._called_at, self._after)

    def end(self, problem: str) -> None:
        """It has ended, with or without a problem; or it never begins."""
        self._is_over = True
        if not self._after.is_kept:
            return
        ended = f"Id={self._id}, Duration={round(1000 * self.seconds())}ms"
        if problem:
            text = f"Executed 'Functions.{self._name}' (Failed, {ended})\n{problem}"
            self._log.error("%s", text, extra=self._about)
        else:
            text = "Executed 'Functions.%s' (Succeeded, %s)"
            self._log.info(text, self._name, ended, extra=self._about)


def problem_of(frame: Frame) -> str:
    """What the log says of an invocation that has raised; empty if it has not."""
    error = frame.header.get("error")
    if error is None:
        return ""
    told = failure_texts.told(failure_texts.of_worker(error), first="\nStack: ")
    return f"Result: Failure\nException: {told}"
