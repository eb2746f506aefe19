"""What one reconcile came to, and what is remembered between two."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from undrift import errors
from undrift.model import health, inventory, lock, output, plan, resource, source


class Phase(enum.StrEnum):
    """The steps of a reconcile, in order."""

    RESOLVE = "resolve"
    FETCH = "fetch"
    DISCOVER = "discover"
    RENDER = "render"
    LOAD = "load"
    VALIDATE = "validate"
    OBSERVE = "observe"
    PREVIEW = "preview"
    PLAN = "plan"
    GUARD = "guard"
    APPLY = "apply"
    VERIFY = "verify"


PREPARING = frozenset({Phase.FETCH, Phase.RENDER, Phase.LOAD, Phase.VALIDATE})
"""The phases in which a failure is the commit's own fault: it is held back."""


class Ending(enum.StrEnum):
    """How a reconcile ended."""

    IN_SYNC = "in sync"
    APPLIED = "applied"
    WAITING = "waiting"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Where in the story something failed, and with what."""

    phase: Phase
    error: errors.UndriftError


@dataclasses.dataclass(frozen=True, slots=True)
class HeldBack:
    """A revision that failed (before or during apply) and is not tried again until something changes.

    `inputs` is the digest of what was tried (the application's document, its files, the tools): any commit
    with equal inputs fails alike, the same commit with other tools is tried anew.
    """

    application: str
    revision: str
    inputs: str
    phase: Phase
    code: str
    message: str
    why: str = ""
    hint: str = ""
    origin: str = ""
    author: str = ""

    @property
    def error(self) -> errors.UndriftError:
        """What it failed with, as far as it was remembered."""
        kind = errors.kinds().get(self.code, errors.RevisionHeldBack)
        origin = errors.Origin.read(self.origin) if self.origin else None
        return kind(self.message, origin=origin, why=self.why, hint=self.hint).at(self.revision, self.author)


@dataclasses.dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one plan digest of one application; `at` is seconds since the epoch."""

    application: str
    digest: str
    by: str
    at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Hold:
    """A temporary suspension: it ends by itself at `until` (seconds since the epoch)."""

    application: str
    until: float
    by: str
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """All that a reconcile needs to know about an application from earlier ones, read in one go.

    `last_good` is the revision whose desired state was applied last, `last_lock` all that it was made from;
    None when that is not known. `resumed` is False for an application
    that the database does not know (`learn` leaves it so): it may go on when nothing on the target bears our
    mark, when nothing is to be done, or when a person resumed it.
    """

    inventory: inventory.Inventory
    last_good: source.Revision | None = None
    last_lock: lock.InputLock | None = None
    held_back: tuple[HeldBack, ...] = ()
    approvals: tuple[Approval, ...] = ()
    hold: Hold | None = None
    resumed: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Reconciliation:
    """The value one reconcile returns; everything recorded, shown or sent is made from it, once.

    `revision` is the newest one seen, `applied_revision` the one whose desired state was used (the last
    good one while `held_back` is set). `seconds` maps a phase to the time it took; `beside` are the paths of
    the source that were read beside the application's own. `outputs` are what it publishes (None: nobody could look),
    `newest` what the newest revision is made from, whatever became of it.
    """

    id: str
    application: str
    ending: Ending
    started: float
    revision: source.Revision | None = None
    applied_revision: source.Revision | None = None
    verdict: plan.Verdict | None = None
    results: tuple[plan.ChangeResult, ...] = ()
    plan: plan.Plan | None = None
    health: health.Health = health.UNKNOWN
    failure: Failure | None = None
    held_back: HeldBack | None = None
    warnings: tuple[errors.UndriftError, ...] = ()
    desired: resource.DesiredState | None = dataclasses.field(default=None, repr=False, compare=False)
    live: resource.LiveState | None = dataclasses.field(default=None, repr=False, compare=False)
    inventory: inventory.Inventory | None = dataclasses.field(default=None, repr=False, compare=False)
    seconds: Mapping[Phase, float] = dataclasses.field(default_factory=dict)
    beside: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    rollback: Reconciliation | None = None
    outputs: output.Told | None = dataclasses.field(default=None, compare=False)
    newest: lock.InputLock | None = dataclasses.field(default=None, compare=False)

    @property
    def drifted(self) -> bool:
        """Whether live differed though desired did not change."""
        found = self.plan
        return found is not None and any(
            change.reason is plan.Reason.DRIFT for change in (*found.changes, *found.withheld)
        )
