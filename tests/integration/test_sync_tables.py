"""Tables of every kind lose no row (R6): without unique index, with NULL keys, partitioned, views, collations, inheritance."""

import pytest

from tests.conftest import Project


def test_a_table_without_unique_index_is_read_in_one_stream(project: Project) -> None:
    project.run(
        "create table t (id int, name text, at timestamptz default now())", "insert into t select i, 'n' from generate_series(1, 40) i"
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run("update t set name = 'new', at = now() where id < 5")
    project.commit("t")


def test_repeated_keys_hold_the_load_with_examples(project: Project) -> None:
    project.run("create table t (id int, name text)", "insert into t select i % 20, 'n' from generate_series(1, 23) i")
    project.declare("t", "snapshot", key=["id"])
    result = project.sync("t")
    assert result.outcome == "held"
    assert "repeated keys 3" in (result.held_reason or "")
    assert project.ask("select count(*) from raw_shop.t") == [(0,)]
    project.run("delete from t", "insert into t select i, 'n' from generate_series(1, 23) i")
    project.commit("t")


@pytest.mark.parametrize("has_index", [True, False])
@pytest.mark.parametrize("mode", ["snapshot", "incremental", "partitioned"])
def test_rows_with_null_in_the_key_stand_in_quarantine_once(project: Project, mode: str, has_index: bool) -> None:
    project.run("create table t (a int, b text, at timestamptz)", *(["create unique index on t (a, b)"] if has_index else []))
    project.run(
        "insert into t select i, 'b', '2026-02-01'::timestamptz + i * interval '1 day' from generate_series(1, 35) i",
        "insert into t values (null, 'x', '2026-02-03'), (1, null, '2026-03-08'), (null, null, '2026-03-08'), (null, null, null)",
    )
    entry = (
        {"cursor": "at"}
        if mode == "incremental"
        else {"partition": {"column": "at", "start": "2026-01-01"}}
        if mode == "partitioned"
        else {}
    )
    project.declare("t", mode, key=["a", "b"], **entry)
    project.sync("t")
    assert sorted(str(row["reason"]) for row in project.quarantine("t")) == ["null_key"] * 4
    project.run(
        "insert into t values (70, 'b', '2026-03-08 12:00')",
        f"update t set b = 'now', at = {'now()' if mode == 'incremental' else 'at'} where a = 1 and b is null",
    )
    project.sync("t")
    assert len(project.quarantine("t")) == 3
    warehouse = project.ask("select count(*) from raw_shop.t")
    days = "and at < '2026-03-10'" if mode == "partitioned" else ""
    assert warehouse == [tuple(project.fetch(f"select count(*) from t where a is not null and b is not null {days}")[0])]


@pytest.mark.parametrize("collation", ['"default"', '"C"', '"pg_unicode_fast"', '"en_US.utf8"', '"en-x-icu"', "case_blind"])
def test_text_keys_are_compared_by_the_source_only(project: Project, collation: str) -> None:
    if collation == "case_blind" and project.fetch("select 1 from pg_collation where collname = 'en-x-icu'"):
        project.run("create collation case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    if not project.fetch(f"select 1 from pg_collation where collname = '{collation.strip(chr(34))}'"):
        pytest.skip(f"this PostgreSQL was built without {collation}")
    project.run(f"create table t (k text collate {collation} primary key, at timestamptz default now())")
    words = [
        "a",
        "B",
        "b1",
        "C",
        "é",
        "Z",
        "z1",
        "_",
        "-a",
        "a-b",
        "ab",
        "a b",
        "ß",
        "ss1",
        "日本",
        "Å",
        "ä",
        "aa",
        "1",
        "10",
        "2",
        "",
        " ",
        "'",
        '"',
        "\\",
    ]
    for word in words:
        project.run("insert into t values ($$" + word + "$$)")
    project.declare("t", "incremental", key=["k"], cursor="at")
    project.commit("t")
    project.run("update t set at = now()")
    project.commit("t")


def test_partitioned_parents_are_read_with_all_their_leaves(project: Project) -> None:
    project.run(
        "create table t (id int, at timestamptz, x text, primary key (id, at)) partition by range (at)",
        "create table t1 (x text, at timestamptz not null, id int not null)",
        "alter table t attach partition t1 for values from ('2026-01-01') to ('2026-02-01')",
        "create table t2 partition of t for values from ('2026-02-01') to ('2026-03-01')",
        "create table t3 partition of t default",
        "insert into t select i, '2026-01-20'::timestamptz + i * interval '1 day', 'x' || i from generate_series(1, 60) i",
    )
    project.declare("t", "incremental", key=["id", "at"], cursor="at")
    project.commit("t")


def test_a_table_that_others_inherit_from_is_read_with_their_rows(project: Project) -> None:
    """Its unique index does not cover them, so keyset paging would lose the second row of a key at a chunk's end."""
    project.run("create table t (id int primary key, x text)", "create table child (y int) inherits (t)")
    project.run(
        "insert into t select i, 'parent' from generate_series(1, 14) i",
        "insert into child select i, 'child', 1 from generate_series(15, 40) i",
    )
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.run("insert into child values (7, 'again', 1)")
    assert project.sync("t").outcome == "held"


def test_views_and_materialized_views_are_streams(project: Project) -> None:
    project.run("create table base (id int primary key, x text)", "insert into base select i, 'x' from generate_series(1, 30) i")
    project.run("create view v as select * from base where id > 3", "create materialized view m as select * from base")
    for name in ("v", "m"):
        project.declare(name, "snapshot", key=["id"])
        project.commit(name)


def test_a_column_called_like_a_column_of_the_reader_is_no_trouble(project: Project) -> None:
    project.run("create table t (id int primary key, filename text, part text, day date, target int, staged int, landed int)")
    project.run("insert into t select i, 'f' || i, 'p', '2026-03-01', 1, 2, 3 from generate_series(1, 20) i")
    project.declare("t", "partitioned", key=["id"], partition={"column": "day", "start": "2026-01-01"})
    project.commit("t")
    project.run("update t set filename = 'other'")
    project.sync("t")


@pytest.mark.parametrize("kind", ["deferrable", "partial", "expression", "included"])
def test_an_index_that_does_not_prove_the_key_is_not_paged_on(project: Project, kind: str) -> None:
    made = {
        "deferrable": "alter table t add unique (id) deferrable initially deferred",
        "partial": "create unique index on t (id) where id > 0",
        "expression": "create unique index on t (abs(id))",
        "included": "create unique index on t (id) include (x)",
    }[kind]
    project.run("create table t (id int not null, x text)", made, "insert into t select i, 'x' from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
