"""Inventory and journal: what is written before a wave and after it, one transaction each."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from undrift.db import coding, leases, tables
from undrift.model import inventory, plan, resource

_INVENTORY = tables.inventory.c
_JOURNAL = tables.journal.c


_ID = ("application", "kind", "namespace", "name")
_NEW = {"resumed": False, "held_back": [], "last_good": None, "last_lock": None, "hold": None}
_OUTCOME = (
    sa.update(tables.journal)
    .where(*(_JOURNAL[key] == sa.bindparam(f"b_{key}") for key in _ID))
    .values(outcome=sa.bindparam("b_outcome"))
)


@functools.cache
def _known(dialect: str) -> sa.dialects.sqlite.Insert:
    return leases.upsert_in(dialect, tables.applications).on_conflict_do_nothing()


@functools.cache
def _resumed(dialect: str) -> sa.dialects.sqlite.Insert:
    statement = leases.upsert_in(dialect, tables.applications)
    return statement.on_conflict_do_update(index_elements=["application"], set_={"resumed": sa.true()})


@functools.cache
def _announced(dialect: str) -> sa.dialects.sqlite.Insert:
    return leases.upsert_in(dialect, tables.inventory).on_conflict_do_nothing()


@functools.cache
def _entries(dialect: str) -> sa.dialects.sqlite.Insert:
    return _replacing(dialect, tables.inventory, ("state", "fingerprint", "revision", "uid", "protected"))


@functools.cache
def _intents(dialect: str) -> sa.dialects.sqlite.Insert:
    at = {"at": leases.clock(dialect)}
    columns = ("action", "digest", "revision", "epoch", "at", "outcome")
    return _replacing(dialect, tables.journal, columns, at)


def _replacing(
    dialect: str, table: sa.Table, columns: Sequence[str], values: Mapping[str, Any] | None = None
) -> sa.dialects.sqlite.Insert:
    statement = leases.upsert_in(dialect, table)
    statement = statement.values(values) if values else statement
    new = {key: statement.excluded[key] for key in columns}
    return statement.on_conflict_do_update(index_elements=list(_ID), set_=new)


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
    connection.execute(_resumed(connection.dialect.name), {"application": name, **_NEW, "resumed": True})
    if entries:
        connection.execute(
            _announced(connection.dialect.name), [coding.entry_to(name, entry) for entry in entries]
        )
    _intend(connection, name, wave, digest, revision, epoch)


def _intend(
    connection: sa.Connection, name: str, wave: plan.Wave, digest: str, revision: str, epoch: int
) -> None:
    rows = [
        {
            "application": name,
            **coding.id_to(change.id),
            "action": change.action.value,
            "digest": digest,
            "revision": revision,
            "epoch": epoch,
            "outcome": None,
        }
        for change in wave.changes
    ]
    connection.execute(_intents(connection.dialect.name), rows)


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
    connection.execute(
        _OUTCOME,
        [
            {f"b_{key}": value for key, value in coding.id_to(result.change.id).items()}
            | {"b_application": name, "b_outcome": result.outcome.value}
            for result in results
        ],
    )


def put(connection: sa.Connection, name: str, entries: Collection[inventory.Entry]) -> None:
    """Insert or replace entries."""
    if entries:
        rows = [coding.entry_to(name, entry) for entry in entries]
        connection.execute(_entries(connection.dialect.name), rows)


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
    connection.execute(_known(connection.dialect.name), {"application": name, **_NEW})
