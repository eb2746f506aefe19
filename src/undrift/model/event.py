"""Something that happened, one frozen class each; what history, notifications and logs are made from."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something happened to an application at a time (seconds since the epoch)."""

    application: str
    at: float


@dataclasses.dataclass(frozen=True, slots=True)
class RevisionSeen(Event):
    """The source has a new revision."""

    revision: str
    author: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class DriftFound(Event):
    """Live differs though desired did not change; `resources` are the ids, `text` the differences."""

    resources: tuple[str, ...]
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class PlanApplied(Event):
    """A plan was applied; counts by outcome."""

    revision: str
    digest: str
    applied: int
    failed: int


@dataclasses.dataclass(frozen=True, slots=True)
class PlanStopped(Event):
    """A guard stopped a plan; `codes` are those of the errors."""

    digest: str
    codes: tuple[str, ...]
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed(Event):
    """A reconcile failed in a phase."""

    phase: str
    code: str
    revision: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered(Event):
    """What was failing is well again."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class HealthChanged(Event):
    """The health of an application changed."""

    before: str
    after: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class OrderGiven(Event):
    """A person ordered something (approve, reconcile, hold, resume)."""

    order: str
    by: str
    text: str
