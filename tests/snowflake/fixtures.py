"""Fixtures for tests on Snowflake: the double, or a real account where DAYBREAK_TEST_SNOWFLAKE_URL is set.

Another folder of tests has them by ``from tests.snowflake.fixtures import *`` in its conftest. Nothing here is named in a package
``snowflake``: this folder has no ``__init__.py``, or it would hide the connector's.
"""

import itertools
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

from tests.ports import find_free_port

__all__ = ["Double", "connect", "double", "on_double", "snowflake_server", "snowflake_url"]

# Each login would ask the metadata services of three clouds, by name: up to 5 s where no name is answered.
os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
REAL = os.environ.get("DAYBREAK_TEST_SNOWFLAKE_URL", "")
_ROOT = Path(__file__).parents[2]
_names = itertools.count()
on_double = pytest.mark.skipif(bool(REAL), reason="only the double does this when asked")


@dataclass
class Double:
    """The double's process, and what tests may ask of it beyond Snowflake."""

    port: int
    process: subprocess.Popen[bytes]

    def statements(self, database: str | None = None) -> list[dict[str, Any]]:
        """Every statement that was sent, with its session, query tag, error, and whether it would have woken a warehouse."""
        sent: list[dict[str, Any]] = self._ask("statements")
        return [statement for statement in sent if database in (None, statement["database"])]

    def drop_after_commit(self, times: int = 1) -> None:
        """After the next COMMIT has been done, end the connection without an answer, and the session with it."""
        self._ask("faults", {"after_commit": times})

    def refuse(self, times: int) -> None:
        """End the next connections without an answer."""
        self._ask("faults", {"refuse": times})

    def idle_after(self, seconds: float) -> None:
        """Roll back a transaction that others wait for once its client was silent for so long; 300 as long as nobody says."""
        self._ask("idle", {"seconds": seconds})

    def _ask(self, what: str, body: dict[str, float] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/daybreak/{what}", data, timeout=10) as answer:
            return json.loads(answer.read())


def start_double(folder: Path | None = None, port: int | None = None) -> Double:
    """Start the double, and wait until it answers."""
    port = port or find_free_port(24000)
    command = [sys.executable, "-m", "tests.snowflake.server", "--port", str(port), *(["--folder", str(folder)] if folder else [])]
    started = Double(port, subprocess.Popen(command, cwd=_ROOT))
    deadline = time.monotonic() + 60
    while True:
        try:
            started._ask("alive")
            return started
        except OSError:
            if started.process.poll() is not None or time.monotonic() > deadline:
                started.process.kill()
                raise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def double() -> Iterator[Double]:
    """The double; a test that asks for it is about the double alone."""
    if REAL:
        pytest.skip("only the double does this when asked")
    started = start_double()
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(scope="session")
def snowflake_server(request: pytest.FixtureRequest) -> str:
    """The URL of an account, real or not, with a database that need not exist."""
    return REAL or make_url(request.getfixturevalue("double").port, "NONE")


@pytest.fixture
def snowflake_url(snowflake_server: str) -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards."""
    name = f"DAYBREAK_TEST_{os.getpid()}_{next(_names)}"
    with connect(snowflake_server) as connection:
        connection.cursor().execute(f"create database {name}")
        parts = urlsplit(snowflake_server)
        try:
            yield parts._replace(path=f"/{name}").geturl()
        finally:
            connection.cursor().execute(f"drop database if exists {name}")


def make_url(port: int, database: str) -> str:
    query = urlencode({"warehouse": "WH", "role": "LOADER", "host": "127.0.0.1", "port": port, "protocol": "http"})
    return f"snowflake://daybreak:secret@double/{database}?{query}"


def connect(url: str, **options: Any) -> Any:
    """Return a connection of the real connector, in the URL's database."""
    import snowflake.connector

    parts = urlsplit(url)
    query: dict[str, Any] = dict(parse_qsl(parts.query))
    database, _, schema = parts.path.strip("/").partition("/")
    settings = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "account": parts.hostname,
        "database": database,
        **({"schema": schema} if schema else {}),
        "network_timeout": 60,
        "login_timeout": 10,
        "paramstyle": "qmark",
        **query,
        **({"port": int(query["port"])} if "port" in query else {}),
    }
    return snowflake.connector.connect(**{**settings, **options})
