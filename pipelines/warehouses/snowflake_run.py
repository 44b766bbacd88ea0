"""Runs statements in a session on Snowflake: their named values, what is asked of columns, and how a load's files get there."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipelines.sync.model import StagedLoad
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import NAMED, Run, as_rows
from pipelines.warehouses.load_quarantine import EXCLUDED
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import copy_without_misfits

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection


class SnowflakeRun(Run):
    """Runs statements in one session."""

    def __init__(self, connection: "SnowflakeConnection") -> None:
        """Keep the session; the caller owns its transaction."""
        self._connection, self._sent = connection, [0]
        self.dialect: SnowflakeDialect = SnowflakeDialect()

    @property
    def statements(self) -> int:
        """How many were run, also by what ``beside`` returned."""
        return self._sent[0]

    def beside(self, suffix: str) -> "SnowflakeRun":
        """Return what runs statements on raw tables that stand beside those that readers see."""
        run = SnowflakeRun(self._connection)
        run.dialect, run._sent = SnowflakeDialect(suffix), self._sent
        return run

    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""
        named = [name for name in NAMED.findall(statement) if name in parameters]
        text = NAMED.sub(lambda found: "?" if found[1] in parameters else found[0], statement)
        self._sent[0] += 1
        with self._connection.cursor() as cursor:
            cursor.execute(text, [_bound(parameters[name]) for name in named] or None)
            return [tuple(row) for row in cursor.fetchall()]

    def records(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement that takes no values, and return its rows by the names of their columns."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def table(self, query: str) -> "pa.Table":
        """Run a query that takes no values, and return its rows as a table."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_all(force_return_table=True)

    def tag(self, purpose: str) -> None:
        """Say what the next statements are for, in the account's query history."""
        self(f"alter session set query_tag = {self.dialect.comment(json.dumps({'daybreak': purpose}))}")

    def columns(self, spec: TableSpec, kept_as: str | None = None) -> dict[str, str]:
        """Return the columns of a raw table."""
        found = self(
            "select column_name, data_type, numeric_precision, numeric_scale, datetime_precision from information_schema.columns "
            "where table_schema = $schema and table_name = $table order by ordinal_position",
            schema=SnowflakeDialect().stored(f"raw_{spec.source}"),
            table=SnowflakeDialect().stored(kept_as) if kept_as else self.dialect.stored(spec.name),
        )
        return {name: _type(kind, precision, scale, digits) for name, kind, precision, scale, digits in found}

    def type_name(self, type_: str) -> str:
        """Return what ``columns`` calls a type."""
        return type_

    def tables(self, spec: TableSpec) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
        schema = SnowflakeDialect().stored(f"raw_{spec.source}")
        return [name for (name,) in self("select table_name from information_schema.tables where table_schema = $schema", schema=schema)]

    def keep_table(self, spec: TableSpec, version: int) -> None:
        """Drop the copy that a load is made in, so that it is made anew; see ``snowflake_swap``."""
        self(f"drop table {self.dialect.raw_table(spec)}")

    def stage_landed(self, load: StagedLoad) -> None:
        """Copy a load's files to the session's own stage, and from there into ``landed`` and ``excluded``."""
        to = self.dialect
        self._drop_staging()
        columns = ", ".join(f"{to.quote(column.name)} {to.type_of(column.arrow_type)}" for column in load.columns)
        self(f"create temporary table landed ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self(f"create temporary table excluded ({EXCLUDED})")
        if load.files:
            self("create temporary stage landing")
            self._copy_landed(load)
        if aside := [file for file in load.files if file.aside_path]:
            self._stage_excluded([str(file.aside_path) for file in aside])

    def _copy_landed(self, load: StagedLoad) -> None:
        with TemporaryDirectory(prefix="daybreak-") as folder:
            files = []
            for file in load.files:
                copy = str(Path(folder) / Path(file.path).name)
                # Only rows that stepped aside may have values that a COPY would stop at.
                files.append(copy if file.aside_path and copy_without_misfits(file.path, copy) else file.path)
            self._copy("landed", files)

    def _copy(self, table: str, files: Sequence[str]) -> None:
        for file in files:
            path = file.replace("\\", "\\\\").replace("'", "\\'")
            # Parquet is compressed already.
            self(f"put 'file://{path}' @landing/{table}/ auto_compress = false overwrite = true")
        # By the session's own stage and name: what Snowflake remembers of earlier loads says nothing of this one.
        self(
            f"copy into {table} from @landing/{table}/ file_format = (type = parquet binary_as_text = false use_logical_type = true "
            "use_vectorized_scanner = true) match_by_column_name = case_insensitive "
            "include_metadata = (_daybreak_file = metadata$filename, file_row_number = metadata$file_row_number) "
            "on_error = abort_statement force = true"
        )

    def _stage_excluded(self, files: Sequence[str]) -> None:
        columns = '"position" number(19, 0), key varchar, "column" varchar, reason varchar, original varchar, day date'
        self(f"create temporary table aside_files ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self._copy("aside_files", files)
        # Positions are counted from 0 here; whether Snowflake counts a file's rows from 0 or 1, the first of them says.
        position = '"position" + (select coalesce(min(file_row_number), 0) from landed)'
        chunk = "replace(_daybreak_file, 'aside_files/aside-', 'landed/chunk-')"
        self(
            "insert into excluded (_daybreak_file, file_row_number, key, column_name, reason, original, day) "
            f'select {chunk}, {position}, key, "column", reason, original, day from aside_files'
        )

    def stage_accepted(self, query: str, *, is_read_once: bool) -> None:
        """Make ``staged``."""
        self(f"create temporary table staged as {query}")

    def make_rows(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a temporary table of a few values."""
        self(f"create temporary table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
        if rows:  # apart, as DDL takes no values
            self(f"insert into {table} {self.dialect.rows('rows', columns)}", rows=as_rows(rows))

    def _drop_staging(self) -> None:
        for name in ("staged", "landed", "aside", "aside_files", "excluded", "asked", "skipped", "changed", "still_bad"):
            self(f"drop table if exists {name}")
        self("drop stage if exists landing")


def _bound(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _type(kind: str, precision: int | None, scale: int | None, digits: int | None) -> str:
    if kind == "NUMBER":
        return f"number({precision}, {scale})"
    short = {"TEXT": "varchar"}.get(kind, kind.lower())
    return f"{short}({digits})" if short.startswith(("time", "timestamp")) else short
