"""The ordered difference between what should be and what is, and what became of it."""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Mapping
from typing import Any

from undrift import errors
from undrift.model import application, identity, inventory, lock, resource, target

_Last = lock.InputLock | None


class Action(enum.StrEnum):
    """What a change intends."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RECREATE = "recreate"
    ADOPT = "adopt"
    MOVE = "move"
    MARK = "mark"
    RELEASE = "release"

    @property
    def deletes(self) -> bool:
        """Whether something is gone afterwards that was there before (and does not come back)."""
        return self is Action.DELETE


class Reason(enum.StrEnum):
    """Why a change is planned. INPUT: desired state changed without a commit, by a tool or a fact."""

    DECLARED = "declared"
    INPUT = "input"
    DRIFT = "drift"
    PRUNE = "prune"
    OWNERSHIP = "ownership"


Difference = tuple[tuple[str, ...], Any, Any]
"""A field before it is written: its path, what it is and what it will be (None = absent)."""


@dataclasses.dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its dotted path, what it is and what it will be (None = absent)."""

    path: str
    before: Any
    after: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan.

    `desired` is None for deletes and releases, `live` for creates. `text` is a native or unified diff for
    people, secrets already masked. `from_owner` is the application a resource is taken over from.
    """

    action: Action
    id: resource.ResourceId
    reason: Reason
    desired: resource.Resource | None = None
    live: resource.LiveResource | None = None
    fields: tuple[FieldChange, ...] = ()
    fingerprint: str = ""
    text: str = dataclasses.field(default="", compare=False)
    from_owner: str = ""

    @property
    def wave(self) -> int:
        """The wave that was declared for the resource."""
        return self.desired.wave if self.desired else 0


@dataclasses.dataclass(frozen=True, slots=True)
class Wave:
    """Changes that are written down and verified together; the next wave starts when all of these are healthy.

    They may run side by side, but for those from the index of a break on, which need what stands before it.
    """

    number: int
    changes: tuple[Change, ...]
    breaks: tuple[int, ...] = ()

    @property
    def steps(self) -> tuple[tuple[Change, ...], ...]:
        """The changes in groups: those of one may run side by side, one group follows another."""
        bounds = (0, *self.breaks, len(self.changes))
        return tuple(self.changes[first:last] for first, last in itertools.pairwise(bounds))


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A resource that cannot be planned as things stand, and why."""

    id: resource.ResourceId
    error: errors.GuardError


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, in order; the object that is shown, approved by its digest, and applied.

    `withheld` are differences that the policy leaves alone (self-heal or prune off), `awaited`
    removals of what another application may take over; `blocks` stop it, `doubts` until it is approved.
    `owned` is how many resources the application owns, `unchanged` how many are as declared; `news` names
    the inputs that are not those of the last good plan.
    """

    application: str
    lock: lock.InputLock
    digest: str
    waves: tuple[Wave, ...] = ()
    withheld: tuple[Change, ...] = ()
    awaited: tuple[Change, ...] = ()
    blocks: tuple[Block, ...] = ()
    doubts: tuple[errors.GuardError, ...] = ()
    owned: int = 0
    unchanged: int = 0
    news: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes in the order they are applied."""
        return tuple(change for wave in self.waves for change in wave.changes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do and nothing in the way."""
        return not self.waves and not self.blocks


@dataclasses.dataclass(frozen=True, slots=True)
class Previews:
    """What only the target can say about a plan to be: read-only facts for planning.

    `native` are the changes that a plan-native provider computed: it alone says what differs, and how, while whose
    a resource is and what the policy allows holds for them as for all others; what is neither declared nor seen is
    taken as it is. `doubts` are why its tool would not carry them out before a person has looked.
    `differences` are what applying would change of a resource that exists, where the target knows better than
    a comparison. `immutable` names resources whose change the target would refuse in place, and why. `warnings`
    are what may not do well although nothing forbids it.
    """

    native: tuple[Change, ...] | None = None
    differences: Mapping[resource.ResourceId, tuple[Difference, ...]] = dataclasses.field(
        default_factory=dict
    )
    immutable: dict[resource.ResourceId, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[errors.UndriftError, ...] = ()
    doubts: tuple[errors.GuardError, ...] = ()


NO_PREVIEWS = Previews()


class Outcome(enum.StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class ChangeResult:
    """One for every change of a plan, whatever happened. `seconds` is how long it took."""

    change: Change
    outcome: Outcome
    error: errors.UndriftError | None = None
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """May a plan run? It may if nothing stops it; `approved_by` names who approved the digest."""

    stops: tuple[errors.GuardError, ...] = ()
    approved_by: str = ""

    @property
    def go(self) -> bool:
        """Whether the plan may run."""
        return not self.stops


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that planning may look at; nothing in it can change anything.

    `claims` tells what other applications on the target declare, `takers` names those that may take from this
    one and whose declarations are not known yet; `key` makes digests of secrets that cannot be guessed;
    `last` is what the last good desired state was made from.
    """

    application: application.Application
    owner: inventory.Owner
    lock: lock.InputLock
    desired: resource.DesiredState
    live: resource.LiveState
    inventory: inventory.Inventory
    capabilities: target.Capabilities
    claims: Mapping[identity.ResourceId, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    takers: frozenset[str] = frozenset()
    previews: Previews = NO_PREVIEWS
    key: bytes = b""
    last: _Last = None
