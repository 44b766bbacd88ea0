"""SELECT, what a session tells of itself, catalogs and errors. Each test stands for a line of CONFORMANCE.md."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import on_double

Run = Callable[..., list[tuple[Any, ...]]]

QUERIES = {
    "select 1 as x where 1 is distinct from null and null is not distinct from null": [(1,)],
    "select column1, column2 from values (1, 'a'), (2, 'b') qualify row_number() over (order by column1 desc) = 1": [(2, "b")],
    'select f.value::varchar from table(flatten(input => parse_json(\'["a", "b"]\'))) f order by f.index': [("a",), ("b",)],
    "select t.n, f.value::number from (select 7 as n, parse_json('[1, 2]') as v) t, lateral flatten(input => t.v) f order by 2": [
        (7, 1),
        (7, 2),
    ],
    'select f.key, f.value::varchar from lateral flatten(input => parse_json(\'{"k": "v"}\')) f': [("k", "v")],
    "select md5('x'), sha2('x', 256), hex_encode('xy')": [
        (
            "9dd4e461268c8034f5c8564e155c67a6",
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
            "7879",
        )
    ],
    "select to_varchar(12.50::number(10,2)), to_varchar(true), to_varchar(null::number(38,0))": [("12.50", "true", None)],
    "select (-0.5)::number(3,3)::varchar, '.5'::varchar, 0::number(2,2)::varchar": [("-0.500", ".5", "0.00")],
    "select to_char('2026-03-10 01:02:03.000004'::timestamp_ntz(6), 'YYYY-MM-DD HH24:MI:SS.FF6')": [("2026-03-10 01:02:03.000004",)],
    "select to_char('2026-03-10'::date, 'YYYY-MM-DD')": [("2026-03-10",)],
    "select datediff('day', '2026-03-01'::date, '2026-03-10'::date), datediff(second, '2026-01-01'::timestamp, '2026-01-02'::timestamp)": [
        (9, 86400)
    ],
    "select convert_timezone('UTC', 'Europe/Berlin', '2026-07-01 12:00:00'::timestamp_ntz)": [(datetime(2026, 7, 1, 14),)],
    "select to_timestamp_tz('2026-07-01 12:00:00 +0200')": [(datetime(2026, 7, 1, 10, tzinfo=UTC),)],
    "select dateadd('day', 1, '2026-02-28'::date)": [(date(2026, 3, 1),)],
    "select try_parse_json('{') is null, try_parse_json('{\"a\": 1}'):a::number": [(True, 1)],
    "select get(parse_json('{\"a\": {\"b\": 5}}'), 'a'):b::number": [(5,)],
    "select array_size(array_agg(column1)) from values (1), (2)": [(2,)],
    "select listagg(column1, ',') within group (order by column1 desc) from values (1), (2)": [("2,1",)],
    "select iff(1 = 1, 'a', 'b'), zeroifnull(null::number), nvl(null, 'x'), coalesce(null, 2)": [("a", 0, "x", 2)],
    "select count_if(column1 > 1), sum(column1), max(column1) from values (1), (2), (3)": [(2, 6, 3)],
    "select 10 / 4, 7 % 3, 1.5 + 1": [(Decimal("2.5"), 1, Decimal("2.5"))],
    "with a as (select 1 as x union all select 2) select count(*) from a": [(2,)],
    "select length('äö'), upper('ä'), 'a' || 'b', substr('hello', 2, 3), split_part('a-b', '-', 2)": [(2, "Ä", "ab", "ell", "b")],
    "select object_construct('a', 1):a::number, to_json(parse_json('{\"a\":1}'))": [(1, '{"a":1}')],
    "select 'x' like '%x', 'ab' regexp 'a.', contains('abc', 'b'), startswith('abc', 'a')": [(True, True, True, True)],
    "select try_to_number('x'), try_cast('7' as number(38,0))": [(None, 7)],
    "select last_day('2026-02-01'::date), year('2026-03-10'::date)": [(date(2026, 2, 28), 2026)],
    "select date_trunc('hour', '2026-03-10 01:02:03'::timestamp_ntz)": [(datetime(2026, 3, 10, 1),)],
}


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_has_snowflakes_answer(run: Run, sql: str) -> None:
    assert run(sql) == QUERIES[sql]


def test_text_of_a_column_is_written_as_snowflake_writes_it(run: Run) -> None:
    run("alter session set timezone = 'UTC'")
    run('create table "t" ("ts" timestamp_ntz(6), "tz" timestamp_tz(6), "d" date, "tm" time(6), "b" binary, "v" variant, "n" number(10,2))')
    run(
        "insert into \"t\" select '2026-01-02 03:04:05.000006', '2026-01-02 03:04:05.000006 +0000'::timestamp_tz, '2026-01-02',"
        " '03:04:05.000006', to_binary('0f', 'hex'), parse_json('\"s\"'), 1.5"
    )
    by_format = (
        'select to_char("ts", \'YYYY-MM-DD HH24:MI:SS.FF6\'), to_varchar("tz", \'YYYY-MM-DD"T"HH24:MI:SS.FF6\'),'
        ' to_char("d", \'DD.MM.YYYY\'), to_char("tm", \'HH24:MI:SS.FF6\'), to_varchar("b", \'HEX\') from "t"'
    )
    assert run(by_format) == [("2026-01-02 03:04:05.000006", "2026-01-02T03:04:05.000006", "02.01.2026", "03:04:05.000006", "0F")]
    without = 'select "ts"::varchar, to_varchar("tz"), "d"::varchar, "b"::varchar, "v"::varchar, "n"::varchar, left("d"::text, 4) from "t"'
    assert run(without) == [("2026-01-02 03:04:05.000", "2026-01-02 03:04:05.000 +0000", "2026-01-02", "0F", "s", "1.50", "2026")]
    assert run("select 'abcdef'::varchar(3)") == [("abc",)]


def test_numbers_of_hexadecimal_digits(run: Run) -> None:
    assert run("select to_number(substr(md5('x'), 1, 8), 'XXXXXXXX'), md5_number_lower64('x')") == [(0x9DD4E461, 0xF5C8564E155C67A6)]
    assert run("select sum(md5_number_upper64(column1)) > 18446744073709551615 from values ('a'), ('b'), ('x'), ('y')")


@on_double
def test_what_the_double_would_get_wrong_it_refuses(run: Run) -> None:
    run('create table "t" as select 1.5 as "n"')
    run('create table "v" ("n" number(38,0), "v" variant)')
    for sql in [
        'select to_char("n", \'999.00\') from "t"',
        "select typeof(parse_json('1'))",
        "select value from table(flatten(input => parse_json('{}'), path => 'x'))",
        'insert overwrite into "t" select "n" from "t"',
        "undrop table t",
        'create table "u" ("id" number(38,0) autoincrement)',
        'insert into "v" ("n", "v") values (1, \'{}\')',
        "insert into \"v\" select 1, '{}'",
        "set x = 1",
        "explain select 1",
    ]:
        with fails(999000):
            run(sql)


def test_bound_values_stand_anywhere(run: Run) -> None:
    run('create table "t" as select 1 as "id", \'a\' as "s"')
    assert run('select "s", ? from "t" where "id" = ? and "s" in (?, ?)', "x?", 1, "a", "b") == [("a", "x?")]
    assert run("select '?', value::varchar from table(flatten(input => parse_json(?)))", '["a"]') == [("?", "a")]
    assert run("select ? is null, ?::number(38,0), ?", None, 10**37, True) == [(True, 10**37, True)]


def test_division_by_zero_is_an_error(run: Run) -> None:
    for sql in ("select 1 / 0", "select 1 / column1 from values (0)"):
        with fails(100051):
            run(sql)


def test_a_session_knows_where_it_stands(run: Run, connection: Any) -> None:
    database, schema, role, warehouse, session = run(
        "select current_database(), current_schema(), current_role(), current_warehouse(), current_session()"
    )[0]
    assert database.startswith("DAYBREAK_TEST_")
    assert (schema, bool(role), bool(warehouse)) == ("PUBLIC", True, True)
    assert int(session) > 0
    cursor = connection.cursor().execute("select 1")
    assert run("select last_query_id()") == [(cursor.sfqid,)]
    assert all(run("select current_account(), current_region(), current_user(), current_version()")[0])
    run('create schema "s"')
    run('use schema "s"')
    assert run("select current_schema()") == [("s",)]
    assert isinstance(run("select current_timestamp()")[0][0], datetime)


def test_parameters_of_a_session_are_set_and_shown(run: Run) -> None:
    run("alter session set query_tag = 'load it''s', lock_timeout = 77")
    assert run("show parameters like 'QUERY_TAG'")[0][:2] == ("QUERY_TAG", "load it's")
    assert run("show parameters like 'LOCK_TIMEOUT'")[0][:2] == ("LOCK_TIMEOUT", "77")
    run("alter session unset query_tag")
    with fails(1003):
        run("alter session set")


def test_the_information_schema_has_names_as_they_are(run: Run) -> None:
    run('create schema "raw_shop"')
    run(
        'create table "raw_shop"."Orders" ("id" number(38,0) not null, "n" number(10,2), "f" float, "s" varchar(9), "t" varchar,'
        ' "b" binary, "d" date, "tm" time(6), "ts" timestamp_ntz(6), "tz" timestamp_tz(6), "lz" timestamp_ltz(6),'
        ' "v" variant, "bo" boolean)'
    )
    run('create view "raw_shop"."seen" as select "id" from "raw_shop"."Orders"')
    run('insert into "raw_shop"."Orders" ("id") values (1)')
    found = run("select table_name, table_type, row_count from information_schema.tables where table_schema = 'raw_shop' order by 1")
    assert found == [("Orders", "BASE TABLE", 1), ("seen", "VIEW", None)]
    columns = run(
        "select column_name, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, datetime_precision"
        " from information_schema.columns where table_name = 'Orders' order by ordinal_position"
    )
    assert columns == [
        ("id", "NO", "NUMBER", None, 38, 0, None),
        ("n", "YES", "NUMBER", None, 10, 2, None),
        ("f", "YES", "FLOAT", None, None, None, None),
        ("s", "YES", "TEXT", 9, None, None, None),
        ("t", "YES", "TEXT", 16777216, None, None, None),
        ("b", "YES", "BINARY", None, None, None, None),
        ("d", "YES", "DATE", None, None, None, None),
        ("tm", "YES", "TIME", None, None, None, 6),
        ("ts", "YES", "TIMESTAMP_NTZ", None, None, None, 6),
        ("tz", "YES", "TIMESTAMP_TZ", None, None, None, 6),
        ("lz", "YES", "TIMESTAMP_LTZ", None, None, None, 6),
        ("v", "YES", "VARIANT", None, None, None, None),
        ("bo", "YES", "BOOLEAN", None, None, None, None),
    ]


def test_show_and_describe_tell_the_names(run: Run, connection: Any) -> None:
    run('create schema "s"')
    run('create table "s"."t" ("id" number(38,0) not null, "x" varchar(3))')
    run('create view "s"."v" as select 1 as "one"')
    cursor = connection.cursor()

    def shown(sql: str, *columns: str) -> list[tuple[Any, ...]]:
        cursor.execute(sql)
        names = [column.name for column in cursor.description]
        return [tuple(row[names.index(column)] for column in columns) for row in cursor.fetchall()]

    assert shown('show tables in schema "s"', "name", "schema_name") == [("t", "s")]
    assert shown('show terse objects in "s"', "name", "kind") == [("t", "TABLE"), ("v", "VIEW")]
    assert shown("show schemas like 's'", "name") == [("s",)]
    assert shown('describe table "s"."t"', "name", "type", "null?") == [("id", "NUMBER(38,0)", "N"), ("x", "VARCHAR(3)", "Y")]
    run('create temporary table "s"."t" as select 1 as "one", \'x\' as "x"')
    assert shown('describe table "s"."t"', "name", "type")[1] == ("x", "VARCHAR(16777216)")
    with fails(2003):
        run('describe table "s"."missing"')
    with fails(2043):
        run('show objects in schema "missing"')


def test_errors_have_snowflakes_numbers(run: Run) -> None:
    run('create table "t" ("id" number(38,0))')
    for sql, number in [
        ('select * from "missing"', 2003),
        ('insert into "missing" values (1)', 2003),
        ('select * from "nowhere"."t"', 2003),
        ('select "missing" from "t"', 904),
        ("selec 1", 1003),
        ("select * from", 1003),
        ("select no_such_function(1)", 2140),
        ("select 1; select 2", 8),
    ]:
        with fails(number):
            run(sql)
    assert run("select 1") == [(1,)]


def test_all_orders_by_every_column(run: Run) -> None:
    assert run("select a, b from (select 2 as a, 1 as b union all select 1, 2 union all select 1, 1) order by all") == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]
