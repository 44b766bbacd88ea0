"""Stages and COPY. Each test stands for a line of CONFORMANCE.md."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.snowflake.failing import fails
from tests.snowflake.fixtures import on_double

Run = Callable[..., list[tuple[Any, ...]]]
HOW = (
    "file_format = (type = parquet use_vectorized_scanner = true binary_as_text = false use_logical_type = true)"
    " match_by_column_name = case_sensitive on_error = abort_statement"
)


class Stage:
    """A temporary stage, and Parquet files put into it."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.folder = run, folder
        run('create schema "s"')
        run('create temporary stage "s"."landing"')

    def put(self, name: str, table: pa.Table, path: str = "load1") -> list[tuple[Any, ...]]:
        file = self.folder / name
        pq.write_table(table, file)
        return self.run(f'put \'file://{file}\' @"s"."landing"/{path} auto_compress = false overwrite = true parallel = 2')

    def copy(self, more: str = "", path: str = "load1", table: str = "t") -> list[tuple[Any, ...]]:
        return self.run(f'copy into "s"."{table}" from @"s"."landing"/{path} {HOW} {more}')

    def files(self) -> list[str]:
        return [row[0].rsplit("/", 1)[1] for row in self.run('list @"s"."landing"')]


@pytest.fixture
def stage(run: Run, tmp_path: Path) -> Stage:
    return Stage(run, tmp_path)


def ids(*values: int) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


def test_values_of_each_type_arrive_exactly(run: Run, stage: Stage) -> None:
    columns = {
        "bo": ("boolean", pa.array([True, None])),
        "i": ("number(38,0)", pa.array([10**37, None], pa.decimal128(38, 0))),
        "l": ("number(38,0)", pa.array([-(2**63), None], pa.int64())),
        "n": ("number(20,4)", pa.array([Decimal("1234567890123456.0001"), None], pa.decimal128(20, 4))),
        "f": ("float", pa.array([math.inf, None], pa.float64())),
        "s": ("varchar", pa.array(["zwölf\n😀", None])),
        "b": ("binary", pa.array([b"\x00\xff", None], pa.binary())),
        "d": ("date", pa.array([date(1, 1, 1), None])),
        "tm": ("time(6)", pa.array([time(23, 59, 59, 999_999), None], pa.time64("us"))),
        "ts": ("timestamp_ntz(6)", pa.array([datetime(1969, 1, 1, 1, 1, 1, 1), None], pa.timestamp("us"))),
        "tz": ("timestamp_tz(6)", pa.array([datetime(2050, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC"))),
    }
    declared = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
    run(f'create table "s"."t" ({declared})')
    stage.put("a.parquet", pa.table({name: array for name, (_, array) in columns.items()}))
    assert [row[1:4] for row in stage.copy()] == [("LOADED", 2, 2)]
    found = run('select * from "s"."t" order by "bo" is null')
    assert list(found[0]) == [array[0].as_py() for _, array in columns.values()]
    assert list(found[1]) == [None] * len(columns)


def test_columns_are_matched_by_name_and_case(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0), "Id" number(38,0), "gone" varchar default \'x\')')
    stage.put("a.parquet", pa.table({"id": [1], "ID": [2], "extra": [3]}), "Id=7")
    stage.copy(path="Id=7")
    assert run('select "id", "Id", "gone" from "s"."t"') == [(1, None, None)]


def test_metadata_tells_file_and_row(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0), "_daybreak_file" varchar, "_daybreak_row" number(38,0))')
    stage.put("a.parquet", ids(5, 6))
    stage.put("b.parquet", ids(7))
    stage.copy('include_metadata = ("_daybreak_file" = METADATA$FILENAME, "_daybreak_row" = METADATA$FILE_ROW_NUMBER)')
    rows = run('select "id", "_daybreak_file", "_daybreak_row" from "s"."t" order by 1')
    assert [(row[0], row[1].rsplit("/", 1)[1]) for row in rows] == [(5, "a.parquet"), (6, "a.parquet"), (7, "b.parquet")]
    assert rows[1][2] == rows[0][2] + 1


def test_a_file_is_loaded_once_unless_forced(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0))')
    stage.put("a.parquet", ids(1))
    stage.copy("force = false")
    assert stage.copy("force = false") == [("Copy executed with 0 files processed.",)]
    stage.put("b.parquet", ids(2))
    assert len(stage.copy()) == 1, "only the new file"
    stage.copy("force = true")
    assert run('select "id" from "s"."t" order by 1') == [(1,), (1,), (2,), (2,)]
    run('truncate table "s"."t"')
    assert len(stage.copy()) == 2, "TRUNCATE forgets what was loaded"
    run('create or replace table "s"."t" ("id" number(38,0))')
    assert len(stage.copy()) == 2, "so does a new table"


def test_what_was_loaded_is_known_only_if_it_was_committed(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0))')
    stage.put("a.parquet", ids(1))
    run("begin")
    stage.copy()
    run("rollback")
    assert run('select count(*) from "s"."t"') == [(0,)]
    assert len(stage.copy()) == 1
    assert run('select count(*) from "s"."t"') == [(1,)]


