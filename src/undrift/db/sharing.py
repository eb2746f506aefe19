"""What applications tell one another through the database: claims on resources; and what sources were seen at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from undrift.db import coding, leases, tables
from undrift.model import inventory, resource

_CLAIMS = tables.claims.c


def claim(
    connection: sa.Connection, application: str, target: str, ids: Collection[resource.ResourceId]
) -> None:
    """Replace the set of ids that an application declares; those on other targets are dropped."""
    mine = _CLAIMS.application == application
    rows = connection.execute(sa.select(tables.claims).where(mine))
    before = {(row.target, coding.id_from(row)) for row in rows}
    after = {(target, rid) for rid in ids}
    for place, rid in before - after:
        here = [_CLAIMS[key] == value for key, value in coding.id_to(rid).items()]
        connection.execute(sa.delete(tables.claims).where(mine, _CLAIMS.target == place, *here))
    new = [
        {"target": place, "application": application, **coding.id_to(rid)} for place, rid in after - before
    ]
    if new:
        connection.execute(sa.insert(tables.claims), new)


def claims(connection: sa.Connection, application: str, target: str) -> inventory.Claims:
    """What others declare on a target."""
    rows = connection.execute(
        sa.select(tables.claims).where(_CLAIMS.target == target, _CLAIMS.application != application)
    )
    found: dict[resource.ResourceId, list[str]] = defaultdict(list)
    for row in rows:
        found[coding.id_from(row)].append(row.application)
    return {rid: tuple(sorted(names)) for rid, names in found.items()}


def all_claims(connection: sa.Connection) -> dict[str, dict[str, frozenset[resource.ResourceId]]]:
    """Target → application → declared ids."""
    found: dict[str, dict[str, set[resource.ResourceId]]] = defaultdict(lambda: defaultdict(set))
    for row in connection.execute(sa.select(tables.claims)):
        found[row.target][row.application].add(coding.id_from(row))
    return {target: {name: frozenset(ids) for name, ids in names.items()} for target, names in found.items()}


def see(connection: sa.Connection, source: str, revision: str) -> None:
    """Remember the revision a source was seen at."""
    statement = leases.upsert(connection, tables.sources).values(source=source, revision=revision)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["source"], set_={"revision": revision})
    )


def seen(connection: sa.Connection, source: str) -> str | None:
    """The revision a source was last seen at."""
    query = sa.select(tables.sources.c.revision).where(tables.sources.c.source == source)
    return connection.execute(query).scalar_one_or_none()
