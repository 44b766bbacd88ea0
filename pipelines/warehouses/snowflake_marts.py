"""The built models of a Snowflake database; see ``marts.Marts``."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.warehouses.snowflake_access import open_sessions
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_run import SnowflakeRun

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.warehouses.marts import Ask, Relation


class SnowflakeMarts:
    """Asks in one of the project's sessions."""

    def __init__(self, url: str) -> None:
        """Read the URL. Raises ``ConfigError`` that names every mistake in it."""
        self._sessions = open_sessions(url)

    @contextmanager
    def turn(self, _purpose: str) -> Iterator[int | None]:
        """Wait for nobody: Snowflake keeps builds and loads apart."""
        yield None

    def list_relations(self, schemas: "Iterable[str]") -> "frozenset[Relation]":
        """Return every table and view of some schemas, by questions that wake no warehouse."""
        with self._sessions.open("list tables") as run:
            return frozenset((schema.lower(), name.lower()) for schema, name, _ in self._objects(run, schemas))

    def count_rows(self, relations: "Iterable[Relation]") -> "dict[Relation, int]":
        """Return the number of rows of each table, by one question for all."""
        wanted = set(relations)
        if not wanted:
            return {}
        to = SnowflakeDialect()
        with self._sessions.open("count rows") as run:
            found = self._objects(run, {schema for schema, _ in wanted})
            tables = [(schema, name) for schema, name, kind in found if kind == "TABLE" and (schema.lower(), name.lower()) in wanted]
            each = [
                f"select {number}, count(*) from {to.exactly(schema)}.{to.exactly(name)}" for number, (schema, name) in enumerate(tables)
            ]
            counts = run(" union all ".join(each)) if each else []
            return {(tables[number][0].lower(), tables[number][1].lower()): int(count) for number, count in counts}

    @contextmanager
    def open(self, purpose: str) -> "Iterator[Ask]":
        """Yield what answers a query."""
        with self._sessions.open(purpose) as run:

            def ask(query: str) -> "pa.Table":
                found = run.table(query)
                return found.rename_columns([name.lower() for name in found.column_names])

            yield ask

    def _objects(self, run: SnowflakeRun, schemas: "Iterable[str]") -> list[tuple[str, str, str]]:
        """Return schema, name and kind of what stands there. Schema by schema: SHOW tells of ten thousand at most."""
        wanted, database = set(schemas), SnowflakeDialect().quote(self._sessions.account.database)
        found = []
        for schema in run.records(f"show schemas in database {database}"):
            if schema["name"].lower() in wanted:
                found += run.records(f"show objects in schema {database}.{SnowflakeDialect.exactly(schema['name'])}")
        return [(row["schema_name"], row["name"], row["kind"]) for row in found]
