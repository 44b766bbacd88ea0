"""Rows that stepped aside, as frozen data: what landed of them, and how they stand in the quarantine."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

NULL_KEY = "null_key"  # the reason of a row with a NULL in its key


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that stepped aside, with its original text. ``position`` is its 0-based place in the landed file."""

    position: int
    key: str | None  # JSON of the key's values, None for a table without a key
    column: str
    reason: str
    original: str  # JSON of the row as text, after masks
    day: date | None = None


QuarantineState = Literal["open", "fixed", "replayed"]


@dataclass(frozen=True)
class QuarantineEntry:
    """A row in quarantine, as the warehouse keeps it. ``stale_load_id``: the load whose older version of it stands in the table."""

    table: str  # id
    key: str | None
    column: str
    reason: str
    original: str
    day: date | None
    load_id: str
    state: QuarantineState
    quarantined_at: datetime
    closed_at: datetime | None
    stale_load_id: str | None


@dataclass(frozen=True)
class QuarantineCount:
    """How many rows of a table stand in quarantine for one reason, and since when."""

    table: str  # id
    column: str
    reason: str
    open: int
    stale: int
    replayed: int
    fixed: int
    oldest_open_at: datetime | None


@dataclass(frozen=True)
class WaitingRows:
    """The open rows of a table: ``keys`` (JSON, each once) can be asked for; of rows without a whole key only the days are known."""

    keys: tuple[str, ...]
    unnamed: int
    unnamed_days: tuple[date, ...]
