"""What the engine asks of a source, a warehouse and a gate. Promises are written with MUST; contract tests hold each one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from pipelines.sync.model import Bound, LedgerEntry, Observation, Part, SchemaVersion, StagedLoad, Verdict, Watermark, Window
from pipelines.sync.quarantined import QuarantineCount, QuarantineEntry, QuarantineState, WaitingRows
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import ComparedBuckets, ParityResult, SourceSide, StoredBucket, WarehouseSide
from pipelines.sync.spec import Expectation, TableSpec
from pipelines.sync.throttle import Activity

# Values that must not stay: none are left; some may be; or they were erased, but not after every model on them was built.
Traces = Literal["none", "fresh", "erased"]
UNFIT_COLUMN = "_daybreak_unfit"  # JSON object of column -> original text, for values no landing type can hold


@dataclass(frozen=True)
class ReadRequest:
    """One chunk's worth of rows: where to go on (``after``), and when to stop."""

    spec: TableSpec
    schema: TableSchema
    window: Window
    part: Part
    after: Bound | None
    max_rows: int
    max_bytes: int


@dataclass(frozen=True)
class SourceChunk:
    """Rows of one short transaction, in the types of the schema, plus ``UNFIT_COLUMN`` (string).

    ``last`` is where the next chunk goes on; None when the part is finished.
    """

    rows: pa.Table
    last: Bound | None


class Source(Protocol):
    """A production database that is only ever read.

    Every method raises ``SourceUnavailable`` when the database does not answer, never a driver's error.
    """

    def describe(self, spec: TableSpec) -> TableSchema:
        """Return the table's shape now.

        MUST raise ``PrerequisiteError`` if a declared column is not there, and its ``TableMissing`` if the table is not.
        """

    def find_relation(self, spec: TableSpec, identity: str) -> str | None:
        """Return what the table of ``TableSchema.identity`` is called now, in the same schema; None if it is gone or cannot be told."""

    def outlines(self, specs: Sequence[TableSpec]) -> Mapping[str, str]:
        """Return ``schema.outline`` of each table that is there, by table id. MUST be one cheap question for all of them."""

    def list_tables(self, schema: str) -> Sequence[str]:
        """Return the names of a schema's tables, without views and partitions."""

    def read_key(self, spec: TableSpec, key: Bound) -> Bound:
        """Return a key as the source writes it: `007` of an integer is `7`. MUST raise ``ConfigError`` for what cannot be a key."""

    def observe(self, spec: TableSpec, known: str | None = None) -> Observation:
        """Note the cursor's maximum (and whether it is below ``known``, an earlier one), then every open transaction, then the time.

        Any row that is not visible to a transaction that begins after this call MUST be written by a transaction that the
        observation holds, or by one that begins later. MUST raise ``PrerequisiteError`` for a table with a cursor where that
        cannot be known, as on a standby.
        """

    def partition_range(self, spec: TableSpec, time_zone: str) -> tuple[str, str] | None:
        """Return the first and the last day (ISO) of the partition column in ``time_zone``; None for an empty table."""

    def read_chunk(self, request: ReadRequest) -> SourceChunk:
        """Read the next rows in one short transaction.

        Rows MUST come in the source's own order of (cursor, key) or (key), only the source may compare keys, and the
        transaction MUST end before this returns. MUST raise ``SchemaMoved`` if the table's shape is not the request's.
        """

    def read_stream(self, request: ReadRequest) -> Iterator[SourceChunk]:
        """Read a table without a unique key in one repeatable-read transaction, chunk by chunk. Cannot be resumed."""

    def activity(self) -> Activity:
        """Return what else the source does now. MUST be one cheap question, and count what others do where it may not see who.

        MAY be called by another thread while this source reads a chunk.
        """

    def spent(self) -> float:
        """Return how many seconds of the database this source took so far, without ``activity``."""

    def side(self) -> SourceSide:
        """Return the source's side of a comparison. MUST hash the values that are landed, by the warehouse's own rules."""

    def close(self) -> None:
        """Give the connections back; safe to call twice."""


class SchemaMoved(Exception):  # a signal between source and engine, never shown to a person
    """The table's shape changed since the load was planned; the engine plans again."""


@dataclass(frozen=True)
class WarehouseState:
    """The truth, as the mirror copies it."""

    warehouse_id: str
    place: str  # see ``Warehouse.place``
    watermarks: dict[str, Watermark]  # by table id
    entries: tuple[LedgerEntry, ...]  # committed since the instant that was asked for
    days: dict[str, dict[str, tuple[int, str]]]  # table id -> ISO day -> (rows, digest)
    versions: dict[str, tuple[SchemaVersion, ...]]  # by table id, oldest first
    approvals: dict[str, tuple[str, ...]]  # by table id: see `schema.identify_changes`
    compared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by table id: the last `ParityResult.numbers`

    def newest(self, table_id: str) -> SchemaVersion | None:
        """Return the last committed schema version of a table."""
        versions = self.versions.get(table_id)
        return versions[-1] if versions else None


