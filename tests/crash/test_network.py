"""L7: a network that delays, resets or swallows what passes, at any byte: a clear error in bounded time, and nothing is lost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from pipelines.errors import SourceUnavailable
from pipelines.sources import postgres_connection
from tests.conftest import Project
from tests.crash.proxy import Direction, Fault, Kind, Proxy, open_proxy

pytestmark = pytest.mark.slow

SILENCE_SECONDS = 1
MODES = {"incremental": {"key": ["id"], "cursor": "at"}, "snapshot": {}}


@dataclass
class Far:
    """A project whose source is behind a proxy; ``near`` is the same without it, to change and to compare."""

    project: Project
    near: str
    proxy: Proxy

    @contextmanager
    def direct(self) -> Iterator[Project]:
        far, self.project.url = self.project.url, self.near
        try:
            yield self.project
        finally:
            self.project.url = far

    def clean_sync(self) -> dict[Direction, int]:
        """Sync over a good network; returns how many bytes passed."""
        self.proxy.set(None)
        assert self.project.sync("t").outcome in ("committed", "unchanged")
        passed = dict(self.proxy.passed)
        with self.direct() as project:
            project.check("t")
        return passed

    def change(self) -> None:
        with self.direct() as project:
            project.run("update t set name = name || '+', at = clock_timestamp()")

    def strike(self, fault: Fault) -> SourceUnavailable | None:
        """Sync with a fault; returns the error, or None if the sync had ended before it."""
        self.proxy.set(fault)
        try:
            self.project.sync("t")
        except SourceUnavailable as error:
            return error
        return None


@pytest.fixture(params=["incremental", pytest.param("snapshot", marks=pytest.mark.slow)])
def far(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    monkeypatch.setattr(postgres_connection, "GRACE_SECONDS", 0.2)
    project.environment |= {"DAYBREAK_MAX_SNAPSHOT_SECONDS": str(SILENCE_SECONDS), "DAYBREAK_CHUNK_ROWS": "20"}
    has_key = "primary key" if request.param == "incremental" else ""
    project.run(
        f"create table t (id int {has_key}, name text, at timestamptz default now())",
        "insert into t select i, repeat(md5(i::text), 20) from generate_series(1, 60) i",
    )
    project.declare("t", request.param, **MODES[request.param])
    near = project.url
    with open_proxy(near) as (proxy, url):
        project.url = url
        yield Far(project, near, proxy)
        proxy.set(None)


def points(passed: dict[Direction, int], number: int) -> list[tuple[Direction, int]]:
    """Return so many bytes of each direction, evenly spaced."""
    return [(direction, total * (n + 1) // (number + 1)) for direction, total in passed.items() for n in range(number)]


def assert_survived(far: Far, kind: Kind, number: int) -> None:
    passed, errors, commits = far.clean_sync(), 0, far.project.loads()
    for direction, after_bytes in points(passed, number):
        far.change()
        began = time.monotonic()
        error = far.strike(Fault(kind, direction, after_bytes))
        assert time.monotonic() - began < SILENCE_SECONDS + 6, "bounded"  # libpq's connect_timeout is two seconds here
        if error:
            errors += 1
            told = str(error)
            assert "Source `shop` did not answer" in told, told
            assert "finished chunks are kept and the watermark stands" in told
            assert far.project.loads() == commits
        far.clean_sync()
        commits = far.project.loads()
    assert errors >= number, "of two directions, one at least was always hit"


def test_a_connection_that_is_reset_at_any_byte_is_told_and_the_next_run_completes(far: Far) -> None:
    assert_survived(far, "reset", 2)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["reset", "black hole"])
def test_a_connection_that_is_reset_or_swallowed_at_each_of_many_bytes_is_told_and_the_next_run_completes(far: Far, kind: Kind) -> None:
    assert_survived(far, kind, 40)


def test_a_network_that_swallows_everything_is_told_in_bounded_time_and_the_next_run_completes(far: Far) -> None:
    assert_survived(far, "black hole", 1)


def test_a_slow_network_is_slow_and_nothing_else(far: Far) -> None:
    far.clean_sync()
    far.change()
    assert far.strike(Fault("delay", "to client", 0, delay_seconds=0.005)) is None
    assert far.proxy.has_struck
    with far.direct() as project:
        project.check("t")


@pytest.mark.parametrize("far", ["incremental"], indirect=True)  # a table without a key is one transaction, and begins again
@pytest.mark.parametrize("kind", ["reset", "black hole"])
def test_chunks_that_were_landed_before_the_network_broke_are_kept(far: Far, kind: Kind) -> None:
    passed = far.clean_sync()
    far.change()
    assert far.strike(Fault(kind, "to client", passed["to client"] - 2000))
    landed = {file: file.stat().st_mtime_ns for file in far.project.files("t") if not (file.parent / "committed").exists()}
    assert len(landed) >= 2
    far.clean_sync()
    assert {file: file.stat().st_mtime_ns for file in landed if file.exists()} == landed


def test_a_call_that_never_returns_does_not_hold_up_the_next_connection(far: Far) -> None:
    far.clean_sync()
    with suppress(SourceUnavailable):
        far.strike(Fault("black hole", "to server", 0))
    began = time.monotonic()
    far.clean_sync()
    assert time.monotonic() - began < 5
