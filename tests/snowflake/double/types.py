"""Snowflake's types of columns, and the ones of DuckDB that hold their values."""

import re
from dataclasses import dataclass

from sqlglot import exp

from tests.snowflake.double.errors import SqlError

LONGEST_TEXT, LONGEST_BINARY = 16_777_216, 8_388_608  # in bytes, where a column names no length
_MOST = {"VARCHAR": 134_217_728, "BINARY": 67_108_864}
_INTEGERS = {"INT", "BIGINT", "SMALLINT", "TINYINT", "MEDIUMINT", "INT128", "UINT", "UBIGINT"}
_FLOATS = {"FLOAT", "DOUBLE", "REAL"}
_TEXTS = {"VARCHAR", "TEXT", "NVARCHAR", "NAME"}
_TIMES = {
    "TIMESTAMP": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "TIMESTAMPNTZ": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "DATETIME": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "TIMESTAMPTZ": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_TZ"),
    "TIMESTAMPLTZ": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ"),
    "TIME": ("TIME", "TIME"),
}


@dataclass(frozen=True)
class ColumnType:
    """A type as DuckDB and as Snowflake spell it: ``DECIMAL(10,2)`` and ``NUMBER(10,2)``."""

    duck: str
    name: str

    @property
    def kind(self) -> str:
        return self.name.split("(")[0]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", self.name.partition("(")[2])))


def column_type(data_type: exp.DataType) -> ColumnType:
    """Return the type that a statement names."""
    numbers = [int(parameter.name) for parameter in data_type.expressions if parameter.name.isdigit()]
    kind = data_type.this.name if isinstance(data_type.this, exp.DataType.Type) else str(data_type.this)
    if kind in _INTEGERS:
        return ColumnType("DECIMAL(38,0)", "NUMBER(38,0)")
    if kind == "DECIMAL":
        precision, scale = (*numbers, 38, 0)[:2] if len(numbers) != 1 else (numbers[0], 0)
        return ColumnType(f"DECIMAL({precision},{scale})", f"NUMBER({precision},{scale})")
    if kind in _FLOATS:
        return ColumnType("DOUBLE", "FLOAT")
    if kind in _TEXTS or kind in ("CHAR", "NCHAR"):
        return ColumnType("VARCHAR", _with_length("VARCHAR", numbers[0] if numbers else LONGEST_TEXT if kind in _TEXTS else 1))
    if kind in ("BINARY", "VARBINARY"):
        return ColumnType("BLOB", _with_length("BINARY", numbers[0] if numbers else LONGEST_BINARY))
    if kind in _TIMES:
        duck, name = _TIMES[kind]
        return ColumnType(duck, f"{name}({numbers[0] if numbers else 9})")
    if kind in ("BOOLEAN", "DATE"):
        return ColumnType(kind, kind)
    if kind in ("VARIANT", "OBJECT", "ARRAY", "JSON", "STRUCT", "MAP"):
        return ColumnType("JSON", {"JSON": "VARIANT", "STRUCT": "OBJECT", "MAP": "OBJECT"}.get(kind, kind))
    raise SqlError(2040, "42601", f"SQL compilation error:\nUnsupported data type '{data_type.sql('snowflake')}'.")


def _with_length(kind: str, length: int) -> str:
    if not 1 <= length <= _MOST[kind]:
        raise SqlError(1003, "42000", f"SQL compilation error:\ninvalid length {length} of {kind}: it is from 1 to {_MOST[kind]}")
    return f"{kind}({length})"


def stored_type(duck: str) -> ColumnType:
    """Return the type of a column that holds the results of a query."""
    if duck.startswith("DECIMAL"):
        return ColumnType(duck, duck.replace("DECIMAL", "NUMBER"))
    if "INT" in duck and not duck.startswith("INTERVAL") and "[" not in duck and "(" not in duck:
        return ColumnType("DECIMAL(38,0)", "NUMBER(38,0)")
    match duck:
        case "FLOAT" | "DOUBLE":
            return ColumnType("DOUBLE", "FLOAT")
        case "BOOLEAN" | "DATE":
            return ColumnType(duck, duck)
        case "BLOB":
            return ColumnType(duck, f"BINARY({LONGEST_BINARY})")
        case "TIME":
            return ColumnType(duck, "TIME(9)")
        case "TIMESTAMP WITH TIME ZONE":
            return ColumnType(duck, "TIMESTAMP_TZ(9)")
        case _ if duck.startswith("TIMESTAMP"):
            return ColumnType("TIMESTAMP", "TIMESTAMP_NTZ(9)")
        case _ if duck == "JSON" or duck.endswith("]") or duck.startswith(("STRUCT", "MAP")):
            return ColumnType("JSON", "VARIANT")
    return ColumnType("VARCHAR", f"VARCHAR({LONGEST_TEXT})")


def refuse_change(column: str, old: ColumnType, new: ColumnType) -> None:
    """Raise where Snowflake does not change the type of a column in place."""
    allowed = old.kind == new.kind
    if allowed and old.kind == "NUMBER":
        allowed = old.numbers[1] == new.numbers[1]  # a smaller precision is refused by the values, if at all
    elif allowed and old.numbers:
        allowed = old.numbers == new.numbers or (old.kind in ("VARCHAR", "BINARY") and new.numbers > old.numbers)
    if not allowed:
        raise SqlError(2108, "22000", f"SQL compilation error: cannot change column {column} from type {old.name} to {new.name}")
