"""Reads the truth from DuckDB: ledger, watermarks, days and schema versions, as the engine's words."""

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from pipelines.sync import codec
from pipelines.sync.model import Counts, LedgerEntry, Watermark
from pipelines.sync.shape import TableSchema

RECENT_ENTRIES = 200  # per table: what the mirror needs to repair itself and to show

_ENTRIES = f"""
select load_id, source_name, table_name, mode, window_spec, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded,
    rows_quarantined, rows_deleted, total_rows, data_as_of, committed_at, schema_version, chunks, bytes, quarantined_open
from daybreak.ledger
where ($tables is null or list_contains($tables, source_name || '.' || table_name)) and ($load_id is null or load_id = $load_id)
qualify row_number() over (partition by source_name, table_name order by committed_at desc, load_id desc) <= {RECENT_ENTRIES}
order by committed_at, load_id
"""


def read_entries(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[str] | None, load_id: str | None = None
) -> tuple[LedgerEntry, ...]:
    """Return the newest ledger entries, oldest first; of all tables if ``tables`` is None, or of one load."""
    parameters = {"tables": list(tables) if tables is not None else None, "load_id": load_id}
    return tuple(_entry(row) for row in connection.execute(_ENTRIES, parameters).fetchall())


def read_watermarks(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, Watermark]:
    """Return the committed watermarks by table id; a table that was only claimed has none."""
    rows = _of(connection, "watermark", "watermarks", tables, "and watermark is not null")
    return {table: codec.WATERMARK.validate_json(text) for table, text in rows}


def read_days(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, dict[str, tuple[int, str]]]:
    """Return the committed days by table id and ISO day (empty text: rows that are in no day)."""
    days: dict[str, dict[str, tuple[int, str]]] = {}
    for table, day, count, digest in _of(connection, "coalesce(cast(day as varchar), ''), row_count, digest", "windows", tables):
        days.setdefault(table, {})[day] = (int(count), digest)
    return days


def read_schemas(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, tuple[int, TableSchema]]:
    """Return the newest schema version by table id."""
    rows = _of(
        connection,
        "version, table_schema",
        "schema_versions",
        tables,
        "qualify row_number() over (partition by source_name, table_name order by version desc) = 1",
    )
    return {table: (int(version), codec.SCHEMA.validate_json(text)) for table, version, text in rows}


def read_schema_history(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[int, TableSchema]]:
    """Return every schema version of a table (id), oldest first."""
    rows = _of(connection, "version, table_schema", "schema_versions", [table], "order by version")
    return [(int(version), codec.SCHEMA.validate_json(text)) for _, version, text in rows]


def _of(connection: duckdb.DuckDBPyConnection, columns: str, table: str, tables: Sequence[str], more: str = "") -> list[tuple[Any, ...]]:
    table_id = "source_name || '.' || table_name"
    sql = f"select {table_id}, {columns} from daybreak.{table} where list_contains($tables, {table_id}) {more}"
    return connection.execute(sql, {"tables": list(tables)}).fetchall()


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    load_id, source, table, mode, window, *numbers = row
    read, inserted, updated, unchanged, superseded, quarantined, deleted, total, as_of, committed, version, chunks, size, is_open = numbers
    return LedgerEntry(
        load_id=load_id,
        source=source,
        table=table,
        mode=mode,
        window=json.loads(window),
        counts=Counts(read, inserted, updated, unchanged, superseded, quarantined, deleted),
        total_rows=total,
        data_as_of=as_of,
        committed_at=committed,
        schema_version=version,
        chunks=chunks,
        bytes=size,
        quarantined_open=is_open,
    )
