"""DuckDB as a Warehouse: one file, one writer at a time, DDL inside the transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.sync.model import LedgerEntry, StagedLoad
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses import state_tables
from pipelines.warehouses.duckdb_access import open_file, rewrite_file, take_turn
from pipelines.warehouses.duckdb_dialect import DuckDBRun
from pipelines.warehouses.load_commit import Commit
from pipelines.warehouses.parity_side import HashingSide
from pipelines.warehouses.sql_warehouse import SqlWarehouse
from pipelines.warehouses.state_parity import record_parity

PIECE_ROWS = 5_000_000  # hashed under one lock of the file, in about ten seconds
# By what came last: a file of an earlier release gets what it lacks.
HAS_STATE = "select 1 from duckdb_columns() where schema_name = 'daybreak' and table_name = 'ledger' and column_name = 'statements'"


class DuckDBWarehouse(SqlWarehouse):
    """A DuckDB file. It is opened for each short piece of work, under the lock that dbt and the read copy take too."""

    is_free_to_ask = True

    def __init__(self, file: Path, lock_wait_seconds: float) -> None:
        """Remember the file; it is made at the first use."""
        self.file, self._lock_wait_seconds = file, lock_wait_seconds

    @property
    def place(self) -> str:
        """The file."""
        return str(self.file)

    def find_misfits(self, rows: pa.Table) -> Mapping[int, str]:
        """Return nothing: what lands, DuckDB holds."""
        return {}

    def claim(self, spec: TableSpec) -> int:
        """Take the table's next fencing token."""
        with self._run(f"claim {spec.id}") as run:
            return state_tables.claim(run, spec)

    def ensure_table(self, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
        """Make the empty raw table and its first schema version, unless they are there; see ``Warehouse.ensure_table``."""
        with self._run(f"create {spec.id}") as run, _transaction(run):
            return state_tables.ensure_table(run, spec, schema, told)

    def commit(self, load: StagedLoad) -> LedgerEntry:
        """Make the load visible in one transaction, the fence last; everything is rolled back if anything raises."""
        with self._run(f"load {load.spec.id}") as run, _transaction(run, load):
            commit = Commit(run, load)
            commit.prepare()
            return commit.apply()

    def erase_traces(self, *, is_settled: bool) -> None:
        """Write the file anew: DuckDB keeps deleted rows in its free blocks until something else needs the room."""
        done = "delete from daybreak.traces" if is_settled else "update daybreak.traces set erased_at = now() where erased_at is null"
        with take_turn(self.file, "erase deleted rows", self._lock_wait_seconds):
            rewrite_file(self.file, self._lock_wait_seconds, done)

    def side(self) -> HashingSide:
        """Return what hashes the raw tables' rows; see ``Warehouse.side``."""
        return HashingSide(DuckDBRun.dialect, self._run, PIECE_ROWS)

    def record_parity(self, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
        """Keep a comparison: its numbers, and the buckets that it hashed."""
        with self._run(f"record the parity of {spec.id}") as run, _transaction(run):
            record_parity(run, spec, result, buckets)

    @contextmanager
    def _run(self, purpose: str) -> Iterator[DuckDBRun]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open_file(self.file, purpose, self._lock_wait_seconds) as connection:
            if not connection.execute(HAS_STATE).fetchone():
                with _transaction(DuckDBRun(connection)) as run:
                    for statement in state_tables.state_ddl(run.dialect):
                        run(statement)
            yield DuckDBRun(connection)


@contextmanager
def _transaction(run: DuckDBRun, load: StagedLoad | None = None) -> Iterator[DuckDBRun]:
    """Commit what is done inside, or nothing of it."""
    run("begin")
    try:
        yield run
    except BaseException:
        with suppress(duckdb.Error):  # the first error is the one to tell; closing ends the transaction too
            run("rollback")
        raise
    with step("commit.transaction") if load else nullcontext():
        run("commit")
