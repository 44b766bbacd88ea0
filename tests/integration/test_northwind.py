"""Northwind, a database that nobody here designed: through the engine and through the Dagster job, every table equal as text."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from tests.dagster.conftest import Daybreak, Rows

DUMP = Path(__file__).parents[3] / "shared" / "data" / "northwind.sql"
CATALOG = Path(__file__).with_name("northwind_catalog")

pytestmark = pytest.mark.skipif(not DUMP.exists(), reason=f"{DUMP} is not here")


@pytest.fixture
def northwind(postgres_url: str, tmp_path: Path) -> Iterator[Daybreak]:
    with psycopg.connect(postgres_url) as connection:
        connection.execute(DUMP.read_text(encoding="utf-8"))  # type: ignore[arg-type]
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    environment = {"NORTHWIND_DATABASE_URL": postgres_url, "SHOP_DATABASE_URL": postgres_url, "DAYBREAK_CATALOG": str(CATALOG)}
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        yield Daybreak(home, instance, environment)


def source_rows(daybreak: Daybreak, table: str) -> Rows:
    where = f"attrelid = 'public.{table}'::regclass and attnum > 0"
    columns = daybreak.source(f"select attname from pg_attribute where {where} order by attnum")
    return daybreak.source(f"select {', '.join(f'{name}::text' for (name,) in columns)} from public.{table}")


def warehouse_rows(daybreak: Daybreak, table: str) -> Rows:
    where = f"where schema_name = 'raw_northwind' and table_name = '{table}' and column_name not in ('_load_id', '_loaded_at')"
    columns = daybreak.ask(f"select column_name, data_type from duckdb_columns() {where} order by column_index")
    return daybreak.ask(f"select {', '.join(as_text(name, kind) for name, kind in columns)} from raw_northwind.{table}")


def as_text(name: str, kind: str) -> str:
    """DuckDB's SQL for a column as PostgreSQL writes it."""
    match kind:
        case "BLOB":
            return f"'\\x' || lower(hex({name}))"
        case "FLOAT":  # both write the shortest text that is this number, DuckDB with a .0 behind whole ones
            return f"regexp_replace(cast({name} as varchar), '\\.0$', '')"
        case _:
            return f"cast({name} as varchar)"


def assert_equal(daybreak: Daybreak) -> None:
    tables = [table.name for table in daybreak.settings.sources()[0].tables]
    assert len(tables) == 14
    for table in tables:
        assert Counter(warehouse_rows(daybreak, table)) == Counter(source_rows(daybreak, table)), table
    assert daybreak.ask("select count(*) from daybreak.quarantine") == [(0,)]


def test_every_table_is_equal_after_daybreak_sync(northwind: Daybreak) -> None:
    from pipelines.wiring import SyncRequest, sync_tables

    (source,) = northwind.settings.sources()
    results = sync_tables(northwind.settings, SyncRequest(source, source.tables))
    assert {result.outcome for result in results} == {"committed"}, [result.held_reason for result in results]
    assert_equal(northwind)
    assert {result.outcome for result in sync_tables(northwind.settings, SyncRequest(source, source.tables))} == {"unchanged"}


def test_every_table_is_equal_after_the_dagster_job(northwind: Daybreak) -> None:
    morning = northwind.run()
    assert morning.is_green, morning.report.get("problems")
    assert_equal(northwind)
    assert northwind.ask("select count(*) from raw_northwind.orders", copy=True) == northwind.source("select count(*) from orders")
    assert len([key for key in morning.yielded() if key.startswith("raw_northwind/")]) == 14
