"""Transactions, DML and locks. Each test stands for a line of CONFORMANCE.md."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import connect, on_double

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def table(run: Run) -> str:
    run('create table "t" ("id" number(38,0), "s" varchar(20))')
    run("insert into \"t\" values (1, 'one'), (2, 'two'), (3, 'three')")
    return '"t"'


def rows(run: Run) -> list[tuple[Any, ...]]:
    return run('select "id", "s" from "t" order by "id", "s"')


def test_dml_tells_how_many_rows(connection: Any, table: str) -> None:
    cursor = connection.cursor()
    for sql, columns, counts in [
        ("insert into \"t\" select 4, 'four'", ["number of rows inserted"], (1,)),
        ('update "t" set "s" = \'x\' where "id" > 2', ["number of rows updated", "number of multi-joined rows updated"], (2, 0)),
        ('update "t" set "s" = u."s" from (select 1 as "id", \'y\' as "s") u where "t"."id" = u."id"', None, (1, 0)),
        ('delete from "t" using (select 4 as "id") d where "t"."id" = d."id"', ["number of rows deleted"], (1,)),
        ('delete from "t" where false', ["number of rows deleted"], (0,)),
    ]:
        assert cursor.execute(sql).fetchall() == [counts]
        assert cursor.rowcount == sum(counts)
        assert columns in (None, [column.name for column in cursor.description])


def test_insert_overwrite_replaces_all_rows(connection: Any, run: Run, other: Run, table: str) -> None:
    run("begin")
    cursor = connection.cursor().execute("insert overwrite into \"t\" select 7, 'seven'")
    assert (cursor.fetchall(), cursor.rowcount) == ([(1,)], 1)
    assert len(rows(other)) == 3
    run("commit")
    assert rows(other) == [(7, "seven")]


def test_merge_takes_the_first_clause_that_fits(connection: Any, run: Run, table: str) -> None:
    cursor = connection.cursor()
    cursor.execute(
        'merge into "t" as t using (select column1 as "id", column2 as "s", column3 as "gone" from values'
        " (1, 'ONE', false), (2, 'TWO', true), (3, 'three', false), (4, 'four', false), (5, 'five', true)) as n"
        ' on t."id" = n."id"'
        ' when matched and n."gone" then delete'
        ' when matched and t."s" is distinct from n."s" then update set "s" = n."s"'
        ' when not matched and not n."gone" then insert ("id", "s") values (n."id", n."s")'
    )
    assert [column.name for column in cursor.description] == ["number of rows inserted", "number of rows updated", "number of rows deleted"]
    assert (cursor.fetchall(), cursor.rowcount) == ([(1, 1, 1)], 3)
    assert rows(run) == [(1, "ONE"), (3, "three"), (4, "four")]


def test_merge_refuses_two_rows_for_one(run: Run, table: str) -> None:
    two = "(select column1 as \"id\", column2 as \"s\" from values (1, 'a'), (1, 'b')) n"
    with fails(100090):
        run(f'merge into "t" t using {two} on t."id" = n."id" when matched then update set "s" = n."s"')
    assert rows(run)[0] == (1, "one")
    # Not ambiguous: only one of the two wants to change the row.
    run(f'merge into "t" t using {two} on t."id" = n."id" when matched and n."s" = \'b\' then update set "s" = n."s"')
    assert rows(run)[0] == (1, "b")


def test_a_transaction_is_kept_or_lost_as_a_whole(run: Run, other: Run, table: str) -> None:
    for end, found in (("rollback", 3), ("commit", 3)):
        run("begin transaction")
        run('delete from "t" where "id" = 1')
        run("insert into \"t\" values (9, 'nine')")
        run('merge into "t" t using (select 2 as "id") n on t."id" = n."id" when matched then update set "s" = \'merged\'')
        assert rows(run) == [(2, "merged"), (3, "three"), (9, "nine")]
        assert rows(other) == [(1, "one"), (2, "two"), (3, "three")]
        run(end)
        assert len(rows(other)) == found
    assert rows(other) == [(2, "merged"), (3, "three"), (9, "nine")]


def test_begin_in_a_transaction_is_ignored(run: Run, table: str) -> None:
    run("begin")
    run('delete from "t"')
    run("begin")
    run("rollback")
    assert len(rows(run)) == 3
    run("commit")
    run("rollback")


def test_an_error_leaves_the_transaction_open_with_what_was_written(run: Run, other: Run, table: str) -> None:
    run("begin")
    run('delete from "t" where "id" = 1')
    for sql, number in [
        ("select nope", 904),
        ("select 'x'::number(38,0)", 100038),
        ("insert into \"t\" values (5, '%s')" % ("x" * 21), 100078),
    ]:
        with fails(number):
            run(sql)
    run("insert into \"t\" values (4, 'four')")
    assert rows(run) == [(2, "two"), (3, "three"), (4, "four")]
    assert len(rows(other)) == 3
    run("commit")
    assert rows(other) == [(2, "two"), (3, "three"), (4, "four")]


def test_an_error_after_a_write_from_a_catalog_or_a_view_loses_nothing(run: Run, other: Run, table: str) -> None:
    run('create view "v" as select * from "t"')
    run('create table "names" ("name" varchar)')
    run("begin")
    run("insert into \"names\" select table_name from information_schema.tables where table_name = 't'")
    run('insert into "names" select "s" from "v" where "id" = 1')
    with fails(904):
        run("select nope")
    run("commit")
    assert other('select "name" from "names" order by 1') == [("one",), ("t",)]


def test_without_autocommit_a_transaction_begins_by_itself(snowflake_url: str, run: Run, table: str) -> None:
    with closing(connect(snowflake_url, autocommit=False)) as connection:
        connection.cursor().execute('delete from "t" where "id" = 1')
        connection.rollback()
        connection.cursor().execute('delete from "t" where "id" = 2')
        connection.commit()
        connection.cursor().execute('delete from "t" where "id" = 3')
        assert rows(run) == [(1, "one"), (3, "three")]
    assert rows(run) == [(1, "one"), (3, "three")], "a session that ends rolls back"


def test_each_statement_sees_what_was_committed_before_it(run: Run, other: Run, table: str) -> None:
    run('create table "mine" ("id" number(38,0))')
    run("begin")
    run('insert into "mine" values (1)')
    other("insert into \"t\" values (4, 'four')")
    assert len(rows(run)) == 4
    other('create table "new" as select 1 as "id"')
    assert run('select * from "new"') == [(1,)]
    assert run('select * from "mine"') == [(1,)]
    run("commit")
    assert other('select * from "mine"') == [(1,)]


@on_double
def test_what_cannot_be_shown_as_snowflake_would_is_refused_not_guessed(run: Run, other: Run, table: str) -> None:
    run('create table "mine" ("id" number(38,0))')
    run("begin")
    run('insert into "mine" select "id" from "t"')
    other("insert into \"t\" values (4, 'four')")
    with fails(999000):
        run('select count(*) from "t"')
    with fails(904):
        run("select nope")
    with fails(999000, "COMMIT"):
        run("commit")
    assert run('select count(*) from "mine"') == [(0,)]


def test_temporary_tables_of_one_name_are_each_sessions_own(run: Run, other: Run, table: str) -> None:
    run('create temporary table "staged" as select 4 as "id", \'four\' as "s"')
    run("begin")
    run('insert into "t" select * from "staged"')
    other('drop table if exists "staged"')  # the first thing that a load does
    other('create temporary table "staged" as select 5 as "id", \'five\' as "s"')
    run('insert into "t" select "id" + 10, "s" from "staged"')
    run("commit")
    assert rows(other)[3:] == [(4, "four"), (14, "four")]


def test_writers_of_one_table_wait_for_each_other(run: Run, other: Run, table: str) -> None:
    run("begin")
    run('update "t" set "s" = \'first\' where "id" = 1')
    other("insert into \"t\" values (4, 'inserts do not wait')")
    done: list[Any] = []

    def second() -> None:
        other("begin")
        other('merge into "t" t using (select 1 as "id") n on t."id" = n."id" when matched then update set "s" = "s" || \' second\'')
        done.append("second")
        other("commit")

    waiting = threading.Thread(target=second)
    waiting.start()
    time.sleep(0.5)
    assert done == []
    run("commit")
    waiting.join(30)
    assert rows(run)[0] == (1, "first second")


def test_a_wait_ends_with_the_lock_timeout(run: Run, other: Run, table: str) -> None:
    run("begin")
    run('delete from "t" where "id" = 1')
    other("alter session set lock_timeout = 1")
    with fails(625):
        other('update "t" set "s" = \'x\'')
    run("commit")
    other('update "t" set "s" = \'x\'')


def test_two_that_wait_for_each_other_do_not_wait_for_ever(run: Run, other: Run, table: str) -> None:
    run('create table "u" as select 1 as "id"')
    run("alter session set lock_timeout = 60")
    other("alter session set lock_timeout = 60")
    run("begin")
    run('delete from "t" where "id" = 1')
    other("begin")
    other('delete from "u"')
    errors: list[Exception] = []

    def try_(which: Run, sql: str) -> None:
        try:
            which(sql)
        except Exception as error:
            errors.append(error)
            which("rollback")

    waiting = threading.Thread(target=try_, args=(run, 'delete from "u"'))
    waiting.start()
    time.sleep(0.3)
    try_(other, 'delete from "t"')
    waiting.join(60)
    assert len(errors) == 1


def test_two_sessions_load_side_by_side(snowflake_url: str, run: Run) -> None:
    run('create table "ledger" ("load" varchar, "n" number(38,0))')
    errors: list[Exception] = []

    def load(name: str) -> None:
        try:
            with connect(snowflake_url) as connection:
                cursor = connection.cursor()
                cursor.execute(f'create table "{name}" ("id" number(38,0))')
                for number in range(5):
                    cursor.execute("begin")
                    cursor.execute(f'insert into "{name}" select {number}')
                    cursor.execute(f'merge into "{name}" t using (select {number} as "id") n on t."id" = n."id" when matched then delete')
                    cursor.execute('select count(*) from "ledger"')
                    cursor.execute('insert into "ledger" select ?, ?', (name, number))
                    cursor.execute('update "ledger" set "n" = "n" + 100 where "load" = ? and "n" = ?', (name, number))
                    cursor.execute("commit")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=load, args=(f"table {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert run('select count(*), min("n"), max("n") from "ledger"') == [(20, 100, 104)]
