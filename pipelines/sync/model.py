"""The words of the engine as frozen data: what is synced, in which windows, and what came of it. No behaviour but arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator

Mode = Literal["incremental", "partitioned", "snapshot"]
OnFailure = Literal["quarantine", "hold", "warn"]
Contract = Literal["evolve", "approve", "freeze"]
Mask = Literal["drop", "hmac"]
# Where a chunk's rows come from: the window itself, rows whose cursor is NULL (or infinite), rows with a NULL in the key, or
# all of these in one stream.
Part = Literal["window", "null_cursor", "null_key", "stream"]
NULL_KEY = "null_key"  # the reason of a row with a NULL in its key
Bound = tuple[str, ...]  # the source's own text of (cursor, key) or (key); opaque to everybody else


_PLAIN = (
    *(pa.bool_(), pa.binary(), pa.date32(), pa.float32(), pa.float64(), pa.int16(), pa.int32(), pa.int64(), pa.string()),
    *(pa.time64("us"), pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
)


def parse_arrow_type(text: str | pa.DataType) -> pa.DataType:
    """Return the Arrow type whose ``str()`` is ``text``. Raises ValueError for one that never lands."""
    if isinstance(text, pa.DataType):
        return text
    if text.startswith("decimal128("):
        precision, scale = text.removeprefix("decimal128(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    for known in _PLAIN:
        if str(known) == text:
            return known
    raise ValueError(f"no column lands as {text}")


def _name_of(type_: pa.DataType) -> str:
    return str(type_)


ArrowType = Annotated[pa.DataType, PlainValidator(parse_arrow_type), PlainSerializer(_name_of, return_type=str)]


@dataclass(frozen=True)
class Expectation:
    """One gate of a table: Great Expectations' own name and arguments, and what a failure means."""

    name: str
    arguments: Mapping[str, Any]
    on_failure: OnFailure
    mostly: float = 1.0

    @property
    def label(self) -> str:
        """A readable identity: the name, and the column if there is one."""
        column = self.arguments.get("column")
        return f"{self.name}({column})" if column else self.name


@dataclass(frozen=True)
class PartitionSpec:
    """Days of ``column``, cut at the midnights of ``time_zone``; rows before ``start`` are left out by declaration."""

    column: str
    start: date
    lookback_days: int = 2
    time_zone: str = "UTC"


@dataclass(frozen=True)
class TableSpec:
    """What the catalog says of one table."""

    source: str
    schema: str
    name: str
    mode: Mode
    key: tuple[str, ...] = ()
    cursor: str | None = None
    partition: PartitionSpec | None = None
    masks: Mapping[str, Mask] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()
    contract: Contract = "evolve"
    owner: str = ""
    max_quarantined: float = 0.05  # share of a load's rows; above it the load is held
    max_age_hours: float | None = None

    @property
    def id(self) -> str:
        """``source.table``: how people and the state name it."""
        return f"{self.source}.{self.name}"


@dataclass(frozen=True)
class SourceSpec:
    """One source database and its tables."""

    name: str
    url_env: str
    tables: tuple[TableSpec, ...]
    owner: str = ""
    max_connections: int = 2

    def table(self, name: str) -> TableSpec:
        """Return the table called ``name``; KeyError if the catalog has none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


@dataclass(frozen=True)
class Column:
    """One column as the source declares it, and the Arrow type it lands in.

    ``identity`` is the database's own number for the column where it has one (PostgreSQL: ``attnum``).
    """

    name: str
    source_type: str
    arrow_type: ArrowType
    is_nullable: bool = True
    identity: int | None = None
    comment: str | None = None
    default: str | None = None


@dataclass(frozen=True)
class TableSchema:
    """A table's shape at one instant. ``identity`` names the very relation, so that a restore is not taken for a rename."""

    columns: tuple[Column, ...]
    identity: str
    kind: Literal["table", "partitioned", "view"] = "table"
    has_unique_key: bool = False  # a unique, total, immediate index on exactly the declared key
    comment: str | None = None

    @property
    def shape(self) -> "TableSchema":
        """What decides how rows are read and loaded: the schema without comments and defaults."""
        return replace(self, comment=None, columns=tuple(replace(column, comment=None, default=None) for column in self.columns))

    def column(self, name: str) -> Column:
        """Return the column called ``name``; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class SchemaChange:
    """One lossless move. ``before`` is None for an added column, ``after`` for a dropped one (kept, and NULL from then on)."""

    kind: Literal["add", "drop", "rename", "widen"]
    before: Column | None
    after: Column | None

    def __str__(self) -> str:
        """Render as a person would say it."""
        if self.before and self.after:
            told = f"called {self.after.name}" if self.kind == "rename" else f"{self.after.source_type}, was {self.before.source_type}"
            return f"{self.before.name} is now {told}"
        column = self.before or self.after
        return f"{self.kind} {column.name}" if column else self.kind


@dataclass(frozen=True)
class Observation:
    """What was known of the source just before the first snapshot of a sync; see ``horizon``.

    ``open_ids`` are the virtual transaction ids and prepared transactions that were open.
    ``oldest_open_at`` is None when none was open; ``is_blind`` says that some start times could not be seen.
    ``max_cursor`` and ``oldest_open_cursor`` are the source's text of the cursor's maximum and of ``oldest_open_at`` as a
    cursor value (None for integer cursors).
    """

    observed_at: datetime
    max_cursor: str | None = None
    observed_cursor: str | None = None
    oldest_open_at: datetime | None = None
    oldest_open_cursor: str | None = None
    open_ids: tuple[str, ...] = ()
    is_blind: bool = False
    oldest_open_session: str | None = None


@dataclass(frozen=True)
class Window:
    """The rows one load is about. ``lower`` is inclusive; ``upper`` is inclusive for a cursor and exclusive for days.

    ``days`` are the days of a partitioned table; empty otherwise. ``is_null`` is the window of NULL partition values.
    """

    column: str | None = None
    lower: str | None = None
    upper: str | None = None
    days: tuple[date, ...] = ()
    is_null: bool = False


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


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that stepped aside, with its original text."""

    key: str | None  # JSON of the key's values, None for a table without a key
    column: str
    reason: str
    original: str  # JSON of the row as text, after masks
    day: date | None = None


@dataclass(frozen=True)
class StagedFile:
    """A landed file and the row positions (0-based) that are not to be loaded."""

    path: str
    rows: int
    excluded: tuple[int, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Where each row that was read went. ``deleted`` is counted apart: those rows were not read."""

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
    quarantined: tuple[QuarantinedRow, ...]
    watermark: Watermark
    days: tuple[DayDigest, ...]
    skipped_days: tuple[DayDigest, ...]  # read again and found unchanged: their rows are not touched
    time_zone: str  # whose midnights cut the days
    token: int
    may_repeat_keys: bool  # a row can stand in two chunks, its later version wins
    released_by: str | None = None


@dataclass(frozen=True)
class LedgerEntry:
    """One committed load, as the ledger tells it."""

    load_id: str
    source: str
    table: str
    mode: Mode
    window: Mapping[str, Any]
    counts: Counts
    total_rows: int
    data_as_of: datetime
    committed_at: datetime
    schema_version: int
    chunks: int
    bytes: int
    quarantined_open: int


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
