"""Correlated subqueries: those that can be made into a join, and the others. Each test stands for a line of CONFORMANCE.md."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import on_double

Run = Callable[..., list[tuple[Any, ...]]]

JOINABLE = {
    "exists (select 1 from v where v.a = u.a)": [1],
    "not exists (select 1 from v where v.a = u.a and v.c > 100)": [1, 2],
    "exists (select 1 from v where u.a + 0 = v.a + 0 and (v.c = 10 and true))": [1],
    "exists (select 1 from v where v.a = b)": [1],
    "a in (select v.a from v where v.c = u.b * 10)": [1],
    "a not in (select v.a from v where v.a = u.a)": [2],
    "b * 10 = (select max(v.c) from v where v.a = u.a)": [1],
    "a = any (select v.a from v where v.a = u.a)": [1],
    "b > 1 or exists (select 1 from v)": [1, 2],
    "(select max(a) from v) = 1 or b = 7": [1, 2],
}
NOT_JOINABLE = [
    "exists (select 1 from v where v.a > u.a)",
    "exists (select 1 from v where v.a is not distinct from u.a)",
    "exists (select 1 from v where v.a = u.a or v.c = u.b)",
    "exists (select 1 from v where v.a = u.a and u.b = 1)",
    "exists (select 1 from v where v.a = u.a + v.c)",
    "exists (select 1 from v where coalesce(v.a, b) = 1)",
    "exists (select 1 from v where v.a = u.a limit 1)",
    "exists (select 1 from v where v.a = u.a union all select 1)",
    "exists (select 1 from (select * from v where v.a = u.a) w)",
    "b = 1 or exists (select 1 from v where v.a = u.a)",
    "case when exists (select 1 from v where v.a = u.a) then true end",
    "a in (select u.b from v)",
    "b * 10 = (select v.c from v where v.a = u.a)",
    "b * 10 = (select max(v.c) + u.a from v where v.a = u.a)",
]
STATEMENTS = [
    "select (select max(v.c) from v where v.a = u.a) from u",
    "select * from u join v on exists (select 1 from v as w where w.a = u.a)",
    "select a from u group by a having exists (select 1 from v where v.a = u.a)",
    "delete from u where exists (select 1 from v where v.a < u.a)",
    "update u set b = (select max(c) from v where v.a = u.a)",
    "create view w as select * from u where exists (select 1 from v where v.a > u.a)",
    "create table w as select * from u where exists (select 1 from v where v.a > u.a)",
    "insert into u select * from u where exists (select 1 from v where v.a > u.a)",
]


pytestmark = pytest.mark.usefixtures("two_tables")


@pytest.mark.parametrize("condition", JOINABLE)
def test_a_subquery_that_is_correlated_by_equality_is_evaluated(run: Run, condition: str) -> None:
    assert [a for (a,) in run(f"select a from u where {condition} order by a")] == JOINABLE[condition]


@on_double
@pytest.mark.parametrize("condition", NOT_JOINABLE)
def test_another_correlated_subquery_is_not(run: Run, condition: str) -> None:
    with fails(2031, "Unsupported subquery type cannot be evaluated"):
        run(f"select a from u where {condition}")


@on_double
@pytest.mark.parametrize("sql", STATEMENTS)
def test_nor_is_one_outside_of_where(run: Run, sql: str) -> None:
    with fails(2031):
        run(sql)


def test_a_subquery_in_from_sees_nothing_beside_it(run: Run) -> None:
    with fails(904):
        run("select * from u, (select u.a + 1 as c) w")
    with fails(904):
        run("select * from u where exists (select 1 from v where missing = 1)")


def test_a_column_is_looked_for_in_the_subquery_first(run: Run) -> None:
    run("create view w as select a as c, 1 as b from v")
    assert run("select a from u where exists (select 1 from w where b > c - 1)  order by a") == [(1,), (2,)]
    assert run("with x as (select b, 1 as c from u) select c from x where exists (select 1 from w where w.b = x.b)") == [(1,)]
    assert run("select table_name from information_schema.tables where table_name in (select 'missing' from u)") == []
