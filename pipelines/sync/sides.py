"""What a comparison of source and warehouse speaks in: which rows, cut into which buckets, and what each side says of them.

Both sides hash one canonical text, so their numbers can be compared: see ``docs/decisions/0006-parity.md`` for its rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Literal, Protocol

from pipelines.sync.model import Bound
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

NO_DAY = "none"  # the day of rows that are in no day
NULL_TEXT = "~"  # stands for NULL in a row's text; no value is written so
UNFIT_TEXT = "!"  # stands in the source's text for a value that no landing type holds: no row of the warehouse is equal to it
NUMBER_DIGITS = 15  # hex digits of a row's md5 that make its number: 60 bits, which are positive in every engine's bigint

CutKind = Literal["day", "range", "hash"]
# Whether a difference in a row proves anything. `settled`: the last load must have seen it as it is. `open`: it may have changed
# since, and nothing tells. `late`: a transaction may have written it that the last load could not see, so the next one reads it.
# `ahead`: it is newer than what was loaded, or in a day that is not compared.
RowState = Literal["settled", "open", "late", "ahead"]
# What a comparison makes of a row that is marked as deleted. `none`: the table has no marks. `gone`: it is not there, as the entry
# wants it. `unlike`: it is like no row of the source, so it is deleted or loses its mark, because the entry wants no marks any more.
Marked = Literal["none", "gone", "unlike"]


@dataclass(frozen=True)
class Cut:
    """How rows are cut into buckets, whose names are `base/prefix`.

    The base is the day, or the first key column shifted right by ``shift`` bits (`shift.number`), or empty; the prefix is the first
    ``digits`` of the hash of the row's key (of the whole row where there is no key).
    """

    kind: CutKind
    shift: int = 0
    digits: int = 0


@dataclass(frozen=True)
class Scope:
    """Which rows are compared, in which columns, and how they are cut.

    ``value``: the source's rows whose cursor is at most this text, and those without a cursor. ``settled``: the last load must have
    seen what is below it (`<`) or up to it (`<=`). ``first_day`` to ``end_day`` (exclusive) and rows in no day: of a partitioned
    table. ``aside`` are hashes of keys that are left out on both sides, ``ahead`` only in the warehouse. ``only``: names of buckets
    of ``only_digits``, if not all are asked for.
    """

    spec: TableSpec
    schema: TableSchema
    columns: tuple[Column, ...]
    cut: Cut
    page_rows: int
    value: str | None = None
    settled: tuple[Literal["<", "<="], str] | None = None
    first_day: date | None = None
    end_day: date | None = None
    time_zone: str = "UTC"
    aside: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    only_digits: int = 0
    marked: Marked = "none"


@dataclass(frozen=True)
class Stretch:
    """A piece of the source that one statement reads: `[lower, upper)` of what the cut's base is made of, in the source's text."""

    lower: str | None = None
    upper: str | None = None
    is_null: bool = False  # the rows that are in no day


@dataclass(frozen=True)
class Digest:
    """How many rows a bucket has, and the sum of their numbers, which does not depend on their order."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: "Digest") -> "Digest":
        """Return the digest of both."""
        return Digest(self.rows + other.rows, self.total + other.total)


@dataclass(frozen=True)
class HashedRow:
    """One row: its key in the source's own text (empty without a key), and the hashes of its key and of all compared columns."""

    key: Bound
    key_hash: str
    row_hash: str
    state: RowState = "open"


@dataclass(frozen=True)
class StoredBucket:
    """A bucket as it was compared last, and when its rows were hashed on the source."""

    source: Digest
    warehouse: Digest
    checked_at: datetime


@dataclass(frozen=True)
class ComparedBuckets:
    """What a comparison leaves of its buckets: ``kept`` are all that exist, of which ``hashed`` are new."""

    hashed: Mapping[str, StoredBucket]
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Difference:
    """One row that is not the same on both sides. ``rows`` counts alike ones where there is no key."""

    kind: Literal["missing", "extra", "different"]
    row: HashedRow
    rows: int = 1


@dataclass(frozen=True)
class ParityResult:
    """What a comparison of one table came to.

    ``source_rows`` and ``warehouse_rows`` are those that were compared; ``hashed_buckets`` of ``buckets`` were hashed on the source
    this time, the others stand unchanged in the warehouse since they were found equal, the oldest at ``oldest_at``.
    ``missing``, ``extra`` and ``different`` are rows in the warehouse as seen from the source; ``kept`` are rows that are gone from
    the source and stay by declaration (`deletes: ignore`). ``late`` may have been written by transactions that were open during
    the last load, so the next load reads them. ``in_flight`` are newer than the last load.
    ``marked`` rows are gone from the source and stay with the mark of that; they are no part of the warehouse's side.
    ``unsettled`` of the differences may have come after the last load: nothing tells when such rows change.
    """

    table: str  # id
    outcome: Literal["equal", "differs", "held"]
    mode: str = ""
    source_rows: int = 0
    warehouse_rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    kept: int = 0
    marked: int = 0
    unsettled: int = 0
    late: int = 0
    in_flight: int = 0
    quarantined: int = 0
    left_out: tuple[str, ...] = ()  # columns that cannot be compared
    differing_days: tuple[str, ...] = ()  # ISO; of a partitioned table, those whose rows were not the same before they were healed
    buckets: int = 0
    hashed_buckets: int = 0
    oldest_at: datetime | None = None
    source_as_of: datetime | None = None
    warehouse_as_of: datetime | None = None
    reread: int = 0  # rows that were read again and are equal now
    deleted: int = 0  # rows that were deleted from the warehouse, or marked there, as they are gone from the source
    overruled_by: str | None = None  # who had deletes go on that the guard had held
    reason: str | None = None  # why it is held, or what kept it from being healed
    differences: tuple[Difference, ...] = field(default=(), repr=False)  # with a key, at most `MAX_DIFFERENCES`; never stored

    @property
    def numbers(self) -> dict[str, Any]:
        """All but the keys, as plain data."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "differences"}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}


class Side(Protocol):
    """One side of a comparison. Every method MUST leave out ``scope.aside`` and keep to ``scope.only``, but for ``find_rows``."""

    def hash_buckets(self, scope: Scope, stretches: Sequence[Stretch]) -> Mapping[str, Digest]:
        """Return the digest of each bucket that has rows. On a source, one statement after the other, each of a bounded piece."""

    def list_rows(self, scope: Scope, stretches: Sequence[Stretch]) -> Sequence[HashedRow]:
        """Return every row of the buckets of ``scope.only``."""

    def find_rows(self, scope: Scope, rows: Sequence[HashedRow]) -> Sequence[HashedRow]:
        """Return what stands under the keys of ``rows`` now, wherever it is: in the scope or not."""


class SourceSide(Side, Protocol):
    """The source's side."""

    def hash_keys(self, scope: Scope, keys: Sequence[Bound]) -> Sequence[str]:
        """Return the hash of each key."""

    def list_ahead(self, scope: Scope, limit: int) -> Sequence[str]:
        """Return the hashes of the keys of at most ``limit`` rows whose cursor is beyond ``scope.value``."""


class WarehouseSide(Side, Protocol):
    """The warehouse's side, which needs no stretches."""

    def measure(self, scope: Scope) -> tuple[int, int, int]:
        """Return how many rows there are, and the least and the greatest value of the first key column (0 if it is no integer)."""

    def count_marked(self, scope: Scope) -> int:
        """Return how many rows of the table are marked as deleted, in the scope or not."""
