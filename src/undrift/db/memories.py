"""What is known about applications, read in one go; and what reconciles and people add to it."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

import sqlalchemy as sa

from undrift.db import coding, leases, ledger, tables
from undrift.model import inventory, record, resource

_APPLICATIONS = tables.applications.c


_SETTLED = (
    sa.update(tables.applications)
    .where(_APPLICATIONS.application == sa.bindparam("b_application"))
    .values({key: sa.bindparam(key) for key in ("resumed", "last_good", "last_lock", "held_back")})
)
_SPENT = sa.delete(tables.approvals).where(
    tables.approvals.c.application == sa.bindparam("b_application"),
    tables.approvals.c.digest.not_in(sa.bindparam("b_left", expanding=True)),
)


@functools.cache
def _of(table: sa.Table) -> sa.Select[tuple[object, ...]]:
    return sa.select(table).where(table.c.application.in_(sa.bindparam("b_names", expanding=True)))


def recall(connection: sa.Connection, names: Collection[str] | None) -> dict[str, record.Memory]:
    """Memories of `names`, or of every known application; unknown names are left out."""
    chosen = {"b_names": sorted(names)} if names is not None else None

    def rows(table: sa.Table) -> Iterable[sa.Row[tuple[object, ...]]]:
        return connection.execute(_of(table) if chosen else sa.select(table), chosen)

    entries: dict[str, dict[resource.ResourceId, inventory.Entry]] = defaultdict(dict)
    for row in rows(tables.inventory):
        entry = coding.entry_from(row)
        entries[row.application][entry.id] = entry
    approvals: dict[str, list[record.Approval]] = defaultdict(list)
    for row in rows(tables.approvals):
        approvals[row.application].append(record.Approval(row.application, row.digest, row.by, row.at))
    return {
        row.application: record.Memory(
            inventory=inventory.Inventory(row.application, entries.get(row.application, {})),
            last_good=coding.revision_from(row.last_good),
            last_lock=coding.lock_from(row.last_lock),
            held_back=coding.held_back_from(row.held_back),
            approvals=tuple(sorted(approvals.get(row.application, ()), key=lambda one: one.at)),
            hold=coding.hold_from(row.hold),
            resumed=bool(row.resumed),
        )
        for row in rows(tables.applications)
    }


def unknown(name: str) -> record.Memory:
    """The memory of an application that the database never saw."""
    return record.Memory(inventory.Inventory(name), resumed=False)


def settle(
    connection: sa.Connection, name: str, decide: Callable[[record.Memory], record.Memory]
) -> record.Memory:
    """Last good, held back and resumed; approvals that are not decided to stay are dropped."""
    found = recall(connection, [name])
    before = found.get(name, unknown(name))
    after = decide(before)
    if dataclasses.replace(after, inventory=before.inventory) == before:
        return after
    if not found:
        ledger.known(connection, name)
    _keep(connection, name, after)
    if after.approvals != before.approvals:
        left = [approval.digest for approval in after.approvals]
        connection.execute(_SPENT, {"b_application": name, "b_left": left})
    return after


def _keep(connection: sa.Connection, name: str, memory: record.Memory) -> None:
    words = {
        "resumed": memory.resumed,
        "last_good": coding.revision_to(memory.last_good),
        "last_lock": coding.lock_to(memory.last_lock),
        "held_back": coding.held_back_to(memory.held_back),
    }
    connection.execute(_SETTLED, {"b_application": name, **words})


def approve(connection: sa.Connection, approval: record.Approval) -> None:
    """Store an approval; the newest word counts."""
    ledger.known(connection, approval.application)
    statement = leases.upsert(connection, tables.approvals).values(**dataclasses.asdict(approval))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["application", "digest"], set_={"by": approval.by, "at": approval.at}
        )
    )


def hold(connection: sa.Connection, name: str, given: record.Hold | None) -> None:
    """Set or lift a hold."""
    ledger.known(connection, name)
    connection.execute(
        sa.update(tables.applications)
        .where(_APPLICATIONS.application == name)
        .values(hold=coding.hold_to(given))
    )


def resume(connection: sa.Connection, name: str) -> None:
    """Lift a hold and let the application change its target again."""
    ledger.known(connection, name)
    connection.execute(
        sa.update(tables.applications)
        .where(_APPLICATIONS.application == name)
        .values(resumed=True, hold=None)
    )


def forget(connection: sa.Connection, name: str) -> None:
    """Drop all but the history."""
    for table in (
        tables.applications,
        tables.approvals,
        tables.inventory,
        tables.journal,
        tables.claims,
        tables.tombstones,
    ):
        connection.execute(sa.delete(table).where(table.c.application == name))


def rename(connection: sa.Connection, old: str, new: str) -> bool:
    """Carry the memory of `old` over to `new`; False when there is none or `new` has its own."""
    known = connection.execute(
        sa.select(_APPLICATIONS.application).where(_APPLICATIONS.application.in_([old, new]))
    )
    if {row.application for row in known} != {old}:
        return False
    for table in (
        tables.applications,
        tables.approvals,
        tables.inventory,
        tables.journal,
        tables.claims,
    ):
        connection.execute(sa.update(table).where(table.c.application == old).values(application=new))
    _rename_tombstone(connection, old, new)
    return True


def _rename_tombstone(connection: sa.Connection, old: str, new: str) -> None:
    """What was kept under the new name already is younger."""
    name = tables.tombstones.c.application
    if connection.execute(sa.select(name).where(name == new)).first() is None:
        connection.execute(sa.update(tables.tombstones).where(name == old).values(application=new))
    else:
        connection.execute(sa.delete(tables.tombstones).where(name == old))


def tombstones(connection: sa.Connection) -> dict[str, Mapping[str, object]]:
    """The last documents of every application that was ever applied and not forgotten."""
    rows = connection.execute(sa.select(tables.tombstones))
    return {row.application: row.document for row in rows}


def bury(connection: sa.Connection, documents: Mapping[str, Mapping[str, object]]) -> None:
    """Remember the last documents of applications."""
    if not documents:
        return
    statement = leases.upsert(connection, tables.tombstones)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["application"], set_={"document": statement.excluded.document}
        ),
        [{"application": name, "document": dict(document)} for name, document in documents.items()],
    )
