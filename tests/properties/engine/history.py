"""A small world for the engine: one target, applications with a source each, a database, and no real time."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Coroutine
from typing import Any, TypeVar

import looptime

from undrift import errors
from undrift.engine import reconciling, rendering, settling
from undrift.model import application, inventory, record, resource, target, view
from undrift.testing import fakes, memory

_T = TypeVar("_T")

AGENT = "agent"
KEY = b"k" * 32
NOW = 1_800_000_000.0
AROUND = view.Surroundings(now=NOW)
PLACE = target.Target("place", "fake")
ORDER = ("Folder", "File", "Service")


def turn(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end on an event loop whose clock is turned, so that waiting takes no time."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@dataclasses.dataclass
class Tenant:
    """One application with its own source."""

    declared: application.Application
    source: fakes.FakeSource = dataclasses.field(default_factory=fakes.FakeSource)

    @property
    def name(self) -> str:
        """Its name."""
        return self.declared.name

    def wanted(self) -> dict[resource.ResourceId, resource.Resource]:
        """What its newest commit declares."""
        newest = self.source.commits[-1]
        return {one.id: one for one in newest if isinstance(one, resource.Resource)}


class History:
    """Applications on one fake target, reconciled on demand; survives the death of the agent."""

    def __init__(
        self,
        *tenants: Tenant,
        marks: target.Marks = target.Marks.RESOURCE,
        instant: frozenset[str] = frozenset(),
    ) -> None:
        self.tenants = {tenant.name: tenant for tenant in tenants}
        self.place = fakes.FakeTarget(marks)
        self.database = memory.MemoryDatabase()
        self.instant = instant
        self.lives = 0
        self.cache: rendering.Cache = {}
        self.told: list[record.Reconciliation] = []
        self.exclusive: reconciling.Exclusive = reconciling.alone
        self.around = AROUND

    def restart(self) -> None:
        """A new agent process: nothing is kept but the database and the target."""
        self.lives += 1
        self.cache = {}

    def reconcile(self, name: str, *, retry: bool = False, dry: bool = False) -> record.Reconciliation | None:
        """Reconcile once; None when the agent died on the way."""
        try:
            told = turn(self._reconcile(self.tenants[name], retry=retry, dry=dry))
        except fakes.Died:
            self.restart()
            return None
        self.told.append(told)
        return told

    def claims(self, name: str) -> inventory.Claims:
        """What the other applications declare now."""
        found: dict[resource.ResourceId, tuple[str, ...]] = {}
        for other in self.tenants.values():
            if other.name != name and other.source.commits:
                for rid in other.wanted():
                    found[rid] = (*found.get(rid, ()), other.name)
        return found

    async def _reconcile(self, tenant: Tenant, *, retry: bool, dry: bool) -> record.Reconciliation:
        holder = f"agent-{self.lives}"
        lease = (await self.database.acquire([tenant.name], holder, 60))[tenant.name]
        known = await self.database.recall(tenant.name)
        subject = reconciling.Subject(
            application=tenant.declared,
            config_digest=f"config:{tenant.declared!r}",
            memory=known,
            surroundings=dataclasses.replace(self.around, claims=self.claims(tenant.name)),
            retry=retry,
            dry=dry,
        )
        world = reconciling.World(
            agent=AGENT,
            source=tenant.source,
            renderer=fakes.FakeRenderer(tenant.source),
            provider=fakes.FakeProvider(self.place, kind_order=ORDER, instant=self.instant),
            target=PLACE,
            session=fakes.FakeSession(self.place),
            database=self.database,
            lease=lease,
            cache=self.cache,
            key=KEY,
            version="1",
            exclusive=self.exclusive,
        )
        told = await reconciling.reconcile(subject, world, "r1")
        if told.failure is not None and isinstance(told.failure.error, errors.InternalError):
            raise told.failure.error from told.failure.error.__cause__
        if not dry:
            await self.database.settle(lease, tenant.name, functools.partial(settling.settle, told))
        return told
