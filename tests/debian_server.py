"""Debian's PostgreSQL 15, started for a test: over TCP, with a password, and with what the embedded one lacks."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.ports import find_free_port

BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "not a secret: %/@"


@dataclass(frozen=True)
class DebianServer:
    """A server that runs, and the user whose processes it is made of."""

    folder: Path
    port: int
    user: str

    @property
    def url(self) -> str:
        return f"postgresql://owner:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs as its user."""
        command = [str(BINARIES / program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, user=self.user, stdout=subprocess.DEVNULL, env={"PGPASSWORD": PASSWORD})

    @contextmanager
    def running(self) -> Iterator["DebianServer"]:
        """Start it, and end it."""
        control = ("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"))
        self.run(*control, "-o", f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off", "start")
        try:
            with psycopg.connect(self.url) as connection:
                found = connection.execute("show data_directory").fetchone()
                assert found == (str(self.data),), "somebody else's server answers"
            yield self
        finally:
            self.run(*control, "-m", "immediate", "stop")


@contextmanager
def open_debian_server() -> Iterator[DebianServer]:
    """Make and start a server; without the binaries the test is skipped on a laptop and fails in CI."""
    with _new_server() as server:
        password = server.folder / "password"
        password.write_text(PASSWORD)
        shutil.chown(password, server.user)
        account = ("-U", "owner", "-A", "scram-sha-256", f"--pwfile={password}")
        server.run("initdb", "-D", str(server.data), *account, "-E", "UTF8", "--no-sync")
        with server.running():
            yield server


@contextmanager
def open_standby(primary: DebianServer) -> Iterator[DebianServer]:
    """Make and start a hot standby that streams from ``primary``."""
    with _new_server() as standby:
        standby.run(
            "pg_basebackup", "-D", str(standby.data), "-h", "127.0.0.1", "-p", str(primary.port), "-U", "owner", "-R", "--checkpoint=fast"
        )
        with standby.running():
            yield standby


@contextmanager
def _new_server() -> Iterator[DebianServer]:
    if not (BINARIES / "postgres").exists():
        message = f"No PostgreSQL 15 in {BINARIES}: apt-get install postgresql-15"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name  # PostgreSQL refuses to be root's
    folder = Path(tempfile.mkdtemp(prefix="daybreak-pg15-"))
    shutil.chown(folder, user)
    try:
        yield DebianServer(folder, find_free_port(26000), user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
