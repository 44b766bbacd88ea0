"""What DuckDB does not keep of tables and columns, kept as JSON in their comments: those move with a rename, a swap and a rollback."""

import json

import duckdb

from tests.snowflake.double.names import Table, literal, quote, quote_all

# Of a column: ``type`` as it was declared and ``comment``. Of a table: ``id``, ``comment`` and ``kind``, YES for a transient one.
Metadata = dict[str, str]


def read_metadata(duck: duckdb.DuckDBPyConnection, table: Table, column: str | None = None) -> Metadata:
    if column is None:
        known = read_columns(duck, table, "tables", "table_name") or read_columns(duck, table, "views", "view_name")
        return next(iter(known.values()), {})
    return read_columns(duck, table).get(column, {})


def read_columns(duck: duckdb.DuckDBPyConnection, table: Table, kind: str = "columns", name: str = "column_name") -> dict[str, Metadata]:
    of = "table_name" if kind == "columns" else name
    sql = f"select {name}, comment from duckdb_{kind}() where database_name = ? and schema_name = ? and {of} = ?"
    return {found: json.loads(text) if text else {} for found, text in duck.execute(sql, list(table)).fetchall()}


def comment_sql(kind: str, table: Table, column: str | None, metadata: Metadata) -> str:
    """Return DDL of DuckDB that keeps ``metadata``; ``kind`` is TABLE or VIEW."""
    what = f"column {quote_all(table)}.{quote(column)}" if column else f"{kind} {quote_all(table)}"
    return f"comment on {what} is {literal(json.dumps(metadata))}"
