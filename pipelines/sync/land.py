"""From a chunk as it was read to a chunk as it may be written: masks are applied before anything reaches a disk. Pure."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sync.protocols import UNFIT_COLUMN
from pipelines.sync.quarantined import QuarantinedRow
from pipelines.sync.spec import TableSpec

KeyOf = Callable[[], bytes]

DAY_MICROSECONDS = 24 * 3600 * 1_000_000
SLICE_ROWS = 5_000  # rows that stand as Python objects at once: a chunk's quarter of a million would be half a gigabyte


def identify_key(spec: TableSpec, mask_key: KeyOf) -> str:
    """Return what tells the mask key from others and says nothing of it; empty for a table that needs none."""
    if "hmac" not in spec.masks.values():
        return ""
    return hmac.new(mask_key(), b"which key this is", hashlib.sha256).hexdigest()[:12]


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
    is_bytes = pa.types.is_binary(column.type)
    encoded = pc.dictionary_encode(column if is_bytes else pc.cast(column, pa.string()))
    chunks = []
    for chunk in encoded.chunks:
        values = (value if is_bytes or value is None else value.encode() for value in chunk.dictionary.to_pylist())
        hashed = [None if value is None else hmac.new(key, value, hashlib.sha256).hexdigest() for value in values]
        chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, pa.array(hashed, pa.string())).dictionary_decode())
    return pa.chunked_array(chunks, pa.string())


def _without(text: str | None, masks: Mapping[str, str]) -> str | None:
    if text is None:
        return None
    kept = {name: value if name not in masks else "(masked)" for name, value in json.loads(text).items()}
    return json.dumps(kept, ensure_ascii=False)


def null_key_positions(spec: TableSpec, rows: pa.Table) -> list[int]:
    """Return the positions of rows with a NULL in a key column; one whose value only does not fit has a key."""
    unfit = rows.column(UNFIT_COLUMN)
    missing: set[int] = set()
    for name in spec.key:
        found = pc.indices_nonzero(pc.is_null(rows.column(name))).to_pylist()
        missing.update(position for position in found if name not in json.loads(unfit[position].as_py() or "{}"))
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
) -> Iterator[Sequence[QuarantinedRow]]:
    """Yield the rows at the positions of ``reasons`` (column, reason) with their text, for the quarantine: a slice at a time."""
    every = sorted(reasons)
    for start in range(0, len(every), SLICE_ROWS):
        positions = every[start : start + SLICE_ROWS]
        columns = {name: _values(rows.column(name).take(pa.array(positions, pa.int64()))) for name in rows.column_names}
        taken = [{name: values[n] for name, values in columns.items()} for n in range(len(positions))]
        yield [_quarantined(spec, row, position, reasons[position], time_zone) for position, row in zip(positions, taken, strict=True)]


def _quarantined(spec: TableSpec, row: dict[str, Any], position: int, why: tuple[str, str], time_zone: str) -> QuarantinedRow:
    column, reason = why
    unfit = json.loads(row.pop(UNFIT_COLUMN) or "{}")
    texts = {name: as_text(value) for name, value in row.items()} | unfit
    if column == UNFIT_COLUMN:
        column = ", ".join(unfit)
    key = json.dumps([texts[name] for name in spec.key], ensure_ascii=False) if spec.key else None
    day = _day(row.get(spec.partition.column), time_zone) if spec.partition else None
    return QuarantinedRow(position, key, column, reason, json.dumps(texts, ensure_ascii=False), day)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_float32(column.type):  # as a float of Python's it would show digits that nobody wrote
        return [None if value is None else numpy.float32(value) for value in column.to_pylist()]
    if pa.types.is_time64(column.type):
        return [read_value(scalar) for scalar in column]
    try:
        values: list[Any] = column.to_pylist()
        return values
    except (ValueError, OverflowError):  # a year that Python's calendar does not have
        return [read_value(scalar) for scalar in column]


def read_value(scalar: pa.Scalar) -> object:
    """Return a value as Python's, or as text where Python has none for it: years beyond its calendar, and the end of a day."""
    if pa.types.is_time64(scalar.type) and scalar.value == DAY_MICROSECONDS:
        return "24:00:00"  # which would come as 00:00:00
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        is_date = pa.types.is_date(scalar.type)
        text = str(numpy.datetime64(scalar.value, "D" if is_date else "us")).replace("T", " ")
        if not is_date:
            text = _trimmed(text) + ("+00" if scalar.type.tz else "")
        year, _, rest = text.removeprefix("-").partition("-")
        return f"{1 + int(year):04d}-{rest} BC" if text.startswith("-") else text


def as_text(value: object) -> str | None:
    """Return a value as the text that stands in the quarantine, written as PostgreSQL does; see ``Dialect.as_text``."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"  # never 1.00E-8
    if isinstance(value, datetime):
        return _trimmed(value.replace(tzinfo=None).isoformat(sep=" ")) + ("+00" if value.tzinfo else "")
    return _trimmed(value.isoformat()) if isinstance(value, time) else str(value)


def _trimmed(clock: str) -> str:
    return clock.rstrip("0").rstrip(".") if "." in clock else clock


def _day(value: object, time_zone: str) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(time_zone)).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None
