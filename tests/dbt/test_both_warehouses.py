"""The same shop in DuckDB and in Snowflake: every model, test and unit test builds on both, and every model has the same rows."""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from pipelines.assets.dbt_process import Heard, run_dbt
from pipelines.cli.main import app
from pipelines.settings import Settings, load_settings
from pipelines.shop.simulator import advance_shop, create_shop, migrate_shop
from pipelines.wiring import SyncRequest, sync_tables
from tests.snowflake.fixtures import connect

pytestmark = pytest.mark.slow

TODAY = date(2026, 3, 10)
ROOT = Path(__file__).parents[2]
ODD = ROOT / "tests" / "integration" / "odd_schema.sql"
# Of a load, and so of one warehouse. That the funnel shows the load that was committed last is a dbt test.
OF_THE_LOAD = {"_load_id", "_loaded_at", "_window_load_id"}
COLUMNS = """
    select lower(table_schema), lower(table_name), lower(column_name) from information_schema.columns
    where lower(table_schema) in ('staging', 'marts') and lower(table_catalog) = lower('{}')
    order by table_schema, table_name, ordinal_position"""
Rows = list[tuple[Any, ...]]
Relation = tuple[str, str]


@dataclass
class Built:
    """A project on one of the warehouses."""

    shop: str
    home: Path
    url: str
    today: date = TODAY
    more: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return load_settings(
            {
                "DAYBREAK_HOME": str(self.home),
                "DAYBREAK_TODAY": str(self.today),
                "DAYBREAK_WAREHOUSE_URL": self.url,
                "DAYBREAK_MASK_KEY": "the same on both",
                # Neither the machine's, nor the session's, nor Snowflake's own.
                "DAYBREAK_TIME_ZONE": "Asia/Tokyo",
                "SHOP_DATABASE_URL": self.shop,
                **self.more,
            }
        )

    @property
    def password(self) -> bytes:
        return unquote(urlsplit(self.url).password or "").encode()

    def command(self, *arguments: str) -> None:
        """Run the command line."""
        environment = {name: value for name, value in self.settings.environment.items() if name.isupper()}
        done = CliRunner().invoke(app, list(arguments), env=environment)
        assert done.exit_code == 0, done.output

    def build(self, *arguments: str) -> dict[str, str]:
        """Sync every table and build; returns how each table and each node ended."""
        (source,) = self.settings.sources()
        results = sync_tables(self.settings, SyncRequest(source, source.tables))
        lines: list[str] = []

        def listen(heard: Heard) -> None:
            lines.append(heard.text)

        done = run_dbt(self.settings, ["build", *arguments], listen)
        assert not done.error, (done.error, lines)
        ended = {table.id: result.held_reason or result.outcome for table, result in zip(source.tables, results, strict=True)}
        return ended | {node: result.status for node, result in done.results.items()}

    def ask(self, sql: str) -> Rows:
        if self.url.startswith("duckdb:"):
            with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
                return connection.execute("set TimeZone = 'UTC'").execute(sql).fetchall()
        with connect(self.url) as account, account.cursor() as cursor:
            return cursor.execute(sql).fetchall()

    def columns(self) -> dict[Relation, list[str]]:
        """The columns of every staging model and every mart."""
        found: dict[Relation, list[str]] = {}
        database = "warehouse" if self.url.startswith("duckdb:") else self.url.rpartition("/")[2].partition("?")[0]
        for schema, table, column in self.ask(COLUMNS.format(database)):
            found.setdefault((schema, table), []).append(column)
        return found

    def rows(self, relation: Relation, columns: Iterable[str]) -> list[str]:
        """The rows of a model, as text, sorted."""
        shown = ", ".join(column for column in columns if column not in OF_THE_LOAD)
        return sorted(" | ".join(map(_text, row)) for row in self.ask(f"select {shown} from {'.'.join(relation)}"))


def _text(value: object) -> str:
    return str(value.timestamp() if isinstance(value, datetime) else value)


