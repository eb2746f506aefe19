"""`interfaces.Database` on SQLAlchemy: SQLite by default, PostgreSQL by URL.

Each method is one transaction, written once as a function over a connection; `running` knows how either
database runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from undrift import interfaces
from undrift.db import history, leases, ledger, memories, migrating, running, sharing
from undrift.model import inventory, plan, record, resource

_P = ParamSpec("_P")
_T = TypeVar("_T")
_SAFETY = 1.0


@dataclasses.dataclass(slots=True)
class SqlLease:
    """A lease as an agent holds it. `sure_until` is the loop time until which nobody else can have it."""

    database: SqlDatabase
    name: str
    holder: str
    epoch: int
    sure_until: float

    async def check(self) -> None:
        """Cheap while the lease is surely ours by our own clock, which also runs while we are stopped."""
        if asyncio.get_running_loop().time() < self.sure_until:
            return
        await self.database.run(leases.check, self.name, self.holder, self.epoch, lock=False)


@dataclasses.dataclass(frozen=True, slots=True)
class SqlLedger:
    """The ledger of one application; every write is fenced by the lease's epoch."""

    database: SqlDatabase
    name: str

    async def begin(self, lease: interfaces.Lease, wave: plan.Wave, digest: str, revision: str) -> None:
        """See `interfaces.Ledger`."""
        await self.database.fenced(lease, ledger.begin, self.name, wave, digest, revision, lease.epoch)

    async def finish(
        self, lease: interfaces.Lease, results: Sequence[plan.ChangeResult], revision: str
    ) -> None:
        """See `interfaces.Ledger`."""
        await self.database.fenced(lease, ledger.finish, self.name, results, revision)


