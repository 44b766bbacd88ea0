"""DuckDB as a Warehouse: one file, one writer at a time, DDL inside the transaction. SQL text is in ``duckdb_sql``."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.sync.model import LedgerEntry, QuarantineCount, QuarantineEntry, QuarantineState, SchemaVersion, StagedLoad, WaitingRows
from pipelines.sync.protocols import Traces, WarehouseState
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult, StoredBucket
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses.duckdb_access import open_file, rewrite_file, take_turn
from pipelines.warehouses.duckdb_commit import Commit, make_run
from pipelines.warehouses.duckdb_entries import count_entries, find_waiting
from pipelines.warehouses.duckdb_entries import read_entries as read_quarantine
from pipelines.warehouses.duckdb_ledger import read_approvals, read_days, read_entries, read_versions, read_watermarks
from pipelines.warehouses.duckdb_masks import find_kept_tables
from pipelines.warehouses.duckdb_parity import DuckDBSide
from pipelines.warehouses.duckdb_parity_log import read_parity, read_results, record_parity
from pipelines.warehouses.duckdb_shape import create_raw_table, record_version

# By the table that came last: a file of an earlier release gets what it lacks.
HAS_STATE = "select 1 from duckdb_tables() where schema_name = 'daybreak' and table_name = 'reconciliations'"
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
                versions=read_versions(connection, tables),
                approvals=read_approvals(connection, tables),
                compared=read_results(connection, tables),
            )

    def claim(self, spec: TableSpec) -> int:
        """Take the table's next fencing token."""
        with self._open(f"claim {spec.id}") as connection:
            return self._claim(connection, spec)

    def ensure_table(self, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
        """Make the empty raw table and its first schema version, unless they are there; see ``Warehouse.ensure_table``."""
        with self._open(f"create {spec.id}") as connection:
            versions = read_versions(connection, [spec.id]).get(spec.id, ())
            known = versions[-1] if versions else None
            if known and (known.schema == schema or known.schema.shape != schema.shape):
                return known.version
            connection.execute("begin")
            run = make_run(connection)
            if not known:
                create_raw_table(run, spec, schema)
            version = SchemaVersion(known.version + 1 if known else 1, schema, tuple(told), datetime.now(UTC))
            record_version(run, spec, version, "held")
            connection.execute("commit")
            return version.version

    def approve(self, spec: TableSpec, approval: str, told: Sequence[str], approved_by: str) -> None:
        """Keep an approval on record; see ``Warehouse.approve``."""
        with self._open(f"approve a change of {spec.id}") as connection:
            values = [spec.source, spec.name, approval, json.dumps(list(told), ensure_ascii=False), approved_by, datetime.now(UTC)]
            connection.execute("insert into daybreak.approvals values (?, ?, ?, ?, ?, ?)", values)

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

    def kept_tables(self, spec: TableSpec) -> Sequence[str]:
        """Return the names of what the raw table was before it was loaded anew."""
        with self._open(f"look for older tables of {spec.id}") as connection:
            return find_kept_tables(make_run(connection), spec)

    def last_forgotten_at(self) -> datetime | None:
        """Return when rows were forgotten last."""
        with self._open("read when rows were forgotten") as connection:
            found: datetime | None = connection.execute("select max(forgotten_at) from daybreak.forgotten").fetchall()[0][0]
            return found

    def side(self) -> DuckDBSide:
        """Return what hashes the raw tables' rows; see ``Warehouse.side``."""
        return DuckDBSide(self._open)

    def read_parity(self, spec: TableSpec) -> Mapping[str, StoredBucket]:
        """Return the table's buckets as they were compared last."""
        with self._open(f"read the parity of {spec.id}") as connection:
            return read_parity(connection, spec)

    def record_parity(self, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
        """Keep a comparison: its numbers, and the buckets that it hashed."""
        with self._open(f"record the parity of {spec.id}") as connection:
            connection.execute("begin")
            record_parity(make_run(connection), spec, result, buckets)
            connection.execute("commit")

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
            if not connection.execute(HAS_STATE).fetchone():
                connection.execute("begin")
                connection.execute(STATE_DDL)
                if not connection.execute("select 1 from daybreak.warehouse").fetchone():
                    connection.execute(
                        "insert into daybreak.warehouse values ($id, $now)", {"id": uuid.uuid4().hex, "now": datetime.now(UTC)}
                    )
                connection.execute("commit")
            yield connection
