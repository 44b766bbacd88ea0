"""One embedded PostgreSQL for the session, a fresh database per test, and a project on a temporary home that syncs from it."""

import json
import math
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipelines.settings import Settings, load_settings
from pipelines.sync.model import DayRange, TableResult
from pipelines.sync.spec import TableSpec

if TYPE_CHECKING:
    from pipelines.quarantine import Replayed

TODAY = date(2026, 3, 10)
# The text forms that the engine's own session asks for; see sources/postgres_connection.
SESSION = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=iso_8601 -c bytea_output=hex -c extra_float_digits=1"
_names = count()
Row = tuple[str | None, ...]


REAL_PARTS = {"postgres_server", "postgres_url", "snowflake_server", "double"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the quick suite (`make test`) run the first and the last case alone of a test with many, where each is work for real parts."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        is_quick = not any(item.iter_markers("slow")) and not any(item.iter_markers("long"))
        if is_quick and "[" in item.name and REAL_PARTS & set(getattr(item, "fixturenames", ())):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for several in cases.values():
        for item in several[1:-1]:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a maintenance database in a server that lives as long as the test session."""
    from pipelines.shop.server import open_shop_server

    # Not under pytest's folder: each session that starts makes that unreadable for the server's own user.
    folder = Path(tempfile.mkdtemp(prefix="daybreak-tests-"))
    try:
        with open_shop_server(folder / "postgres") as url, psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_prepared_transactions = 8"):
                connection.execute(f"alter system set {setting}")  # type: ignore[arg-type]
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {error}")
    with open_shop_server(folder / "postgres") as url:  # started again, with the settings
        yield url
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh database."""
    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name} strategy file_copy")
        yield postgres_server.replace("/shop?", f"/{name}?")
        connection.execute(f"drop database {name} with (force)")


