"""What the page of proof shows: what each table's comparison with its source came to, what is missing, and what was loaded again.

Plain data, as in `page`: nothing is computed, formatted or drawn here, and importing it costs nothing. `completeness_data` fills it in
from the mirror, `completeness.render_completeness` turns it into a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pipelines.delivery.page import RestatedDays


@dataclass(frozen=True)
class Comparison:
    """What the last comparison of a table came to: `ParityResult`, whose words these are, with its instants in the project's time."""

    outcome: str  # equal | differs | held
    source_rows: int = 0
    warehouse_rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    unsettled: int = 0  # of these three: rows that may have changed since the last load
    reread: int = 0
    deleted: int = 0
    in_flight: int = 0
    late: int = 0
    quarantined: int = 0
    kept: int = 0
    marked: int = 0
    buckets: int = 0
    hashed_buckets: int = 0
    left_out: tuple[str, ...] = ()  # columns that were not compared
    oldest_at: datetime | None = None  # of the ranges that the proof rests on, the one that was read longest ago
    source_as_of: datetime | None = None  # None: it could not be compared
    warehouse_as_of: datetime | None = None
    overruled_by: str | None = None
    reason: str | None = None

    @property
    def differing(self) -> int:
        """Rows that are not the same on both sides."""
        return self.missing + self.extra + self.different


@dataclass(frozen=True)
class TableProof:
    """One raw table of the catalog, and how to compare it."""

    table: str  # 'shop.orders'
    command: str
    compared: Comparison | None  # None: it never was
    held_reason: str | None = None  # why the data of its last load did not get in


@dataclass(frozen=True)
class Missing:
    """One piece of work that is left, and the command that does it."""

    table: str
    told: str
    remedy: str
    held: str | None  # why it waits for a person


@dataclass(frozen=True)
class BackfillState:
    """A back-fill that goes on, stopped, or ended lately. `last` is the last of its days."""

    table: str
    first: date
    last: date
    state: str  # running | paused | failed | died | done
    done_days: int
    all_days: int
    rows: int
    at: datetime  # when it was heard of last
    seconds_left: float | None = None  # None: nobody works on it, or nobody knows
    share: float | None = None  # of the time, that the source is read
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class CompletenessPage:
    """Everything on the page of proof. Instants are UTC and are shown in `time_zone`."""

    published_at: datetime
    time_zone: str  # IANA name
    stale_hours: int  # a comparison that is older proves too little
    tables: tuple[TableProof, ...] = ()
    missing: tuple[Missing, ...] = ()
    backfills: tuple[BackfillState, ...] = ()  # those that are not over come first
    restated: tuple[RestatedDays, ...] = ()  # newest first
    has_morning: bool = False  # whether the morning dashboard stands beside it
