"""The built models of a DuckDB file; see ``marts.Marts``."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.landing.scan import quote
from pipelines.warehouses.duckdb_access import open_file, take_turn

if TYPE_CHECKING:
    from pipelines.warehouses.marts import Ask, Relation


class DuckDBMarts:
    """Opens the file for each short question, in the project's queue."""

    def __init__(self, file: Path, lock_wait_seconds: float) -> None:
        """Remember the file."""
        self._file, self._lock_wait_seconds = file, lock_wait_seconds

    def turn(self, purpose: str) -> AbstractContextManager[int | None]:
        """Queue for the file."""
        return take_turn(self._file, purpose, self._lock_wait_seconds)

    def list_relations(self, schemas: "Iterable[str]") -> "frozenset[Relation]":
        """Return every table and view of some schemas; none if there is no file."""
        if not self._file.exists():
            return frozenset()
        with open_file(self._file, "list tables", self._lock_wait_seconds, read_only=True) as connection:
            found = connection.execute(
                "select schema_name, table_name from duckdb_tables() where not internal "
                "union select schema_name, view_name from duckdb_views() where not internal"
            ).fetchall()
            wanted = set(schemas)
            return frozenset((schema.lower(), name.lower()) for schema, name in found if schema.lower() in wanted)

    def count_rows(self, relations: "Iterable[Relation]") -> "dict[Relation, int]":
        """Return the number of rows of each table; asks nothing for no relations."""
        wanted = set(relations)
        if not wanted or not self._file.exists():
            return {}
        with open_file(self._file, "count rows", self._lock_wait_seconds, read_only=True) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
            counts = {}
            for schema, name in tables:
                relation = (schema.lower(), name.lower())
                if relation in wanted:
                    ((count,),) = connection.execute(f"select count(*) from {quote(schema)}.{quote(name)}").fetchall()
                    counts[relation] = int(count)
            return counts

    @contextmanager
    def open(self, purpose: str) -> "Iterator[Ask]":
        """Yield what answers a query."""
        with open_file(self._file, purpose, self._lock_wait_seconds, read_only=True) as connection:
            yield lambda query: connection.sql(query).to_arrow_table()
