"""What an application owns, and the marks that say so on the target."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from undrift.model.identity import ResourceId


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Who owns: an application of an agent. `former` are the names the application had before (movedFrom)."""

    agent: str
    application: str
    former: frozenset[str] = frozenset()

    def owns(self, mark: Mark) -> bool:
        """Whether a mark was made by this owner, under its present or a former name."""
        return mark.agent == self.agent and (
            mark.application == self.application or mark.application in self.former
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """An ownership mark as found on a target.

    `names` is the resource that the mark itself names: controllers copy marks to their children, so one
    that names something else is not ours. `pending` marks were written ahead of a change whose end is not
    known. `fingerprint` is the digest of the fields that were applied.
    """

    agent: str
    application: str
    names: ResourceId
    revision: str = ""
    fingerprint: str = ""
    protected: bool = False
    pending: bool = False


class EntryState(enum.StrEnum):
    """Whether a change that an entry was written ahead for is known to have been made."""

    PENDING = "pending"
    CONFIRMED = "confirmed"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One owned resource. PENDING alone never proves ownership: the create may have been refused."""

    id: ResourceId
    state: EntryState
    fingerprint: str = ""
    revision: str = ""
    uid: str = ""
    protected: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """All entries of one application, by id."""

    application: str
    entries: Mapping[ResourceId, Entry] = dataclasses.field(default_factory=dict)


Claims = Mapping[ResourceId, tuple[str, ...]]
"""Which *other* applications on the same target declare a resource now."""
