"""What every Source must keep: another implementation joins by one more way to make it from a database of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date

import pytest

from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.sources import open_source
from pipelines.sync.model import Window
from pipelines.sync.protocols import UNFIT_COLUMN, ReadRequest, SchemaMoved, Source, SourceChunk
from pipelines.sync.spec import PartitionSpec, TableSpec
from tests.conftest import Project

SPEC = TableSpec("shop", "public", "t", "incremental", key=("id",), cursor="at")
Open = Callable[[Project], AbstractContextManager[Source]]
SOURCES: dict[str, Open] = {"postgresql": lambda project: open_source("shop", project.url)}


@pytest.fixture(params=list(SOURCES))
def source(request: pytest.FixtureRequest, project: Project) -> Iterator[Source]:
    project.run("create table t (id int primary key, name text, at timestamptz)", "create table empty (id int primary key, at date)")
    project.run("insert into t select i, 'n', '2026-03-01'::timestamptz + (i / 5) * interval '1 h' from generate_series(1, 30) i")
    with SOURCES[request.param](project) as opened:
        yield opened


def make_request(source: Source, window: Window | None = None, **changes: object) -> ReadRequest:
    window = window or Window("at", "2026-03-01 00:00:00+00", "2026-03-01 04:00:00+00")
    request = ReadRequest(SPEC, source.describe(SPEC), window, "window", None, 7, 10**9)
    return replace(request, **changes)  # type: ignore[arg-type]


def read_all(source: Source, request: ReadRequest) -> list[SourceChunk]:
    chunks = [source.read_chunk(request)]
    while chunks[-1].last is not None:
        chunks.append(source.read_chunk(replace(request, after=chunks[-1].last)))
    return chunks


def test_chunks_hold_every_row_of_the_window_once_and_end_with_none(source: Source) -> None:
    chunks = read_all(source, make_request(source))
    ids = [value for chunk in chunks for value in chunk.rows.column("id").to_pylist()]
    assert sorted(ids) == list(range(1, 25))
    assert max(chunk.rows.num_rows for chunk in chunks) == 7


def test_chunks_have_the_types_of_the_schema_and_the_unfit_column(source: Source) -> None:
    request = make_request(source)
    rows = source.read_chunk(request).rows
    assert [(field.name, field.type) for field in rows.schema][:-1] == [
        (column.name, column.arrow_type) for column in request.schema.columns
    ]
    assert rows.schema.names[-1] == UNFIT_COLUMN


def test_a_byte_budget_cuts_without_losing_rows(source: Source) -> None:
    chunks = read_all(source, make_request(source, max_bytes=1))
    assert sorted(value for chunk in chunks for value in chunk.rows.column("id").to_pylist()) == list(range(1, 25))


def test_the_stream_has_the_rows_of_the_window_in_chunks(source: Source) -> None:
    chunks = list(source.read_stream(make_request(source, part="stream", max_bytes=1)))
    assert sum(chunk.rows.num_rows for chunk in chunks) == 24
    assert [chunk.last is None for chunk in chunks] == [*[False] * (len(chunks) - 1), True]


def test_a_shape_that_is_not_the_requests_is_told(source: Source, project: Project) -> None:
    request = make_request(source)
    project.run("alter table t add column extra int")
    with pytest.raises(SchemaMoved):
        source.read_chunk(request)
    with pytest.raises(SchemaMoved):
        list(source.read_stream(replace(request, part="stream")))


def test_an_observation_names_what_is_open(source: Source, project: Project) -> None:
    import psycopg

    quiet = source.observe(SPEC)
    with psycopg.connect(project.url) as session:
        session.execute("select 1")
        busy = source.observe(SPEC)
    assert quiet.max_cursor == busy.max_cursor
    assert set(busy.open_ids) - set(quiet.open_ids)
    assert busy.oldest_open_at
    assert busy.oldest_open_at <= busy.observed_at


def test_the_range_of_days_is_that_of_the_time_zone(source: Source) -> None:
    spec = replace(SPEC, mode="partitioned", cursor=None, partition=PartitionSpec("at", date(2026, 1, 1)))
    assert source.partition_range(spec, "UTC") == ("2026-03-01", "2026-03-01")
    assert source.partition_range(spec, "America/Chicago") == ("2026-02-28", "2026-03-01")
    assert source.partition_range(replace(spec, name="empty"), "UTC") is None


def test_what_is_not_there_is_a_prerequisite_with_every_problem(source: Source) -> None:
    with pytest.raises(PrerequisiteError):
        source.describe(replace(SPEC, name="gone"))
    with pytest.raises(PrerequisiteError) as raised:
        source.describe(replace(SPEC, key=("a", "b")))
    assert len(raised.value.problems) == 2
    with pytest.raises(ConfigError):
        source.describe(replace(SPEC, cursor="name"))


def test_closing_twice_is_safe_and_a_closed_source_opens_again(source: Source) -> None:
    source.close()
    source.close()
    assert source.describe(SPEC).has_unique_key
