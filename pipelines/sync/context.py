"""What a sync works with: the parts that an ``Engine`` is made of. No behaviour."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from pipelines.landing.store import Landing
from pipelines.state.mirror import Mirror
from pipelines.sync.land import KeyOf
from pipelines.sync.protocols import Gate, Source, Warehouse
from pipelines.sync.spec import TableSpec
from pipelines.sync.throttle import Throttle, Unthrottled

Progress = Callable[[TableSpec, str, int], None]  # table, phase, rows read so far


def ignore_progress(_table: TableSpec, _phase: str, _rows: int) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Engine:
    """Everything a sync needs. Its source serves one thread; all else may be shared."""

    source: Source
    warehouse: Warehouse
    gate: Gate
    landing: Landing
    mirror: Mirror
    mask_key: KeyOf
    time_zone: str
    chunk_rows: int
    chunk_bytes: int
    max_windows: int
    clock: Callable[[], datetime]
    today: Callable[[], date]
    progress: Progress = ignore_progress
    throttle: Throttle = field(default_factory=Unthrottled)
    run_id: str | None = None
    is_backfill: bool = False
    lets_vanish: bool = False  # a person allowed that many rows of days that are loaded again are gone
    filling: Callable[[], Throttle] = Unthrottled  # of columns that are filled in rows which stand already
