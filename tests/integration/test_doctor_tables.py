"""The doctor on real tables: keys, cursors, indexes and sequences against what the catalog says of them."""

import psycopg
import pytest

from tests.conftest import Project
from tests.integration.examining import declare_healthy, find, grave, only


@pytest.fixture
def table(project: Project) -> Project:
    return declare_healthy(project)


def test_what_the_catalog_names_and_the_source_has_not_is_told_at_once(table: Project) -> None:
    table.declare("gone", "snapshot")
    names = {"column": "nmae"}
    rule = {"expect_column_values_to_not_be_null": names, "on_failure": "quarantine"}
    table.declare("t", "incremental", key=["idd"], cursor="att", columns={"mail": {"mask": "hmac"}}, expectations=[rule])
    told = " ".join(found for _, subject, found in grave(find(table)) if subject in ("t", "gone"))
    assert all(word in told for word in ("`public.gone`", "`idd`", "`att`", "`mail`", "`nmae`"))


def test_columns_that_do_not_fit_their_use_are_told(project: Project) -> None:
    project.run(
        "create table t (id int primary key, label text, at timestamp)",
        "create table p (id int primary key, n int)",
        "create view v as select * from t",
    )
    project.declare("t", "incremental", key=["id"], cursor="label")
    project.declare("p", "partitioned", key=["id"], partition={"column": "n", "start": "2026-01-01"})
    project.declare("v", "incremental", key=["id"], cursor="at")
    assert "`label` is text" in only(find(project, subject="t"), "problem").found
    assert "`n` is integer" in only(find(project, subject="p"), "problem").found
    notes = " ".join(finding.found for finding in find(project, subject="v") if finding.state == "note")
    assert all(phrase in notes for phrase in ("`at` may be NULL", "`id` may be NULL", "read in one transaction", "application sets cursor"))


def test_a_cursor_without_zone_on_a_server_that_is_not_in_utc_is_noted(project: Project) -> None:
    project.run("create table t (id int primary key, at timestamp not null default now())")
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert not any("time zone" in finding.found for finding in find(project, subject="t"))
    database = project.url.partition("@/")[2].partition("?")[0]
    project.run(f"alter database {database} set timezone = 'Asia/Kolkata'")
    assert any("Asia/Kolkata" in finding.found for finding in find(project, subject="t"))


def test_a_missing_index_is_a_warning_on_a_large_table_only(project: Project) -> None:
    fill = "insert into {} select i, now() from generate_series(1, {}) i"
    columns = "(id int primary key, at timestamptz not null default now())"
    project.run(
        *(f"create table {name} {columns}" for name in ("small", "large", "helped", "partly")),
        *(fill.format(name, rows) for name, rows in (("small", 100), ("large", 100_001), ("helped", 100_001), ("partly", 100_001))),
        "create index on helped (at)",
        "create index on partly (at) where id > 5",
        "create table leaves (id int, at timestamptz not null, primary key (id, at)) partition by range (at)",
        "create table leaf partition of leaves default",
        fill.format("leaves", 100_001),
        "analyze",
    )
    for name in ("small", "large", "helped", "partly"):
        project.declare(name, "incremental", key=["id"], cursor="at")
    project.declare("leaves", "partitioned", key=["id", "at"], partition={"column": "at", "start": "2026-01-01"})
    assert {subject for _, subject, found in grave(find(project)) if "no index" in found} == {"large", "partly"}
    remedy = only(find(project, subject="large"), "warning").remedy
    with psycopg.connect(project.url, autocommit=True) as connection:
        connection.execute(remedy)  # type: ignore[arg-type]
    assert grave(find(project, subject="large")) == []
    assert "100,001 rows" in only(find(project, subject="leaves"), "ok").found


def test_a_key_that_no_index_proves_is_told_by_size(project: Project) -> None:
    project.run("create table t (id int not null, name text)", "create unique index on t (id) where name is null")
    project.declare("t", "snapshot", key=["id"])
    finding = only(find(project, subject="t"), "note")
    assert "one transaction" in finding.found
    project.run(finding.remedy.replace(" CONCURRENTLY", ""))
    assert [finding.state for finding in find(project, subject="t")] == ["ok"]


@pytest.mark.parametrize(
    "column",
    ["bigint not null default nextval('s')", "bigint generated always as identity (cache 20)"],
)
def test_a_sequence_that_hands_out_numbers_in_batches_is_a_warning_for_its_cursor(project: Project, column: str) -> None:
    project.run("create sequence s cache 20", f"create table t (id int primary key, n {column})", "create index on t (n)")
    project.declare("t", "incremental", key=["id"], cursor="n")
    assert "CACHE 20" in only(find(project, subject="t"), "warning").found
    project.declare("t", "snapshot", key=["id"])
    assert grave(find(project, subject="t")) == []


def test_a_trigger_that_sets_the_cursor_leaves_nothing_to_note(table: Project) -> None:
    assert "of updates" in only(find(table, subject="t"), "note").found
    table.run(
        "create function touch() returns trigger language plpgsql as 'begin new.at := now(); return new; end'",
        "create trigger touch before update on t for each row execute function touch()",
    )
    assert [finding.state for finding in find(table, subject="t")] == ["ok"]


def test_names_with_quotes_and_spaces_are_found(project: Project) -> None:
    project.run('create table "a \'b\\ ""c" ("i d" int primary key)')
    project.declare("a 'b\\ \"c", "snapshot", key=["i d"])
    assert [finding.state for finding in find(project, subject="a 'b\\ \"c")] == ["ok"]


def test_a_table_without_a_column_that_could_land_is_a_problem(project: Project) -> None:
    project.run("create table t ()")
    project.declare("t", "snapshot")
    assert "no column that could land" in only(find(project, subject="t"), "problem").found
