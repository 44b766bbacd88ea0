"""Which windows a sync is about, from the catalog, the committed state and the source's own range. Pure."""

from collections.abc import Collection, Container, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipelines.sync import codec
from pipelines.sync.model import DayRange, Observation, Watermark, Window
from pipelines.sync.schema import CHANGES_VALUES, is_restart
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec

# Days that are loaded together: one gate, one commit and one set of files a month instead of thirty.
DAYS_PER_LOAD = 31


def cursor_window(spec: TableSpec, watermark: Watermark | None, observation: Observation) -> Window:
    """Return the incremental window: from what the last load could not be sure of, to the greatest cursor of now."""
    return Window(column=spec.cursor, lower=watermark.next_lower if watermark else None, upper=observation.max_cursor)


def is_reread(spec: TableSpec, watermark: Watermark | None, changes: Sequence[SchemaChange], mask_key_id: str) -> bool:
    """Whether what was loaded before must be read again, because rows that did not move are not what they were.

    That is so when key, cursor, masks or the key of the masks changed, when a column was added (with values) or got another type
    (unless it can be filled by itself: see ``schema.columns_to_fill``), and when another table has the name now.
    """
    if watermark is None:
        return False
    is_other = watermark.content_fingerprint not in ("", codec.content_fingerprint(spec)) or watermark.mask_key_id not in ("", mask_key_id)
    return is_other or is_restart(spec, changes) or any(change.kind in (*CHANGES_VALUES, "swap") for change in changes)


def missing_days(
    spec: TableSpec, committed: Collection[date], source: DayRange | None, today: date, unseen: date | None = None
) -> list[date]:
    """Return the days that a complete warehouse would have and this one has not, and those to be looked at again.

    A day is complete once it is over; days before ``start`` are left out by declaration, and days after the last row have
    not happened yet. ``source`` is None for an empty table: its newest days may have been loaded before they were deleted.
    Older days before the source's first row are not read again: a source that forgets its past must not empty the warehouse.
    ``unseen`` is the day since which transactions were open that the last sync could not see: the look-back reaches as far.
    """
    if spec.partition is None:
        raise ValueError(f"{spec.id} is not partitioned")
    ends = [*([source.end] if source else []), *([max(committed) + timedelta(days=1)] if committed else [])]
    if not ends:
        return []
    end = min(today, max(ends))
    # Counted from the last day that was seen: after a pause, its late rows may have come while nobody looked.
    last_seen = min(end - timedelta(days=1), max(committed) + timedelta(days=1)) if committed else end - timedelta(days=1)
    again = last_seen - timedelta(days=spec.partition.lookback_days)
    if unseen and source:
        again = min(again, max(unseen, source.start))
    first = min(source.start if source else end, again if committed else end)
    days = days_of(DayRange(max(spec.partition.start, first), end))
    return [day for day in days if day not in committed or day >= again]


def cut_days(wanted: Sequence[date], committed: Collection[date], limit: int) -> tuple[list[date], list[date]]:
    """Return the days that one run loads, and those that it leaves to the next: looking again waits for what was never loaded."""
    first = sorted(wanted, key=lambda day: (day in committed, day))
    return sorted(first[:limit]), sorted(first[limit:])


def requested_days(spec: TableSpec, days: DayRange, today: date, source: DayRange | None, committed: Container[date | None]) -> list[date]:
    """Return the days of a request that the table has: not before its start, and none that is not over yet.

    Nor one that stands and is from before the source's first row: a source that forgets its past must not empty the warehouse.
    ``source`` is None for an empty table.
    """
    first = source.start if source else today
    return [day for day in days_of(clip_days(spec, days, today)) if day >= first or day not in committed]


def clip_days(spec: TableSpec, days: DayRange, today: date) -> DayRange:
    """Return the days of a range from the table's start on that are over; an empty range if there are none."""
    start = max(days.start, spec.partition.start if spec.partition else days.start)
    return DayRange(start, max(start, min(days.end, today)))


def day_range(first: str, last: str) -> DayRange:
    """Return the half-open range from the first to the last ISO day."""
    return DayRange(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))


def day_windows(spec: TableSpec, schema: TableSchema, days: list[date], time_zone: str) -> list[Window]:
    """Group consecutive days into windows, their bounds written for the column's type."""
    if spec.partition is None:
        raise ValueError(f"{spec.id} is not partitioned")
    column = schema.column(spec.partition.column)
    windows = [_day_window(column.name, column.arrow_type, group, time_zone) for group in _consecutive(sorted(set(days)))]
    # The last window is of the values that are in no day: NULL, and infinite ones.
    return [*windows, Window(column=column.name, is_null=True)]


def day_start(day: date, arrow_type: pa.DataType, time_zone: str) -> str:
    """Return the first instant of ``day`` as a literal for a column of ``arrow_type``."""
    if pa.types.is_timestamp(arrow_type) and arrow_type.tz:
        return datetime.combine(day, time(), ZoneInfo(time_zone)).isoformat()
    return day.isoformat()


def _day_window(column: str, arrow_type: pa.DataType, days: tuple[date, ...], time_zone: str) -> Window:
    lower = day_start(days[0], arrow_type, time_zone)
    upper = day_start(days[-1] + timedelta(days=1), arrow_type, time_zone)
    return Window(column=column, lower=lower, upper=upper, days=days)


def _consecutive(days: list[date]) -> Iterator[tuple[date, ...]]:
    group: list[date] = []
    for day in days:
        if group and (day != group[-1] + timedelta(days=1) or len(group) == DAYS_PER_LOAD):
            yield tuple(group)
            group = []
        group.append(day)
    if group:
        yield tuple(group)


def days_of(span: DayRange) -> Iterator[date]:
    """Yield the days of a range."""
    day = span.start
    while day < span.end:
        yield day
        day += timedelta(days=1)
