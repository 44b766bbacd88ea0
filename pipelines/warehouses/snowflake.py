"""Snowflake as a Warehouse: a load's files are staged and its columns made first, then one transaction does the rest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime

import pyarrow as pa

from pipelines.errors import CommitUnknown, WarehouseUnavailable
from pipelines.sync.model import LedgerEntry, StagedLoad
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step
from pipelines.warehouses import state_tables
from pipelines.warehouses.load_commit import Commit
from pipelines.warehouses.parity_side import HashingSide
from pipelines.warehouses.snowflake_access import open_sessions
from pipelines.warehouses.snowflake_account import is_drivers, is_refused
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import find_misfits
from pipelines.warehouses.snowflake_run import SnowflakeRun
from pipelines.warehouses.snowflake_swap import SWAPS, finish_swaps, make_beside, note_swap
from pipelines.warehouses.sql_warehouse import SqlWarehouse
from pipelines.warehouses.state_parity import record_parity

HAS_STATE = "select 1 from information_schema.tables where table_schema = 'DAYBREAK' and table_name = 'SWAPS'"


class SnowflakeWarehouse(SqlWarehouse):
    """A database of a Snowflake account. Nobody signs in before the first question."""

    is_free_to_ask = False

    def __init__(self, url: str) -> None:
        """Read the URL. Raises ``ConfigError`` that names every mistake in it."""
        self._sessions = open_sessions(url)

    def find_misfits(self, rows: pa.Table) -> Mapping[int, str]:
        """Return the positions of rows with a value that Snowflake cannot hold; see ``snowflake_limits``."""
        return find_misfits(rows)

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
            commit = Commit(run.beside(suffix) if suffix else run, load)
            commit.prepare()
            with _transaction(run, load):
                if suffix:
                    note_swap(run, load, suffix)
                entry = commit.apply()
            if suffix:
                with step("commit.swap"):
                    finish_swaps(run, load.spec)
            return entry

    def find_load(self, load_id: str) -> LedgerEntry | None:
        """Ask the ledger whether a load committed. Raises ``CommitUnknown`` while nobody answers."""
        try:
            return super().find_load(load_id)
        except WarehouseUnavailable as error:
            raise _unknown(load_id, str(error)) from error

    def erase_traces(self, *, is_settled: bool) -> None:
        """End the time travel of what was deleted or replaced; Snowflake clears it away in the background."""
        with self._run("erase deleted rows") as run:
            named = run("select distinct source_name, table_name from daybreak.traces")
            to = run.dialect
            traced = [f"{to.quote(f'raw_{source}')}.{to.quote(table)}" for source, table in named]
            for table in (*traced, "daybreak.quarantine", "daybreak.schema_versions"):
                run(f"alter table if exists {table} set data_retention_time_in_days = 0")
                run(f"alter table if exists {table} set data_retention_time_in_days = 1")
            if is_settled:
                run("delete from daybreak.traces")
            else:
                run("update daybreak.traces set erased_at = $now where erased_at is null", now=datetime.now(UTC))

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
            if not self._sessions.has_state:
                if not run(HAS_STATE):
                    for statement in (*state_tables.state_ddl(run.dialect), SWAPS):
                        run(statement)
                self._sessions.has_state = True
            run("use schema daybreak")  # where a session's own tables and stages are
            yield run


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
            if load and is_drivers(error) and not is_refused(error):
                raise _unknown(load.plan.load_id, str(error)) from error
            raise


def _unknown(load_id: str, text: str) -> CommitUnknown:
    return CommitUnknown(
        f"the connection broke while load {load_id} was committed: {text}",
        safe="It was committed whole or not at all; the ledger knows, and the next run asks it.",
        remedy="Run again.",
        load_id=load_id,
    )
