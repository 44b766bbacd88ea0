"""Runs statements in a session on Snowflake: their named values, what is asked of columns, and how a load's files get there."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipelines.landing.folder import explaining_full_disk
from pipelines.sync.model import StagedLoad
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import Named, Run, as_rows, read_parameters
from pipelines.warehouses.load_quarantine import EXCLUDED
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import copy_with_short_originals, copy_without_misfits

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection

HOME = "daybreak"  # the schema where a session's own tables and stages are
BOUND_ROWS = 10_000  # in one value, which holds 16 MiB
PARALLEL = 8  # files that one PUT sends at once
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._%+=@, -]+")


@dataclass
class _Session:
    """What is known of a session."""

    connection: "SnowflakeConnection"
    sent: int = 0
    staged: str | None = None  # whether `staged` is a table or a view now


class SnowflakeRun(Run):
    """Runs statements in one session."""

    def __init__(self, connection: "SnowflakeConnection") -> None:
        """Keep the session; the caller owns its transaction."""
        self._session = _Session(connection)
        self.is_prepared = False  # the session works in schema `daybreak`
        self.dialect: SnowflakeDialect = SnowflakeDialect()

    @property
    def is_unseen(self) -> bool:
        """Whether the raw table is a copy; see ``snowflake_swap``."""
        return bool(self.dialect.suffix)

    @property
    def statements(self) -> int:
        """How many were run, also by what ``beside`` returned."""
        return self._session.sent

    def beside(self, suffix: str) -> "SnowflakeRun":
        """Return what runs statements on raw tables that stand beside those that readers see."""
        run = SnowflakeRun(self._session.connection)
        run.dialect, run._session = SnowflakeDialect(suffix), self._session
        return run

    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""
        text, named = read_parameters(statement, parameters)
        self._session.sent += 1
        with self._session.connection.cursor() as cursor:
            cursor.execute(text, [_bound(parameters[name]) for name in named] or None)
            return [tuple(row) for row in cursor.fetchall()]

    def merge(self, statement: str, **parameters: Any) -> tuple[int, int]:  # noqa: ANN401 - SQL values
        """Run a MERGE."""
        ((inserted, updated),) = self(statement, **parameters)
        return int(inserted), int(updated)

    def records(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement that takes no values, and return its rows by the names of their columns."""
        with self._session.connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def table(self, query: str) -> "pa.Table":
        """Run a query that takes no values, and return its rows as a table."""
        with self._session.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_all(force_return_table=True)

    def begin(self, purpose: str) -> None:
        """Say what the next statements are for, in the account's query history, and count them anew."""
        self._session.sent = 0
        self(f"alter session set query_tag = {self.dialect.comment(json.dumps({'daybreak': purpose}))}")

    def close(self) -> None:
        """End the session, and what is open in it."""
        self._session.connection.close()

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

    def tables(self, spec: Named) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
        schema = SnowflakeDialect().stored(f"raw_{spec.source}")
        return [name for (name,) in self("select table_name from information_schema.tables where table_schema = $schema", schema=schema)]

    def owner(self, spec: Named) -> str | None:
        """Return the role that owns a raw table."""
        found = self(
            "select table_owner from information_schema.tables where table_schema = $schema and table_name = $table",
            schema=SnowflakeDialect().stored(f"raw_{spec.source}"),
            table=SnowflakeDialect().stored(spec.name),
        )
        return found[0][0] if found else None

    def make_schema(self, spec: TableSpec) -> None:
        """Create a schema, and stay in the one where the session's own tables are: whoever creates one is in it."""
        self(f"create schema if not exists {self.dialect.schema_name(spec)}")
        self(f"use schema {HOME}")

    def clear_name(self, spec: TableSpec, version: int) -> None:
        """Drop the copy that a load is made in; the table itself is kept when the copy takes its place. See ``snowflake_swap``."""
        if not self.dialect.suffix:
            raise ValueError(f"{spec.id} was to be dropped where readers see it")
        drop_copy(self, self.dialect.raw_table(spec))

    def stage_landed(self, load: StagedLoad) -> None:
        """Copy a load's files to the session's own stage, and from there into ``landed`` and ``excluded``."""
        to = self.dialect
        columns = ", ".join(f"{to.quote(column.name)} {to.type_of(column.arrow_type)}" for column in load.columns)
        self(f"create or replace temporary table landed ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self(f"create or replace temporary table excluded ({EXCLUDED})")
        if load.files:
            self("create or replace temporary stage landing")
            beside = Path(load.files[0].path).absolute().parent
            with ExitStack() as stack:
                with explaining_full_disk(beside):
                    folder = Path(stack.enter_context(_make_folder(beside)))
                    landed, aside = _gather(load, folder)
                self._copy(landed)
                if any(aside.iterdir()):
                    self._stage_excluded(aside)

    def _copy(self, folder: Path) -> None:
        """Send a folder's files in one statement, several at once, and copy them into the table of that name."""
        table = folder.name
        # Parquet is compressed already.
        self(f"put 'file://{folder}/*' @landing/{table}/ auto_compress = false overwrite = true parallel = {PARALLEL}")
        # By the session's own stage and name: what Snowflake remembers of earlier loads says nothing of this one.
        self(
            f"copy into {table} from @landing/{table}/ file_format = (type = parquet binary_as_text = false use_logical_type = true "
            "use_vectorized_scanner = true) match_by_column_name = case_insensitive "
            "include_metadata = (_daybreak_file = metadata$filename, file_row_number = metadata$file_row_number) "
            "on_error = abort_statement force = true"
        )

    def _stage_excluded(self, folder: Path) -> None:
        columns = '"position" number(19, 0), key varchar, "column" varchar, reason varchar, original varchar, day date'
        self(f"create or replace temporary table aside_files ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self._copy(folder)
        # Positions are counted from 0 here; whether Snowflake counts a file's rows from 0 or 1, the first of them says.
        position = '"position" + (select coalesce(min(file_row_number), 0) from landed)'
        chunk = "replace(_daybreak_file, 'aside_files/aside-', 'landed/chunk-')"
        self(
            "insert into excluded (_daybreak_file, file_row_number, key, column_name, reason, original, day) "
            f'select {chunk}, {position}, key, "column", reason, original, day from aside_files'
        )

    def stage_accepted(self, query: str, *, is_read_once: bool) -> None:
        """Make ``staged``: no rows of its own where each is looked at once."""
        kind, session = "view" if is_read_once else "table", self._session
        if session.staged not in (None, kind):
            self(f"drop {session.staged} if exists staged")
        self(f"create or replace temporary {kind} staged as {query}")
        session.staged = kind

    def make_rows(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a temporary table of a few values."""
        self(f"create or replace temporary table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
        for start in range(0, len(rows), BOUND_ROWS):  # apart, as DDL takes no values
            self(f"insert into {table} {self.dialect.rows('rows', columns)}", rows=as_rows(rows[start : start + BOUND_ROWS]))


def _make_folder(beside: Path) -> TemporaryDirectory[str]:
    """Make a folder for a PUT: beside the files, as a copy without misfits may be large, unless quotes or patterns are in that path."""
    return TemporaryDirectory(prefix=".staged-", dir=beside if _PLAIN_PATH.fullmatch(str(beside)) else None)


def _gather(load: StagedLoad, folder: Path) -> tuple[Path, Path]:
    """Have a load's files together in one folder, and those of the rows that stepped aside in another; return both."""
    landed, aside = folder / "landed", folder / "aside_files"
    landed.mkdir()
    aside.mkdir()
    for file in load.files:
        name = landed / Path(file.path).name
        # Only rows that stepped aside may have values that a COPY would stop at.
        if not (file.aside_path and copy_without_misfits(file.path, str(name))):
            name.symlink_to(Path(file.path).absolute())
        if file.aside_path:
            name = aside / Path(file.aside_path).name
            if not copy_with_short_originals(file.aside_path, str(name)):
                name.symlink_to(Path(file.aside_path).absolute())
    return landed, aside


def drop_copy(run: SnowflakeRun, table: str) -> None:
    """Drop a copy of a raw table, without the day in which it could be had back: it may have what must not stay."""
    run(f"alter table if exists {table} set data_retention_time_in_days = 0")
    run(f"drop table if exists {table}")


def _bound(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _type(kind: str, precision: int | None, scale: int | None, digits: int | None) -> str:
    if kind == "NUMBER":
        return f"number({precision}, {scale})"
    short = {"TEXT": "varchar"}.get(kind, kind.lower())
    return f"{short}({digits})" if short.startswith(("time", "timestamp")) else short
