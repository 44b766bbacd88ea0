"""Logging in, and what only the double does: its log of statements, faults when asked, and databases that outlive it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import Double, connect, make_url, start_double

Run = Callable[..., list[tuple[Any, ...]]]


def test_a_wrong_password_is_refused(snowflake_url: str) -> None:
    with fails(390100, "Incorrect username or password"):
        connect(snowflake_url, password="wrong")


def test_a_user_that_is_not_known_and_a_way_in_that_is_not_emulated_are_refused(snowflake_url: str) -> None:
    with fails(390100, "Incorrect username or password"):
        connect(snowflake_url, user="nobody", password="x")
    with fails(390190, "does not emulate"):
        connect(snowflake_url, authenticator="oauth", token="t")


def test_an_unknown_database_is_no_error_until_it_is_used(snowflake_server: str) -> None:
    with connect(snowflake_server, database="NO_SUCH_DATABASE") as connection:
        assert connection.cursor().execute("select current_database()").fetchall() == [(None,)]
        with fails(90105):
            connection.cursor().execute("create table t (id number(38,0))")


def test_nobody_answers(double: Double) -> None:
    del double
    with pytest.raises(Exception, match="250001"):
        connect(make_url(1, "NONE"), login_timeout=2)


def test_statements_are_logged_with_their_tag_and_whether_they_wake_a_warehouse(double: Double, run: Run) -> None:
    run("alter session set query_tag = 'load 7'")
    run('create table "t" ("id" number(38,0))')
    run('/* a comment */ insert into "t" values (1)')
    run('create table "u" as select * from "t"')
    run('show tables in schema "PUBLIC"')
    with fails(2003):
        run('select * from "missing"')
    database = run("select current_database()")[0][0]
    sent = (
        double.statements(database)[1:]
        if double.statements(database)[0]["sql"].startswith("create database")
        else double.statements(database)
    )
    assert [(s["sql"].split()[0], s["wakes_warehouse"], s["error"]) for s in sent] == [
        ("alter", False, None),
        ("create", False, None),
        ("/*", True, None),
        ("create", True, None),
        ("show", False, None),
        ("select", True, 2003),
        ("select", True, None),
    ]
    assert {s["query_tag"] for s in sent[1:]} == {"load 7"}


def test_a_tag_may_be_one_statements_own(double: Double, connection: Any, run: Run) -> None:
    connection.cursor().execute("select 'tagged'", _statement_params={"QUERY_TAG": "its own"})
    database = run("select current_database()")[0][0]
    tags = {s["sql"]: s["query_tag"] for s in double.statements(database)}
    assert (tags["select 'tagged'"], tags["select current_database()"]) == ("its own", "")
    with fails(999000):
        connection.cursor().execute_async("select 1")
    with fails(999000):
        connection.cursor().describe("select 1")


def test_a_commit_may_be_done_and_not_answered(double: Double, snowflake_url: str, run: Run) -> None:
    run('create table "t" ("id" number(38,0))')
    connection = connect(snowflake_url, network_timeout=2)
    cursor = connection.cursor()
    cursor.execute("begin")
    cursor.execute('insert into "t" values (1)')
    double.drop_after_commit()
    with pytest.raises(Exception, match=r"25\d{4}"):
        cursor.execute("commit")
    assert run('select * from "t"') == [(1,)]
    run("begin")
    run('insert into "t" values (2)')
    run("commit")


def test_connections_may_be_refused_for_a_while(double: Double, snowflake_url: str) -> None:
    double.refuse(1)
    connect(snowflake_url, login_timeout=30).close()  # the connector tries again by itself
    double.refuse(1000)
    with pytest.raises(Exception, match="250001"):
        connect(snowflake_url, login_timeout=1)
    double.refuse(0)
    connect(snowflake_url).close()


def test_a_killed_double_comes_back_with_what_was_committed_and_no_session(tmp_path: Path) -> None:
    first = start_double(tmp_path)
    with connect(make_url(first.port, "NONE"), network_timeout=5) as connection:
        cursor = connection.cursor()
        for sql in ("create database KEPT", 'create schema "s"', 'create table "s"."t" ("id" number(38,0), "s" varchar(3))'):
            cursor.execute(sql)
        cursor.execute('create stage "s"."landing"')
        cursor.execute('insert into "s"."t" values (1, \'a\')')
        cursor.execute("begin")
        cursor.execute('insert into "s"."t" values (2, \'b\')')
        first.process.kill()
        first.process.wait()
        second = start_double(tmp_path, first.port)
        with pytest.raises(Exception, match="must login again"):
            cursor.execute("commit")
    try:
        with connect(make_url(second.port, "KEPT")) as connection:
            cursor = connection.cursor()
            assert cursor.execute('select * from "s"."t"').fetchall() == [(1, "a")]
            assert cursor.execute('list @"s"."landing"').fetchall() == []
            with fails(100078):
                cursor.execute('insert into "s"."t" values (3, \'long\')')
    finally:
        second.process.kill()
        second.process.wait()


def test_a_statement_that_waits_ends_with_its_timeout(run: Run, other: Run, connection: Any, snowflake_url: str) -> None:
    run('create table "t" as select 1 as "id"')
    run("begin")
    run('delete from "t"')
    begun = time.monotonic()
    with connect(snowflake_url) as third, fails(604):
        third.cursor().execute('delete from "t"', timeout=2)
    assert time.monotonic() - begun < 30
    del other, connection


def test_a_client_that_vanished_is_in_the_way_until_it_was_idle_long_enough(double: Double, run: Run, other: Run) -> None:
    run('create table "t" as select 1 as "id"')
    run("begin")
    run('delete from "t"')
    other("alter session set lock_timeout = 1")
    with fails(625):
        other('update "t" set "id" = 2')
    double.idle_after(1)
    try:
        other("alter session set lock_timeout = 30")
        other('update "t" set "id" = 2')
    finally:
        double.idle_after(300)
    with fails(999000):
        run("commit")
    assert run('select * from "t"') == [(2,)]


def test_grants_are_answered(run: Run) -> None:
    database = run("select current_database()")[0][0]
    run(f"grant usage on database {database} to role PUBLIC")
    run(f"revoke usage on database {database} from role PUBLIC")