class Warehouse(Protocol):
    """Where rows become visible. Raises ``WarehouseUnavailable`` when it does not answer, never a driver's error."""

    @property
    def is_free_to_ask(self) -> bool:
        """Whether a question costs nothing (a file) or wakes a machine that is paid for."""

    @property
    def place(self) -> str:
        """Where the warehouse is, without secrets."""

    def find_misfits(self, rows: pa.Table) -> Mapping[int, str]:
        """Return the positions of landed rows with a value that no type of this warehouse holds, each with the first such column.

        MUST ask nobody: it is a rule.
        """

    def read_state(self, tables: Sequence[str]) -> WarehouseState:
        """Return watermarks, days, schema versions, approvals and the newest ledger entries of ``tables``."""

    def claim(self, spec: TableSpec) -> int:
        """Take the table's fencing token in a short statement of its own; every earlier token is void from then on."""

    def ensure_table(self, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
        """Make sure that the (possibly empty) raw table and a schema version exist; return the newest version.

        A schema that differs from the newest only in comments, defaults and the table's own name becomes a version of its own,
        which ``told`` describes; no other does.
        """

    def approve(self, spec: TableSpec, approval: str, told: Sequence[str], approved_by: str) -> None:
        """Keep on record that a person allows changes of the table's schema: what they are, and their id."""

    def commit(self, load: StagedLoad) -> LedgerEntry:
        """Make the load visible in one transaction: DDL, rows, quarantine, days, ledger, watermark, and last the fence.

        MUST leave nothing behind when it raises. MUST raise ``LoadConflict`` if the token or the base load is not the
        table's any more, and ``CommitUnknown`` if it cannot know whether the transaction committed. MUST check the balance
        inside the transaction, from counts of its own. MUST empty the digest of a committed day (also of "no day") that the
        load took a row from, or in which an older version of a row stays that was read elsewhere, and of every other day if
        ``is_reread``: what stands there is not what was read there.

        A load that ``is_marking`` MUST set `_deleted_at`, and the load's id and time, in the rows that it would have deleted and that
        have no mark; any other MUST clear the mark of a row that it loads, equal or not, and count that row as inserted. Neither
        ``total_rows`` nor a stale version in quarantine MUST be made of a row that is marked. All of that only where the watermark
        ``has_marks``, which gives the table the column.
        """

    def find_load(self, load_id: str) -> LedgerEntry | None:
        """Ask the ledger whether a load committed. What its commit has left to do MUST be done then, as after ``read_state``."""

    def count_quarantine(self, tables: Sequence[str]) -> Sequence[QuarantineCount]:
        """Return what stands in quarantine, by table and reason; nothing for a table without an entry."""

    def read_quarantine(
        self, spec: TableSpec, state: QuarantineState | None, key: str | None, limit: int | None
    ) -> Sequence[QuarantineEntry]:
        """Return the table's entries, oldest first: of one state (all: None) and one key (JSON; all: None), at most ``limit``."""

    def find_waiting(self, spec: TableSpec, key: str | None) -> WaitingRows:
        """Return which open rows of the table (or the one of ``key``, JSON) can be read again by key, and how many cannot."""

    def traces(self) -> Traces:
        """Return whether values that must not stay may be readable in the store's files still.

        A commit that forgets rows, or puts masked values in the place of readable ones, MUST make this ``fresh``.
        """

    def erase_traces(self, *, is_settled: bool) -> None:
        """Make deleted rows unreadable, as far as the store can: nothing that was deleted or replaced MUST be left in its files.

        ``is_settled``: every model was built since, so that nothing is left to be erased later; else ``traces`` becomes ``erased``.
        """

    def kept_tables(self, spec: TableSpec) -> Sequence[str]:
        """Return the names of what the raw table was before it was loaded anew under a key of another kind; nobody writes them."""

    def last_forgotten_at(self) -> datetime | None:
        """Return when rows were forgotten last, in any table."""

    def side(self) -> WarehouseSide:
        """Return the warehouse's side of a comparison. MUST hash by the source's own rules."""

    def read_parity(self, spec: TableSpec) -> Mapping[str, StoredBucket]:
        """Return the table's buckets as they were compared last, by name."""

    def record_parity(self, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
        """Keep a comparison and its buckets. MUST NOT keep keys: they may have to be forgotten.

        Days that differ MUST lose their digests, so that the next load of them is one.
        """

    def drop_closed(self, before: datetime) -> int:
        """Delete quarantine entries that were closed before an instant; return how many."""


@dataclass(frozen=True)
class RowFinding:
    """One expectation on one chunk. ``failing`` are 0-based row positions, empty unless rows are to step aside.

    ``evaluated`` leaves out NULLs where the expectation ignores them. ``examples`` are the keys of a few failing rows.
    """

    expectation: Expectation
    evaluated: int
    failed: int
    failing: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadFinding:
    """One expectation on a whole load: passed or not, and what was observed."""

    expectation: Expectation
    passed: bool
    observed: object = None


@dataclass(frozen=True)
class LoadSize:
    """How many rows a load had or, with ``day``, one day of it."""

    day: date | None
    rows: int


@dataclass(frozen=True)
class LandedLoad:
    """A whole load as it landed: its files in the order of their chunks, and what its size is compared with.

    ``sizes`` are of this load: one, or one a day. ``past`` are those of earlier loads of the same kind (or of earlier days),
    oldest first; empty if nothing can be compared with this load.
    """

    files: Sequence[Path]
    rows: int
    sizes: Sequence[LoadSize] = ()
    past: Sequence[LoadSize] = ()


class Gate(Protocol):
    """Judges landed data before it is visible. An expectation that cannot be evaluated MUST raise ``ConfigError``."""

    def check_rows(self, spec: TableSpec, rows: pa.Table) -> Sequence[RowFinding]:
        """Evaluate the row expectations of ``spec`` on one chunk."""

    def check_load(self, spec: TableSpec, load: LandedLoad) -> Sequence[LoadFinding]:
        """Evaluate the expectations on the whole load (row count, uniqueness inside it), and those that compare it with earlier ones."""

    def judge(self, spec: TableSpec, row_findings: Sequence[RowFinding], load_findings: Sequence[LoadFinding] | None) -> Sequence[Verdict]:
        """Return one verdict an expectation: ``mostly`` MUST be applied to counts summed over the load, never to a chunk's.

        ``load_findings`` is None for a few rows that were read again: they are no whole load, so only their rows are judged.
        """
