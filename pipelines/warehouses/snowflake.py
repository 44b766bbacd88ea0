"""Snowflake as a Warehouse: a load's files are staged and its columns made first, then one transaction does the rest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime

import pyarrow as pa

from pipelines.errors import CommitUnknown, PrerequisiteError, WarehouseUnavailable
from pipelines.sync.model import LedgerEntry, StagedLoad
from pipelines.sync.protocols import WarehouseState
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses import state_tables
from pipelines.warehouses.dialect import INSTANT, TableName
from pipelines.warehouses.load_commit import Commit
from pipelines.warehouses.load_fence import is_ours, overtaken
from pipelines.warehouses.parity_side import HashingSide
from pipelines.warehouses.snowflake_access import open_sessions
from pipelines.warehouses.snowflake_account import is_drivers, is_refusal
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import find_misfits
from pipelines.warehouses.snowflake_run import HOME, SnowflakeRun, drop_copy
from pipelines.warehouses.snowflake_swap import SWAPS, finish_swaps, make_beside, note_swap
from pipelines.warehouses.sql_warehouse import SqlWarehouse
from pipelines.warehouses.state_ledger import find_entry
from pipelines.warehouses.state_parity import record_parity

HAS_STATE = "select 1 from information_schema.tables where table_schema = 'DAYBREAK' and table_name = 'SWAPS'"


class SnowflakeWarehouse(SqlWarehouse):
    """A database of a Snowflake account. Nobody signs in before the first question."""

    is_free_to_ask = False

    def __init__(self, url: str) -> None:
        """Read the URL. Raises ``ConfigError`` that names every mistake in it."""
        self._sessions = open_sessions(url)

    @property
    def place(self) -> str:
        """The account and the database."""
        return self._sessions.account.told

    def find_misfits(self, rows: pa.Table) -> Mapping[int, str]:
        """Return the positions of rows with a value that Snowflake cannot hold; see ``snowflake_limits``."""
        return find_misfits(rows)

    def read_state(self, tables: Sequence[str]) -> WarehouseState:
        """Return the truth about ``tables`` (ids), when what their commits have left to do is done."""
        with self._run("read the state") as run:
            for source, table, load_id in run("select source_name, table_name, load_id from daybreak.swaps"):
                if f"{source}.{table}" in tables:
                    with _telling_of_the_swap(load_id, f"{source}.{table}"):
                        finish_swaps(run, TableName(source, table))
            return state_tables.read_state(run, self.place, tables)

    def claim(self, spec: TableSpec) -> int:
        """Take the table's next fencing token, after what a crash has left to do."""
        with self._run(f"claim {spec.id}") as run:
            finish_swaps(run, spec)
            with _transaction(run):
                return state_tables.claim(run, spec)

    def ensure_table(self, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
        """Make the empty raw table and its first schema version, unless they are there; see ``Warehouse.ensure_table``."""
        with self._run(f"create {spec.id}") as run:
            return state_tables.ensure_table(run, spec, schema, told)

    def commit(self, load: StagedLoad) -> LedgerEntry:
        """Make the load visible in one transaction, the fence last; see ``snowflake_swap`` for one that changes columns."""
        with self._run(f"load {load.plan.load_id} of {load.spec.id}") as run:
            finish_swaps(run, load.spec)
            suffix = make_beside(run, load)
            work = run.beside(suffix) if suffix else run
            with _clearing_up(work, load):
                commit = Commit(work, load)
                commit.prepare()
                with _transaction(run, load):
                    if suffix:
                        note_swap(run, load, suffix)
                    entry = commit.apply()
            if suffix:
                with step("commit.swap"), _telling_of_the_swap(load.plan.load_id, load.spec.id):
                    finish_swaps(run, load.spec)
            return entry

    def find_load(self, load_id: str) -> LedgerEntry | None:
        """Ask the ledger whether a load committed, and do what its commit has left to do. Raises ``CommitUnknown`` while nobody answers."""
        try:
            with self._run(f"look for load {load_id}") as run:
                entry = find_entry(run, load_id)
                if entry:
                    with _telling_of_the_swap(load_id, f"{entry.source}.{entry.table}"):
                        finish_swaps(run, TableName(entry.source, entry.table))
                return entry
        except WarehouseUnavailable as error:
            raise _unknown(load_id, str(error)) from error

    def erase_traces(self, *, is_settled: bool) -> None:
        """End the time travel of what was deleted or replaced; Snowflake clears it away in the background."""
        with self._run("erase deleted rows") as run:
            noted = run("select source_name, table_name, noted_at from daybreak.traces")
            traced = {run.dialect.raw_table(TableName(source, table)) for source, table, _ in noted}
            # It stays at 0: what is in time travel while the retention grows again is kept for longer.
            for table in (*sorted(traced), "daybreak.quarantine", "daybreak.schema_versions"):
                run(f"alter table if exists {table} set data_retention_time_in_days = 0")
            # Those that were read, and none that a load has noted since.
            mine = f"noted_at in ({run.dialect.members('seen', run.dialect.types[INSTANT])})"
            seen = [str(at) for *_, at in noted]
            if is_settled:
                run(f"delete from daybreak.traces where {mine}", seen=seen)
            else:
                run(f"update daybreak.traces set erased_at = $now where erased_at is null and {mine}", now=datetime.now(UTC), seen=seen)

    def side(self) -> HashingSide:
        """Return what hashes the raw tables' rows; see ``Warehouse.side``."""
        return HashingSide(SnowflakeDialect(), self._run)

    def record_parity(self, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
        """Keep a comparison: its numbers, and the buckets that it hashed."""
        with self._run(f"record the parity of {spec.id}") as run, _transaction(run):
            record_parity(run, spec, result, buckets)

    @contextmanager
    def _run(self, purpose: str) -> Iterator[SnowflakeRun]:
        with self._sessions.open(purpose) as run:
            if not run.is_prepared:
                if not run(HAS_STATE):
                    for statement in (*state_tables.state_ddl(run.dialect), SWAPS):
                        run(statement)
                run(f"use schema {HOME}")
                run.is_prepared = True
            yield run


@contextmanager
def _clearing_up(run: SnowflakeRun, load: StagedLoad) -> Iterator[None]:
    """Drop the copy of a load that failed. A load that was overtaken is told as that: a statement of it may fail of what the other did."""
    try:
        yield
    except CommitUnknown:
        raise
    except Exception as error:
        if run.is_unseen:
            with suppress(Exception):
                drop_copy(run, run.dialect.raw_table(load.spec))
        if is_drivers(error) and is_refusal(error) and not is_ours(run, load):
            raise overtaken(load) from error
        raise


@contextmanager
def _transaction(run: SnowflakeRun, load: StagedLoad | None = None) -> Iterator[None]:
    """Commit what is done inside, or nothing of it. Raises ``CommitUnknown`` if nobody can tell whether a load was committed."""
    run("begin")
    try:
        yield
    except BaseException:
        # Snowflake keeps a transaction open after an error. The first error is the one to tell; closing ends it too.
        with suppress(Exception):
            run("rollback")
        raise
    with step("commit.transaction") if load else nullcontext():
        try:
            run("commit")
        except Exception as error:
            if load and not is_refusal(error):
                raise _unknown(load.plan.load_id, str(error)) from error
            raise


@contextmanager
def _telling_of_the_swap(load_id: str, table: str) -> Iterator[None]:
    """Tell what is wrong after the COMMIT, when the load's copy is to take the table's place, by what stands."""
    try:
        yield
    except Exception as error:
        if not is_drivers(error):
            raise
        if not is_refusal(error):
            raise _unknown(load_id, str(error)) from error
        raise PrerequisiteError(
            [f"A load of {table} ({load_id}) is committed, and Snowflake refused to let it take the table's place: {error}"],
            safe="Nothing is lost: it stands in a copy beside the table; readers see the table as it was before.",
            remedy="Grant the role what is missing (deploy/snowflake/setup.sql has it all), and run again: the copy takes its place first.",
        ) from error


def _unknown(load_id: str, text: str) -> CommitUnknown:
    return CommitUnknown(
        f"the connection broke while load {load_id} was committed: {text}",
        safe="It was committed whole or not at all; the ledger knows, and the next run asks it.",
        remedy="Run again.",
        load_id=load_id,
    )
