"""What the catalog says, in the engine's words: sources, their tables, and the gates of a table. And the hours of back-fills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Literal

Mode = Literal["incremental", "partitioned", "snapshot"]
OnFailure = Literal["quarantine", "hold", "warn"]
Contract = Literal["evolve", "approve", "freeze"]
Deletes = Literal["ignore", "reconcile"]
DeletedRows = Literal["remove", "mark"]
Mask = Literal["drop", "hmac"]
# A table is fresh if its source was read whole within this time: a daily run, and two hours of patience.
FRESH_HOURS = 26


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
    max_quarantined: int | float = 0.05  # rows (int), or a share of the load's (float); above it the load is held
    deletes: Deletes = "ignore"  # of an incremental table; the other modes follow them as they read
    deleted_rows: DeletedRows = "remove"  # what becomes of a row that is gone from the source, where deletes are reconciled
    max_deletes: int | float = 0.05  # rows (int), or a share of those compared (float), that a comparison deletes by itself
    relation: str = ""  # what the source calls the table, where that is not ``name``
    followed: str = ""  # what it is called since it was renamed there, as long as nobody told the catalog

    @property
    def id(self) -> str:
        """``source.table``: how people and the state name it."""
        return f"{self.source}.{self.name}"

    @property
    def marks_deleted(self) -> bool:
        """Whether a row that is gone from the source stays, with the time that it was noticed."""
        return self.mode == "incremental" and self.deletes == "reconcile" and self.deleted_rows == "mark"

    @property
    def source_table(self) -> str:
        """What the source calls the table."""
        return self.followed or self.relation or self.name


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
class Hours:
    """The time of day, in the project's zone, in which back-fills may read: from ``start`` to ``end``, which may be on the next day."""

    start: time
    end: time

    def allow(self, clock: time) -> bool:
        """Whether a back-fill may read at this time of day."""
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M} to {self.end:%H:%M}"
