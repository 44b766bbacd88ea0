"""A PostgreSQL that this project did not start: Debian's 15, over TCP, with a password."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipelines.settings import Settings, load_settings
from pipelines.wiring import SyncRequest, sync_tables
from tests.conftest import TODAY

BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "not a secret: %/@"
URL = "postgresql://owner:not%20a%20secret%3A%20%25%2F%40@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if not (BINARIES / "postgres").exists():
        message = f"No PostgreSQL 15 in {BINARIES}: apt-get install postgresql-15"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name  # PostgreSQL refuses to be root's
    folder, port = Path(tempfile.mkdtemp(prefix="daybreak-pg15-")), free_port()
    (folder / "password").write_text(PASSWORD)
    if os.getuid() == 0:
        shutil.chown(folder, user)
        shutil.chown(folder / "password", user)
    data = folder / "data"
    control = [str(BINARIES / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, user=user, stdout=subprocess.DEVNULL)

    account = ("-U", "owner", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}")
    run(str(BINARIES / "initdb"), "-D", str(data), *account, "-E", "UTF8", "--no-sync")
    run(*control, "-o", f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off", "start")
    try:
        with psycopg.connect(URL.format(port=port)) as connection:
            found = connection.execute("show data_directory").fetchone()
            assert found == (str(data),), "somebody else's server answers"
        yield port
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    for port in range(26000 + os.getpid() % 5000, 32700):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def make_settings(home: Path, url: str) -> Settings:
    return load_settings({"DAYBREAK_HOME": str(home), "DAYBREAK_TODAY": str(TODAY), "SHOP_DATABASE_URL": url, "DAYBREAK_MASK_KEY": "key"})


def test_the_shop_is_synced_from_it_in_all_modes(port: int, tmp_path: Path) -> None:
    import duckdb

    from pipelines.shop.simulator import create_shop

    url = URL.format(port=port)
    made = create_shop(url, today=TODAY, days=4, events_per_day=100)
    settings = make_settings(tmp_path, url)
    (source,) = settings.sources()
    results = sync_tables(settings, SyncRequest(source, source.tables))
    assert {result.table: result.outcome for result in results} == dict.fromkeys((table.id for table in source.tables), "committed")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        counts = {table.name: connection.execute(f"select count(*) from raw_shop.{table.name}").fetchall()[0][0] for table in source.tables}
    assert counts == made.inserted
    assert {result.outcome for result in sync_tables(settings, SyncRequest(source, source.tables))} == {"unchanged"}


def test_a_wrong_password_is_named_and_no_password_is_told(port: int, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, f"postgresql://owner:wrongword@127.0.0.1:{port}/postgres")
    (source,) = settings.sources()
    (result,) = sync_tables(settings, SyncRequest(source, source.tables[:1]))
    assert result.outcome == "held"
    assert "password" in str(result.held_reason)
    assert "wrongword" not in str(result.held_reason)
