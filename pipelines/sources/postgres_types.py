"""How each PostgreSQL type lands: its Arrow type, and the SQL expression that the driver decodes without loss.

The driver's own decoding wraps infinite timestamps, flattens nested arrays and hands out raw bytes for many types, so
only the types below are read in binary; everything else is read as PostgreSQL's own text, which is exact. A value that no
landing type can hold (an infinite date, NaN in a decimal) is reported in ``UNFIT_COLUMN`` with its text.
"""

from dataclasses import dataclass

import pyarrow as pa

MAX_DECIMAL_PRECISION = 38  # DuckDB's, Snowflake's and Arrow decimal128's
LAST_TIMESTAMP = "294247-01-01"  # later ones do not fit microseconds since 1970 in 64 bits

_BINARY: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "text": pa.string(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "varchar": pa.string(),
}
ENDLESS = ("date", "timestamp", "timestamptz")


@dataclass(frozen=True)
class PgType:
    """A type after domains are resolved: its catalog name, its modifier, and its name in SQL (for casts)."""

    name: str
    modifier: int
    sql_name: str


def arrow_type(type_: PgType) -> pa.DataType:
    """Return the Arrow type that ``type_`` lands in: binary where that is exact, else text."""
    if type_.name == "numeric":
        precision, scale = _numeric_shape(type_.modifier)
        # Without a precision a numeric may have 131,072 digits; only text holds all of them.
        fits = 0 < precision <= MAX_DECIMAL_PRECISION and 0 <= scale <= precision
        return pa.decimal128(precision, scale) if fits else pa.string()
    return _BINARY.get(type_.name, pa.string())


def value_expression(column: str, type_: PgType) -> str:
    """Return the SQL that reads ``column`` (already quoted)."""
    if type_.name in ENDLESS:
        return f"case when {_is_finite(column, type_)} then {column} end"
    if pa.types.is_decimal(arrow_type(type_)):
        # Text and a cast in Arrow take half the time of the driver's numeric decoder (measured on 5M rows).
        return f"nullif({column}, 'NaN')::text"
    return column if type_.name in _BINARY else f"{column}::text"


def unfit_expression(columns: list[tuple[str, str, PgType]]) -> str:
    """Return the SQL of ``UNFIT_COLUMN`` for (quoted name, name literal, type): NULL, or a JSON object of original texts."""
    tests = [(literal, quoted, f"not {_is_finite(quoted, type_)}") for quoted, literal, type_ in columns if type_.name in ENDLESS]
    tests += [
        (literal, quoted, f"{quoted} = 'NaN'")
        for quoted, literal, type_ in columns
        if type_.name == "numeric" and pa.types.is_decimal(arrow_type(type_))
    ]
    if not tests:
        return "null::text"
    pairs = [f"{literal}, case when {test} then {quoted}::text end" for literal, quoted, test in tests]
    # PostgreSQL takes at most 100 arguments a call.
    objects = [f"jsonb_build_object({', '.join(pairs[start : start + 50])})" for start in range(0, len(pairs), 50)]
    return f"case when {' or '.join(test for _, _, test in tests)} then jsonb_strip_nulls({' || '.join(objects)})::text end"


def _is_finite(column: str, type_: PgType) -> str:
    # isfinite() is true beyond Arrow's range too, hence the upper end for timestamps.
    return f"isfinite({column})" if type_.name == "date" else f"(isfinite({column}) and {column} < '{LAST_TIMESTAMP}')"


def _numeric_shape(modifier: int) -> tuple[int, int]:
    if modifier < 4:
        return 0, 0
    scale = (modifier - 4) & 0x7FF
    return ((modifier - 4) >> 16) & 0xFFFF, scale - 2048 if scale >= 1024 else scale
