"""Reads the truth from a warehouse: ledger, watermarks, days and schema versions, as the engine's words."""

import json
from collections.abc import Sequence
from typing import Any

from pipelines.sync import codec
from pipelines.sync.model import Counts, LedgerEntry, SchemaVersion, Watermark
from pipelines.warehouses.dialect import Run

RECENT_VERSIONS = 100
RECENT_ENTRIES = 200  # per table: what the mirror needs to repair itself and to show
TABLE_ID = "source_name || '.' || table_name"

_ENTRIES = """
select load_id, source_name, table_name, mode, window_spec, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded,
    rows_quarantined, rows_deleted, total_rows, data_as_of, committed_at, schema_version, chunks, bytes, quarantined_open,
    token, statements
from daybreak.ledger
where"""


def read_entries(run: Run, tables: Sequence[str]) -> tuple[LedgerEntry, ...]:
    """Return the newest ledger entries of tables, a table's oldest first. A table's tokens only ever grow; a clock may have been ahead."""
    newest = f"qualify row_number() over (partition by source_name, table_name order by token desc) <= {RECENT_ENTRIES}"
    which = f"{TABLE_ID} in ({run.dialect.members('tables')}) {newest} order by source_name, table_name, token"
    return tuple(_entry(row) for row in run(f"{_ENTRIES} {which}", tables=list(tables)))


def find_entry(run: Run, load_id: str) -> LedgerEntry | None:
    """Return the entry of one load."""
    found = run(f"{_ENTRIES} load_id = $load_id", load_id=load_id)
    return _entry(found[0]) if found else None


def read_watermarks(run: Run, tables: Sequence[str]) -> dict[str, Watermark]:
    """Return the committed watermarks by table id; a table that was only claimed has none."""
    rows = _of(run, "watermark", "watermarks", tables, "and watermark is not null")
    return {table: codec.WATERMARK.validate_json(text) for table, text in rows}


def read_days(run: Run, tables: Sequence[str]) -> dict[str, dict[str, tuple[int, str]]]:
    """Return the committed days by table id and ISO day (empty text: rows that are in no day)."""
    days: dict[str, dict[str, tuple[int, str]]] = {}
    for table, day, count, digest in _of(run, "coalesce(cast(day as varchar), ''), row_count, digest", "windows", tables):
        days.setdefault(table, {})[day] = (int(count), digest)
    return days


def read_versions(run: Run, tables: Sequence[str]) -> dict[str, tuple[SchemaVersion, ...]]:
    """Return the newest schema versions by table id, oldest first."""
    columns = "version, table_schema, coalesce(changes, '[]'), recorded_at"
    newest = f"qualify row_number() over (partition by source_name, table_name order by version desc) <= {RECENT_VERSIONS} order by version"
    found: dict[str, tuple[SchemaVersion, ...]] = {}
    for table, version, schema, changes, recorded_at in _of(run, columns, "schema_versions", tables, newest):
        read = SchemaVersion(int(version), codec.SCHEMA.validate_json(schema), tuple(json.loads(changes)), recorded_at)
        found[table] = (*found.get(table, ()), read)
    return found


def read_approvals(run: Run, tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the ids of all that people approved, by table id."""
    found: dict[str, tuple[str, ...]] = {}
    for table, approval in _of(run, "approval", "approvals", tables, "order by approved_at"):
        found[table] = (*found.get(table, ()), approval)
    return found


def _of(run: Run, columns: str, table: str, tables: Sequence[str], more: str = "") -> list[tuple[Any, ...]]:
    mine = f"{TABLE_ID} in ({run.dialect.members('tables')})"
    return run(f"select {TABLE_ID}, {columns} from daybreak.{table} where {mine} {more}", tables=list(tables))


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    load_id, source, table, mode, window, *numbers = row
    *counts, total, as_of, committed, version, chunks, size, is_open, token, statements = numbers
    return LedgerEntry(
        load_id=load_id,
        source=source,
        table=table,
        mode=mode,
        window=json.loads(window),
        counts=Counts(*counts),
        total_rows=total,
        data_as_of=as_of,
        committed_at=committed,
        schema_version=version,
        chunks=chunks,
        bytes=size,
        quarantined_open=is_open,
        token=token,
        statements=statements,
    )
