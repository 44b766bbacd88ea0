"""Fixtures of the double's own tests: a connection on a fresh database, and ``run`` on it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.snowflake.fixtures import *  # noqa: F403
from tests.snowflake.fixtures import connect

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def connection(snowflake_url: str) -> Iterator[Any]:
    with connect(snowflake_url) as opened:
        yield opened


@pytest.fixture
def run(connection: Any) -> Run:
    """Run a statement, and return its rows."""
    return lambda sql, *values: connection.cursor().execute(sql, values or None).fetchall()


@pytest.fixture
def other(snowflake_url: str) -> Iterator[Run]:
    """``run`` of a second session."""
    with connect(snowflake_url) as opened:
        yield lambda sql, *values: opened.cursor().execute(sql, values or None).fetchall()


@pytest.fixture
def two_tables(run: Run) -> None:
    """Tables ``u`` (a, b) and ``v`` (a, c)."""
    run("create table u as select column1 as a, column2 as b from values (1, 1), (2, 2)")
    run("create table v as select 1 as a, 10 as c")
