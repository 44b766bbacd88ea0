"""Values of each type, written and read. Each test stands for a line of CONFORMANCE.md."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.snowflake.failing import fails

Run = Callable[..., list[tuple[Any, ...]]]

TYPES = {
    "boolean": (True, False),
    "number(38,0)": (0, 2**63, -(10**38) + 1, 10**38 - 1),
    "number(10,2)": (Decimal("12345678.25"), Decimal("-0.01")),
    "number(38,10)": (Decimal("1234567890123456789012345678.0123456789"), Decimal(0)),
    "float": (0.1, -1e300, math.inf, -math.inf),
    "varchar": ("", "it's", "zwölf\n\t€ 😀"),
    "binary": (b"", b"\x00\xff"),
    "date": (date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)),
    "time(6)": (time(0, 0), time(23, 59, 59, 999_999)),
    "timestamp_ntz(6)": (datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(9999, 12, 31, 23, 59, 59, 999_999)),
    "timestamp_tz(6)": (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 3, 10, 1, 2, 3, 4, UTC)),
    "timestamp_ltz(6)": (datetime(2026, 3, 10, 1, 2, 3, 4, UTC),),
}


@pytest.mark.parametrize("kind", TYPES)
def test_values_come_back_as_they_were_written(run: Run, kind: str) -> None:
    run("alter session set timezone = 'UTC'")
    run(f'create table "t" ("n" number(38,0), "x" {kind})')
    values = [*TYPES[kind], None]
    for number, value in enumerate(values):
        # An instant as text: the connector itself rounds the last of the year 9999 into the next.
        text = isinstance(value, datetime)
        run(f'insert into "t" select ?, {f"?::{kind}" if text else "?"}', number, str(value) if text else value)
    found = [value for (value,) in run('select "x" from "t" order by "n"')]
    assert found == values
    assert [type(value) for value in found] == [bytearray if type(value) is bytes else type(value) for value in values]


def test_a_quotient_has_six_digits_more_than_its_dividend_and_twelve_at_most(run: Run) -> None:
    # Source: the documentation of arithmetic operators. The third is rounded twice: 0.20053846… is 0.2005385 first.
    quotients = ("2 / 3", "cast(2.5 as number(3, 1)) / 1.5", "cast(1.0 * 2607 / 13000 as number(7, 6))", "1::number(20, 12) / 3")
    found = [float(value) for value in run(f"select {', '.join(quotients)}")[0]]
    assert found == [0.666667, 1.6666667, 0.200539, 0.333333333333]
    assert run("select 2::float / 3")[0][0] == 2 / 3


def test_nan_is_a_float(run: Run) -> None:
    run('create table "t" ("x" float)')
    run("insert into \"t\" select 'nan'::float")
    assert math.isnan(run('select "x" from "t"')[0][0])


def test_a_variant_holds_json_and_null(run: Run) -> None:
    run('create table "t" ("n" number(38,0), "v" variant)')
    run('insert into "t" select 1, parse_json(\'{"a": [1, {"b": "x"}]}\') union all select 2, null')
    run('insert into "t" select 3, parse_json(?)', '"text"')
    assert run('select "v":a[1].b::varchar, "v":a[0]::number, "v" is null from "t" order by "n"') == [
        ("x", 1, False),
        (None, None, True),
        (None, None, False),
    ]


def test_a_value_that_a_column_cannot_hold_is_an_error(run: Run) -> None:
    run('create table "t" ("n" number(4,2), "s" varchar(3), "i" number(38,0), "d" date, "b" boolean)')
    with fails(100039):
        run('insert into "t" ("n") select 100::number(10,2)')
    with fails(100078):
        run('insert into "t" ("s") values (\'four\')')
    with fails(100038):
        run('insert into "t" ("i") values (\'x\')')
    with pytest.raises(Exception, match="not recognized"):
        run('insert into "t" ("d") values (\'x\')')
    run('insert into "t" ("n", "s") values (1.005, \'éèê\')')
    assert run('select "n", "s" from "t"') == [(Decimal("1.01"), "éèê")]


def test_an_instant_is_the_same_in_each_time_zone(run: Run) -> None:
    instant = datetime(2026, 3, 10, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    run('create table "t" ("x" timestamp_tz(6))')
    run('insert into "t" select ?', ("TIMESTAMP_TZ", instant))
    assert run('select "x" from "t"') == [(instant,)]


def test_a_time_without_zone_is_read_in_the_sessions(run: Run) -> None:
    run("alter session set timezone = 'America/New_York'")
    run('create table "t" ("x" timestamp_tz(6))')
    run("insert into \"t\" values ('2026-01-01 00:00:00')")
    assert run('select "x" from "t"') == [(datetime(2026, 1, 1, 5, tzinfo=UTC),)]
    run("alter session unset timezone")
    run("insert into \"t\" values ('2026-01-01 00:00:00')")
    assert run('select max("x") from "t"') == [(datetime(2026, 1, 1, 8, tzinfo=UTC),)], "Los Angeles is Snowflake's default"


def test_rows_are_fetched_as_arrow(connection: Any, run: Run) -> None:
    values = '1 as "i", 1.25::number(10,2) as "n", \'x\' as "s", \'2026-01-02 03:04:05.000006\'::timestamp_ntz as "ts"'
    run(f'create table "t" as select {values}')
    run('insert into "t" values (null, null, null, null)')
    rows = connection.cursor().execute('select * from "t" order by "i"').fetch_arrow_all().to_pylist()
    assert [(row["i"], row["s"], row["ts"]) for row in rows] == [
        (1, "x", datetime(2026, 1, 2, 3, 4, 5, 6)),
        (None, None, None),
    ]


def test_executemany_writes_every_row(connection: Any, run: Run) -> None:
    run('create table "t" ("n" number(38,0), "s" varchar)')
    cursor = connection.cursor()
    cursor.executemany('insert into "t" values (?, ?)', [(number, f"row {number}") for number in range(50)])
    assert cursor.rowcount == 50
    assert run('select count(*), min("s") from "t"') == [(50, "row 0")]
