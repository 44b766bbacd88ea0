"""DDL. Each test stands for a line of CONFORMANCE.md, and runs on a real account too, where one is named."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.snowflake.failing import fails

Run = Callable[..., list[tuple[Any, ...]]]
COLUMNS = "select column_name, data_type, numeric_precision, numeric_scale, character_maximum_length from information_schema.columns"


def test_a_name_in_quotes_is_not_the_name_in_capitals(run: Run) -> None:
    run('create table "orders" ("id" number(38,0))')
    run("create table orders (id number(38,0))")
    run('insert into "orders" values (1)')
    assert run('select "id" from "orders"') == [(1,)]
    assert run("select id from orders") == []
    with fails(904):
        run('select id from "orders"')


def test_ddl_commits_the_open_transaction(run: Run, other: Run) -> None:
    run('create table "t" ("id" number(38,0))')
    ddl = ['create table "u" ("id" number(38,0))', 'create temporary table "v" ("id" number(38,0))', 'alter table "u" add column "x" float']
    for number, sql in enumerate(
        [
            *ddl,
            'grant select on table "u" to role public',
            'truncate table "u"',
            "comment on table \"u\" is 'x'",
            'drop table "u"',
            'create schema "s"',
        ]
    ):
        run("begin")
        run(f'insert into "t" values ({number})')
        assert other('select count(*) from "t"') == [(number,)], sql
        run(sql)
        run("rollback")
        assert other('select count(*) from "t"') == [(number + 1,)], sql


def test_a_table_is_created_once(run: Run) -> None:
    run('create schema "raw_shop"')
    run('create table "raw_shop"."t" ("id" number(38,0) not null, "s" varchar default \'x\')')
    with fails(2002, "already exists"):
        run('create table "raw_shop"."t" ("id" number(38,0))')
    run('create table if not exists "raw_shop"."t" ("other" number(38,0))')
    run('insert into "raw_shop"."t" ("id") values (1)')
    assert run('select * from "raw_shop"."t"') == [(1, "x")]
    with fails(100072):
        run('insert into "raw_shop"."t" ("id") values (null)')
    run('create or replace transient table "raw_shop"."t" as select 7 as "id", \'y\' as "s", 1.5 as "n"')
    assert run('select * from "raw_shop"."t"') == [(7, "y", pytest.approx(1.5))]
    with fails(2003):
        run('create table "nowhere"."t" ("id" number(38,0))')
    run('drop table "raw_shop"."t"')
    with fails(2003, "does not exist"):
        run('drop table "raw_shop"."t"')
    run('drop table if exists "raw_shop"."t"')


def test_keys_are_declared_and_not_enforced(run: Run) -> None:
    run('create table "t" ("id" number(38,0) primary key, "s" varchar unique)')
    run("insert into \"t\" values (1, 'a'), (1, 'a')")
    assert run('select count(*) from "t"') == [(2,)]


def test_a_temporary_table_is_its_sessions_own_and_hides_a_permanent_one(run: Run, other: Run) -> None:
    run('create schema "s"')
    run('create table "s"."t" as select 1 as "id"')
    run('create temporary table "s"."t" as select 2 as "id"')
    assert run('select "id" from "s"."t"') == [(2,)]
    assert other('select "id" from "s"."t"') == [(1,)]
    run('update "s"."t" set "id" = 3 where "t"."id" = 2')
    run('insert into "s"."t" select "t"."id" + 1 from "s"."t"')
    assert run('select "id" from "s"."t" order by 1') == [(3,), (4,)]
    run('drop table "s"."t"')
    assert run('select "id" from "s"."t"') == [(1,)]
    run("create or replace temp table unqualified (id number(38,0))")
    with fails(2003):
        other("select * from unqualified")


def test_or_replace_of_a_temporary_one_leaves_the_permanent_one(run: Run, other: Run) -> None:
    run('create table "t" as select 1 as "id"')
    run('create view "v" as select 1 as "id"')
    for number in (2, 3):
        run(f'create or replace temporary table "t" as select {number} as "id"')
        run('create or replace temporary view "v" as select "id" * 10 as "id" from "t"')
        assert (run('select "id" from "t"'), run('select "id" from "v"')) == ([(number,)], [(number * 10,)])
    assert (other('select "id" from "t"'), other('select "id" from "v"')) == ([(1,)], [(1,)])
    run('drop view "v"')
    run('drop table "t"')
    assert (run('select "id" from "t"'), run('select "id" from "v"')) == ([(1,)], [(1,)])


def test_a_temporary_view_is_its_sessions_own(run: Run, other: Run) -> None:
    run('create table "t" as select 1 as "id"')
    run('create or replace temporary view "v" ("n") as select "id" + 1 from "t"')
    run('insert into "t" values (5)')
    assert run('select "n" from "v" order by 1') == [(2,), (6,)]
    with fails(2003):
        other('select * from "v"')
    run('drop view "v"')
    with fails(2003):
        run('select * from "v"')


def test_or_replace_does_not_make_a_view_of_a_table(run: Run) -> None:
    run('create table "t" as select 1 as "id"')
    with fails(1998, "already exists as TABLE"):
        run('create or replace view "t" as select 2 as "id"')
    assert run('select "id" from "t"') == [(1,)]


def test_a_table_belongs_to_the_role_that_made_it_until_it_is_given_away(run: Run) -> None:
    owner = "select table_owner from information_schema.tables where table_name = '{}'".format
    ((role,),) = run("select current_role()")
    run('create table "t" as select 1 as "id"')
    assert run(owner("t")) == [(role,)]
    run('grant ownership on table "t" to role "PUBLIC" copy current grants')
    run("alter table \"t\" set comment = 'given'")
    run('alter table "t" rename to "u"')
    assert run(owner("u")) == [("PUBLIC",)]
    run('create or replace table "w" clone "u" copy grants')
    assert run(owner("w")) == [(role,)]
    run('create or replace table "u" copy grants as select 2 as "id"')
    assert run(owner("u")) == [(role,)]
    with fails(2003):
        run('grant ownership on table "missing" to role "PUBLIC" copy current grants')


def test_columns_are_added_renamed_and_dropped(run: Run) -> None:
    run('create table "t" ("id" number(38,0), "old" float, "extra" varchar)')
    run("insert into \"t\" values (1, 2.5, 'x')")
    run('alter table "t" add column "new" number(10,2), "more" boolean')
    run('alter table "t" add column if not exists "new" varchar')
    with fails(1430):
        run('alter table "t" add column "new" varchar')
    run('alter table "t" rename column "old" to "Old"')
    run('alter table "t" drop column "extra"')
    assert run('select "id", "Old", "new", "more" from "t"') == [(1, 2.5, None, None)]
    with fails(904):
        run('alter table "t" rename column "old" to "older"')
    with fails(904):
        run('alter table "t" drop column "extra"')


def test_types_are_changed_only_where_snowflake_does_so_in_place(run: Run) -> None:
    run('create table "t" ("n" number(10,2), "s" varchar(10), "f" float, "ts" timestamp_ntz(6))')
    run("insert into \"t\" values (12345678.25, 'abc', 1, '2020-01-02 03:04:05')")
    run('alter table "t" alter column "n" set data type number(20,2)')
    run('alter table "t" alter column "s" set data type varchar(100)')
    for column, kind in [("n", "number(20,4)"), ("n", "varchar"), ("s", "varchar(5)"), ("s", "number(38,0)"), ("f", "number(38,0)")]:
        with fails(2108):
            run(f'alter table "t" alter column "{column}" set data type {kind}')
    run('insert into "t" ("n") values (123456789012345678.25)')
    found = run(f"{COLUMNS} where table_name = 't' and column_name in ('n', 's') order by 1")
    assert found == [("n", "NUMBER", 20, 2, None), ("s", "TEXT", None, None, 100)]


def test_rename_moves_a_table_also_to_another_schema(run: Run) -> None:
    run('create schema "a"')
    run('create schema "b"')
    run('create table "a"."t" ("id" number(38,0), "s" varchar(7))')
    run('insert into "a"."t" values (1, \'x\')')
    run('alter table "a"."t" rename to "a"."u"')
    run('alter table "a"."u" rename to "b"."v"')
    assert run('select * from "b"."v"') == [(1, "x")]
    found = run(f"{COLUMNS} where table_schema = 'b' order by ordinal_position")
    assert found == [("id", "NUMBER", 38, 0, None), ("s", "TEXT", None, None, 7)]
    with fails(2003):
        run('select * from "a"."u"')


def test_swap_exchanges_two_tables_at_once(run: Run) -> None:
    run('create schema "a"')
    run('create schema "b"')
    run('create table "a"."t" as select 1 as "id"')
    run('create table "a"."u" as select \'x\' as "s"')
    run('create table "b"."w" as select 3 as "id"')
    run('alter table "a"."t" swap with "a"."u"')
    assert (run('select * from "a"."t"'), run('select * from "a"."u"')) == ([("x",)], [(1,)])
    run('alter table "a"."u" swap with "b"."w"')
    assert (run('select * from "a"."u"'), run('select * from "b"."w"')) == ([(3,)], [(1,)])
    with fails(2003):
        run('alter table "a"."u" swap with "a"."missing"')
    assert run('select * from "a"."u"') == [(3,)]


def test_a_clone_is_a_copy_of_its_own(run: Run) -> None:
    run('create table "t" ("id" number(38,0) not null, "s" varchar(3))')
    run("insert into \"t\" values (1, 'a')")
    run('create table "u" clone "t"')
    run("insert into \"u\" values (2, 'b')")
    assert run('select count(*) from "t"') == [(1,)]
    with fails(100078, "too long"):
        run("insert into \"u\" values (3, 'long')")
    with fails(100072):
        run("insert into \"u\" values (null, 'c')")
    run('create table "w" like "t"')
    assert run('select count(*) from "w"') == [(0,)]


def test_comments_are_read_where_they_were_written(run: Run) -> None:
    run("create table \"t\" (\"id\" number(38,0) comment 'the key', \"s\" varchar) comment = 'it''s one'")
    tables, columns = (
        "select comment from information_schema.tables where table_name = 't'",
        ("select comment from information_schema.columns where table_name = 't' order by ordinal_position"),
    )
    assert (run(tables), run(columns)) == ([("it's one",)], [("the key",), (None,)])
    run("comment on table \"t\" is 'another'")
    run("comment on column \"t\".\"s\" is 'it''s text'")
    run('alter table "t" rename column "s" to "S"')
    assert (run(tables), run(columns)) == ([("another",)], [("the key",), ("it's text",)])
    run("alter table \"t\" set comment = 'third'")
    run('alter table "t" alter "id" comment $$a, b$$, "S" comment $$c$$')
    assert (run(tables), run(columns)) == ([("third",)], [("a, b",), ("c",)])
    run("alter table \"t\" alter (column \"id\" comment 'x, (y)', column \"S\" comment 'it''s')")
    assert run(columns) == [("x, (y)",), ("it's",)]
    with fails(904):
        run('comment on column "t"."missing" is \'x\'')


def test_truncate_empties_a_table(run: Run) -> None:
    run('create table "t" as select 1 as "id"')
    run('truncate table "t"')
    assert run('select count(*) from "t"') == [(0,)]
    with fails(2003):
        run('truncate table "missing"')


def test_a_view_shows_its_tables_as_they_are(run: Run) -> None:
    run('create table "t" as select 1 as "id"')
    run('create view "v" as select "id" + 1 as "next" from "t"')
    run('create or replace view "v" ("after") as select "id" + 2 from "t"')
    run('insert into "t" values (5)')
    assert run('select "after" from "v" order by 1') == [(3,), (7,)]
    run('drop view "v"')
    with fails(2003):
        run('select * from "v"')


def test_schemas_and_databases_come_and_go(run: Run) -> None:
    (database,) = run("select current_database()")[0]
    run('create schema "s"')
    run('create schema if not exists "s"')
    with fails(2002):
        run('create schema "s"')
    run('create table "s"."t" as select 1 as "id"')
    assert run("select schema_name from information_schema.schemata where schema_name = 's'") == [("s",)]
    assert run("select current_schema()") == [("s",)]
    run('drop schema "s" cascade')
    with fails(2003):
        run('select * from "s"."t"')
    run(f"create database {database}_TWO")
    run(f"drop database {database}_TWO")
    with fails(2003):
        run(f"drop database {database}_TWO")
    run(f"use database {database}")
    assert run("select current_database()") == [(database,)]