@dataclass
class Project:
    """Settings on a temporary home, and what tests ask of them."""

    url: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        (self.home / "catalog").mkdir(parents=True, exist_ok=True)
        catalog = {"source": "shop", "url_env": "SOURCE_URL", "schema": "public", "tables": self.tables}
        file, text = self.home / "catalog" / "shop.yaml", json.dumps(catalog)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
        return load_settings(
            {
                "DAYBREAK_HOME": str(self.home),
                "DAYBREAK_CATALOG": str(self.home / "catalog"),
                "DAYBREAK_TODAY": str(TODAY),
                "DAYBREAK_CHUNK_ROWS": "7",
                "DAYBREAK_LOCK_WAIT_SECONDS": "20",
                "DAYBREAK_MASK_KEY": "key",
                "SOURCE_URL": self.url,
                **self.environment,
            }
        )

    def declare(self, name: str, mode: str, **entry: Any) -> None:
        """Put a table into the catalog, in place of an entry of that name."""
        self.tables = [table for table in self.tables if table["name"] != name] + [{"name": name, "mode": mode, **entry}]

    def spec(self, name: str) -> TableSpec:
        return self.settings.sources()[0].table(name)

    def run(self, *statements: str) -> None:
        """Run statements on the source, in one transaction."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def fetch(self, sql: str) -> list[Row]:
        """Return rows of the source."""
        with psycopg.connect(self.url, options=SESSION) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[arg-type]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of the warehouse."""
        if url := self.snowflake:
            from tests.snowflake.fixtures import connect

            # Tests quote a name for its spaces and words; Snowflake would take it for one in small letters.
            text = re.sub(r'(?<!")"([a-z_][a-z0-9_]*)"(?!")', lambda name: name[0].upper(), sql)
            with connect(url, session_parameters={"TIMEZONE": "UTC"}) as account, account.cursor() as cursor:
                return cursor.execute(text).fetchall()
        import duckdb

        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    @property
    def snowflake(self) -> str | None:
        """The URL of the warehouse, if it is Snowflake or its double."""
        url = self.environment.get("DAYBREAK_WAREHOUSE_URL", "")
        return url if url.startswith("snowflake:") else None

    def sync(self, name: str, days: DayRange | None = None) -> TableResult:
        """Sync one table with the real engine; errors are raised."""
        from pipelines.sync.engine import sync_table
        from pipelines.wiring import SyncRequest, open_engine

        source = self.settings.sources()[0]
        with open_engine(self.settings, SyncRequest(source, (source.table(name),))) as engine:
            return sync_table(engine, source.table(name), days)

    def replay(self, name: str, *key: str) -> "Replayed":
        """Read the open rows of one table again, or the row of ``key``."""
        from pipelines.quarantine import replay_tables

        (result,) = replay_tables(self.settings, "shop", name, key)
        return result

    def commit(self, name: str, days: DayRange | None = None) -> TableResult:
        """Sync one table and expect a commit that balances, and P0."""
        result = self.sync(name, days)
        assert result.outcome == "committed", result
        for entry in result.loads:
            assert entry.counts.is_balanced
        self.check(name)
        return result

    def source_rows(self, name: str) -> list[Row]:
        spec = self.spec(name)
        floats = {"real": "FLOAT", "double precision": "DOUBLE"}
        kinds = dict(
            self.fetch(f"select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = $${_quote(name)}$$::regclass")
        )
        told = {column: f"'{floats[str(kinds[column])]} ' || " if kinds[column] in floats else "" for column in self.columns(name)}
        columns = ", ".join(f"{prefix}{_quote(column)}::text" for column, prefix in told.items())
        where = ""
        if spec.partition:
            day, zone = _quote(spec.partition.column), self.settings.time_zone
            kind = self.fetch(f"select pg_typeof({day})::text from {_quote(name)} limit 1")
            local = f"({day} at time zone '{zone}')" if kind == [("timestamp with time zone",)] else day
            where = (
                f" where {local} >= '{spec.partition.start}' and {local} < '{self.settings.local_today()}' or isfinite({day}) is not true"
            )
        return self.fetch(f"select {columns} from {_quote(name)}{where}")

    def columns(self, name: str) -> list[str]:
        spec = self.spec(name)
        of_table = f"attrelid = $${_quote(name)}$$::regclass and attnum > 0 and not attisdropped"
        found = self.fetch(f"select attname from pg_attribute where {of_table} order by attnum")
        return [str(column) for (column,) in found if column not in spec.masks]

    def warehouse_rows(self, name: str) -> list[Row]:
        standing = " where _deleted_at is null" if self.spec(name).marks_deleted else ""
        if self.snowflake:
            return self.ask(f"{self._select_texts(name)}{standing}")
        relation = f"raw_shop.{_quote(name)}"
        types = dict(
            self.ask(f"select column_name, data_type from duckdb_columns() where schema_name = 'raw_shop' and table_name = $${name}$$")
        )
        columns = ", ".join(_rendered(column, types[column]) for column in self.columns(name))
        return self.ask(f"select {columns} from {relation}{standing}")

    def _select_texts(self, name: str) -> str:
        """Return Snowflake's SQL for a table as PostgreSQL writes it."""
        from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
        from pipelines.wiring import open_mirror

        to, schema = SnowflakeDialect(), open_mirror(self.settings.state_url).schema(self.spec(name).id)
        assert schema
        texts = []
        for column in (schema.column(name) for name in self.columns(name)):
            kind = {"float": "'FLOAT ' || ", "double": "'DOUBLE ' || "}.get(str(column.arrow_type), "")
            texts.append(kind + to.as_text(to.quote(column.name), column.arrow_type))
        return f"select {', '.join(texts)} from {to.raw_table(self.spec(name))}"

    def quarantine(self, name: str) -> list[dict[str, Any]]:
        rows = self.ask(
            f"select key, column_name, reason, original, day from daybreak.quarantine where table_name = $${name}$$ and state = 'open'"
        )
        return [dict(zip(("key", "column", "reason", "original", "day"), row, strict=True)) for row in rows]

    def check(self, name: str) -> None:
        """Assert P0: the warehouse has the source's rows, as text, but for those in quarantine, whose older version may stand."""
        spec, columns = self.spec(name), self.columns(name)
        source, warehouse = (Counter(_normal(row) for row in rows) for rows in (self.source_rows(name), self.warehouse_rows(name)))
        aside = self.quarantine(name)
        if not spec.key:
            assert not warehouse - source
            assert (source - warehouse).total() == len(aside)
            return
        positions = [columns.index(column) for column in spec.key]
        keys = Counter(tuple(json.loads(row["key"])) for row in aside)
        missing = Counter(tuple(row[p] for p in positions) for row in (source - warehouse).elements())
        assert missing == keys, (missing - keys, keys - missing)
        stale = [row for row in (warehouse - source).elements() if tuple(row[p] for p in positions) not in keys]
        assert not stale

    def loads(self) -> int:
        return int(self.ask("select count(*) from daybreak.ledger")[0][0])

    def files(self, name: str) -> list[Path]:
        return sorted((self.home / "landing" / "shop" / name).glob("*/chunk-*.parquet"))

    def copy_to(self, home: Path) -> "Project":
        """Return the same project on a copy of its home."""
        shutil.copytree(self.home, home)
        return replace(self, home=home, environment=dict(self.environment), tables=list(self.tables))


@pytest.fixture
def project(postgres_url: str, tmp_path: Path) -> Project:
    """A project without tables on a fresh database: ``declare``, ``run``, ``sync``, ``check``."""
    return Project(postgres_url, tmp_path / "home")


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rendered(column: str, kind: str) -> str:
    """Return DuckDB's SQL for a column as PostgreSQL writes it."""
    name = _quote(column)
    if kind == "BLOB":
        return f"'\\x' || lower(hex({name}))"
    if kind in ("FLOAT", "DOUBLE"):
        return f"'{kind} ' || cast({name} as varchar)"
    return (
        f"regexp_replace(cast({name} as varchar), ' ?\\(BC\\)(.*)$', '\\1 BC')"
        if kind.startswith(("DATE", "TIMESTAMP"))
        else f"cast({name} as varchar)"
    )


def _normal(row: Row) -> Row:
    return tuple(_number(text) if isinstance(text, str) and text.startswith(("FLOAT ", "DOUBLE ")) else text for text in row)


def _number(text: str) -> str:
    kind, _, value = text.partition(" ")
    number = float(value)
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(number)]
    import numpy

    return numpy.format_float_positional(numpy.float32(number) if kind == "FLOAT" else number, trim="-")
