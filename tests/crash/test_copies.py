"""L5 and the mirror: readers of the read copy see whole states only, and a mirror that is not of now is mended before it is believed."""

import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.delivery.read_copy import deliver_read_copy, read_copy_file
from pipelines.state.mirror import Mirror
from pipelines.wiring import open_mirror
from tests.conftest import TODAY, Project
from tests.crash.conftest import Run
from tests.crash.crashing import DIED
from tests.crash.proofs import ReadCopyPoller, differences

pytestmark = pytest.mark.slow

MODES = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-03-01"}},
}


def publish(project: Project) -> str:
    mirror = Mirror(project.settings.state_url)
    status = deliver_read_copy(project.settings, mirror, {}).status
    mirror.engine.dispose()
    return status


def put_back(project: Project, saved: Path) -> None:
    """Put an older copy of the mirror in its place, as a restored backup does."""
    open_mirror(project.settings.state_url).engine.dispose()
    open_mirror.cache_clear()
    for file in project.home.glob("state.db*"):
        if file.is_file():
            file.unlink()
    shutil.copy(saved, project.home / "state.db")


def save(project: Project, to: Path) -> Path:
    import sqlite3

    with sqlite3.connect(project.home / "state.db") as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()
    return to


@pytest.mark.parametrize("mode", list(MODES))
def test_a_mirror_that_is_an_older_copy_is_mended_before_it_is_believed(project: Project, tmp_path: Path, mode: str) -> None:
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'old', '{TODAY}'::timestamptz - i * interval '1 h' from generate_series(1, 20) i",
    )
    project.declare("t", mode, **MODES[mode])
    project.commit("t")
    saved = save(project, tmp_path / "saved.db")
    for n in range(2):
        project.run(f"insert into t values ({100 + n}, 'n', '{TODAY}'::timestamptz - interval '1 s')", f"alter table t add column c{n} int")
        project.commit("t")
    project.sync("t")  # days that the added column emptied of their digest are committed once more
    project.check("t")
    put_back(project, saved)
    assert project.sync("t").outcome == "unchanged"
    assert differences(project) == []
    put_back(project, saved)
    project.run(f"insert into t values (200, 'n', '{TODAY}'::timestamptz - interval '1 s')")
    project.commit("t")
    assert differences(project) == []


def test_a_warehouse_that_is_an_older_copy_than_its_mirror_is_believed(table: Project, tmp_path: Path) -> None:
    shutil.copy(table.home / "warehouse.duckdb", tmp_path / "saved.duckdb")
    table.run("insert into t values (100, 'n')")
    table.commit("t")
    shutil.copy(tmp_path / "saved.duckdb", table.home / "warehouse.duckdb")
    assert table.commit("t").loads[0].counts.inserted == 1
    assert differences(table) == []


def test_a_reader_keeps_its_state_while_the_read_copy_is_replaced_and_a_new_one_sees_the_new(table: Project) -> None:
    assert publish(table) == "published"
    file = str(read_copy_file(table.settings))
    with duckdb.connect(file, read_only=True) as reader:
        assert reader.execute("select count(*) from raw_shop.t").fetchall() == [(20,)]
        table.run("insert into t values (100, 'n')")
        table.commit("t")
        assert publish(table) == "published"
        assert reader.execute("select count(*), count(distinct name) from raw_shop.t").fetchall() == [(20, 1)]
    with duckdb.connect(file, read_only=True) as reader:
        assert reader.execute("select count(*) from raw_shop.t").fetchall() == [(21,)]


@pytest.mark.parametrize("loads", [4, pytest.param(50, marks=pytest.mark.long)])
def test_a_poller_on_the_read_copy_sees_only_whole_states_while_loads_are_killed(table: Project, run: Run, loads: int) -> None:
    deaths = [("land.manifest", "after", 1), ("load.rows", "after", 1), ("commit.fence", "after", 1), ("commit.transaction", "after", 1)]
    publish(table)
    with ReadCopyPoller(table.home) as poller:
        for n in range(loads):
            table.run("update t set name = name || '+', at = clock_timestamp()", f"insert into t values ({100 + n}, 'n')")
            assert run(table, deaths[n % len(deaths)])["code"] == DIED
            publish(table)
            assert run(table, None)["code"] == 0
            assert publish(table) == "published"
            poller.catch_up()
    assert poller.problems == []
    assert poller.copies >= loads
    assert differences(table) == []