def build(duck: Built, snow: Built, *arguments: str) -> dict[str, str]:
    """Build both, and expect that everything ended the same way."""
    ours, theirs = duck.build(*arguments), snow.build(*arguments)
    assert not {node: (ours.get(node), theirs.get(node)) for node in ours | theirs if ours.get(node) != theirs.get(node)}
    return ours


def compare(duck: Built, snow: Built) -> dict[str, int]:
    """Compare every model row by row; returns how many rows each has."""
    columns = duck.columns()
    assert columns == snow.columns()
    counts = {}
    for relation, names in columns.items():
        ours, theirs = duck.rows(relation, names), snow.rows(relation, names)
        only = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
        assert ours == theirs, (relation, [list(rows.elements())[:3] for rows in only])
        counts[".".join(relation)] = len(ours)
    print(f"\n{sum(counts.values())} rows are the same: {counts}")
    return counts


@pytest.fixture
def both(postgres_url: str, snowflake_url: str, tmp_path: Path) -> tuple[Built, Built]:
    """Two projects on one source, which is empty yet."""
    home = tmp_path / "duckdb"
    return Built(postgres_url, home, f"duckdb:///{home}/warehouse.duckdb"), Built(postgres_url, tmp_path / "snowflake", snowflake_url)


def test_every_model_has_the_same_rows_on_both_warehouses(both: tuple[Built, Built]) -> None:
    duck, snow = both
    create_shop(duck.shop, today=TODAY, days=6, events_per_day=200)
    first = build(duck, snow)
    assert set(first.values()) == {"committed", "success", "pass", "no-op"}
    assert {node.partition(".")[0] for node in first} >= {"model", "test", "unit_test", "seed"}
    before = compare(duck, snow)
    assert all(before.values())

    # Two days on: late events, a day without any, deletes, what no application should write, and a column with another name. What stands
    # is built on.
    advance_shop(duck.shop, days=1)
    duck.today = snow.today = advance_shop(duck.shop, days=1, bad_rows=True).today
    with psycopg.connect(duck.shop) as connection:
        connection.execute("delete from events where cast(occurred_at at time zone 'Asia/Tokyo' as date) = '2026-03-09'")
    assert [migration.name for migration in migrate_shop(duck.shop, count=2)] == ["loyalty_tier", "delivery_fee"]
    later = build(duck, snow, "--exclude-resource-type", "unit_test")
    assert set(later.values()) <= {"committed", "success", "pass", "no-op", "warn"}
    after = compare(duck, snow)
    assert all(after[relation] > count for relation, count in before.items() if relation.startswith("marts."))
    days = [project.rows(("marts", "daily_funnel"), ["event_date"]) for project in both]
    assert days[0] == days[1]
    assert {day for day in ("2026-03-08", "2026-03-09") if day in days[0]} == {"2026-03-08"}
    told = [file for file in snow.home.rglob("*") if file.is_file() and snow.password in file.read_bytes()]
    assert not told, "the password is in a file"


def test_staging_models_that_are_generated_build_on_both_warehouses(both: tuple[Built, Built], tmp_path: Path) -> None:
    with psycopg.connect(both[0].shop) as connection:
        connection.execute(ODD.read_text(encoding="utf-8"))  # type: ignore[arg-type]
        connection.execute("drop table wide")
    folders = {"DAYBREAK_DBT_PROJECT": tmp_path / "dbt_project", "DAYBREAK_CATALOG": tmp_path / "catalog"}
    ours = shutil.ignore_patterns("target", "logs", "shop", "marts", "intermediate")
    shutil.copytree(ROOT / "dbt_project", folders["DAYBREAK_DBT_PROJECT"], ignore=ours)
    folders["DAYBREAK_CATALOG"].mkdir()
    duck, snow = both
    for project in both:
        project.more = {name: str(folder) for name, folder in folders.items()}
    duck.command("discover", "SHOP_DATABASE_URL", "--source", "shop", "--output", str(folders["DAYBREAK_CATALOG"] / "shop.yaml"))
    duck.command("add", "shop", "--all")
    build(duck, snow, "--select", "staging.shop")
    assert len(compare(duck, snow)) == len(duck.settings.sources()[0].tables)
