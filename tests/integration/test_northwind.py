"""Northwind, a database that nobody here designed: with nothing but `discover` and `sync`, then with models made by `add`.

Composite keys, bytea, real, and no cursor anywhere. Every table is compared with the source, row by row, as text.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from tests.dagster.conftest import ROOT, Daybreak, Rows, fresh_database

DUMP = Path(__file__).parents[3] / "shared" / "data" / "northwind.sql"
TABLES = 14

pytestmark = pytest.mark.skipif(not DUMP.exists(), reason=f"{DUMP} is not here")


@pytest.fixture(scope="module")
def northwind(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daybreak]:
    """The database and an empty project with a dbt folder of its own; the tests of this module follow each other."""
    url, home = fresh_database(postgres_server), tmp_path_factory.mktemp("northwind")
    with psycopg.connect(url) as connection:
        connection.execute(DUMP.read_text(encoding="utf-8"))  # type: ignore[arg-type]
    shutil.copytree(ROOT / "dbt_project", home / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    for folder in ("dagster", "catalog"):
        (home / folder).mkdir()
    environment = {
        "NORTHWIND_DATABASE_URL": url,
        "DAYBREAK_CATALOG": str(home / "catalog"),
        "DAYBREAK_DBT_PROJECT": str(home / "dbt_project"),
    }
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        yield Daybreak(home, instance, environment)


def expect(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def source_rows(daybreak: Daybreak, table: str) -> Rows:
    where = f"attrelid = 'public.{table}'::regclass and attnum > 0"
    columns = source(daybreak, f"select attname from pg_attribute where {where} order by attnum")
    return source(daybreak, f"select {', '.join(f'{name}::text' for (name,) in columns)} from public.{table}")


def source(daybreak: Daybreak, sql: str) -> Rows:
    options = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c bytea_output=hex"
    with psycopg.connect(daybreak.environment["NORTHWIND_DATABASE_URL"], options=options) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


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
    tables = [
        name for (name,) in source(daybreak, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")
    ]
    assert len(tables) == TABLES
    for table in tables:
        assert Counter(warehouse_rows(daybreak, table)) == Counter(source_rows(daybreak, table)), table
    assert daybreak.ask("select count(*) from daybreak.quarantine") == [(0,)]


def test_every_table_is_equal_with_nothing_but_discover_and_sync(northwind: Daybreak) -> None:
    file = northwind.home / "catalog" / "northwind.yaml"
    expect(northwind.daybreak("discover", "NORTHWIND_DATABASE_URL", "--source", "northwind", "--output", str(file)))
    expect(northwind.daybreak("sync", "northwind"))
    assert_equal(northwind)
    assert '"unchanged"' in expect(northwind.daybreak("sync", "northwind", "--json"))
    assert len(northwind.ask("select 1 from daybreak.ledger")) == TABLES  # the second one loaded nothing


def test_it_then_runs_under_dagster_with_the_staging_models_that_add_made(northwind: Daybreak) -> None:
    expect(northwind.daybreak("add", "northwind", "--all"))
    lint = [str(Path(northwind.command()[0]).with_name("sqlfluff")), "lint", "--disable-progress-bar", "models/staging/northwind"]
    expect(subprocess.run(lint, cwd=northwind.home / "dbt_project", capture_output=True, text=True, check=False))
    morning = northwind.run()
    assert morning.is_green, morning.explain()
    assert_equal(northwind)
    keys = morning.yielded()
    assert len([key for key in keys if key.startswith("raw_northwind/")]) == TABLES
    assert {status for model, status in morning.models().items() if model.startswith("stg_northwind__")} == {"built"}
    assert len([model for model in morning.models() if model.startswith("stg_northwind__")]) == TABLES
    staged = northwind.ask("select count(*) from staging.stg_northwind__order_details", copy=True)
    assert staged == source(northwind, "select count(*) from order_details")
