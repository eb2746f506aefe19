"""What the agent keeps of one application between two reconciles."""

from __future__ import annotations

import asyncio
import dataclasses

from undrift import errors, interfaces
from undrift.agent import healing, recorder
from undrift.engine import settling
from undrift.model import application, health, output, record, resource, view


@dataclasses.dataclass(slots=True)
class Tenant:
    """One application. `digest` names its documents in Git, `source_digests` by source the files it was last
    queued for, which may lie `beside` its own path, too.

    `summary` is of `told`, or of what history has of the time before this process.
    `trouble` are errors of its document while the last good one stays in force. `retry` is a person's order.
    `let_go` tells that its last rendering declares less on its target than the one before.
    `news` tells that its last reconcile ended otherwise than the one before, `first` that there was none, `flows` that
    it publishes something else. `rendered` names what a taker was
    rendered from when it was last written down for others.
    `farewells` tells that it declares resources for its own end.
    `outputs` are what it published last; None before anybody has looked.
    `generation` counts reconciles, for those who wait for one.
    """

    application: application.Application
    digest: str
    memory: record.Memory | None = None
    lease: interfaces.Lease | None = None
    told: record.Reconciliation | None = None
    summary: recorder.Summary | None = None
    trouble: tuple[errors.UndriftError, ...] = ()
    source_digests: dict[str, str] = dataclasses.field(default_factory=dict)
    beside: tuple[str, ...] = ()
    failures: int = 0
    retry: bool = False
    changed: float = 0.0
    looked: float = 0.0
    ids: frozenset[resource.ResourceId] = frozenset()
    let_go: bool = False
    farewells: bool = False
    news: bool = False
    first: bool = False
    flows: bool = False
    rendered: str = ""
    outputs: output.Told | None = None
    buried: str = ""
    heals: healing.Heals = dataclasses.field(default_factory=healing.Heals, repr=False)
    generation: int = 0
    finished: asyncio.Condition = dataclasses.field(default_factory=asyncio.Condition, repr=False)

    @property
    def name(self) -> str:
        """The application's name."""
        return self.application.name

    @property
    def in_sync(self) -> bool:
        """Whether the last reconcile left nothing to do."""
        return self.told is not None and self.told.ending in (record.Ending.IN_SYNC, record.Ending.APPLIED)

    @property
    def health(self) -> health.Health:
        """As the last reconcile saw it."""
        return health.UNKNOWN if self.told is None else settling.health_of(self.told)

    def peer(self) -> view.Peer:
        """What those see that depend on it."""
        declared = self.application.outputs
        told = self.outputs if self.outputs is not None else output.unseen(declared)
        return view.Peer(self.name, self.health, self.in_sync, told)
