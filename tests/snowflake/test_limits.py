"""How long things may be. Each test stands for a line of CONFORMANCE.md."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import on_double

Run = Callable[..., list[tuple[Any, ...]]]
MIB = 2**20


@pytest.fixture(autouse=True)
def _table(run: Run) -> None:
    run('create table "t" ("s" varchar, "long" varchar(20000000), "b" binary, "v" variant)')


def test_a_text_without_a_length_holds_sixteen_mebibytes(run: Run) -> None:
    run('insert into "t" ("s") select repeat(\'é\', 8388608)')
    for sql in (
        'insert into "t" ("s") select repeat(\'é\', 8388609)',
        'update "t" set "s" = "s" || \'x\'',
        'merge into "t" using (select repeat(\'a\', 16777217) as x) as u on false when not matched then insert ("s") values (u.x)',
        "create table \"u\" as select repeat('a', 16777217) as x",
    ):
        with fails(100078):
            run(sql)
    assert run('select length("s") from "t"') == [(8388608,)]
    run('insert into "t" ("long") select repeat(\'é\', 10000000)')


def test_a_binary_without_a_length_holds_eight_mebibytes(run: Run) -> None:
    run("insert into \"t\" (\"b\") select to_binary(repeat('ff', 8388608), 'hex')")
    with fails(100078):
        run("insert into \"t\" (\"b\") select to_binary(repeat('ff', 8388609), 'hex')")


@on_double
def test_a_length_that_no_column_has_is_refused(run: Run) -> None:
    run('create table "u" ("s" varchar(134217728), "b" binary(67108864))')
    for kind in ("varchar(134217729)", "binary(67108865)", "varchar(0)"):
        with fails(1003, "length"):
            run(f'create table "w" ("x" {kind})')


@on_double
def test_a_bound_value_is_as_long_as_a_column_at_most(run: Run) -> None:
    assert run("select length(?)", "x" * 16 * MIB) == [(16 * MIB,)]
    for value in ("x" * 16 * MIB + "x", b"x" * 8 * MIB + b"x"):
        with fails(100078):
            run("select length(?)", value)


@on_double
def test_a_document_is_no_longer(run: Run) -> None:
    document = "'\"' || repeat('a', {}) || '\"'"
    assert run(f"select length(parse_json({document.format(16 * MIB - 2)})::varchar)") == [(16 * MIB - 2,)]
    with fails(100069, "too large"):
        run(f"select parse_json({document.format(16 * MIB)})")
    assert run(f"select try_parse_json({document.format(16 * MIB)}) is null") == [(True,)]
    with fails(100082):
        run(f'insert into "t" ("v") select array_construct(repeat(\'a\', {16 * MIB}))')


@on_double
def test_a_statement_has_no_more_than_a_megabyte(run: Run) -> None:
    assert run(f"select length('{'x' * (MIB - 100)}')") == [(MIB - 100,)]
    with fails(999000):
        run(f"select length('{'x' * MIB}')")


def test_show_tells_ten_thousand_rows_at_most(run: Run) -> None:
    run(f'create view "wide" as select {", ".join(f"1 as c{number}" for number in range(10_001))}')
    assert len(run('show columns in view "wide"')) == 10_000
