"""What only Snowflake could do to a table: names of a session's own, DDL that commits, values that are too long, an owner."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import PrerequisiteError
from pipelines.sync.steps import set_hook
from pipelines.warehouses.snowflake_limits import ORIGINAL_BYTES, TEXT_BYTES
from pipelines.warehouses.snowflake_run import SnowflakeRun
from tests.conftest import Project
from tests.crash.conftest import Forker, Run, forker, run
from tests.crash.crashing import DIED
from tests.integration.evolving import kept
from tests.snowflake.fixtures import Double, on_double

__all__ = ["Forker", "forker", "run"]  # fixtures


@pytest.mark.parametrize("name", ["changed", "staged", "landed", "aside", "excluded", "still_bad", "warehouse"])
def test_a_table_may_be_called_as_one_of_a_loads_own(project: Project, name: str) -> None:
    project.run(f"create table {name} (id int primary key, name text)", f"insert into {name} values (1, 'a'), (2, 'b')")
    project.declare(name, "snapshot", key=["id"])
    project.commit(name)
    project.run(f"update {name} set name = 'c' where id = 2")
    project.commit(name)
    project.check(name)


@on_double
@pytest.mark.parametrize("boundary", [("commit.fence", "after"), ("commit.swap", "before")], ids=" ".join)
def test_a_table_without_a_key_that_loses_a_column_stays_until_the_new_one_takes_its_place(
    project: Project, run: Run, double: Double, boundary: tuple[str, str]
) -> None:
    double.idle_after(0.5)
    project.run("create table t (name text, code text)", "insert into t values ('a', 'x'), ('b', 'y')")
    project.declare("t", "snapshot")
    assert run(project, None)["code"] == 0
    project.run("alter table t drop code")
    assert run(project, (*boundary, 1))["code"] == DIED
    assert sorted(project.ask("select name, code from raw_shop.t")) == [("a", "x"), ("b", "y")]
    assert run(project, None)["code"] == 0
    project.check("t")
    assert sorted(project.ask("select name, code from raw_shop.t_before_v2")) == [("a", "x"), ("b", "y")]


@on_double
def test_a_rename_whose_commit_has_no_answer_takes_its_place(project: Project, double: Double) -> None:
    project.run("create table t (id int primary key, name text, at timestamptz default now())", "insert into t values (1, 'a'), (2, 'b')")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run("alter table t rename name to title", "update t set title = 'c', at = now() where id = 2")
    project.environment["DAYBREAK_WAREHOUSE_URL"] += "&network_timeout=5"  # the driver asks again for so long
    set_hook(lambda step, moment: double.drop_after_commit() if (step, moment) == ("commit.transaction", "before") else None)
    try:
        assert project.sync("t").outcome == "committed"
    finally:
        set_hook(None)
    assert set(kept(project)) == {"id", "title", "at"}
    assert project.ask("select count(*) from daybreak.swaps") == [(0,)]
    project.check("t")


def test_a_rename_that_may_not_take_its_place_says_what_stands_and_does_it_later(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("create table t (id int primary key, name text)", "insert into t values (1, 'a'), (2, 'b')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.run("alter table t rename name to title")
    ask = SnowflakeRun.__call__

    def refused(self: SnowflakeRun, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        is_last_step = statement.startswith("create or replace transient table") and "_DAYBREAK_" in statement.partition("clone")[2]
        return ask(self, "select no_such_privilege" if is_last_step else statement, **parameters)

    monkeypatch.setattr(SnowflakeRun, "__call__", refused)
    with pytest.raises(PrerequisiteError, match="is committed, and Snowflake refused"):
        project.sync("t")
    assert set(kept(project)) == {"id", "name"}
    monkeypatch.undo()
    project.sync("t")
    assert set(kept(project)) == {"id", "title"}
    project.check("t")


def test_a_value_that_is_too_long_steps_aside_alone_and_is_told_by_its_hash(project: Project) -> None:
    project.run(
        "create table t (id int primary key, name text, code text)",
        "insert into t select i, 'n' || i, 'c' from generate_series(1, 99) i",
        f"insert into t values (100, repeat('x', {TEXT_BYTES + 1}), 'short'), (101, repeat('y', {TEXT_BYTES}), 'just fits')",
    )
    project.declare("t", "snapshot", key=["id"], max_quarantined=0.5)
    project.commit("t")
    (entry,) = project.quarantine("t")
    original = json.loads(entry["original"])
    assert original["name"].startswith(f"({TEXT_BYTES + 1:,} bytes, SHA-256 ")
    assert (original["id"], original["code"], len(entry["original"]) < ORIGINAL_BYTES) == ("100", "short", True)
    assert project.ask("select count(*), max(length(name)) from raw_shop.t") == [(100, TEXT_BYTES)]
    assert project.sync("t").outcome == "unchanged"


def test_names_that_look_like_parameters_or_like_patterns_of_files(project: Project, tmp_path: Path) -> None:
    project.home = tmp_path / "it's [1] home"
    project.run('create table "é $source" (id int primary key, "x $load_id" text)', "insert into \"é $source\" values (1, 'a')")
    project.declare("é $source", "snapshot", key=["id"])
    project.commit("é $source")
    project.check("é $source")


@on_double
@pytest.mark.parametrize("boundary", [("load.schema", "after"), ("commit.fence", "after")], ids=" ".join)
def test_a_column_that_a_load_added_before_it_died_is_taken_over_by_the_next(
    project: Project, run: Run, double: Double, boundary: tuple[str, str]
) -> None:
    double.idle_after(0.5)
    project.run("create table t (id int primary key, name text, at timestamptz default now())", "insert into t values (1, 'a'), (2, 'b')")
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert run(project, None)["code"] == 0
    project.run("alter table t add x text", "update t set x = 'v', at = now() where id = 1")
    assert run(project, (*boundary, 1))["code"] == DIED
    assert set(kept(project)) == {"id", "name", "at", "x"}
    assert run(project, None)["code"] == 0
    assert set(kept(project)) == {"id", "name", "at", "x"}
    project.check("t")


@on_double
def test_a_run_that_is_overtaken_before_it_adds_a_column_does_not_touch_the_one_that_was_added(project: Project, forker: Forker) -> None:
    project.run("create table t (id int primary key, name text)", "insert into t values (1, 'a'), (2, 'b')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.run("alter table t add x text", "update t set x = 'v'")
    with forker.stopped(project, ("load.schema", "before", 1)) as zombie:
        assert project.sync("t").outcome == "committed"
        zombie.wake()
    assert set(kept(project)) == {"id", "name", "x"}
    project.check("t")


def test_a_mask_takes_out_a_column_whose_name_wants_quotes(project: Project) -> None:
    project.run('create table t (id int primary key, "E-Mail" text)', "insert into t values (1, 'ada@example.com')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.declare("t", "snapshot", key=["id"], columns={"E-Mail": {"mask": "drop"}})
    project.sync("t")
    assert set(kept(project)) == {"id"}


@on_double
def test_a_table_stays_its_owners_when_another_role_replaces_it(project: Project) -> None:
    project.run("create table t (id int primary key, name text)", "insert into t values (1, 'a')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.run("alter table t rename name to title")
    url = project.environment["DAYBREAK_WAREHOUSE_URL"]
    project.environment["DAYBREAK_WAREHOUSE_URL"] = url.replace("role=LOADER", "role=RUN")
    project.commit("t")
    assert set(kept(project)) == {"id", "title"}
    owned = "select table_owner from information_schema.tables where table_schema = 'RAW_SHOP' and table_name = 'T'"
    assert project.ask(owned) == [("LOADER",)]
