"""What every warehouse does alike: asking the tables of schema ``daybreak``, each question in a turn or a session of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from pipelines.sync.model import LedgerEntry
from pipelines.sync.protocols import Traces, WarehouseState
from pipelines.sync.quarantined import QuarantineCount, QuarantineEntry, QuarantineState, WaitingRows
from pipelines.sync.sides import StoredBucket
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import state_tables
from pipelines.warehouses.dialect import Run
from pipelines.warehouses.load_masks import find_kept_tables
from pipelines.warehouses.state_ledger import find_entry
from pipelines.warehouses.state_parity import read_parity
from pipelines.warehouses.state_quarantine import count_entries, find_waiting, read_entries


class SqlWarehouse(ABC):
    """The part of a ``Warehouse`` that is statements alone."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the warehouse is, without secrets."""

    @abstractmethod
    def _run(self, purpose: str) -> AbstractContextManager[Run]:
        """Open the warehouse, with its tables made, for a purpose that is told where somebody has to wait or to pay for it."""

    def read_state(self, tables: Sequence[str]) -> WarehouseState:
        """Return the truth about ``tables`` (ids), with their newest ledger entries."""
        with self._run("read the state") as run:
            return state_tables.read_state(run, self.place, tables)

    def approve(self, spec: TableSpec, approval: str, told: Sequence[str], approved_by: str) -> None:
        """Keep an approval on record; see ``Warehouse.approve``."""
        with self._run(f"approve a change of {spec.id}") as run:
            state_tables.record_approval(run, spec, approval, told, approved_by)

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
            return read_entries(run, spec, state, key, limit)

    def find_waiting(self, spec: TableSpec, key: str | None) -> WaitingRows:
        """Return which open rows of the table can be read again by key, and how many cannot."""
        with self._run("read the quarantine") as run:
            return find_waiting(run, spec, key)

    def drop_closed(self, before: datetime) -> int:
        """Delete the quarantine entries that were closed before an instant."""
        with self._run("drop closed quarantine entries") as run:
            return state_tables.drop_closed(run, before)

    def traces(self) -> Traces:
        """Return whether values that must not stay may still be kept by the store."""
        with self._run("look for traces") as run:
            return state_tables.read_traces(run)

    def kept_tables(self, spec: TableSpec) -> Sequence[str]:
        """Return the names of what the raw table was before it was loaded anew."""
        with self._run(f"look for older tables of {spec.id}") as run:
            return find_kept_tables(run, spec)

    def last_forgotten_at(self) -> datetime | None:
        """Return when rows were forgotten last."""
        with self._run("read when rows were forgotten") as run:
            return state_tables.last_forgotten_at(run)

    def read_parity(self, spec: TableSpec) -> Mapping[str, StoredBucket]:
        """Return the table's buckets as they were compared last."""
        with self._run(f"read the parity of {spec.id}") as run:
            return read_parity(run, spec)
