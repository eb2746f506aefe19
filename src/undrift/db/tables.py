"""The schema. Times are seconds since the epoch by the database's own clock where leases depend on them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _id_columns() -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )


applications = sa.Table(
    "applications",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    sa.Column("resumed", sa.Boolean, nullable=False),
    sa.Column("last_good", sa.JSON(none_as_null=True)),
    sa.Column("last_lock", sa.JSON(none_as_null=True)),
    sa.Column("held_back", sa.JSON, nullable=False),
    sa.Column("hold", sa.JSON(none_as_null=True)),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

inventory = sa.Table(
    "inventory",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    *_id_columns(),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    *_id_columns(),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("outcome", sa.Text),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
)

holders = sa.Table(
    "holders",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("expires", sa.Float, nullable=False),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("application", sa.Text, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("ending", sa.Text, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Index("history_by_application", "application", "number"),
    sa.Index("history_by_time", "started"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("application", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Index("events_by_application", "application", "number"),
    sa.Index("events_by_time", "at"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("notifier", sa.Text, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.Float, nullable=False),
    sa.Column("delivered", sa.Float),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    *_id_columns(),
    sa.Column("application", sa.Text, primary_key=True),
    sa.Index("claims_by_application", "application", "target"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, nullable=False),
)
