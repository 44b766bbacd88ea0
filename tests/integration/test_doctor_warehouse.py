"""The doctor on a real DuckDB file and real folders: held, damaged, somebody else's, or with no room."""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import psycopg
import pytest

from pipelines.doctor.examine import examine
from tests.conftest import Project
from tests.integration.examining import declare_healthy, find, grave, only


@pytest.fixture
def table(project: Project) -> Project:
    return declare_healthy(project)


def test_a_program_that_holds_the_warehouse_is_named(table: Project) -> None:
    table.commit("t")
    hold = f"import duckdb; c = duckdb.connect({str(table.home / 'warehouse.duckdb')!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        finding = only(find(table, "warehouse", "lock"), "problem")
        other.communicate(b"\n")
    assert f"PID {other.pid}" in finding.found
    assert grave(find(table, "warehouse")) == []


def test_a_run_that_has_the_warehouse_is_named_and_not_waited_for(table: Project) -> None:
    table.commit("t")
    hold = f"""
from pathlib import Path
from pipelines.state.lock import hold_lock
with hold_lock(Path({str(table.home / "warehouse.duckdb.lock")!r}), "commit shop.orders", 0):
    print("held", flush=True)
    input()
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as other:
        assert other.stdout
        other.stdout.readline()
        finding = only(find(table, "warehouse", "lock"), "note")
        other.communicate(b"\n")
    assert f"pid {other.pid}" in finding.found
    assert "commit shop.orders" in finding.found


@pytest.mark.parametrize("damage", ["garbage", "half"])
def test_a_damaged_warehouse_is_a_problem(table: Project, damage: str) -> None:
    table.commit("t")
    file = table.home / "warehouse.duckdb"
    file.write_bytes(b"garbage" * 1000 if damage == "garbage" else file.read_bytes()[:9000])
    finding = only(find(table, "warehouse", "file"), "problem")
    assert str(file) in finding.found


def test_a_duckdb_file_of_something_else_is_noted(table: Project) -> None:
    table.home.mkdir(parents=True)
    with duckdb.connect(str(table.home / "warehouse.duckdb")) as connection:
        connection.execute("create table t (a int)")
    assert "nothing was ever loaded" in only(find(table, "warehouse", "file"), "note").found


def test_a_warehouse_whose_writer_was_killed_can_be_examined(table: Project) -> None:
    table.commit("t")
    write = (
        f"import duckdb, os; c = duckdb.connect({str(table.home / 'warehouse.duckdb')!r}); c.execute('create table x (a int)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", write], check=False)
    assert (table.home / "warehouse.duckdb.wal").exists()
    assert grave(find(table, "warehouse")) == []


def test_a_file_where_a_folder_should_be_is_a_problem_in_every_area(table: Project) -> None:
    table.home.mkdir(parents=True)
    (table.home / "file").touch()
    inside = table.home / "file" / "inside"
    table.environment |= {
        "DAYBREAK_LANDING_URL": str(inside),
        "DAYBREAK_WAREHOUSE_URL": f"duckdb:///{inside}/w.duckdb",
        "DAYBREAK_STATE_URL": f"sqlite:///{inside}/state.db",
        "DAGSTER_HOME": str(inside),
    }
    wrong = {area for area, subject, _ in grave(examine(table.settings.environment)) if subject == "folder"}
    assert wrong == {"landing", "warehouse", "mirror", "dagster"}


def test_too_little_room_for_the_largest_table_is_a_warning(table: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("insert into t select i, repeat('x', 500) from generate_series(1000, 4000) i")
        connection.execute("vacuum analyze t")
    monkeypatch.setattr("pipelines.doctor.warehouse_checks.LEAST_BYTES", 1000)
    monkeypatch.setattr("pipelines.doctor.warehouse_checks.LANDING_TIMES", 10**9)
    finding = only(find(table, "landing", "disk"), "warning")
    assert re.search(r"largest table is about [1-9]\.?\d* MB", finding.found)


def test_a_wrong_url_is_not_examined_in_the_place_of_the_default(table: Project) -> None:
    environment = {**table.settings.environment, "DAYBREAK_WAREHOUSE_URL": "snowflake://x", "DAYBREAK_LANDING_URL": "s3://[x"}
    for area in ("warehouse", "landing"):
        (finding,) = [one for one in examine(environment) if one.area == area]
        assert "was not examined" in finding.found
