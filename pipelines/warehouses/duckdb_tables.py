"""Small questions about built tables of a DuckDB file, each under the lock: row counts for the UI, data for deliveries."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.landing.scan import quote
from pipelines.state.lock import hold_lock

Relation = tuple[str, str]  # schema, name


@contextmanager
def open_reader(file: Path, lock_wait_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for reading, when its turn comes."""
    with hold_lock(file.with_name(f"{file.name}.lock"), "read tables", lock_wait_seconds), duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def count_rows(file: Path, lock_wait_seconds: float, relations: Iterable[Relation]) -> dict[Relation, int]:
    """Return the number of rows of each table (views are not counted); asks nothing for no relations."""
    wanted = set(relations)
    if not wanted or not file.exists():
        return {}
    with open_reader(file, lock_wait_seconds) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
        counts = {}
        for schema, name in tables:
            if (schema, name) in wanted:
                ((count,),) = connection.execute(f"select count(*) from {quote(schema)}.{quote(name)}").fetchall()
                counts[schema, name] = int(count)
        return counts
