"""Reads the truth from DuckDB: ledger, watermarks, days and schema versions, as the engine's words."""

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from pipelines.sync import codec
from pipelines.sync.model import Counts, LedgerEntry, SchemaVersion, Watermark

RECENT_VERSIONS = 100
RECENT_ENTRIES = 200  # per table: what the mirror needs to repair itself and to show

_ENTRIES = f"""
select load_id, source_name, table_name, mode, window_spec, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded,
    rows_quarantined, rows_deleted, total_rows, data_as_of, committed_at, schema_version, chunks, bytes, quarantined_open,
    token
from daybreak.ledger
where ($tables is null or list_contains($tables, source_name || '.' || table_name)) and ($load_id is null or load_id = $load_id)
qualify row_number() over (partition by source_name, table_name order by token desc) <= {RECENT_ENTRIES}
order by source_name, table_name, token
"""


def read_entries(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[str] | None, load_id: str | None = None
) -> tuple[LedgerEntry, ...]:
    """Return the newest ledger entries, a table's oldest first; of all tables if ``tables`` is None, or of one load.

    A table's tokens only ever grow; a clock may have been ahead once.
    """
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


def read_versions(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, tuple[SchemaVersion, ...]]:
    """Return the newest schema versions by table id, oldest first."""
    columns = "version, table_schema, coalesce(changes, '[]'), recorded_at"
    newest = f"qualify row_number() over (partition by source_name, table_name order by version desc) <= {RECENT_VERSIONS} order by version"
    found: dict[str, tuple[SchemaVersion, ...]] = {}
    for table, version, schema, changes, recorded_at in _of(connection, columns, "schema_versions", tables, newest):
        read = SchemaVersion(int(version), codec.SCHEMA.validate_json(schema), tuple(json.loads(changes)), recorded_at)
        found[table] = (*found.get(table, ()), read)
    return found


def read_approvals(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the ids of all that people approved, by table id."""
    found: dict[str, tuple[str, ...]] = {}
    for table, approval in _of(connection, "approval", "approvals", tables, "order by approved_at"):
        found[table] = (*found.get(table, ()), approval)
    return found


def _of(connection: duckdb.DuckDBPyConnection, columns: str, table: str, tables: Sequence[str], more: str = "") -> list[tuple[Any, ...]]:
    table_id = "source_name || '.' || table_name"
    sql = f"select {table_id}, {columns} from daybreak.{table} where list_contains($tables, {table_id}) {more}"
    return connection.execute(sql, {"tables": list(tables)}).fetchall()


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    load_id, source, table, mode, window, *numbers = row
    read, inserted, updated, unchanged, superseded, quarantined, deleted, total, as_of, committed, version, chunks, size, is_open, token = (
        numbers
    )
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
        token=token,
    )
