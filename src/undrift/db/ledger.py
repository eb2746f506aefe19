"""Inventory and journal: what is written before a wave and after it, one transaction each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from undrift.db import coding, leases, tables
from undrift.model import inventory, plan, resource

_INVENTORY = tables.inventory.c
_JOURNAL = tables.journal.c


def begin(
    connection: sa.Connection, name: str, wave: plan.Wave, digest: str, revision: str, epoch: int
) -> None:
    """PENDING entries for what is new (existing ones keep their state) and an intent for every change."""
    entries = [
        inventory.Entry(
            change.id,
            inventory.EntryState.PENDING,
            change.fingerprint,
            revision,
            protected=change.desired.protected,
        )
        for change in wave.changes
        if change.desired is not None
    ]
    known(connection, name)
    connection.execute(
        sa.update(tables.applications).where(tables.applications.c.application == name).values(resumed=True)
    )
    if entries:
        connection.execute(
            leases.upsert(connection, tables.inventory).on_conflict_do_nothing(),
            [coding.entry_to(name, entry) for entry in entries],
        )
    connection.execute(
        sa.delete(tables.journal).where(_JOURNAL.application == name, _JOURNAL.outcome.is_not(None))
    )
    _intend(connection, name, wave, digest, revision, epoch)


def _intend(
    connection: sa.Connection, name: str, wave: plan.Wave, digest: str, revision: str, epoch: int
) -> None:
    at = connection.execute(sa.select(leases.now(connection))).scalar_one()
    rows = [
        {
            "application": name,
            **coding.id_to(change.id),
            "action": change.action.value,
            "digest": digest,
            "revision": revision,
            "epoch": epoch,
            "at": at,
            "outcome": None,
        }
        for change in wave.changes
    ]
    statement = leases.upsert(connection, tables.journal)
    new = {
        name: statement.excluded[name] for name in ("action", "digest", "revision", "epoch", "at", "outcome")
    }
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["application", "kind", "namespace", "name"], set_=new
        ),
        rows,
    )


def finish(connection: sa.Connection, name: str, results: Sequence[plan.ChangeResult], revision: str) -> None:
    """CONFIRMED or gone by outcome; a refused create leaves nothing behind. Outcomes into the journal."""
    keep: list[inventory.Entry] = []
    gone: list[resource.ResourceId] = []
    undone: list[resource.ResourceId] = []
    for result in results:
        change = result.change
        if result.outcome is plan.Outcome.APPLIED:
            gone.extend(_gone(change))
            if change.desired is not None:
                keep.append(_confirmed(change, revision))
        elif result.outcome is not plan.Outcome.UNKNOWN and change.action in (
            plan.Action.CREATE,
            plan.Action.ADOPT,
        ):
            undone.append(change.id)
    remove(connection, name, gone)
    remove(connection, name, undone, only_pending=True)
    put(connection, name, keep)
    _outcomes(connection, name, results)


def _gone(change: plan.Change) -> list[resource.ResourceId]:
    if change.desired is None:
        return [change.id]
    old = change.desired.moved_from
    return [old] if change.action is plan.Action.MOVE and old is not None else []


def _confirmed(change: plan.Change, revision: str) -> inventory.Entry:
    return inventory.Entry(
        change.id,
        inventory.EntryState.CONFIRMED,
        change.fingerprint,
        revision,
        protected=change.desired is not None and change.desired.protected,
    )


def _outcomes(connection: sa.Connection, name: str, results: Sequence[plan.ChangeResult]) -> None:
    statement = (
        sa.update(tables.journal)
        .where(
            _JOURNAL.application == name,
            _JOURNAL.kind == sa.bindparam("b_kind"),
            _JOURNAL.namespace == sa.bindparam("b_namespace"),
            _JOURNAL.name == sa.bindparam("b_name"),
        )
        .values(outcome=sa.bindparam("b_outcome"))
    )
    connection.execute(
        statement,
        [
            {f"b_{key}": value for key, value in coding.id_to(result.change.id).items()}
            | {"b_outcome": result.outcome.value}
            for result in results
        ],
    )


def put(connection: sa.Connection, name: str, entries: Collection[inventory.Entry]) -> None:
    """Insert or replace entries."""
    if not entries:
        return
    statement = leases.upsert(connection, tables.inventory)
    new = {key: statement.excluded[key] for key in ("state", "fingerprint", "revision", "uid", "protected")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["application", "kind", "namespace", "name"], set_=new
        ),
        [coding.entry_to(name, entry) for entry in entries],
    )


def remove(
    connection: sa.Connection,
    name: str,
    ids: Collection[resource.ResourceId],
    *,
    only_pending: bool = False,
) -> None:
    """Take entries out."""
    if not ids:
        return
    statement = sa.delete(tables.inventory).where(
        _INVENTORY.application == name,
        _INVENTORY.kind == sa.bindparam("b_kind"),
        _INVENTORY.namespace == sa.bindparam("b_namespace"),
        _INVENTORY.name == sa.bindparam("b_name"),
    )
    if only_pending:
        statement = statement.where(_INVENTORY.state == inventory.EntryState.PENDING.value)
    connection.execute(
        statement, [{f"b_{key}": value for key, value in coding.id_to(rid).items()} for rid in ids]
    )


def replace(connection: sa.Connection, name: str, entries: Collection[inventory.Entry]) -> None:
    """The whole inventory anew."""
    known(connection, name)
    connection.execute(sa.delete(tables.inventory).where(_INVENTORY.application == name))
    put(connection, name, entries)


def unfinished(connection: sa.Connection) -> list[tuple[str, resource.ResourceId, plan.Action]]:
    """Intents whose outcome nobody knows: what an agent was doing when it died."""
    rows = connection.execute(sa.select(tables.journal).where(_JOURNAL.outcome.is_(None)))
    return [(row.application, coding.id_from(row), plan.Action(row.action)) for row in rows]


def known(connection: sa.Connection, name: str) -> None:
    """Make sure that an application has its row; a new one is not resumed."""
    connection.execute(
        leases.upsert(connection, tables.applications)
        .values(application=name, resumed=False, held_back=[], last_good=None, hold=None)
        .on_conflict_do_nothing()
    )
