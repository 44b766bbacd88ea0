"""DuckDB's SQL where it is not Snowflake's, and what runs it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from pipelines.landing.scan import day_expression, parquet_pattern, quote
from pipelines.sync.model import StagedLoad
from pipelines.sync.shape import Column
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import load_ddl
from pipelines.warehouses.dialect import NAMED, Dialect, Run, as_rows
from pipelines.warehouses.load_quarantine import EXCLUDED

_COLUMNS = "select column_name, data_type from duckdb_columns() where schema_name = $schema and table_name = $table"


class DuckDBDialect(Dialect):
    """DuckDB's way of saying things."""

    json = "json"
    new_id = "uuid()"
    merged = " returning merge_action"
    types: ClassVar = {
        pa.bool_(): "boolean",
        pa.binary(): "blob",
        pa.date32(): "date",
        pa.float32(): "float",
        pa.float64(): "double",
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.string(): "varchar",
        pa.time64("us"): "time",
        pa.timestamp("us"): "timestamp",
        pa.timestamp("us", tz="UTC"): "timestamp with time zone",
    }

    def quote(self, name: str) -> str:
        """Return ``name`` in quotes; DuckDB does not care for case."""
        return quote(name)

    def members(self, parameter: str, type_: str = "varchar") -> str:
        """Return the SELECT of a list's values."""
        return f"select unnest(${parameter}::{type_}[])"

    def rows(self, parameter: str, columns: Mapping[str, str]) -> str:
        """Return the SELECT of the values of a JSON array of arrays."""
        values = ", ".join(f"cast(given ->> {number} as {type_}) as {name}" for number, (name, type_) in enumerate(columns.items()))
        return f"select {values} from (select unnest(cast(${parameter} as json[])) as given)"

    def json_item(self, array: str, number: int) -> str:
        """Return the text at a position of a JSON array."""
        return f"json_extract_string({array}, '$[{number}]')"

    def day_of(self, column: str, time_zone: str | None) -> str:
        """Return the day of a column."""
        return day_expression(column, time_zone is not None, time_zone or "UTC")

    def as_text(self, column: str, arrow_type: pa.DataType) -> str:
        """Return a value's text as PostgreSQL writes it."""
        if pa.types.is_binary(arrow_type):
            return f"'\\x' || lower(hex({column}))"
        text = f"cast({column} as varchar)"
        is_dated = pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type)
        return f"regexp_replace({text}, ' ?\\(BC\\)(.*)$', '\\1 BC')" if is_dated else text

    def canonical(self, column: Column) -> str:
        """Return a value's canonical text."""
        name, kind = quote(column.name), column.arrow_type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return f"md5({name})"
        if pa.types.is_floating(kind):
            zero = "0" * (8 if pa.types.is_float32(kind) else 16)
            return f"case when {name} = 0 then '{zero}' else lower(hex(cast(cast({name} as bit) as blob))) end"
        if pa.types.is_date(kind):
            return f"cast(date_diff('day', date '1970-01-01', {name}) as varchar)"
        if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
            return f"cast(epoch_us({name}) as varchar)"
        if pa.types.is_decimal(kind) and kind.precision == kind.scale:  # written without a zero before the point
            return f"regexp_replace(cast({name} as varchar), '^(-?)\\.', '\\1' || '0.')"
        return f"cast({name} as varchar)"

    def hex_number(self, digits: str) -> str:
        """Return the number that hex digits are."""
        return f"cast('0x' || {digits} as bigint)"

    def shifted(self, number: str, bits: int) -> str:
        """Return the text of a shifted integer."""
        return f"(cast({number} as bigint) >> {bits})"

    def texts(self, values: Sequence[str]) -> str:
        """Return a list of texts."""
        return f"[{', '.join(values)}]"

    def read_texts(self, value: Sequence[str | None]) -> tuple[str | None, ...]:
        """Return the texts of a list."""
        return tuple(value)

    def widen(self, table: str, column: Column) -> list[str]:
        """Return the DDL that widens a column."""
        return [f"alter table {table} alter column {self.quote(column.name)} type {self.type_of(column.arrow_type)}"]

    def count_merged(self, rows: Sequence[Sequence[Any]]) -> tuple[int, int]:
        """Return how many rows were inserted and updated."""
        actions = [str(action) for (action,) in rows]
        return actions.count("INSERT"), actions.count("UPDATE")


