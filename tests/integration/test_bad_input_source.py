"""A source that cannot be reached, refuses, or has not what the catalog says: what is told, and that mending it is enough."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Project
from tests.integration.command_line import daybreak, synced

SAFE = "Nothing was written; the last load stands."


@pytest.fixture
def table(project: Project) -> Project:
    project.run("create table t (id int primary key, name text)", "insert into t select i, 'n' || i from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    return project


@pytest.fixture(autouse=True)
def no_pause_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.wiring.PAUSE_SECONDS", 0)


def parts_of(url: str) -> tuple[str, str]:
    """The database and the folder of the server's socket."""
    return url.partition("@/")[2].partition("?")[0], url.partition("?host=")[2]


@pytest.fixture
def reader(table: Project) -> Iterator[str]:
    """A role that may do nothing yet; the project's URL stays the owner's."""
    name = f"reader_{parts_of(table.url)[0]}"
    table.run(f"create role {name} login password 'right'")
    yield name
    table.run(f"drop owned by {name}", f"drop role {name}")


def as_user(project: Project, user: str) -> None:
    database, host = parts_of(project.url)
    project.environment["SOURCE_URL"] = f"postgresql://{user}@/{database}?host={host}"


def as_owner(project: Project) -> None:
    project.environment.pop("SOURCE_URL", None)


def refuse(project: Project, url: str, exit_code: int, *told: str) -> None:
    """Sync from ``url``, expect the refusal, then sync from the right one: nothing was half done."""
    project.environment["SOURCE_URL"] = url
    said = daybreak(project, "sync", "shop")
    assert said.exit_code == exit_code
    assert said.tells("held", *told)
    as_owner(project)
    assert [row["inserted"] for row in synced(project)] == [20]


def test_an_unreachable_source_is_told_and_the_next_run_reads_on(table: Project) -> None:
    told = ("127.0.0.1", "Connection refused", "the watermark stands", "check that the server is up and reachable")
    refuse(table, "postgresql://me:s3cret@127.0.0.1:1/x", 3, *told)


def test_a_database_that_is_not_there_is_told(table: Project) -> None:
    host = parts_of(table.url)[1]
    refuse(
        table,
        f"postgresql://postgres@/nowhere?host={host}",
        2,
        'database "nowhere" does not exist',
        "host and database of the source's URL",
    )


def test_a_wrong_password_is_told_and_not_repeated(table: Project, reader: str) -> None:
    database, host = parts_of(table.url)
    with psycopg.connect(table.url, autocommit=True) as connection:
        (file,) = connection.execute("show hba_file").fetchone() or ("",)
        before = Path(file).read_text()
        try:
            Path(file).write_text(f"local all {reader} scram-sha-256\n{before}")
            connection.execute("select pg_reload_conf()")
            wrong = f"postgresql://{reader}:wr0ngword@/{database}?host={host}"
            refuse(table, wrong, 2, "password authentication failed", reader, "Check user, password")
            assert "wr0ngword" not in daybreak(table, "status").text
        finally:
            Path(file).write_text(before)
            connection.execute("select pg_reload_conf()")


def test_a_variable_that_is_not_set_is_named(table: Project) -> None:
    table.environment["SOURCE_URL"] = ""
    said = daybreak(table, "sync", "shop")
    assert said.exit_code == 2
    assert said.tells("SOURCE_URL is not set", "Nothing was read", "SOURCE_URL=postgresql://user:password@host:5432/database")


def test_a_table_and_columns_that_are_not_there_are_told_together_and_the_others_are_synced(table: Project) -> None:
    table.declare("gone", "snapshot")
    table.run("create table u (id int primary key)")
    table.declare("u", "incremental", key=["id", "wrong"], cursor="missing", columns={"absent": {"mask": "hmac"}})
    said = daybreak(table, "sync", "shop")
    assert said.exit_code == 2
    assert said.tells(
        "there is no table or view public.gone", "key names `wrong`", "cursor names `missing`", "columns names `absent`", SAFE
    )
    assert said.tells("Mend the entry `gone` of the catalog, or the source.")
    table.check("t")
    table.run("create table gone (id int)")
    table.declare("u", "snapshot", key=["id"])
    synced(table)


def test_a_column_that_the_key_names_and_the_source_drops_keeps_the_last_load(table: Project) -> None:
    synced(table)
    table.run("alter table t rename id to number")
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("key names `id`", SAFE)) == (2, True)
    assert table.ask("select count(*) from raw_shop.t") == [(20,)]
    table.declare("t", "snapshot", key=["number"])
    synced(table)


def test_a_table_that_may_not_be_read_is_told_with_its_remedy(table: Project, reader: str) -> None:
    as_user(table, reader)
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("public.t may not be read; GRANT SELECT ON it", SAFE)) == (2, True)
    table.run(f"grant select on t to {reader}")
    assert [row["inserted"] for row in synced(table)] == [20]
    as_owner(table)


def test_a_schema_that_may_not_be_entered_is_told_with_its_remedy(table: Project, reader: str) -> None:
    table.run(f"grant select on t to {reader}", "revoke usage on schema public from public")
    as_user(table, reader)
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("permission denied for schema public", "GRANT what is missing: USAGE on the schema")) == (2, True)
    table.run(f"grant usage on schema public to {reader}")
    assert [row["inserted"] for row in synced(table)] == [20]
    as_owner(table)


def test_one_column_that_may_not_be_read_is_named_and_may_be_left_out(table: Project, reader: str) -> None:
    table.run(f"grant select (id) on t to {reader}")
    as_user(table, reader)
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("may not read `name` of public.t", "GRANT SELECT", "`mask: drop`", SAFE)) == (2, True)
    table.declare("t", "snapshot", key=["id"], columns={"name": {"mask": "drop"}})
    assert [row["inserted"] for row in synced(table)] == [20]
    as_owner(table)


def test_row_level_security_is_an_error_and_never_a_part_of_the_rows(table: Project, reader: str) -> None:
    table.run(f"grant select on t to {reader}", "alter table t enable row level security")
    table.run(f"create policy few on t to {reader} using (id < 5)")
    as_user(table, reader)
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells('row-level security policy for table "t"', "BYPASSRLS", "missing in silence")) == (2, True)
    table.run(f"alter role {reader} bypassrls")
    assert [row["inserted"] for row in synced(table)] == [20]
    as_owner(table)