class SqlDatabase:
    """Made by `connect`. `fresh` tells whether this start created the database."""

    def __init__(self, runner: running.Runner, *, fresh: bool) -> None:
        self._runner = runner
        self.fresh = fresh
        self._leases: dict[str, SqlLease] = {}

    async def run(
        self, work: Callable[Concatenate[sa.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """One transaction. Raises `DatabaseUnavailable` or `DatabaseBroken`."""
        with running.told():
            return await self._runner.run(lambda connection: work(connection, *args, **kwargs))

    async def fenced(
        self,
        lease: interfaces.Lease,
        work: Callable[Concatenate[sa.Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """One transaction that happens only while the lease holds by the database's clock."""
        if not isinstance(lease, SqlLease):
            raise TypeError(lease)

        def guarded(connection: sa.Connection) -> _T:
            leases.check(connection, lease.name, lease.holder, lease.epoch, lock=True)
            return work(connection, *args, **kwargs)

        return await self.run(guarded)

    async def recall(self, name: str) -> record.Memory:
        """See `interfaces.Database`."""
        return (await self.run(memories.recall, [name])).get(name, memories.unknown(name))

    async def recall_all(self) -> Mapping[str, record.Memory]:
        """See `interfaces.Database`."""
        return await self.run(memories.recall, None)

    async def acquire(
        self, names: Collection[str], holder: str, seconds: float
    ) -> Mapping[str, interfaces.Lease]:
        """See `interfaces.Database`."""
        asked = asyncio.get_running_loop().time()
        epochs = await self.run(leases.acquire, names, holder, seconds)
        found = {name: self._lease(name, holder, epoch) for name, epoch in epochs.items()}
        for lease in found.values():
            lease.sure_until = asked + seconds - _SAFETY
        return found

    async def renew(self, holder: str, seconds: float) -> frozenset[str]:
        """See `interfaces.Database`."""
        asked = asyncio.get_running_loop().time()
        names = await self.run(leases.renew, holder, seconds)
        for name in names & self._leases.keys():
            self._leases[name].sure_until = asked + seconds - _SAFETY
        return names

    async def release(self, holder: str, names: Collection[str] | None = None) -> None:
        """See `interfaces.Database`."""
        for name in list(self._leases) if names is None else names:
            lease = self._leases.pop(name, None)
            if lease is not None:
                lease.sure_until = 0.0
        await self.run(leases.release, holder, names)

    async def live_holders(self) -> frozenset[str]:
        """Everyone who renewed not long ago: the agents among whom applications are shared out."""
        return await self.run(leases.live_holders)

    def _lease(self, name: str, holder: str, epoch: int) -> SqlLease:
        known = self._leases.get(name)
        if known is not None and known.epoch == epoch and known.holder == holder:
            return known
        if known is not None:
            known.sure_until = 0.0
        self._leases[name] = SqlLease(self, name, holder, epoch, 0.0)
        return self._leases[name]

    def ledger(self, name: str) -> interfaces.Ledger:
        """See `interfaces.Database`."""
        return SqlLedger(self, name)

    async def unfinished(self) -> list[tuple[str, resource.ResourceId, plan.Action]]:
        """Intents without an outcome: what was being done when an agent died."""
        return await self.run(ledger.unfinished)

    async def settle(
        self,
        lease: interfaces.Lease,
        name: str,
        decide: Callable[[record.Memory], record.Memory],
    ) -> record.Memory:
        """See `interfaces.Database`."""
        return await self.fenced(lease, memories.settle, name, decide)

    async def learn(self, lease: interfaces.Lease, name: str, entries: Collection[inventory.Entry]) -> None:
        """See `interfaces.Database`."""
        await self.fenced(lease, ledger.replace, name, entries)

    async def remember_plan(self, digest: str, document: Mapping[str, Any]) -> None:
        """See `interfaces.Database`."""
        await self.run(history.remember_plan, digest, document)

    async def plan(self, digest: str) -> Mapping[str, Any] | None:
        """See `interfaces.Database`."""
        return await self.run(history.plan, digest)

    async def approve(self, approval: record.Approval) -> None:
        """See `interfaces.Database`."""
        await self.run(memories.approve, approval)

    async def hold(self, hold: record.Hold | None, name: str) -> None:
        """See `interfaces.Database`."""
        await self.run(memories.hold, name, hold)

    async def resume(self, name: str) -> None:
        """See `interfaces.Database`."""
        await self.run(memories.resume, name)

    async def forget(self, lease: interfaces.Lease, name: str) -> None:
        """See `interfaces.Database`."""
        await self.fenced(lease, memories.forget, name)

    async def rename(self, lease: interfaces.Lease, old: str, new: str) -> bool:
        """Carry the memory of an application over to its new name; the lease is the new name's."""
        return await self.fenced(lease, memories.rename, old, new)

    async def bury(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the last documents of applications, for when they leave Git."""
        await self.run(memories.bury, documents)

    async def tombstones(self) -> Mapping[str, Mapping[str, Any]]:
        """The last documents of every application not forgotten."""
        return await self.run(memories.tombstones)

    async def claim(self, name: str, target: str, ids: Collection[resource.ResourceId]) -> None:
        """Replace what an application declares on its target."""
        await self.run(sharing.claim, name, target, ids)

    async def claims(self, name: str, target: str) -> inventory.Claims:
        """What others declare on a target."""
        return await self.run(sharing.claims, name, target)

    async def all_claims(self) -> Mapping[str, Mapping[str, frozenset[resource.ResourceId]]]:
        """Target → application → declared ids."""
        return await self.run(sharing.all_claims)

    async def see(self, source: str, revision: str) -> None:
        """Remember the revision a source was seen at."""
        await self.run(sharing.see, source, revision)

    async def seen(self, source: str) -> str | None:
        """The revision a source was last seen at."""
        return await self.run(sharing.seen, source)

    async def remember(
        self,
        reconciles: Sequence[Mapping[str, Any]],
        events: Sequence[Mapping[str, Any]],
        messages: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Append history and events, and queue messages, in one transaction; a known key is not sent twice."""
        await self.run(history.remember, reconciles, events, messages)

    async def reconciles(
        self, application: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[dict[str, Any]]:
        """The newest reconciles first."""
        return await self.run(history.reconciles, application, limit, before)

    async def latest(self, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The newest reconcile of each application that has one."""
        return await self.run(history.latest, names)

    async def holders(self, names: Collection[str]) -> Mapping[str, str]:
        """Who works on each application now; those that nobody works on are left out."""
        return await self.run(leases.holders, names)

    async def events(
        self, application: str | None = None, limit: int = 100, after: int | None = None
    ) -> list[dict[str, Any]]:
        """Events in order."""
        return await self.run(history.events, application, limit, after)

    async def receivers(self) -> frozenset[str]:
        """Notifiers that messages wait for now."""
        return await self.run(history.receivers)

    async def take(self, notifier: str, seconds: float) -> dict[str, Any] | None:
        """The oldest message that waits for a notifier; it is due again after `seconds` unless delivered."""
        return await self.run(history.take, notifier, seconds)

    async def delivered(self, key: str, notifier: str) -> None:
        """A message has arrived."""
        await self.run(history.delivered, key, notifier)

    async def postpone(self, key: str, notifier: str, seconds: float) -> None:
        """A message has not arrived."""
        await self.run(history.postpone, key, notifier, seconds)

    async def retain(self, seconds: float, least: int = 20) -> int:
        """Drop what is old, in one small batch; returns how much went."""
        return await self.run(history.retain, seconds, least)

    async def close(self) -> None:
        """See `interfaces.Database`."""
        await self._runner.close()


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlDatabase]:
    """A database for the time of a block."""
    database = await connect(url)
    try:
        yield database
    finally:
        await database.close()


async def connect(url: str) -> SqlDatabase:
    """Open (and create or migrate) the database at `url`: `sqlite:///path` or `postgresql://…`.

    Raises `DatabaseUnavailable`, or `DatabaseBroken` when the file is corrupt or was written by a newer
    Undrift.
    """
    runner = running.runner(url)
    try:
        with running.told():
            fresh = await runner.run(migrating.migrate)
    except BaseException:
        await runner.close()
        raise
    return SqlDatabase(runner, fresh=fresh)
