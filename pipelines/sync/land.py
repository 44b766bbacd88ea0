"""From a chunk as it was read to a chunk as it may be written: masks are applied before anything reaches a disk. Pure."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sync.model import QuarantinedRow, TableSpec
from pipelines.sync.protocols import UNFIT_COLUMN

KeyOf = Callable[[], bytes]


def mask(spec: TableSpec, rows: pa.Table, mask_key: KeyOf) -> pa.Table:
    """Return ``rows`` with hashed columns hashed, and neither kind of masked column named in ``UNFIT_COLUMN``."""
    for name, kind in spec.masks.items():
        position = rows.schema.get_field_index(name)
        if kind == "hmac" and position >= 0:
            rows = rows.set_column(position, name, _hash(rows.column(position), mask_key()))
    if spec.masks and rows.column(UNFIT_COLUMN).null_count < rows.num_rows:
        position = rows.schema.get_field_index(UNFIT_COLUMN)
        cleaned = [_without(text, spec.masks) for text in rows.column(position).to_pylist()]
        rows = rows.set_column(position, UNFIT_COLUMN, pa.array(cleaned, pa.string()))
    return rows


def _hash(column: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """Return HMAC-SHA256 of each value's text as hex; a plain hash of an e-mail address can be guessed."""
    encoded = pc.dictionary_encode(pc.cast(column, pa.string()))
    chunks = []
    for chunk in encoded.chunks:
        hashed = [None if value is None else hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for value in chunk.dictionary.to_pylist()]
        chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, pa.array(hashed, pa.string())).dictionary_decode())
    return pa.chunked_array(chunks, pa.string())


def _without(text: str | None, masks: Mapping[str, str]) -> str | None:
    if text is None:
        return None
    kept = {name: value if name not in masks else "(masked)" for name, value in json.loads(text).items()}
    return json.dumps(kept, ensure_ascii=False)


def null_key_positions(spec: TableSpec, rows: pa.Table) -> list[int]:
    """Return the positions of rows with a NULL in a key column."""
    missing: set[int] = set()
    for name in spec.key:
        missing.update(pc.indices_nonzero(pc.is_null(rows.column(name))).to_pylist())
    return sorted(missing)


def unfit_positions(rows: pa.Table) -> list[int]:
    """Return the positions of rows with a value that no landing type can hold."""
    column = rows.column(UNFIT_COLUMN)
    if column.null_count == rows.num_rows:
        return []
    found: list[int] = pc.indices_nonzero(pc.is_valid(column)).to_pylist()
    return found


def quarantined_rows(
    spec: TableSpec, rows: pa.Table, reasons: Mapping[int, tuple[str, str]], time_zone: str
) -> Sequence[QuarantinedRow]:
    """Return the rows at the positions of ``reasons`` (column, reason) with their text, for the quarantine."""
    positions = sorted(reasons)
    taken = rows.take(pa.array(positions, pa.int64())).to_pylist()
    return [_quarantined(spec, row, *reasons[position], time_zone) for position, row in zip(positions, taken, strict=True)]


def _quarantined(spec: TableSpec, row: dict[str, Any], column: str, reason: str, time_zone: str) -> QuarantinedRow:
    unfit = json.loads(row.pop(UNFIT_COLUMN) or "{}")
    texts = {name: as_text(value) for name, value in row.items()} | unfit
    key = json.dumps([texts[name] for name in spec.key], ensure_ascii=False) if spec.key else None
    day = _day(row.get(spec.partition.column), time_zone) if spec.partition else None
    return QuarantinedRow(key, column, reason, json.dumps(texts, ensure_ascii=False), day)


def as_text(value: object) -> str | None:
    """Return a value as the text that stands in the quarantine; bytes as hex, as PostgreSQL writes them."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _day(value: object, time_zone: str) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(time_zone)).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None
