"""Opening a ledger: files, schema, and each way it can go wrong."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from setpoint.errors import BackendError, ConfigError, StoreLocked
from setpoint.ledger import Ledger, StoreCorrupt, StoreFull, StoreReadOnly, StoreTooNew
from setpoint.ledger.migrate import HEAD
from setpoint.ledger.schema import metadata
from tests.setpoint.ledger.builders import event, one_incident

_MIGRATIONS = Path(__file__).parents[3] / "setpoint" / "ledger" / "migrations"


def test_file_is_readable_by_its_owner_only(ledger: Ledger, path: Path) -> None:
    ledger.accept([event(1)])

    for file in (path, path.with_name("ledger.db-wal"), path.with_name("ledger.db-shm")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_open_file_is_closed_to_others(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    Ledger.open(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_commits_are_synced_to_disk(path: Path, ledger: Ledger) -> None:
    with ledger._db.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_migrations_lead_to_the_schema(ledger: Ledger) -> None:
    with ledger._db.read() as migrated:
        assert compare_metadata(MigrationContext.configure(migrated), metadata) == []


def test_migrations_lead_to_the_same_partial_indexes(path: Path, ledger: Ledger) -> None:
    declared = create_engine("sqlite://")
    metadata.create_all(declared)
    with ledger._db.read() as migrated, declared.connect() as fresh:
        assert _indexes(migrated) == _indexes(fresh)


def _indexes(connection: Connection) -> dict[str, str]:
    """Indexes as SQL: Alembic's comparison leaves out what makes them partial."""
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    return {row.name: row.sql for row in rows}


def test_code_knows_the_newest_migration() -> None:
    assert ScriptDirectory(str(_MIGRATIONS)).get_current_head() == HEAD


def test_reopening_keeps_everything(path: Path) -> None:
    with Ledger.open(path) as first:
        first.accept([event(1)])
    with Ledger.open(path) as second:
        assert [item.id for item in second.pending()] == ["ev-1"]


def test_two_openers_migrate_once(path: Path) -> None:
    start = threading.Barrier(4)
    problems: list[BaseException] = []

    def opener() -> None:
        start.wait()
        try:
            Ledger.open(path).close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=opener) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    with Ledger.open(path) as ledger:
        assert ledger.accept([event(1)]).new == 1


def test_newer_schema_is_refused(path: Path) -> None:
    Ledger.open(path).close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match=r"newer Setpoint \(schema 9999, this one knows \d+\)"):
        Ledger.open(path)


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"time,host,message\n" * 400)

    with pytest.raises(StoreCorrupt, match="damaged or no Setpoint ledger"):
        Ledger.open(path)


def test_a_damaged_page_is_named(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for batch in range(20):
            ledger.accept([event(f"{batch}-{n}") for n in range(50)])
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 2))

    with pytest.raises(StoreCorrupt), Ledger.open(path) as damaged:
        list(damaged.iter_events())


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match="cannot be opened for writing"):
        Ledger.open(tmp_path)


def test_read_only_database(path: Path) -> None:
    Ledger.open(path).close()

    with Ledger.open(f"sqlite:///file:{path}?mode=ro&uri=true") as ledger, pytest.raises(StoreReadOnly):
        ledger.accept([event(1)])


@pytest.mark.parametrize("target", ["sqlite://", "sqlite:///:memory:", "nonsense://x/y", "://"])
def test_urls_that_name_no_lasting_store(target: str) -> None:
    with pytest.raises(ConfigError):
        Ledger.open(target)


def test_locked_database_says_so_and_recovers(path: Path) -> None:
    with (
        Ledger.open(path, wait_s=0.05) as ledger,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match=r"more than 0\.05 s"):
            ledger.accept([event(1)])
        assert ledger.pending() == []  # reading goes on meanwhile
        other.execute("ROLLBACK")

        assert ledger.accept([event(1)]).new == 1


def test_full_disk_keeps_what_was_accepted(path: Path, ledger: Ledger) -> None:
    ledger.accept([event(1)])
    with ledger._db.read() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
    events = [event(f"big-{n}", message="x" * 4000) for n in range(500)]

    with ledger._db.write() as tx:
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFull, match="disk is full"):
        ledger.accept(events)
    with ledger._db.write() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count=1000000")

    assert [item.id for item in ledger.pending()] == ["ev-1"]
    assert ledger.accept(events).new == 500


_FILL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from setpoint.ledger import Ledger, StoreFull
from tests.setpoint.ledger.builders import event
ledger = Ledger.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
for batch in range(1000):
    try:
        ledger.accept([event(f"{batch}-{n}", message="x" * 1000) for n in range(20)])
    except StoreFull as error:
        print("full:", error)
        sys.exit(0)
    print(batch, flush=True)
"""


def test_write_refused_by_the_system_loses_nothing_acknowledged(path: Path) -> None:
    """A file size limit is a disk that refuses: what was acknowledged before stays, the failed batch is absent."""
    child = subprocess.run(
        [sys.executable, "-c", _FILL, str(path)], capture_output=True, text=True, check=True
    )
    *acknowledged, last = child.stdout.splitlines()

    assert last.startswith("full:")
    assert "Free some space" in last
    with Ledger.open(path) as ledger:
        assert [item.id for item in ledger.iter_events()] == [
            f"ev-{batch}-{n}" for batch in acknowledged for n in range(20)
        ]
        assert ledger.accept([event("after")]).new == 1


def test_many_threads_share_one_ledger(ledger: Ledger) -> None:
    def write(thread: int) -> None:
        for n in range(10):
            ledger.accept([event(f"{thread}-{n}")])
            ledger.pending(5)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.pending_count() == 80


def test_what_was_committed_is_visible_to_another_opener_at_once(ledger: Ledger, path: Path) -> None:
    with Ledger.open(path) as other:
        ledger.accept([event(1)])
        other.commit_triage(one_incident(event(1)))

        assert ledger.get_incident("INC-1").event_count == 1


def test_an_unreachable_server_is_a_backend_error() -> None:
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    with pytest.raises(BackendError, match="the database server failed") as caught:
        Ledger.open("postgresql+psycopg://someone:secret@127.0.0.1:1/setpoint")

    assert "secret" not in str(caught.value)
