"""Settings of host.json that the engine honours, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from azure.durable_functions.local.engine.versions import (
    FailureStrategy,
    MatchStrategy,
    OnNonDeterminism,
)


@dataclass(frozen=True)
class Limits:
    """Settings of host.json that decide about an episode. Source: host.md 8.9, 8.17, 9.2."""

    max_orchestration_actions: int = 100_000
    store_inputs: bool = False
    max_entity_batch: int = 5000
    default_version: str | None = None
    version_match: MatchStrategy = "CurrentOrOlder"
    version_failure: FailureStrategy = "Reject"
    on_non_determinism: OnNonDeterminism = "fail"
    http_poll_milliseconds: int = 30_000
    early_timers: bool = False
    """Timers fire up to a second early, as in the cloud (extension-engine.md Y50)."""


@dataclass(frozen=True)
class HubSettings:
    """Settings of host.json that the engine honours."""

    limits: Limits = field(default_factory=Limits)
    max_episodes: int = 10
    max_activities: int = 10
    max_entity_turns: int = 10
    keeps_sessions: bool = False
    """Workers keep orchestrations between episodes instead of replaying them."""
    result_patience_seconds: float = 0.1
    """How long the result of an activity may wait for the turn that it makes possible, to be stored
    together with it, and before that twice as long until there is a place for the turn; with 0 it
    is always stored by itself, at once."""
    retry_pause_seconds: float = 1.0
    """How long a turn that has failed, for instance because its worker was lost, waits before it is
    tried again the first time; each further pause is twice as long, up to 30 times the first."""
    may_replace_running: bool = False
    """Whether a start may replace an instance that has not ended, as
    ``overridableExistingInstanceStates`` says."""
    retention: timedelta | None = None
    """How long ended instances are kept; None keeps them."""
