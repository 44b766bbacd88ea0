"""What a database says of its tables, before anything is guessed from it. No behaviour but arithmetic."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["table", "partitioned", "view", "materialized view", "foreign table"]


@dataclass(frozen=True)
class SurveyedColumn:
    """A column: its type as the source writes it, and the name of its base type after domains.

    ``oldest`` is the earliest day that the statistics know of, for dates and timestamps; the table may have earlier ones.
    """

    name: str
    type: str
    base_type: str
    is_nullable: bool
    is_readable: bool = True
    oldest: date | None = None


@dataclass(frozen=True)
class UniqueIndex:
    """A unique index that is valid, total and checked at once: its columns prove a key if none of them is NULL."""

    name: str
    columns: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True)
class Activity:
    """What the statistics counted, over all partitions. ``rows`` is the planner's estimate; None if nothing is known."""

    rows: int | None = None
    live: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def is_surely_filled(self) -> bool:
        """Whether rows are there now: the counters say so, or they start after the planner's number (a standby has none)."""
        counted = self.inserted + self.updated + self.deleted
        return self.live > 0 or (counted == 0 and bool(self.rows))


@dataclass(frozen=True)
class Partitioning:
    """How PostgreSQL itself cuts a table. ``column`` is the first one of a range; None for lists, hashes and expressions.

    ``first_day`` is the day of the lowest bound; None if rows may stand below every bound, or if it is no day.
    """

    column: str | None
    leaves: int
    first_day: date | None = None


@dataclass(frozen=True)
class SurveyedTable:
    """One relation of the schema. ``refusal`` says why it cannot be synced as it is; columns are in the source's order."""

    name: str
    kind: Kind
    columns: tuple[SurveyedColumn, ...] = ()
    unique: tuple[UniqueIndex, ...] = ()
    indexed: frozenset[str] = frozenset()  # columns that a whole, valid index begins with
    activity: Activity = Activity()
    partitioning: Partitioning | None = None
    children: int = 0  # tables that inherit from it, outside of partitioning: their rows are read with its own
    refusal: str | None = None

    def column(self, name: str) -> SurveyedColumn:
        """Return the column called ``name``; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class Survey:
    """One schema of a database, its relations by name."""

    database: str
    schema: str
    tables: tuple[SurveyedTable, ...]
