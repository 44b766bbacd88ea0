"""R2, R3, R6, R7: ties and missing cursors under kills, tables that change while they are read, and what the source has to bear."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import adbc_driver_manager as adbc
import psycopg
import pytest

from pipelines.errors import SourceUnavailable
from pipelines.sources.postgres_connection import Connection
from pipelines.sync.model import DayRange
from pipelines.sync.steps import set_hook
from pipelines.wiring import SyncRequest, sync_tables
from tests.conftest import TODAY, Project
from tests.crash.conftest import Run
from tests.crash.crashing import DIED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


def after_chunk(number: int, action: Callable[[], object]) -> None:
    """Do something once, after the chunk of that number was landed."""
    seen: list[str] = []

    def hook(name: str, moment: str) -> None:
        if (name, moment) == ("land.chunk", "after"):
            seen.append(name)
            if len(seen) == number:
                action()

    set_hook(hook)


def landed(answer: dict[str, Any]) -> int:
    return sum(1 for name, moment, _ in answer["passed"] if (name, moment) == ("land.manifest", "after"))


@pytest.mark.parametrize(
    ("rows", "per_life"), [(40, 1), pytest.param(10_000, 40, marks=pytest.mark.long), pytest.param(1_400, 1, marks=pytest.mark.long)]
)
def test_equal_cursors_killed_after_every_chunk_of_seven_are_exact_and_no_chunk_is_read_twice(
    project: Project, run: Run, rows: int, per_life: int
) -> None:
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t select i, '{TODAY}'::timestamptz + interval '0.123456 s' from generate_series(1, {rows}) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    chunks = kill_until_committed(project, run, per_life)
    assert run(project, None)["code"] == 0
    project.check("t")
    assert project.ask("select rows_read, chunks from daybreak.ledger order by committed_at limit 1") == [(rows, chunks)]
    assert chunks == rows // 7 + 1


def kill_until_committed(project: Project, run: Run, per_life: int) -> int:
    """Sync in processes that die once they have landed so many chunks; returns how many were landed up to the first commit."""
    chunks = 0
    while True:
        died = run(project, ("land.manifest", "after", per_life))
        if ["commit", "after", 1] in died["passed"]:
            # The whole table may lie at the upper bound, and then this process has begun to look at it once more.
            return chunks + landed({"passed": died["passed"][: died["passed"].index(["commit", "after", 1])]})
        chunks += landed(died)
        assert (died["code"], landed(died)) == (DIED, per_life)


def test_cursors_that_differ_in_the_sixth_digit_only_and_missing_ones_are_exact_when_killed_after_every_chunk(
    project: Project, run: Run
) -> None:
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t select i, '{TODAY}'::timestamptz + (i % 3) * interval '1 us' from generate_series(1, 24) i",
        "insert into t select i, null from generate_series(25, 40) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    chunks = kill_until_committed(project, run, 1)
    assert run(project, None)["code"] == 0
    project.check("t")
    assert project.ask("select rows_read, chunks from daybreak.ledger order by committed_at limit 1") == [(40, chunks)]


MODES: dict[str, dict[str, Any]] = {
    "incremental": {"mode": "incremental", "key": ["id"], "cursor": "at"},
    "snapshot": {"mode": "snapshot", "key": ["id"]},
    "keyless snapshot": {"mode": "snapshot"},
    "partitioned": {"mode": "partitioned", "key": ["id"], "partition": {"column": "at", "start": "2026-03-01"}},
}


def make(project: Project, mode: str) -> None:
    key = "" if mode == "keyless snapshot" else "primary key"
    project.run(
        f"create table t (id int {key}, name text, at timestamptz)",
        f"insert into t select i, 'old', '{TODAY}'::timestamptz - i * interval '1 h' from generate_series(1, 40) i",
    )
    project.declare("t", **MODES[mode])


@pytest.mark.parametrize("mode", list(MODES))
def test_a_table_that_changes_between_its_chunks_is_whole_after_the_next_sync(project: Project, mode: str) -> None:
    make(project, mode)
    moved = f"'{TODAY}'::timestamptz - interval '1 s'" if mode == "incremental" else "at"
    changes = [
        f"update t set name = 'new', at = {moved} where id in (2, 38)",
        f"insert into t select i, 'new', '{TODAY}'::timestamptz - interval '1 s' from unnest(array[0, 99]) i",
    ]
    if mode != "incremental":
        changes += ["delete from t where id in (1, 20, 40)", "update t set id = 77 where id = 3"]
    after_chunk(2, lambda: project.run(*changes))
    project.sync("t")
    set_hook(None)
    project.sync("t")
    project.check("t")
    assert project.sync("t").outcome == "unchanged"


@pytest.mark.parametrize("mode", ["snapshot", "partitioned"])
def test_a_table_that_is_truncated_between_its_chunks_is_empty_after_the_next_sync(project: Project, mode: str) -> None:
    make(project, mode)
    after_chunk(2, lambda: project.run("truncate t"))
    project.sync("t")
    set_hook(None)
    if mode == "partitioned":
        # Nothing tells that old days were emptied, and a source that came back empty takes nothing: a person has to ask for it.
        source = project.settings.sources()[0]
        sync_tables(project.settings, SyncRequest(source, source.tables, DayRange(date(2026, 3, 1), TODAY), lets_vanish=True))
    else:
        project.sync("t")
    project.check("t")


def test_a_truncated_incremental_table_keeps_its_rows_and_takes_the_new_ones(project: Project) -> None:
    """Deletes of an incremental table are not followed, and TRUNCATE is one."""
    make(project, "incremental")
    after_chunk(2, lambda: project.run("truncate t", f"insert into t values (500, 'new', '{TODAY}')"))
    project.sync("t")
    set_hook(None)
    project.sync("t")
    assert project.ask("select count(*) from raw_shop.t where id = 500") == [(1,)]
    assert project.ask("select count(*) from raw_shop.t where id <= 40")[0][0] >= 14


def test_a_stream_holds_off_truncate_and_reads_one_state(project: Project) -> None:
    """A keyless table is one transaction: TRUNCATE waits for it, other changes are not seen by it."""
    make(project, "keyless snapshot")
    refused: list[str] = []

    def truncate() -> None:
        with psycopg.connect(project.url, options="-c lock_timeout=100ms") as other:
            try:
                other.execute("truncate t")
            except psycopg.errors.LockNotAvailable:
                refused.append("truncate")
        project.run("delete from t where id > 5")

    after_chunk(1, truncate)
    assert project.sync("t").loads[0].counts.inserted == 40
    assert refused == ["truncate"]
    set_hook(None)
    project.commit("t")


@pytest.mark.parametrize("mode", ["incremental", "snapshot", "partitioned"])
def test_no_transaction_is_open_on_the_source_but_while_a_chunk_is_read(project: Project, mode: str) -> None:
    make(project, mode)
    found: list[Any] = []
    looks: set[str] = set()
    with psycopg.connect(project.url, autocommit=True) as watcher:
        busy = (
            "select state, query from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and backend_type = 'client backend'"
        )

        def hook(name: str, moment: str) -> None:
            looks.add(name)
            found.extend((name, moment, *row) for row in watcher.execute(busy).fetchall())

        set_hook(hook)
        project.commit("t")
    assert found == []
    assert {"read.chunk", "land.file", "gate", "commit.fence"} <= looks


def test_the_server_ends_what_a_stopped_run_left_open_and_what_takes_too_long(project: Project) -> None:
    connection = Connection("shop", project.url, max_query_seconds=1)
    with pytest.raises(SourceUnavailable, match="statement timeout"), connection.transaction():
        connection.rows("select pg_sleep(5)::text as x")
    with connection.transaction():
        connection.rows("select 1 as x")
        time.sleep(1.3)
        with pytest.raises(adbc.Error):
            connection.rows("select 1 as x")
        connection.close()
        connection.run("begin")
    with connection.transaction():
        assert connection.rows("select 1 as x") == [{"x": 1}]
    connection.close()


MEASURE = """
import os, resource, sys
from pipelines.settings import load_settings
from pipelines.sync.engine import sync_table
from pipelines.wiring import SyncRequest, open_engine
settings = load_settings(dict(os.environ))
source = settings.sources()[0]
for name in ("warm", "t"):
    spec = source.table(name)
    with open_engine(settings, SyncRequest(source, (spec,))) as engine:
        sync_table(engine, spec)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize("key", [{"key": ["id"]}, {}], ids=["chunks", "one stream"])
def test_memory_is_bounded_by_the_byte_budget_however_wide_the_rows_are(project: Project, key: dict[str, Any]) -> None:
    """Forty rows of 12 MB, 480 MB in all, with a budget of 16 MB."""
    project.run(
        "create table warm (id int primary key, name text)",
        "insert into warm values (1, 'x')",
        "create table t (id int primary key, name text)",
        "insert into t select i, repeat(md5(i::text), 393216) from generate_series(1, 40) i",
    )
    project.declare("warm", "snapshot", key=["id"])
    project.declare("t", "snapshot", **key)
    project.environment |= {"DAYBREAK_CHUNK_BYTES": str(16 * 2**20), "DAYBREAK_CHUNK_ROWS": "1000"}
    environment = {**os.environ, **project.settings.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", MEASURE], env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = map(int, done.stdout.split())
    print(f"{before} MB before, {after} MB after")
    assert project.ask("select count(*) from raw_shop.t") == [(40,)]
    assert after - before < 700
