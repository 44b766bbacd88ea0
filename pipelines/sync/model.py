"""The words of the engine as frozen data: what is synced, in which windows, and what came of it. No behaviour but arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from pipelines.sync.shape import Column, SchemaChange, TableSchema
from pipelines.sync.spec import Mask, Mode, OnFailure, TableSpec

# Where a chunk's rows come from: the window itself, rows whose cursor is NULL (or infinite), rows with a NULL in the key, or
# all of these in one stream.
Part = Literal["window", "null_cursor", "null_key", "stream"]
Bound = tuple[str, ...]  # the source's own text of (cursor, key) or (key); opaque to everybody else


@dataclass(frozen=True)
class Observation:
    """What was known of the source just before the first snapshot of a sync; see ``horizon``.

    ``open_ids`` are the virtual transaction ids and prepared transactions that were open.
    ``oldest_open_at`` is None when none was open; ``is_blind`` says that some start times could not be seen.
    ``max_cursor`` and ``oldest_open_cursor`` are the source's text of the cursor's maximum and of ``oldest_open_at`` as a
    cursor value (None for integer cursors). ``fell_from`` is the maximum of the last load, if the cursor's maximum is below it now.
    """

    observed_at: datetime
    max_cursor: str | None = None
    observed_cursor: str | None = None
    oldest_open_at: datetime | None = None
    oldest_open_cursor: str | None = None
    open_ids: tuple[str, ...] = ()
    is_blind: bool = False
    oldest_open_session: str | None = None
    fell_from: str | None = None


@dataclass(frozen=True)
class DayRange:
    """Days asked for by a person or a back-fill, half-open."""

    start: date
    end: date


@dataclass(frozen=True)
class Window:
    """The rows one load is about. ``lower`` is inclusive; ``upper`` is inclusive for a cursor and exclusive for days.

    ``days`` are the days of a partitioned table; empty otherwise. ``is_null`` is the window of NULL partition values.
    ``keys`` are the rows that are read again one by one, each key in the source's own text; then nothing else bounds the window.
    ``columns`` are those that are filled in rows which stand already: they are read alone, with the key and the cursor, of all rows.
    """

    column: str | None = None
    lower: str | None = None
    upper: str | None = None
    days: tuple[date, ...] = ()
    is_null: bool = False
    keys: tuple[Bound, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """One landed file and what is in it; a line of the manifest."""

    number: int
    part: Part
    rows: int
    bytes: int
    sha256: str
    last: Bound | None  # where the next chunk of this part goes on; None = the part is finished

    @property
    def file_name(self) -> str:
        """The Parquet file's name inside the load's folder."""
        return f"chunk-{self.number:06d}.parquet"


@dataclass(frozen=True)
class DayDigest:
    """Rows and order-independent content of one day (or, with ``day`` None, of a whole window)."""

    day: date | None
    rows: int
    digest: str


@dataclass(frozen=True)
class Watermark:
    """The committed position of a table, and what the next load must look at again."""

    value: str | None = None
    next_lower: str | None = None
    load_id: str | None = None
    digest: DayDigest | None = None  # of what the next read returns if nothing changed
    observations: tuple[Observation, ...] = ()
    spec_fingerprint: str = ""
    content_fingerprint: str = ""  # of the part of the spec that decides which rows and values stand in the table
    mask_key_id: str = ""  # of the key that its `hmac` columns were hashed with
    masks: Mapping[str, Mask] | None = None  # that its columns have; None: an earlier release did not say
    has_marks: bool = False  # the raw table's `_deleted_at` is the engine's: set in rows that are gone from the source
    unfilled: tuple[str, ...] = ()  # columns that have no values yet in rows from before they came


@dataclass(frozen=True)
class LoadPlan:
    """A load as it was decided, before anything was read; written beside its chunks, so that a crash can go on from it."""

    load_id: str
    table: str
    spec_fingerprint: str
    base_load_id: str | None
    window: Window
    observation: Observation
    schema: TableSchema
    schema_version: int
    planned_at: datetime
    is_stream: bool  # one transaction, not resumable
    mask_key_id: str = ""  # see ``land.identify_key``
    is_asked: bool = False  # of days that somebody asked for: the table is no newer for them


@dataclass(frozen=True)
class StagedFile:
    """A landed file, and the file with those of its rows that stepped aside, if there are any (columns: ``QuarantinedRow``)."""

    path: str
    rows: int
    aside_path: str | None = None
    aside_rows: int = 0


@dataclass(frozen=True)
class Counts:
    """Where each row that was read went. ``deleted`` is counted apart: those rows were not read.

    A row that stays with the mark of a deleted one is ``deleted`` by the load that marks it, and ``inserted`` by the one that finds
    it in the source again.
    """

    read: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    quarantined: int = 0
    deleted: int = 0

    @property
    def is_balanced(self) -> bool:
        """Every row that was read is accounted for exactly once."""
        if min(self.inserted, self.updated, self.unchanged, self.superseded, self.quarantined, self.deleted) < 0:
            return False
        return self.read == self.inserted + self.updated + self.unchanged + self.superseded + self.quarantined

    @property
    def loaded(self) -> int:
        """Rows that are in the table now because of this load."""
        return self.inserted + self.updated


@dataclass(frozen=True)
class StagedLoad:
    """All that a warehouse needs to commit one load in one transaction."""

    plan: LoadPlan
    spec: TableSpec
    columns: tuple[Column, ...]  # what lands after masks, in order
    changes: tuple[SchemaChange, ...]
    files: tuple[StagedFile, ...]
    chunks: tuple[Chunk, ...]
    rows_read: int
    watermark: Watermark
    days: tuple[DayDigest, ...]
    skipped_days: tuple[DayDigest, ...]  # read again and found unchanged: their rows are not touched
    time_zone: str  # whose midnights cut the days
    token: int
    may_repeat_keys: bool  # a row can stand in two chunks, its later version wins
    removes_missing: bool = False  # rows of `window.keys` that did not land are deleted, or marked
    released_by: str | None = None
    forgotten_by: str | None = None  # who had the rows of `window.keys` forgotten
    told: tuple[str, ...] = ()  # what changed of the schema, as a person reads it

    @property
    def is_marking(self) -> bool:
        """Whether rows that are gone stay, with a mark. Those of a load that forgets rows do not."""
        return self.removes_missing and self.spec.marks_deleted and not self.forgotten_by

    @property
    def quarantined(self) -> int:
        """Rows that stepped aside."""
        return sum(file.aside_rows for file in self.files)


@dataclass(frozen=True)
class LedgerEntry:
    """One committed load, as the ledger tells it."""

    load_id: str
    source: str
    table: str
    mode: Mode
    window: Mapping[str, Any]
    counts: Counts
    total_rows: int  # without those that are marked as deleted
    data_as_of: datetime
    committed_at: datetime
    schema_version: int
    chunks: int
    bytes: int
    quarantined_open: int
    token: int  # grows with each load of a table, whatever the clock says
    statements: int | None = None  # that the warehouse ran for it, up to its COMMIT; loads of earlier releases do not say


@dataclass(frozen=True)
class SchemaVersion:
    """A table's schema as a load committed it, and what had changed of it since the version before, as a person reads it."""

    version: int
    schema: TableSchema
    changes: tuple[str, ...]
    recorded_at: datetime


@dataclass(frozen=True)
class Verdict:
    """What one check said of one subject (a table, a model)."""

    subject: str
    check: str
    passed: bool
    on_failure: OnFailure
    numbers: Mapping[str, Any] = field(default_factory=dict)


Outcome = Literal["committed", "unchanged", "held"]


@dataclass(frozen=True)
class TableResult:
    """What a sync of one table came to. ``reread_rows`` were read, found unchanged, and not loaded."""

    table: str
    outcome: Outcome
    loads: Sequence[LedgerEntry] = ()
    reread_rows: int = 0
    note: str = ""
    held_reason: str | None = None
    is_misconfigured: bool = False  # it was the entry or the environment that kept the data out, not the data
    verdicts: Sequence[Verdict] = ()
    as_of: datetime | None = None  # the oldest observation that a load of this sync was planned on, loaded or not
    unfinished: str | None = None  # why a back-fill stopped before its last day, and when it goes on
