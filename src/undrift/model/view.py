"""What an application sees of the others and of the world."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from undrift.model import application, health, inventory, output, resource


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """What an application's dependency looks like to it, and what that one publishes."""

    name: str
    health: health.Health
    in_sync: bool
    outputs: output.Told = output.NOTHING


Peers = Mapping[str, Peer]


class Standing(enum.StrEnum):
    """How far one of many that are alike has got with a change that all of them are to take.

    UNSEEN: nobody has looked yet. AWAY: it cannot be looked at. ASIDE: it is held by a person or by Git. BEHIND: it does
    not have the change. MOVING: it has it, or a part of it, and is not well yet. FAILED: it did not take it well.
    """

    UNSEEN = "unseen"
    AWAY = "away"
    ASIDE = "aside"
    BEHIND = "behind"
    MOVING = "moving"
    FAILED = "failed"
    WELL = "well"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One of the applications of a rollout; `unwell` tells that it is not healthy without the change either."""

    standing: Standing
    why: str = ""
    unwell: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What an application sees of the others and of the world's time.

    `project` is the one it belongs to; `takers` may take from it what it lets go of, and nobody knows yet
    whether they do; `source_url` is the place its files come from. `contested` are its resources that were
    changed back again and again of late. `members` are all applications of its rollout, itself among them.
    `dependents` have to go before it can: those that depend on an application that leaves.
    """

    project: application.Project = application.DEFAULT_PROJECT
    peers: Peers = dataclasses.field(default_factory=dict)
    claims: inventory.Claims = dataclasses.field(default_factory=dict)
    takers: frozenset[str] = frozenset()
    source_url: str = ""
    now: float = 0.0
    contested: frozenset[resource.ResourceId] = frozenset()
    members: Mapping[str, Member] = dataclasses.field(default_factory=dict)
    dependents: frozenset[str] = frozenset()
