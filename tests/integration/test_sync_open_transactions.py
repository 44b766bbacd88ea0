"""R1: a transaction that is open while a sync runs loses no row, whatever the cursor."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Project

CURSORS = {
    "timestamptz": ("at timestamptz default now()", "at"),
    "timestamp": ("at timestamp default (now() at time zone 'UTC')", "at"),
    "serial": ("at bigserial", "at"),
}


@pytest.fixture(params=list(CURSORS))
def table(request: pytest.FixtureRequest, project: Project) -> Project:
    column, cursor = CURSORS[request.param]
    project.run(
        f"create table t (id int primary key, name text, {column})",
        "insert into t (id, name) select i, 'old' from generate_series(1, 20) i",
    )
    project.declare("t", "incremental", key=["id"], cursor=cursor)
    return project


@pytest.fixture
def session(table: Project) -> Iterator[psycopg.Connection]:
    with psycopg.connect(table.url) as connection:
        yield connection
        connection.rollback()


def test_a_row_that_is_committed_after_the_sync_arrives_with_the_next(table: Project, session: psycopg.Connection) -> None:
    session.execute("insert into t (id, name) values (100, 'A')")
    table.run("insert into t (id, name) values (200, 'B')")
    table.commit("t")
    session.commit()
    table.commit("t")


def test_a_transaction_that_is_open_over_three_syncs_loses_no_row(table: Project, session: psycopg.Connection) -> None:
    table.commit("t")
    session.execute("insert into t (id, name) values (100, 'A')")
    for n in range(3):
        table.run(f"insert into t (id, name) values ({200 + n}, 'B')")
        table.commit("t")
    session.commit()
    table.commit("t")


def test_a_transaction_that_wrote_nothing_before_the_sync_loses_no_row(table: Project, session: psycopg.Connection) -> None:
    session.execute("select 1")
    table.run("insert into t (id, name) values (200, 'B')")
    table.commit("t")
    session.execute("insert into t (id, name) values (100, 'A')")
    session.commit()
    table.commit("t")


def test_a_prepared_transaction_loses_no_row(table: Project, session: psycopg.Connection) -> None:
    """`pg_prepared_xacts.prepared` is when it was prepared, which is later than its rows' cursors."""
    table.commit("t")
    session.execute("insert into t (id, name) values (100, 'A')")
    table.run("insert into t (id, name) values (150, 'between')")
    session.execute("prepare transaction 'gid, with comma'")
    session.commit()
    table.run("insert into t (id, name) values (200, 'B')")
    table.sync("t")
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("commit prepared 'gid, with comma'")
    table.commit("t")


def test_a_transaction_seen_open_and_then_prepared_loses_no_row(table: Project, session: psycopg.Connection) -> None:
    table.commit("t")
    session.execute("insert into t (id, name) values (100, 'A')")
    table.run("insert into t (id, name) values (150, 'between')")
    table.commit("t")
    session.execute("prepare transaction 'late'")
    session.commit()
    for n in range(2):
        table.run(f"insert into t (id, name) values ({200 + n}, 'B')")
        table.commit("t")
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("commit prepared 'late'")
    table.commit("t")


def test_without_the_privilege_to_see_start_times_no_row_is_lost(table: Project, session: psycopg.Connection) -> None:
    name = "reader_" + table.url.partition("@/")[2].partition("?")[0]
    table.run(f"create role {name} login password 'secret'", f"grant select on t to {name}")
    table.url, owner = table.url.replace("postgres:@", f"{name}:secret@"), table.url
    try:
        table.sync("t")
        session.execute("select 1")
        table.url = owner
        table.run("insert into t (id, name) values (200, 'B')")
        table.url = owner.replace("postgres:@", f"{name}:secret@")
        table.sync("t")
        session.execute("insert into t (id, name) values (100, 'A')")
        session.commit()
        table.commit("t")
    finally:
        with psycopg.connect(owner) as connection:
            connection.execute(f"drop owned by {name}")
            connection.execute(f"drop role {name}")


@pytest.mark.parametrize("is_set_again", [False, True])
def test_a_session_without_track_activities_loses_no_row(table: Project, is_set_again: bool) -> None:
    """Its start is hidden from everybody; set on again within the transaction, its state is known and its start still is not."""
    table.commit("t")
    with psycopg.connect(table.url, options="-c track_activities=off") as session:
        session.execute("insert into t (id, name) values (100, 'A')")
        if is_set_again:
            session.execute("set track_activities = on")
        table.run("insert into t (id, name) values (200, 'B')")
        table.commit("t")
        session.commit()
    table.commit("t")
