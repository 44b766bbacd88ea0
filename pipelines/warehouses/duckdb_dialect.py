"""DuckDB's SQL where it is not Snowflake's, and what runs it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from pipelines.landing.scan import day_expression, parquet_pattern, quote
from pipelines.sync.model import StagedLoad
from pipelines.sync.shape import Column
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import load_ddl
from pipelines.warehouses.dialect import Dialect, Named, Run, as_rows, read_parameters
from pipelines.warehouses.load_quarantine import EXCLUDED

ACTIONS = 100_000  # of a MERGE, fetched at once
_COLUMNS = "select column_name, data_type from duckdb_columns() where schema_name = $schema and table_name = $table"


class DuckDBDialect(Dialect):
    """DuckDB's way of saying things."""

    json = "json"
    new_id = "uuid()"
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

    def widen(self, table: str, _before: Column, after: Column) -> list[str]:
        """Return the DDL that widens a column."""
        return [f"alter table {table} alter column {self.quote(after.name)} type {self.type_of(after.arrow_type)}"]

    def comments(self, table: str, comment: str | None, columns: Sequence[Column]) -> list[str]:
        """Return the DDL of comments."""
        each = [f"comment on column {table}.{self.quote(one.name)} is {self.comment(one.comment)}" for one in columns]
        return [f"comment on table {table} is {self.comment(comment)}", *each]


class DuckDBRun(Run):
    """Runs statements on one connection."""

    dialect = DuckDBDialect()

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection; the caller owns its transaction."""
        self._connection, self._statements = connection, 0

    @property
    def is_unseen(self) -> bool:
        """It is: DDL is a part of the transaction."""
        return True

    @property
    def statements(self) -> int:
        """How many were run."""
        return self._statements

    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""
        return self._execute(statement, parameters).fetchall()

    def _execute(self, statement: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        self._statements += 1
        used = {name: parameters[name] for name in read_parameters(statement, parameters)[1]}
        return self._connection.execute(statement, used or None)

    def merge(self, statement: str, **parameters: Any) -> tuple[int, int]:  # noqa: ANN401 - SQL values
        """Run a MERGE. DuckDB tells what it did of each row alone: fetched in batches, or a big load would fill the memory with words."""
        found: Counter[str] = Counter()
        result = self._execute(f"{statement} returning merge_action", parameters)
        while rows := result.fetchmany(ACTIONS):
            found.update(action for (action,) in rows)
        return found["INSERT"], found["UPDATE"]

    def columns(self, spec: TableSpec, kept_as: str | None = None) -> dict[str, str]:
        """Return the columns of a raw table."""
        return dict(self(_COLUMNS, schema=f"raw_{spec.source}", table=kept_as or spec.name))

    def type_name(self, type_: str) -> str:
        """Return what DuckDB calls a type."""
        return str(self(f"select typeof(null::{type_})")[0][0])

    def tables(self, spec: Named) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
        found = self("select table_name from duckdb_tables() where schema_name = $schema", schema=f"raw_{spec.source}")
        return [name for (name,) in found]

    def make_schema(self, spec: TableSpec) -> None:
        """Create a schema."""
        self(f"create schema if not exists {self.dialect.schema_name(spec)}")

    def clear_name(self, spec: TableSpec, version: int) -> None:
        """Rename what stands under the raw table's name."""
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