def test_files_are_chosen_by_name_and_by_path(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0))')
    for number in range(3):
        stage.put(f"{number}.parquet", ids(number))
    stage.put("9.parquet", ids(9), "load2")
    assert len(stage.copy("files = ('0.parquet', '2.parquet')", "load1/")) == 2
    assert len(stage.copy(path="load2/")) == 1
    assert run('select "id" from "s"."t" order by 1') == [(0,), (2,), (9,)]
    with fails(91016):
        stage.copy("files = ('missing.parquet')", "load1/")


def test_purge_removes_what_was_loaded_and_only_then(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(38,0))')
    stage.put("a.parquet", ids(1))
    stage.copy("purge = false")
    assert stage.files() == ["a.parquet"]
    stage.copy("purge = true force = true")
    assert stage.files() == []


def test_a_value_that_does_not_fit_loads_nothing(run: Run, stage: Stage) -> None:
    run('create table "s"."t" ("id" number(2,0), "s" varchar(3))')
    stage.put("a.parquet", ids(1))
    stage.put("b.parquet", ids(2, 100))
    run("begin")
    run('insert into "s"."t" values (7, \'x\')')
    with pytest.raises(Exception, match="out of range"):
        stage.copy()
    run("commit")
    assert run('select "id" from "s"."t"') == [(7,)]
    stage.put("c.parquet", pa.table({"s": ["long"]}), "load2")
    with fails(100078):
        stage.copy(path="load2")
    assert run('select "id" from "s"."t"') == [(7,)]


def test_list_and_remove(run: Run, stage: Stage) -> None:
    stage.put("a.parquet", ids(1))
    stage.put("b.parquet", ids(2), "load2/deep")
    assert [row[0] for row in run('list @"s"."landing"')] == ["landing/load1/a.parquet", "landing/load2/deep/b.parquet"]
    assert [row[0] for row in run('list @"s"."landing"/load2')] == ["landing/load2/deep/b.parquet"]
    assert run('remove @"s"."landing"/load2')[0][1] == "removed"
    assert stage.files() == ["a.parquet"]


def test_a_stage_is_known_by_its_name_and_a_temporary_one_by_its_session(run: Run, other: Run, stage: Stage) -> None:
    with fails(2003):
        other('list @"s"."landing"')
    with fails(2003):
        run('list @"s"."missing"')
    run('create stage "s"."kept"')
    run('create stage if not exists "s"."kept"')
    assert other('list @"s"."kept"') == []
    run('drop stage "s"."kept"')
    with fails(2003):
        other('list @"s"."kept"')


def test_put_replaces_a_file_where_it_is_told_to(run: Run, stage: Stage, tmp_path: Path) -> None:
    assert stage.put("a.parquet", ids(1))[0][6] == "UPLOADED"
    assert stage.put("a.parquet", ids(1, 2))[0][6] == "UPLOADED"
    run(f'put file://{tmp_path}/*.parquet @"s"."landing"/load2 auto_compress = false')
    assert stage.files() == ["a.parquet", "a.parquet"]


@on_double
def test_put_without_overwrite_of_a_file_that_is_there_is_refused(run: Run, stage: Stage, tmp_path: Path) -> None:
    stage.put("a.parquet", ids(1))
    with fails(999000):
        run(f'put file://{tmp_path}/a.parquet @"s"."landing"/load1 auto_compress = false overwrite = false')


def test_copy_into_a_temporary_table(run: Run, stage: Stage) -> None:
    run('create temporary table "s"."new" ("id" number(38,0))')
    stage.put("a.parquet", ids(1, 2))
    stage.copy(table="new")
    assert run('select "id" from "s"."new" order by 1') == [(1,), (2,)]


def test_or_replace_empties_a_temporary_stage_and_leaves_the_permanent_one(run: Run, stage: Stage) -> None:
    run('create stage "s"."kept"')
    file = stage.folder / "a.parquet"
    pq.write_table(ids(1), file)
    put = f'put \'file://{file}\' @"s"."kept" auto_compress = false overwrite = true'
    run(put)
    for _ in range(2):
        run('create or replace temporary stage "s"."kept"')
        assert run('list @"s"."kept"') == []
        run(put)
    run('drop stage "s"."kept"')
    assert len(run('list @"s"."kept"')) == 1
