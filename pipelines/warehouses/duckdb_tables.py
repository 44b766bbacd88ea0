"""Small questions about built tables of a DuckDB file: what is there, and how many rows it has."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.landing.scan import quote
from pipelines.warehouses.duckdb_access import open_file

Relation = tuple[str, str]  # schema, name


def list_relations(file: Path, lock_wait_seconds: float) -> frozenset[Relation]:
    """Return every table and view of the file; none if there is no file."""
    if not file.exists():
        return frozenset()
    with open_file(file, "list tables", lock_wait_seconds, read_only=True) as connection:
        found = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal "
            "union select schema_name, view_name from duckdb_views() where not internal"
        ).fetchall()
        return frozenset((schema, name) for schema, name in found)


def count_rows(file: Path, lock_wait_seconds: float, relations: Iterable[Relation]) -> dict[Relation, int]:
    """Return the number of rows of each table (views are not counted); asks nothing for no relations."""
    wanted = set(relations)
    if not wanted or not file.exists():
        return {}
    with open_file(file, "count rows", lock_wait_seconds, read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
        counts = {}
        for schema, name in tables:
            if (schema, name) in wanted:
                ((count,),) = connection.execute(f"select count(*) from {quote(schema)}.{quote(name)}").fetchall()
                counts[schema, name] = int(count)
        return counts
