"""A server that speaks S3 for the session, a bucket per test, and projects whose landing is in it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipelines.landing.address import BucketAddress, parse_landing
from pipelines.landing.bucket import Bucket, open_bucket
from tests.conftest import Project
from tests.crash.conftest import forker, run  # noqa: F401 - fixtures
from tests.ports import find_free_port

LEASE_SECONDS = 2
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDAYBREAK", "AWS_SECRET_ACCESS_KEY": "s3cret/key"}
_buckets = count()


@dataclass
class Server:
    """The server, and what it is told to do wrong."""

    port: int

    def fail(self, *faults: dict[str, Any]) -> None:
        """Go wrong like this from now on; without faults, be well. The log begins anew."""
        self._ask("_faults", json.dumps(faults).encode())

    def log(self) -> list[str]:
        """Return the requests since then."""
        requests: list[str] = json.loads(self._ask("_log"))
        return requests

    def url(self, bucket: str, prefix: str = "land/ing") -> str:
        """Return what DAYBREAK_LANDING_URL is for a bucket."""
        options = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1&lease_seconds={LEASE_SECONDS}"
        return f"s3://{bucket}/{prefix}?{options}"

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", data=body, timeout=10) as answer:
            found: bytes = answer.read()
            return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """moto's server on a loopback port; see ``server``."""
    server = Server(find_free_port(25000))
    process = subprocess.Popen([sys.executable, "-m", "tests.s3.server", str(server.port)], cwd=Path(__file__).parents[2])
    for _ in range(600):
        try:
            server.fail()
            break
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.05)
    yield server
    process.kill()
    process.wait()


@pytest.fixture
def s3(s3_server: Server) -> Iterator[Server]:
    """The server, well again after each test."""
    s3_server.fail()
    yield s3_server
    s3_server.fail()


@pytest.fixture
def bucket(s3: Server) -> Bucket:
    """A bucket of its own for the test."""
    return make_bucket(s3)


def make_bucket(s3: Server) -> Bucket:
    problems: list[str] = []
    address = parse_landing(s3.url(f"test-{os.getpid()}-{next(_buckets)}"), Path("/nowhere"), CREDENTIALS, problems).bucket
    assert isinstance(address, BucketAddress)
    assert not problems
    found = open_bucket(address)
    found._client.create_bucket(Bucket=address.bucket)
    return found


@pytest.fixture
def landed(project: Project, s3: Server, bucket: Bucket) -> Project:
    """A project whose loads are kept in the bucket."""
    project.environment |= {**CREDENTIALS, "DAYBREAK_LANDING_URL": s3.url(bucket.address.bucket)}
    project.environment["DAYBREAK_WAREHOUSE_URL"] = f"duckdb:///{project.home}/warehouse.duckdb"
    return project


def another_machine(project: Project, name: str = "b") -> Project:
    """Return the project as another machine has it: a home and a mirror of its own, the same warehouse and bucket."""
    home = project.home.with_name(name)
    home.mkdir()
    return replace(project, home=home, tables=list(project.tables), environment=dict(project.environment))


def names(bucket: Bucket, prefix: str = "") -> list[str]:
    """Return the names of all objects below a prefix."""
    return [name for name, _ in bucket.list(prefix)]