class DuckDBRun(Run):
    """Runs statements on one connection."""

    dialect = DuckDBDialect()

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection; the caller owns its transaction."""
        self._connection, self._statements = connection, 0

    @property
    def statements(self) -> int:
        """How many were run."""
        return self._statements

    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""
        self._statements += 1
        used = {name: parameters[name] for name in NAMED.findall(statement) if name in parameters}
        return self._connection.execute(statement, used or None).fetchall()

    def columns(self, spec: TableSpec, kept_as: str | None = None) -> dict[str, str]:
        """Return the columns of a raw table."""
        return dict(self(_COLUMNS, schema=f"raw_{spec.source}", table=kept_as or spec.name))

    def type_name(self, type_: str) -> str:
        """Return what DuckDB calls a type."""
        return str(self(f"select typeof(null::{type_})")[0][0])

    def tables(self, spec: TableSpec) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
        found = self("select table_name from duckdb_tables() where schema_name = $schema", schema=f"raw_{spec.source}")
        return [name for (name,) in found]

    def keep_table(self, spec: TableSpec, version: int) -> None:
        """Keep a raw table under another name."""
        self(load_ddl.keep_table(self.dialect, spec, version, self.tables(spec)))

    def stage_landed(self, load: StagedLoad) -> None:
        """Make ``landed``, which is the files themselves, and ``excluded``."""
        self._drop_staging()
        empty = ", ".join(f"null::{self.dialect.type_of(column.arrow_type)} as {quote(column.name)}" for column in load.columns)
        nothing = f"select {empty}, null::varchar as _daybreak_file, null::bigint as file_row_number where false"
        self(f"create temp view landed as {landed_view(load) if load.files else nothing}")
        self(f"create temp table excluded ({EXCLUDED})")
        for file in load.files:
            if file.aside_path:
                columns = 'position, key, "column", reason, original, day'
                read = "read_parquet($aside, hive_partitioning = false)"
                self(f"insert into excluded select $path, {columns} from {read}", path=file.path, aside=parquet_pattern(file.aside_path))

    def stage_accepted(self, query: str, *, is_read_once: bool) -> None:
        """Make ``staged``: straight from the files where each row is looked at once."""
        self(f"create temp {'view' if is_read_once else 'table'} staged as {query}")

    def make_rows(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a temporary table of a few values."""
        self(f"create temp table {table} as {self.dialect.rows('rows', columns)}", rows=as_rows(rows))

    def _drop_staging(self) -> None:
        for name in ("staged", "landed"):
            kinds = self("select 'view' from duckdb_views() where view_name = $name and temporary", name=name)
            self(f"drop {'view' if kinds else 'table'} if exists temp.{name}")
        for name in ("aside", "excluded", "asked", "skipped", "changed", "still_bad"):
            self(f"drop table if exists temp.{name}")


def landed_view(load: StagedLoad) -> str:
    """Return the SELECT of all landed rows with their file and their position in it."""
    files = ", ".join("'" + parquet_pattern(file.path).replace("'", "''") + "'" for file in load.files)
    columns = ", ".join(quote(column.name) for column in load.columns)
    # The path's column has a name of ours: `filename` is a name that a table may well have.
    # A folder above that is called `day=…` is no column.
    options = "filename = '_daybreak_file', file_row_number = true, hive_partitioning = false"
    return f"select {columns}, _daybreak_file, file_row_number from read_parquet([{files}], {options})"
