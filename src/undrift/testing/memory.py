"""A database in memory, with the same rules as the real ones: leases with epochs, fenced writes, a journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.model import inventory, plan, record, resource


@dataclasses.dataclass(slots=True)
class MemoryLease:
    """A lease that holds until somebody takes a newer one."""

    database: MemoryDatabase
    name: str
    epoch: int

    async def check(self) -> None:
        """Raise `LeaseLost` when a newer epoch was given out."""
        if self.database.epochs.get(self.name) != self.epoch:
            raise errors.LeaseLost(f"the lease on {self.name} was taken over")


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """A journal line: what was about to be done, and what became of it (None = outcome unknown)."""

    id: resource.ResourceId
    action: plan.Action
    outcome: plan.Outcome | None = None


@dataclasses.dataclass(slots=True)
class MemoryLedger:
    """The ledger of one application."""

    database: MemoryDatabase
    name: str

    async def begin(self, lease: interfaces.Lease, wave: plan.Wave, digest: str, revision: str) -> None:
        """Intents and PENDING entries, in one step."""
        await lease.check()
        memory = self.database.memory(self.name)
        entries = dict(memory.inventory.entries)
        for change in wave.changes:
            if change.desired is not None:
                entries.setdefault(
                    change.id,
                    inventory.Entry(
                        change.id,
                        inventory.EntryState.PENDING,
                        change.fingerprint,
                        revision,
                        protected=change.desired.protected,
                    ),
                )
        self.database.journal[self.name] = [Intent(change.id, change.action) for change in wave.changes]
        self.database.keep(self.name, dataclasses.replace(memory, resumed=True), entries)

    async def finish(
        self, lease: interfaces.Lease, results: Sequence[plan.ChangeResult], revision: str
    ) -> None:
        """Outcomes, in one step."""
        await lease.check()
        memory = self.database.memory(self.name)
        entries = dict(memory.inventory.entries)
        for result in results:
            apply_result(entries, result, revision)
        self.database.journal[self.name] = [
            Intent(result.change.id, result.change.action, result.outcome) for result in results
        ]
        self.database.keep(self.name, memory, entries)


def apply_result(
    entries: dict[resource.ResourceId, inventory.Entry], result: plan.ChangeResult, revision: str
) -> None:
    """What one outcome does to an inventory: the rule that every database follows."""
    change = result.change
    if result.outcome is plan.Outcome.APPLIED:
        if change.desired is None:
            entries.pop(change.id, None)
            return
        entries[change.id] = inventory.Entry(
            change.id,
            inventory.EntryState.CONFIRMED,
            change.fingerprint,
            revision,
            protected=change.desired.protected,
        )
        if change.action is plan.Action.MOVE and change.desired.moved_from is not None:
            entries.pop(change.desired.moved_from, None)
    elif result.outcome in (plan.Outcome.FAILED, plan.Outcome.SKIPPED):
        entry = entries.get(change.id)
        refused = change.action in (plan.Action.CREATE, plan.Action.ADOPT)
        if refused and entry is not None and entry.state is inventory.EntryState.PENDING:
            del entries[change.id]


class MemoryDatabase:
    """Implements `interfaces.Database`; everything is an attribute that a test may look at."""

    def __init__(self) -> None:
        self.memories: dict[str, record.Memory] = {}
        self.epochs: dict[str, int] = {}
        self.holders: dict[str, str] = {}
        self.journal: dict[str, list[Intent]] = {}
        self.plans: dict[str, Mapping[str, Any]] = {}

    def memory(self, name: str) -> record.Memory:
        """What is known about an application."""
        unknown = record.Memory(inventory.Inventory(name), resumed=False)
        return self.memories.get(name, unknown)

    def keep(
        self, name: str, memory: record.Memory, entries: dict[resource.ResourceId, inventory.Entry]
    ) -> None:
        """Replace what is known."""
        self.memories[name] = dataclasses.replace(memory, inventory=inventory.Inventory(name, entries))

    async def recall(self, name: str) -> record.Memory:
        """See `interfaces.Database`."""
        return self.memory(name)

    async def recall_all(self) -> Mapping[str, record.Memory]:
        """See `interfaces.Database`."""
        return dict(self.memories)

    async def acquire(
        self, names: Collection[str], holder: str, seconds: float
    ) -> Mapping[str, interfaces.Lease]:
        """Leases for all names: here a new holder always takes over, as if the old one had run out."""
        leases: dict[str, interfaces.Lease] = {}
        for name in names:
            if self.holders.get(name) != holder:
                self.epochs[name] = self.epochs.get(name, 0) + 1
                self.holders[name] = holder
            leases[name] = MemoryLease(self, name, self.epochs[name])
        return leases

    async def renew(self, holder: str, seconds: float) -> frozenset[str]:
        """See `interfaces.Database`."""
        return frozenset(name for name, held in self.holders.items() if held == holder)

    async def release(self, holder: str, names: Collection[str] | None = None) -> None:
        """See `interfaces.Database`."""
        for name in [name for name, held in self.holders.items() if held == holder]:
            if names is None or name in names:
                del self.holders[name]
                self.epochs[name] += 1

    def ledger(self, name: str) -> interfaces.Ledger:
        """See `interfaces.Database`."""
        return MemoryLedger(self, name)

    async def settle(
        self,
        lease: interfaces.Lease,
        name: str,
        decide: Callable[[record.Memory], record.Memory],
    ) -> record.Memory:
        """See `interfaces.Database`."""
        await lease.check()
        before = self.memory(name)
        after = decide(before)
        self.memories[name] = dataclasses.replace(after, inventory=before.inventory)
        return after

    async def learn(self, lease: interfaces.Lease, name: str, entries: Collection[inventory.Entry]) -> None:
        """See `interfaces.Database`."""
        await lease.check()
        self.keep(name, self.memory(name), {entry.id: entry for entry in entries})

    async def remember_plan(self, digest: str, document: Mapping[str, Any]) -> None:
        """See `interfaces.Database`."""
        self.plans[digest] = document

    async def plan(self, digest: str) -> Mapping[str, Any] | None:
        """See `interfaces.Database`."""
        return self.plans.get(digest)

    async def approve(self, approval: record.Approval) -> None:
        """See `interfaces.Database`."""
        memory = self.memory(approval.application)
        self.memories[approval.application] = dataclasses.replace(
            memory, approvals=(*memory.approvals, approval)
        )

    async def hold(self, hold: record.Hold | None, name: str) -> None:
        """See `interfaces.Database`."""
        self.memories[name] = dataclasses.replace(self.memory(name), hold=hold)

    async def resume(self, name: str) -> None:
        """See `interfaces.Database`."""
        self.memories[name] = dataclasses.replace(self.memory(name), resumed=True, hold=None)

    async def forget(self, lease: interfaces.Lease, name: str) -> None:
        """See `interfaces.Database`."""
        await lease.check()
        self.memories.pop(name, None)

    async def close(self) -> None:
        """Nothing to give back."""
