"""The right to work on an application: one row each, with an epoch that only grows.

Whoever takes a lease over gets a higher epoch, and every write names its own: a paused agent that wakes up
late is refused by the database, whatever its clock says. All times are the database's.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import sqlalchemy as sa

from undrift import errors
from undrift.db import tables

_LEASES = tables.leases.c
_CHUNK = 400


def now(connection: sa.Connection) -> sa.ColumnElement[float]:
    """The database's clock, in seconds since the epoch, as an expression."""
    return clock(connection.dialect.name)


def clock(dialect: str) -> sa.ColumnElement[float]:
    """The same for a statement that is kept."""
    if dialect == "sqlite":
        return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float())
    return sa.literal_column("extract(epoch from clock_timestamp())::float8", sa.Float())


def acquire(connection: sa.Connection, names: Collection[str], holder: str, seconds: float) -> dict[str, int]:
    """Epochs of the leases that `holder` has afterwards: those that were free, run out or its own."""
    wanted = sorted(names)
    found: dict[str, int] = {}
    for begin in range(0, len(wanted), _CHUNK):
        found |= _acquire(connection, wanted[begin : begin + _CHUNK], holder, seconds)
    return found


def _acquire(connection: sa.Connection, names: list[str], holder: str, seconds: float) -> dict[str, int]:
    present = now(connection)
    table = tables.leases
    connection.execute(
        upsert(connection, table).on_conflict_do_nothing(),
        [{"application": name, "holder": "", "epoch": 0, "expires": 0.0} for name in names],
    )
    free = sa.or_(_LEASES.holder == holder, _LEASES.expires <= present)
    locked = sa.select(_LEASES.application).where(_LEASES.application.in_(names), free)
    if connection.dialect.name != "sqlite":
        locked = locked.with_for_update(skip_locked=True)
    taken = [row.application for row in connection.execute(locked)]
    same = sa.and_(_LEASES.holder == holder, _LEASES.expires > present)
    connection.execute(
        sa.update(table)
        .where(_LEASES.application.in_(taken))
        .values(
            holder=holder,
            expires=present + seconds,
            epoch=sa.case((same, _LEASES.epoch), else_=_LEASES.epoch + 1),
        )
    )
    rows = connection.execute(
        sa.select(_LEASES.application, _LEASES.epoch).where(
            _LEASES.application.in_(taken), _LEASES.holder == holder
        )
    )
    return {row.application: row.epoch for row in rows}


def holders(connection: sa.Connection, names: Collection[str]) -> dict[str, str]:
    """Who works on each of `names` now; those that nobody works on are left out."""
    wanted = sorted(names)
    found: dict[str, str] = {}
    for begin in range(0, len(wanted), _CHUNK):
        query = sa.select(_LEASES.application, _LEASES.holder).where(
            _LEASES.application.in_(wanted[begin : begin + _CHUNK]), _LEASES.expires > now(connection)
        )
        found |= {row.application: row.holder for row in connection.execute(query)}
    return found


def renew(connection: sa.Connection, holder: str, seconds: float) -> frozenset[str]:
    """Extend every lease of `holder` that has not run out, and say that it lives."""
    present = now(connection)
    held = sa.and_(_LEASES.holder == holder, _LEASES.expires > present)
    connection.execute(sa.update(tables.leases).where(held).values(expires=present + seconds))
    beat(connection, holder, seconds)
    rows = connection.execute(sa.select(_LEASES.application).where(held))
    return frozenset(row.application for row in rows)


def beat(connection: sa.Connection, holder: str, seconds: float) -> None:
    """Say that `holder` lives."""
    statement = upsert(connection, tables.holders).values(holder=holder, expires=now(connection) + seconds)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["holder"], set_={"expires": now(connection) + seconds}
        )
    )


def live_holders(connection: sa.Connection) -> frozenset[str]:
    """Everyone who said not long ago that they live."""
    rows = connection.execute(
        sa.select(tables.holders.c.holder).where(tables.holders.c.expires > now(connection))
    )
    return frozenset(row.holder for row in rows)


def release(connection: sa.Connection, holder: str, names: Collection[str] | None) -> None:
    """Give leases back; all of them (and the sign of life) when `names` is None."""
    mine = _LEASES.holder == holder
    if names is not None:
        mine = sa.and_(mine, _LEASES.application.in_(sorted(names)))
    else:
        connection.execute(sa.delete(tables.holders).where(tables.holders.c.holder == holder))
    connection.execute(sa.update(tables.leases).where(mine).values(holder="", expires=0.0))


def check(connection: sa.Connection, name: str, holder: str, epoch: int, *, lock: bool) -> None:
    """Raise `LeaseLost` unless the lease still holds; `lock` keeps it so until the transaction ends."""
    query = _holds(connection.dialect.name, lock=lock)
    found = connection.execute(query, {"b_application": name, "b_holder": holder, "b_epoch": epoch})
    if found.first() is None:
        raise errors.LeaseLost(
            f"the lease on {name} is no longer ours",
            why="it ran out, or another agent has taken it over",
            hint="nothing to do: the other agent works on it now",
        )


@functools.cache
def _holds(dialect: str, *, lock: bool) -> sa.Select[tuple[int]]:
    query = sa.select(_LEASES.epoch).where(
        _LEASES.application == sa.bindparam("b_application"),
        _LEASES.holder == sa.bindparam("b_holder"),
        _LEASES.epoch == sa.bindparam("b_epoch"),
        _LEASES.expires > clock(dialect),
    )
    return query.with_for_update() if lock and dialect != "sqlite" else query


def upsert(connection: sa.Connection, table: sa.Table) -> sa.dialects.sqlite.Insert:
    """An insert that can say what to do on a conflict; both dialects spell it the same way."""
    return upsert_in(connection.dialect.name, table)


def upsert_in(dialect: str, table: sa.Table) -> sa.dialects.sqlite.Insert:
    """The same for a statement that is kept: to make one costs more than to run it."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only one of the two is loaded

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - only one of the two is loaded

    return postgresql.insert(table)  # type: ignore[return-value]  # the two have the same methods
