"""From any earlier schema to the present one. Alembic is imported only when there is something to do."""

from __future__ import annotations

import pathlib

import sqlalchemy as sa

from undrift import errors

HEAD = "0002"
_VERSION = "alembic_version"


def migrate(connection: sa.Connection) -> bool:
    """Bring the schema up to `HEAD` in the running transaction; True when the database was empty.

    Raises `DatabaseBroken` for a schema that a newer Undrift wrote.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(7310420193)"))
    version = _version(connection)
    if version == HEAD:
        return False
    if version is not None and version > HEAD:
        raise errors.DatabaseBroken(
            "the database was written by a newer Undrift",
            why=f"its schema is {version}, this Undrift knows up to {HEAD}",
            hint="use that newer Undrift again, or another database",
        )
    _upgrade(connection)
    return version is None


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION):
        return None
    table = sa.table(_VERSION, sa.column("version_num", sa.Text))
    found: str | None = connection.execute(sa.select(table.c.version_num)).scalar_one_or_none()
    return found


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command, config  # noqa: PLC0415 - slow to import and rarely needed

    settings = config.Config()
    settings.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
