"""What an application sees of the others and of the world."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift.model import application, health, inventory, resource


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """What an application's dependency looks like to it."""

    name: str
    health: health.Health
    in_sync: bool


Peers = Mapping[str, Peer]


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What an application sees of the others and of the world's time.

    `project` is the one it belongs to; `takers` may take from it what it lets go of, and nobody knows yet
    whether they do; `source_url` is the place its files come from. `contested` are its resources that were
    changed back again and again of late.
    """

    project: application.Project = application.DEFAULT_PROJECT
    peers: Peers = dataclasses.field(default_factory=dict)
    claims: inventory.Claims = dataclasses.field(default_factory=dict)
    takers: frozenset[str] = frozenset()
    source_url: str = ""
    now: float = 0.0
    contested: frozenset[resource.ResourceId] = frozenset()
