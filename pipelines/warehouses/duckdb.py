"""DuckDB as a Warehouse: one file, one writer at a time, DDL inside the transaction. SQL text is in ``duckdb_sql``."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.sync import codec
from pipelines.sync.model import LedgerEntry, QuarantineCount, QuarantineEntry, QuarantineState, StagedLoad, WaitingRows
from pipelines.sync.protocols import Traces, WarehouseState
from pipelines.sync.schema import raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses import duckdb_sql as sql
from pipelines.warehouses.duckdb_access import open_file, rewrite_file, take_turn
from pipelines.warehouses.duckdb_commit import Commit
from pipelines.warehouses.duckdb_entries import count_entries, find_waiting
from pipelines.warehouses.duckdb_entries import read_entries as read_quarantine
from pipelines.warehouses.duckdb_ledger import read_days, read_entries, read_schema_history, read_schemas, read_watermarks

STATE_DDL = (Path(__file__).parent / "duckdb_state.sql").read_text(encoding="utf-8")


class DuckDBWarehouse:
    """A DuckDB file. It is opened for each short piece of work, under the lock that dbt and the read copy take too."""

    is_free_to_ask = True

    def __init__(self, file: Path, lock_wait_seconds: float) -> None:
        """Remember the file; it is made at the first use."""
        self.file, self._lock_wait_seconds = file, lock_wait_seconds

    def read_state(self, tables: Sequence[str]) -> WarehouseState:
        """Return the truth about ``tables`` (ids), with their newest ledger entries."""
        with self._open("read the state") as connection:
            ((warehouse_id,),) = connection.execute("select warehouse_id from daybreak.warehouse").fetchall()
            return WarehouseState(
                warehouse_id=warehouse_id,
                watermarks=read_watermarks(connection, tables),
                entries=read_entries(connection, tables),
                days=read_days(connection, tables),
                schemas=read_schemas(connection, tables),
            )

    def claim(self, spec: TableSpec) -> int:
        """Take the table's next fencing token."""
        with self._open(f"claim {spec.id}") as connection:
            return self._claim(connection, spec)

    def ensure_table(self, spec: TableSpec, schema: TableSchema, load_id: str) -> int:
        """Make the empty raw table and its first schema version, unless they are there."""
        with self._open(f"create {spec.id}") as connection:
            version, known = read_schemas(connection, [spec.id]).get(spec.id, (0, None))
            if known and (known == schema or known.shape != schema.shape):
                return version
            connection.execute("begin")
            if not known:
                create_raw_table(connection, spec, schema)
            record_schema(connection, spec, schema, version + 1, load_id)
            connection.execute("commit")
            return version + 1

    def commit(self, load: StagedLoad) -> LedgerEntry:
        """Make the load visible in one transaction, the fence last; everything is rolled back if anything raises."""
        with self._open(f"load {load.spec.id}") as connection:
            connection.execute("begin")
            try:
                entry = Commit(connection, load).run()
            except BaseException:
                with suppress(duckdb.Error):  # the first error is the one to tell; closing ends the transaction too
                    connection.execute("rollback")
                raise
            with step("commit.transaction"):
                connection.execute("commit")
            return entry

    def find_load(self, load_id: str) -> LedgerEntry | None:
        """Ask the ledger whether a load committed."""
        with self._open(f"look for load {load_id}") as connection:
            found = read_entries(connection, None, load_id)
            return found[0] if found else None

    def schema_history(self, spec: TableSpec) -> Sequence[tuple[int, TableSchema]]:
        """Return every committed schema version of the table, oldest first."""
        with self._open(f"read the schemas of {spec.id}") as connection:
            return read_schema_history(connection, spec.id)

    def count_quarantine(self, tables: Sequence[str]) -> Sequence[QuarantineCount]:
        """Return what stands in quarantine, by table, column and reason."""
        with self._open("read the quarantine") as connection:
            return count_entries(connection, tables)

    def read_quarantine(
        self, spec: TableSpec, state: QuarantineState | None, key: str | None, limit: int | None
    ) -> Sequence[QuarantineEntry]:
        """Return the table's entries of one state and one key, or all."""
        with self._open("read the quarantine") as connection:
            return read_quarantine(connection, spec, state, key, limit)

    def find_waiting(self, spec: TableSpec, key: str | None) -> WaitingRows:
        """Return which open rows of the table can be read again by key, and how many cannot."""
        with self._open("read the quarantine") as connection:
            return find_waiting(connection, spec, key)

    def drop_closed(self, before: datetime) -> int:
        """Delete the quarantine entries that were closed before an instant."""
        with self._open("drop closed quarantine entries") as connection:
            gone = connection.execute("delete from daybreak.quarantine where closed_at < $before returning 1", {"before": before})
            return len(gone.fetchall())

    def traces(self) -> Traces:
        """Return whether values that must not stay may be readable in the file still."""
        with self._open("look for traces") as connection:
            ((noted, erased),) = connection.execute("select count(*), count(erased_at) from daybreak.traces").fetchall()
            return "none" if not noted else "erased" if noted == erased else "fresh"

    def erase_traces(self, *, is_settled: bool) -> None:
        """Write the file anew: DuckDB keeps deleted rows in its free blocks until something else needs the room."""
        done = "delete from daybreak.traces" if is_settled else "update daybreak.traces set erased_at = now() where erased_at is null"
        with take_turn(self.file, "erase deleted rows", self._lock_wait_seconds):
            rewrite_file(self.file, self._lock_wait_seconds, done)

    def last_forgotten_at(self) -> datetime | None:
        """Return when rows were forgotten last."""
        with self._open("read when rows were forgotten") as connection:
            found: datetime | None = connection.execute("select max(forgotten_at) from daybreak.forgotten").fetchall()[0][0]
            return found

    def _claim(self, connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> int:
        found = connection.execute(
            "update daybreak.watermarks set token = token + 1 where source_name = $source and table_name = $table returning token",
            {"source": spec.source, "table": spec.name},
        ).fetchone()
        if found:
            return int(found[0])
        connection.execute(
            "insert into daybreak.watermarks (source_name, table_name, token) values ($source, $table, 1)",
            {"source": spec.source, "table": spec.name},
        )
        return 1

    @contextmanager
    def _open(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open_file(self.file, purpose, self._lock_wait_seconds) as connection:
            if not connection.execute("select 1 from duckdb_tables() where schema_name = 'daybreak' and table_name = 'traces'").fetchone():
                connection.execute("begin")
                connection.execute(STATE_DDL)
                if not connection.execute("select 1 from daybreak.warehouse").fetchone():
                    connection.execute(
                        "insert into daybreak.warehouse values ($id, $now)", {"id": uuid.uuid4().hex, "now": datetime.now(UTC)}
                    )
                connection.execute("commit")
            yield connection


def create_raw_table(connection: duckdb.DuckDBPyConnection, spec: TableSpec, schema: TableSchema) -> None:
    """Create the schema and the table of ``spec``, unless they are there."""
    connection.execute(f"create schema if not exists {sql.schema_name(spec)}")
    connection.execute(sql.create_table(spec, raw_columns(spec, schema)))


def record_schema(connection: duckdb.DuckDBPyConnection, spec: TableSpec, schema: TableSchema, version: int, load_id: str) -> None:
    """Note a version of the source's schema; on DuckDB its DDL is in the same transaction, so it is done at once."""
    connection.execute(
        "insert into daybreak.schema_versions values ($source, $table, $version, 'done', $schema, $load_id, $now)",
        {
            "source": spec.source,
            "table": spec.name,
            "version": version,
            "schema": codec.dump(codec.SCHEMA, schema),
            "load_id": load_id,
            "now": datetime.now(UTC),
        },
    )
