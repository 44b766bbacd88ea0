"""What the mirror knows of one table, as a value."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.sync import codec
from pipelines.sync.model import DayRange, Watermark


@dataclass(frozen=True)
class TableStatus:
    """What is known of one table without asking the warehouse."""

    table_id: str
    load_id: str | None = None
    watermark: Watermark | None = None
    schema_version: int = 0
    total_rows: int | None = None
    quarantined_open: int = 0
    committed_at: datetime | None = None
    data_as_of: datetime | None = None
    checked_at: datetime | None = None
    held_reason: str | None = None
    held_at: datetime | None = None
    held_load_id: str | None = None
    held_since: datetime | None = None  # of the first morning in a row on which it was held
    held_mornings: int = 0
    seen: DayRange | None = None  # the days that the source had when it was looked at last, and that were over


def read_status(row: sa.Row[Any]) -> TableStatus:
    """Return a row of the mirror's table ``tables``."""
    return TableStatus(
        table_id=row.table_id,
        load_id=row.load_id,
        watermark=codec.WATERMARK.validate_python(row.watermark) if row.watermark else None,
        schema_version=row.schema_version or 0,
        total_rows=row.total_rows,
        quarantined_open=row.quarantined_open or 0,
        committed_at=_instant(row.committed_at),
        data_as_of=_instant(row.data_as_of),
        checked_at=_instant(row.checked_at),
        held_reason=row.held_reason,
        held_at=_instant(row.held_at),
        held_load_id=row.held_load_id,
        held_since=_instant(row.held_since),
        held_mornings=row.held_mornings or 0,
        seen=DayRange(date.fromisoformat(row.seen_first), date.fromisoformat(row.seen_end)) if row.seen_first else None,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
