"""Values that Snowflake's types cannot hold although they landed: their rows step aside, and no file with them is copied.

Source: Snowflake's data type reference. A date's year has four digits, a time ends before midnight, and what a VARCHAR or a BINARY
holds by default is bounded.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TEXT_BYTES = 16 * 2**20
ORIGINAL_BYTES = 4 * 2**20  # of a row in the quarantine: two of them, and what else is asked with them, are one bound value
BINARY_BYTES = 8 * 2**20
_DAY_MICROSECONDS = 24 * 60 * 60 * 1_000_000
_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


def find_misfits(rows: pa.Table) -> Mapping[int, str]:
    """Return the positions of rows with a value that Snowflake cannot hold, each with the first such column."""
    found: dict[int, str] = {}
    for name in rows.column_names:
        for position in pc.indices_nonzero(_misfits(rows.column(name))).to_pylist():
            found.setdefault(position, name)
    return found


def without_misfits(rows: pa.Table) -> pa.Table:
    """Return the rows with NULL in the place of what Snowflake cannot hold."""
    for place, field in enumerate(rows.schema):
        wrong = _misfits(rows.column(place))
        if pc.any(wrong).as_py():
            rows = rows.set_column(place, field, pc.if_else(wrong, pa.scalar(None, field.type), rows.column(place)))
    return rows


def copy_without_misfits(file: str, copy: str) -> bool:
    """Write a copy of a Parquet file that Snowflake can read; return whether there was anything to leave out."""
    rows = pq.read_table(file, partitioning=None)
    if not find_misfits(rows):
        return False
    pq.write_table(without_misfits(rows), copy, compression="zstd", compression_level=1)
    return True


def copy_with_short_originals(file: str, copy: str) -> bool:
    """Write a copy of a file of rows that stepped aside, if the text of one is too long for Snowflake; return whether there was one.

    Its longest values are told by their length and their SHA-256 alone: they stand in the source, and in the landed file.
    """
    rows = pq.read_table(file, partitioning=None)
    texts = rows.column("original")
    is_long = pc.greater(pc.binary_length(texts), ORIGINAL_BYTES)
    if not pc.any(is_long).as_py():
        return False
    short = [_shorten(text) if wrong else text for text, wrong in zip(texts.to_pylist(), is_long.to_pylist(), strict=True)]
    place = rows.schema.get_field_index("original")
    pq.write_table(rows.set_column(place, "original", pa.array(short, pa.string())), copy, compression="zstd")
    return True


def _shorten(original: str) -> str:
    row = json.loads(original)
    sizes = {name: len(value.encode()) for name, value in row.items() if isinstance(value, str)}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if len(json.dumps(row, ensure_ascii=False).encode()) <= ORIGINAL_BYTES:
            break
        row[name] = f"({sizes[name]:,} bytes, SHA-256 {hashlib.sha256(row[name].encode()).hexdigest()})"
    return json.dumps(row, ensure_ascii=False)


def _misfits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_date(kind):
        return _outside(column, pa.scalar(_FIRST, kind), pa.scalar(_LAST, kind))
    if pa.types.is_timestamp(kind):
        zone = UTC if kind.tz else None
        first, last = datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=zone)
        return _outside(column, pa.scalar(first, kind), pa.scalar(last, kind))
    if pa.types.is_time(kind):
        return pc.fill_null(pc.greater_equal(column.cast(pa.int64()), _DAY_MICROSECONDS), False)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pc.fill_null(pc.greater(pc.binary_length(column), TEXT_BYTES if pa.types.is_string(kind) else BINARY_BYTES), False)
    return pa.chunked_array([pa.array([False] * len(chunk)) for chunk in column.chunks], pa.bool_())


def _outside(column: pa.ChunkedArray, first: pa.Scalar, last: pa.Scalar) -> pa.ChunkedArray:
    return pc.fill_null(pc.or_(pc.less(column, first), pc.greater(column, last)), False)
