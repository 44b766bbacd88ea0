"""DuckDB's own functions and syntax, which would run. Each test stands for a line of CONFORMANCE.md."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import on_double

Run = Callable[..., list[tuple[Any, ...]]]

FUNCTIONS = {
    "strftime(current_timestamp(), '%Y')": 2140,
    "epoch_us(current_timestamp())": 2140,
    "list_value(1)": 2140,
    "struct_pack(a := 1)": 2140,
    "now()": 2140,
    "_daybreak_text(1)": 2140,
    "arg_max(1, 2)": 999000,
    "quantile(1, 0.5)": 999000,
    "columns('a')": 999000,
    "unnest(array_construct(1))": 999000,
    "if(true, 1, 2)": 999000,
}
SYNTAX = [
    "select count(*) filter (where true)",
    "select [1, 2]",
    "select {'a': 1}",
    "select (1, 2)",
    "select 'a' 'b'",
    "select 1 == 1",
    "select 6 & 3",
    "select 1 << 3",
    "select $1",
    "select '1'::json",
    "select '1'::hugeint",
    "select current_timestamp() at time zone 'UTC'",
    "select array_agg(a order by b) from u",
    "select distinct on (a) a from u",
    "select a from u limit 10%",
    "select a from u offset 1",
    "from u",
    "from u select a",
    "select * from u using sample 3",
    "select * from u semi join v on u.a = v.a",
    "select * from 'file.parquet'",
    "select * from read_csv('file.csv')",
    "with x as materialized (select 1 as a) select * from x",
    "insert into u by name select 1 as a",
    "insert or replace into u values (1, 1)",
    "insert into u values (1, 1) returning a",
    "insert into u values (1, 1) on conflict do nothing",
]


pytestmark = pytest.mark.usefixtures("two_tables")


@on_double
@pytest.mark.parametrize("call", FUNCTIONS)
def test_a_function_of_duckdb_is_none_of_snowflakes(run: Run, call: str) -> None:
    with fails(FUNCTIONS[call]):
        run(f"select {call}")


@on_double
@pytest.mark.parametrize("sql", SYNTAX)
def test_syntax_of_duckdb_is_none_of_snowflakes(run: Run, sql: str) -> None:
    with fails(999000):
        run(sql)
