"""The whole ledger on a real PostgreSQL server, started here where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


def _owner() -> tuple[int, int] | None:
    """Who may run the server: this user, or for root the user `postgres`; None where nobody may."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    owner = _owner()
    if shutil.which("initdb") is None or shutil.which("postgres") is None or owner is None:
        pytest.skip("no PostgreSQL server programs, or no user to run them")
    folder = Path(f"/tmp/setpoint-pg-{os.getpid()}")
    folder.mkdir(mode=0o700)
    os.chown(folder, *owner)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        yield from _running(folder, port, owner)
    finally:
        shutil.rmtree(folder)


def _running(folder: Path, port: int, owner: tuple[int, int]) -> Iterator[str]:
    user, group = owner
    data = str(folder / "data")
    # No syncing: this is about the SQL, not about this machine's disk.
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"

    def call(*command: str) -> None:
        subprocess.run(
            command,
            check=True,
            cwd=folder,
            user=user,
            group=group,
            extra_groups=[],
            stdout=subprocess.DEVNULL,
        )

    call("initdb", "-D", data, "-A", "trust", "-U", "setpoint", "-E", "UTF8", "--no-sync")
    call("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg://setpoint@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@pytest.mark.slow
def test_the_same_tests_pass_on_postgresql(server: str) -> None:
    names = [
        str(path)
        for path in sorted(_TESTS.glob("test_*.py"))
        if path.stem not in ("test_postgres", "test_kill")
    ]
    environment = os.environ | {"SETPOINT_TEST_POSTGRES": server}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *names],
        env=environment,
        cwd=_TESTS.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-4000:]
