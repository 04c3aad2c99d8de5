"""Types of bindings that mean something to workers and hosts. Source: host.md 3.1."""

from __future__ import annotations

HTTP_TRIGGER = "httpTrigger"
TIMER_TRIGGER = "timerTrigger"
ORCHESTRATION_TRIGGER = "orchestrationTrigger"
EPISODE_TRIGGERS = (ORCHESTRATION_TRIGGER, "entityTrigger")
"""Of functions that the engine runs in turns."""
ACTIVITY_TRIGGER = "activityTrigger"
DURABLE_TRIGGERS = (*EPISODE_TRIGGERS, ACTIVITY_TRIGGER)
DURABLE_CLIENTS = ("durableClient", "orchestrationClient")
MOST_SESSIONS = 1000
"""Orchestrations that one worker keeps between their episodes, with ``--sessions``."""
