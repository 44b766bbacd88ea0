"""Each line of CONFORMANCE.md that says "emulated", through the real connector; on a real account too, where one is named."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.snowflake.fixtures import connect

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def connection(snowflake_url: str) -> Iterator[Any]:
    with connect(snowflake_url) as opened:
        yield opened


@pytest.fixture
def run(connection: Any) -> Run:
    return lambda sql, *values: connection.cursor().execute(sql, values or None).fetchall()


def test_a_name_in_quotes_is_not_the_name_in_capitals(run: Run) -> None:
    run('create table "orders" ("id" number(38,0))')
    run("create table orders (id number(38,0))")
    run('insert into "orders" values (1)')
    assert run('select "id" from "orders"') == [(1,)]
    assert run("select id from orders") == []


def test_ddl_commits_the_open_transaction(run: Run) -> None:
    run('create table "t" ("id" number(38,0))')
    run("begin")
    run('insert into "t" values (1)')
    run('create table "u" ("id" number(38,0))')
    run("rollback")
    assert run('select "id" from "t"') == [(1,)]
