"""What happened: reconciles, events, plans, messages to send. History is written in batches, messages are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from undrift.db import leases, tables

_HISTORY = tables.history.c
_EVENTS = tables.events.c
_OUTBOX = tables.outbox.c
_CHUNK = 400


def remember(
    connection: sa.Connection,
    reconciles: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    messages: Sequence[Mapping[str, Any]],
) -> None:
    """Append reconciles (application, started, ending, document) and events (application, at, kind, document).

    Messages have key, notifier and document; one that is known already is not sent twice.
    """
    if reconciles:
        connection.execute(sa.insert(tables.history), [dict(one) for one in reconciles])
    if events:
        connection.execute(sa.insert(tables.events), [dict(one) for one in events])
    if messages:
        connection.execute(
            leases.upsert(connection, tables.outbox).on_conflict_do_nothing(),
            [{"attempts": 0, "due": 0.0, "delivered": None, **message} for message in messages],
        )


def reconciles(
    connection: sa.Connection, application: str | None, limit: int, before: int | None
) -> list[dict[str, Any]]:
    """The newest reconciles first; `before` is the number of the last one of the page before."""
    query = sa.select(tables.history).order_by(_HISTORY.number.desc()).limit(limit)
    if application is not None:
        query = query.where(_HISTORY.application == application)
    if before is not None:
        query = query.where(_HISTORY.number < before)
    return [row.document | {"number": row.number} for row in connection.execute(query)]


def latest(connection: sa.Connection, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The newest reconcile of each application that has one."""
    found: dict[str, dict[str, Any]] = {}
    for begin in range(0, len(names), _CHUNK):
        chosen = _HISTORY.application.in_(names[begin : begin + _CHUNK])
        newest = sa.select(sa.func.max(_HISTORY.number)).where(chosen).group_by(_HISTORY.application)
        rows = connection.execute(sa.select(tables.history).where(_HISTORY.number.in_(newest)))
        found |= {row.application: row.document for row in rows}
    return found


def events(
    connection: sa.Connection, application: str | None, limit: int, after: int | None
) -> list[dict[str, Any]]:
    """Events in order: those after number `after`, or the newest `limit`."""
    query = sa.select(tables.events)
    if application is not None:
        query = query.where(_EVENTS.application == application)
    if after is not None:
        query = query.where(_EVENTS.number > after).order_by(_EVENTS.number).limit(limit)
        rows = list(connection.execute(query))
    else:
        rows = list(connection.execute(query.order_by(_EVENTS.number.desc()).limit(limit)))[::-1]
    return [
        dict(row.document)
        | {"number": row.number, "application": row.application, "at": row.at, "kind": row.kind}
        for row in rows
    ]


def remember_plan(connection: sa.Connection, digest: str, document: Mapping[str, Any]) -> None:
    """Keep a plan's document under its digest; the newest time counts for retention."""
    at = leases.now(connection)
    statement = leases.upsert(connection, tables.plans).values(digest=digest, document=dict(document), at=at)
    connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_={"at": at}))


def plan(connection: sa.Connection, digest: str) -> dict[str, Any] | None:
    """A plan's document."""
    query = sa.select(tables.plans.c.document).where(tables.plans.c.digest == digest)
    return connection.execute(query).scalar_one_or_none()


def receivers(connection: sa.Connection) -> frozenset[str]:
    """Notifiers that messages wait for now."""
    query = sa.select(_OUTBOX.notifier).distinct().where(_is_due(connection))
    return frozenset(row.notifier for row in connection.execute(query))


def take(connection: sa.Connection, notifier: str, seconds: float) -> dict[str, Any] | None:
    """The oldest message that waits for a notifier; nobody else gets it for so long."""
    query = (
        sa.select(tables.outbox)
        .where(_is_due(connection), _OUTBOX.notifier == notifier)
        .order_by(_OUTBOX.due)
        .limit(1)
    )
    if connection.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True)
    found = connection.execute(query).mappings().first()
    if found is None:
        return None
    connection.execute(
        sa.update(tables.outbox)
        .where(_OUTBOX.key == found["key"], _OUTBOX.notifier == notifier)
        .values(due=leases.now(connection) + seconds)
    )
    return dict(found)


def _is_due(connection: sa.Connection) -> sa.ColumnElement[bool]:
    return sa.and_(_OUTBOX.delivered.is_(None), _OUTBOX.due <= leases.now(connection))


def delivered(connection: sa.Connection, key: str, notifier: str) -> None:
    """A message has arrived."""
    connection.execute(
        sa.update(tables.outbox)
        .where(_OUTBOX.key == key, _OUTBOX.notifier == notifier)
        .values(delivered=leases.now(connection))
    )


def postpone(connection: sa.Connection, key: str, notifier: str, seconds: float) -> None:
    """A message has not arrived: try again later."""
    connection.execute(
        sa.update(tables.outbox)
        .where(_OUTBOX.key == key, _OUTBOX.notifier == notifier)
        .values(attempts=_OUTBOX.attempts + 1, due=leases.now(connection) + seconds)
    )


def retain(connection: sa.Connection, seconds: float, least: int, batch: int = 1000) -> int:
    """Drop what is older than `seconds`; the last `least` reconciles of each application stay. Returns a count."""
    edge = leases.now(connection) - seconds
    rank = sa.func.row_number().over(partition_by=_HISTORY.application, order_by=_HISTORY.number.desc())
    ranked = sa.select(_HISTORY.number, _HISTORY.started, rank.label("rank")).subquery()
    old = sa.select(ranked.c.number).where(ranked.c.started < edge, ranked.c.rank > least).limit(batch)
    gone = connection.execute(sa.delete(tables.history).where(_HISTORY.number.in_(old))).rowcount
    aged = sa.select(_EVENTS.number).where(_EVENTS.at < edge).limit(batch)
    gone += connection.execute(sa.delete(tables.events).where(_EVENTS.number.in_(aged))).rowcount
    gone += connection.execute(sa.delete(tables.outbox).where(_OUTBOX.delivered < edge)).rowcount
    over = sa.and_(tables.journal.c.outcome.is_not(None), tables.journal.c.at < edge)
    gone += connection.execute(sa.delete(tables.journal).where(over)).rowcount
    kept = sa.select(tables.approvals.c.digest)
    stale = sa.and_(tables.plans.c.at < edge, tables.plans.c.digest.not_in(kept))
    gone += connection.execute(sa.delete(tables.plans).where(stale)).rowcount
    return int(gone)
