"""Bringing the schema up to date when a ledger is opened, safely with several openers at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from setpoint.ledger.faults import StoreTooNew

HEAD = "0007"
"""Revision this code works with; the newest file in migrations/versions (a test compares them)."""
_MIGRATION_LOCK_KEY = 0x5E79015


def migrate(connection: Connection, where: str) -> None:
    """Run the missing migrations in one transaction. Raises StoreTooNew for a revision this code does not know."""
    with connection.begin():
        if _revision(connection) == HEAD:
            return
    writer = connection.execution_options(setpoint_writes=True)
    with writer.begin():
        if writer.dialect.name == "postgresql":
            writer.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK_KEY})")
        _upgrade(writer, _revision(writer), where)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, revision: str | None, where: str) -> None:
    if revision == HEAD:
        return  # another opener was faster
    # Alembic is slow to import and needed only here.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreTooNew(
            f"was written by a newer Setpoint (schema {revision}, this one knows {HEAD})",
            where=where,
            remedy="upgrade Setpoint, or name another store.dir",
        )
    command.upgrade(config, HEAD)
