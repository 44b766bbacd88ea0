"""The mirror's rows as the engine's words make them: what is copied from the warehouse, as plain data. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pipelines.sync import codec
from pipelines.sync.model import LedgerEntry, SchemaVersion, Watermark
from pipelines.sync.shape import TableSchema

Row = dict[str, Any]


def table_row(table_id: str, entry: LedgerEntry | None, watermark: Watermark | None, schema: tuple[int, TableSchema] | None) -> Row:
    """Return the committed state of a table: its last load, and its schema with its version."""
    return {
        "table_id": table_id,
        "load_id": entry.load_id if entry else None,
        "watermark": codec.WATERMARK.dump_python(watermark, mode="json") if watermark else None,
        "schema_version": schema[0] if schema else 0,
        "schema": codec.SCHEMA.dump_python(schema[1], mode="json") if schema else None,
        "total_rows": entry.total_rows if entry else None,
        "quarantined_open": entry.quarantined_open if entry else 0,
        "committed_at": iso(entry.committed_at) if entry else None,
        "data_as_of": iso(entry.data_as_of) if entry else None,
        "checked_at": iso(entry.data_as_of) if entry else None,
    }


def day_rows(table_id: str, found: Mapping[str, tuple[int, str]]) -> list[Row]:
    """Return the committed days of a table: ISO day -> (rows, digest)."""
    return [{"table_id": table_id, "day": day, "rows": count, "digest": digest} for day, (count, digest) in found.items()]


def version_row(table_id: str, version: SchemaVersion) -> Row:
    """Return a schema that a table had."""
    schema = codec.SCHEMA.dump_python(version.schema, mode="json")
    changes, recorded_at = list(version.changes), iso(version.recorded_at)
    return {"table_id": table_id, "version": version.version, "schema": schema, "changes": changes, "recorded_at": recorded_at}


def entry_row(entry: LedgerEntry) -> Row:
    """Return a committed load."""
    copied = {**asdict(entry), "data_as_of": iso(entry.data_as_of), "committed_at": iso(entry.committed_at)}
    table_id = f"{entry.source}.{entry.table}"
    return {"load_id": entry.load_id, "table_id": table_id, "committed_at": iso(entry.committed_at), "entry": copied}


def iso(instant: datetime) -> str:
    """Return an instant as the mirror writes it: texts that sort as the instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
