"""Results as the connector reads them: a description of the columns, and rows in Arrow or, of DML, in JSON."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What the connector asks of a statement's number: whether it is DML, whose rows are counts.
SELECT, INSERT, UPDATE, DELETE, MERGE, OTHER, DDL = 0x1000, 0x3100, 0x3200, 0x3300, 0x3400, 0x4000, 0x6000
_TYPES = {
    "BOOLEAN": "boolean",
    "BLOB": "binary",
    "DATE": "date",
    "DOUBLE": "real",
    "FLOAT": "real",
    "JSON": "variant",
    "TIME": "time",
    "TIMESTAMP WITH TIME ZONE": "timestamp_tz",
}


@dataclass(frozen=True)
class Result:
    """Rows, and the types that DuckDB gives their columns."""

    table: pa.Table
    types: list[str]
    statement_type: int = SELECT
    extra: dict[str, Any] = field(default_factory=dict)


def make_result(columns: dict[str, str], rows: list[tuple[Any, ...]], statement_type: int = SELECT) -> Result:
    """Return a result of rows made here; ``columns`` are names with "text" or "number"."""
    kinds = [pa.string() if kind == "text" else pa.int64() for kind in columns.values()]
    arrays = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]
    types = ["VARCHAR" if kind == "text" else "BIGINT" for kind in columns.values()]
    return Result(pa.Table.from_arrays(arrays, names=list(columns)), types, statement_type)


def done(message: str = "Statement executed successfully.", statement_type: int = DDL) -> Result:
    return make_result({"status": "text"}, [(message,)], statement_type)


def encode_result(result: Result) -> dict[str, Any]:
    """Return the part of an answer that holds the rows."""
    described = [_describe(name, kind) for name, kind in zip(result.table.column_names, result.types, strict=True)]
    answer = {"rowtype": described, "total": result.table.num_rows, "returned": result.table.num_rows, **result.extra}
    if result.statement_type in (INSERT, UPDATE, DELETE, MERGE):
        columns = [column.to_pylist() for column in result.table.columns]
        return {**answer, "queryResultFormat": "json", "rowset": [[str(value) for value in row] for row in zip(*columns, strict=True)]}
    if not result.table.num_rows:
        return {**answer, "queryResultFormat": "arrow", "rowsetBase64": ""}
    arrays = [_encode(column.combine_chunks(), d) for column, d in zip(result.table.columns, described, strict=True)]
    fields = [
        pa.field(
            d["name"],
            array.type,
            metadata={
                "logicalType": d["type"].upper(),
                "precision": str(d["precision"] or 38),
                "scale": str(d["scale"] or 0),
                "charLength": str(d["length"] or 0),
                # Of a TIMESTAMP_TZ, 16 says that seconds and nanoseconds come apart.
                "byteLength": str(d["byteLength"] or 16),
            },
        )
        for d, array in zip(described, arrays, strict=True)
    ]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {**answer, "queryResultFormat": "arrow", "rowsetBase64": b64encode(sink.getvalue()).decode()}


def _describe(name: str, duck: str) -> dict[str, Any]:
    kind = _TYPES.get(duck, "text")
    precision = scale = length = None
    if duck.startswith("DECIMAL"):
        kind, (precision, scale) = "fixed", map(int, re.findall(r"\d+", duck))
    elif "INT" in duck and "INTERVAL" not in duck and "[" not in duck and "(" not in duck:
        kind, precision, scale = "fixed", 38, 0
    elif duck.startswith("TIMESTAMP"):
        kind, precision, scale = _TYPES.get(duck, "timestamp_ntz"), 0, 9
    elif kind == "time":
        precision, scale = 0, 9
    elif kind in ("text", "binary"):
        length = 16_777_216 if kind == "text" else 8_388_608
    return {
        "name": name,
        "type": kind,
        "precision": precision,
        "scale": scale,
        "length": length,
        "byteLength": length,
        "nullable": True,
        "database": "",
        "schema": "",
        "table": "",
        "collation": None,
    }


def _encode(array: pa.Array, described: dict[str, Any]) -> pa.Array:
    match described["type"]:
        case "fixed":
            return _encode_number(array, int(described["scale"]))
        case "real":
            return array.cast(pa.float64())
        case "time":
            return pc.multiply(array.cast(pa.int64()), 1000)
        case "timestamp_ntz" | "timestamp_tz":
            return _encode_timestamp(array, with_zone=described["type"] == "timestamp_tz")
        case "text" | "variant" if not pa.types.is_string(array.type):
            return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
    return array


def _encode_number(array: pa.Array, scale: int) -> pa.Array:
    """As integers of 64 bits wherever they fit, as Snowflake sends them; else as decimals."""
    if not pa.types.is_decimal(array.type):
        if pa.types.is_uint64(array.type):
            array = array.cast(pa.decimal128(20, 0))
        else:
            return array.cast(pa.int64())
    wide = array.cast(pa.decimal128(38, scale))
    halves = np.frombuffer(wide.buffers()[1], np.int64).reshape(-1, 2)[wide.offset : wide.offset + len(wide)]
    nulls = np.asarray(pc.is_null(wide))
    if np.all((halves[:, 1] == halves[:, 0] >> 63) | nulls):
        return pa.array(halves[:, 0], pa.int64(), mask=nulls)
    return wide


def _encode_timestamp(array: pa.Array, *, with_zone: bool) -> pa.Array:
    """As seconds, nanoseconds and, with a zone, minutes east of UTC + 1440. A NULL is a NULL of the whole, not of its parts."""
    unit = array.type.unit
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    units = np.asarray(pc.fill_null(array.cast(pa.int64()), 0))
    parts = [
        pa.array(units // per_second, pa.int64()),
        pa.array(units % per_second * (10**9 // per_second), pa.int32()),
    ]
    fields = [pa.field("epoch", pa.int64(), nullable=False), pa.field("fraction", pa.int32(), nullable=False)]
    if with_zone:
        parts.append(pa.array([1440] * len(units), pa.int32()))
        fields.append(pa.field("timezone", pa.int32(), nullable=False))
    return pa.StructArray.from_arrays(parts, fields=fields, mask=pc.is_null(array))


def decode_binding(binding: dict[str, Any]) -> Any:
    """Return the value of one bound parameter."""
    value, kind = binding["value"], binding["type"]
    if value is None:
        return None
    match kind:
        case "FIXED":
            return Decimal(value) if "." in value or "E" in value.upper() else int(value)
        case "REAL":
            return float(value)
        case "BOOLEAN":
            return value.lower() == "true"
        case "BINARY":
            return bytes.fromhex(value)
        case "DATE":
            return date(1970, 1, 1) + timedelta(milliseconds=int(value))
        case "TIME":
            return (datetime.min + timedelta(microseconds=int(value) // 1000)).time()
        case "TIMESTAMP_NTZ":
            return datetime(1970, 1, 1) + timedelta(microseconds=int(value) // 1000)
        case "TIMESTAMP_LTZ" | "TIMESTAMP_TZ":
            instant = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            return instant + timedelta(microseconds=int(value.split(" ")[0]) // 1000)
    return value
