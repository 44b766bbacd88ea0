"""Lengths of text and binary columns, which DuckDB does not keep to."""

import duckdb

from tests.snowflake.double.errors import SqlError
from tests.snowflake.double.names import Table, quote, quote_all

_LIMITS = """
    select column_name, data_type, regexp_extract(comment::json->>'$.type', '[0-9]+')::bigint from duckdb_columns()
    where database_name = ? and schema_name = ? and table_name = ? and regexp_matches(comment::json->>'$.type', '^(VARCHAR|BINARY)')
"""


def check_lengths(duck: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Raise Snowflake's error if a value of ``table`` is longer than its column."""
    for column, kind, limit in duck.execute(_LIMITS, list(table)).fetchall():
        if limit >= 1_000_000:
            continue  # the default
        length = "octet_length" if kind == "BLOB" else "length"
        sql = f"select {quote(column)} from {quote_all(table)} where {length}({quote(column)}) > {limit} limit 1"
        if row := duck.execute(sql).fetchone():
            raise SqlError(100078, "22000", f"String '{str(row[0])[:50]}' is too long and would be truncated")
