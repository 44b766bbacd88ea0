"""Rows of DuckDB as a result."""

import duckdb

from tests.snowflake.double.names import decode
from tests.snowflake.double.wire import Result


def fetch(cursor: duckdb.DuckDBPyConnection) -> Result:
    """Return the rows of a query of DuckDB."""
    names = [decode(str(column[0])) for column in cursor.description]
    types = [str(column[1]) for column in cursor.description]
    return Result(cursor.to_arrow_table().rename_columns(names), types)
