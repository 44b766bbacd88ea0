"""DuckDB as a Warehouse: one file, one writer at a time, DDL inside the transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.sync.model import LedgerEntry, QuarantineCount, QuarantineEntry, QuarantineState, StagedLoad, WaitingRows
from pipelines.sync.protocols import Traces, WarehouseState
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult, StoredBucket
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses.duckdb_access import open_file, rewrite_file, take_turn
from pipelines.warehouses.duckdb_dialect import DuckDBRun
from pipelines.warehouses.load_commit import Commit
from pipelines.warehouses.load_masks import find_kept_tables
from pipelines.warehouses.parity_side import HashingSide
from pipelines.warehouses.state_ledger import find_entry
from pipelines.warehouses.state_parity import read_parity, record_parity
from pipelines.warehouses.state_quarantine import count_entries, find_waiting
from pipelines.warehouses.state_quarantine import read_entries as read_quarantine
from pipelines.warehouses.state_tables import (
    claim,
    drop_closed,
    ensure_table,
    give_identity,
    last_forgotten_at,
    read_state,
    read_traces,
    record_approval,
)

PIECE_ROWS = 5_000_000  # hashed under one lock of the file, in about ten seconds
# By what came last: a file of an earlier release gets what it lacks.
HAS_STATE = "select 1 from duckdb_columns() where schema_name = 'daybreak' and table_name = 'ledger' and column_name = 'statements'"
STATE_DDL = (Path(__file__).parent / "duckdb_state.sql").read_text(encoding="utf-8")


class DuckDBWarehouse:
    """A DuckDB file. It is opened for each short piece of work, under the lock that dbt and the read copy take too."""

    is_free_to_ask = True

    def __init__(self, file: Path, lock_wait_seconds: float) -> None:
        """Remember the file; it is made at the first use."""
        self.file, self._lock_wait_seconds = file, lock_wait_seconds

    def find_misfits(self, rows: pa.Table) -> Mapping[int, str]:
        """Return nothing: what lands, DuckDB holds."""
        return {}

    def read_state(self, tables: Sequence[str]) -> WarehouseState:
        """Return the truth about ``tables`` (ids), with their newest ledger entries."""
        with self._run("read the state") as run:
            return read_state(run, tables)

    def claim(self, spec: TableSpec) -> int:
        """Take the table's next fencing token."""
        with self._run(f"claim {spec.id}") as run:
            return claim(run, spec)

    def ensure_table(self, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
        """Make the empty raw table and its first schema version, unless they are there; see ``Warehouse.ensure_table``."""
        with self._run(f"create {spec.id}") as run:
            run("begin")
            version = ensure_table(run, spec, schema, told)
            run("commit")
            return version

    def approve(self, spec: TableSpec, approval: str, told: Sequence[str], approved_by: str) -> None:
        """Keep an approval on record; see ``Warehouse.approve``."""
        with self._run(f"approve a change of {spec.id}") as run:
            record_approval(run, spec, approval, told, approved_by)

    def commit(self, load: StagedLoad) -> LedgerEntry:
        """Make the load visible in one transaction, the fence last; everything is rolled back if anything raises."""
        with self._open(f"load {load.spec.id}") as connection:
            connection.execute("begin")
            try:
                commit = Commit(DuckDBRun(connection), load)
                commit.prepare()
                entry = commit.apply()
            except BaseException:
                with suppress(duckdb.Error):  # the first error is the one to tell; closing ends the transaction too
                    connection.execute("rollback")
                raise
            with step("commit.transaction"):
                connection.execute("commit")
            return entry

    def find_load(self, load_id: str) -> LedgerEntry | None:
        """Ask the ledger whether a load committed."""
        with self._run(f"look for load {load_id}") as run:
            return find_entry(run, load_id)

    def count_quarantine(self, tables: Sequence[str]) -> Sequence[QuarantineCount]:
        """Return what stands in quarantine, by table, column and reason."""
        with self._run("read the quarantine") as run:
            return count_entries(run, tables)

    def read_quarantine(
        self, spec: TableSpec, state: QuarantineState | None, key: str | None, limit: int | None
    ) -> Sequence[QuarantineEntry]:
        """Return the table's entries of one state and one key, or all."""
        with self._run("read the quarantine") as run:
            return read_quarantine(run, spec, state, key, limit)

    def find_waiting(self, spec: TableSpec, key: str | None) -> WaitingRows:
        """Return which open rows of the table can be read again by key, and how many cannot."""
        with self._run("read the quarantine") as run:
            return find_waiting(run, spec, key)

    def drop_closed(self, before: datetime) -> int:
        """Delete the quarantine entries that were closed before an instant."""
        with self._run("drop closed quarantine entries") as run:
            return drop_closed(run, before)

    def traces(self) -> Traces:
        """Return whether values that must not stay may be readable in the file still."""
        with self._run("look for traces") as run:
            return read_traces(run)

    def erase_traces(self, *, is_settled: bool) -> None:
        """Write the file anew: DuckDB keeps deleted rows in its free blocks until something else needs the room."""
        done = "delete from daybreak.traces" if is_settled else "update daybreak.traces set erased_at = now() where erased_at is null"
        with take_turn(self.file, "erase deleted rows", self._lock_wait_seconds):
            rewrite_file(self.file, self._lock_wait_seconds, done)

    def kept_tables(self, spec: TableSpec) -> Sequence[str]:
        """Return the names of what the raw table was before it was loaded anew."""
        with self._run(f"look for older tables of {spec.id}") as run:
            return find_kept_tables(run, spec)

    def last_forgotten_at(self) -> datetime | None:
        """Return when rows were forgotten last."""
        with self._run("read when rows were forgotten") as run:
            return last_forgotten_at(run)

    def side(self) -> HashingSide:
        """Return what hashes the raw tables' rows; see ``Warehouse.side``."""
        return HashingSide(DuckDBRun.dialect, self._run, PIECE_ROWS)

    def read_parity(self, spec: TableSpec) -> Mapping[str, StoredBucket]:
        """Return the table's buckets as they were compared last."""
        with self._run(f"read the parity of {spec.id}") as run:
            return read_parity(run, spec)

    def record_parity(self, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
        """Keep a comparison: its numbers, and the buckets that it hashed."""
        with self._run(f"record the parity of {spec.id}") as run:
            run("begin")
            record_parity(run, spec, result, buckets)
            run("commit")

    @contextmanager
    def _run(self, purpose: str) -> Iterator[DuckDBRun]:
        with self._open(purpose) as connection:
            yield DuckDBRun(connection)

    @contextmanager
    def _open(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open_file(self.file, purpose, self._lock_wait_seconds) as connection:
            if not connection.execute(HAS_STATE).fetchone():
                connection.execute("begin")
                connection.execute(STATE_DDL)
                give_identity(DuckDBRun(connection))
                connection.execute("commit")
            yield connection
