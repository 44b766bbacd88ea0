"""How long texts and binaries may be: of a column, which DuckDB does not keep to, of a bound value, and of a statement."""

from typing import Any

import duckdb

from tests.snowflake.double.errors import NotEmulated, SqlError
from tests.snowflake.double.names import Table, quote, quote_all
from tests.snowflake.double.types import LONGEST_BINARY, LONGEST_TEXT

LONGEST_STATEMENT = 2**20
LONGEST_VARIANT = LONGEST_TEXT  # 128 MiB where Snowflake's change bundle 2025_03 is on
_LIMITS = """
    select column_name, data_type, try_cast(regexp_extract(comment::json->>'$.type', '[0-9]+') as bigint) from duckdb_columns()
    where database_name = ? and schema_name = ? and table_name = ? and data_type in ('VARCHAR', 'BLOB', 'JSON')
"""


def check_lengths(duck: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Raise Snowflake's error if a value of ``table`` is longer than its column."""
    columns = duck.execute(_LIMITS, list(table)).fetchall()
    if not columns:
        return
    tests = ", ".join(_test(quote(column), kind, limit) for column, kind, limit in columns)
    found = duck.execute(f"select {tests} from {quote_all(table)}").fetchone() or ()
    for (_, kind, _), value in zip(columns, found, strict=True):
        if value is not None and kind == "JSON":
            raise SqlError(100082, "22000", f"Max LOB size ({LONGEST_VARIANT}) exceeded, actual size of parsed column is {value}")
        if value is not None:
            raise too_long(str(value))


def _test(column: str, kind: str, limit: int | None) -> str:
    """SQL of a value of the column that is too long, or of its length; NULL if there is none."""
    if kind == "JSON":
        return f"max(strlen({column}::varchar)) filter (strlen({column}::varchar) > {LONGEST_VARIANT})"
    if kind == "BLOB":
        return f"max(hex({column}[:25])) filter (octet_length({column}) > {limit or LONGEST_BINARY})"
    # A length is in characters; without one, and up to that, what counts is bytes.
    is_long = f"strlen({column}) > {max(limit or 0, LONGEST_TEXT)}"
    if limit and limit != LONGEST_TEXT:
        is_long += f" or length({column}) > {limit}"
    return f"max(left({column}, 50)) filter ({is_long})"


def too_long(value: str) -> SqlError:
    return SqlError(100078, "22000", f"String '{value[:50]}' is too long and would be truncated")


def check_statement(text: str, rows: list[dict[str, Any]]) -> None:
    """Raise for a statement, or a bound value, that is longer than Snowflake takes."""
    if len(text.encode()) > LONGEST_STATEMENT:
        raise NotEmulated("a statement of more than 1 MB, against which Snowflake's documentation advises")
    for row in rows:
        for value in row.values():
            if isinstance(value, str) and len(value.encode()) > LONGEST_TEXT:
                raise too_long(value)
            if isinstance(value, bytes) and len(value) > LONGEST_BINARY:
                raise too_long(value[:25].hex())
