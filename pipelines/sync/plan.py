"""Which windows a sync is about, from the catalog, the committed state and the source's own range. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipelines.sync.model import Observation, TableSchema, TableSpec, Watermark, Window

# Days that are loaded together: one gate, one commit and one set of files a month instead of thirty.
DAYS_PER_LOAD = 31


@dataclass(frozen=True)
class DayRange:
    """Days asked for by a person or a back-fill, half-open."""

    start: date
    end: date


def cursor_window(spec: TableSpec, watermark: Watermark | None, observation: Observation) -> Window:
    """Return the incremental window: from what the last load could not be sure of, to the greatest cursor of now."""
    return Window(column=spec.cursor, lower=watermark.next_lower if watermark else None, upper=observation.max_cursor)


def missing_days(spec: TableSpec, committed: Collection[date], source: DayRange, today: date) -> list[date]:
    """Return the days that a complete warehouse would have and this one has not, then those to be looked at again.

    A day is complete once it is over; days before ``start`` are left out by declaration, and days after the source's last
    row have not happened yet.
    """
    if spec.partition is None:
        raise ValueError(f"{spec.id} is not partitioned")
    end = min(today, source.end)
    days = list(days_of(DayRange(max(spec.partition.start, source.start), end)))
    again = end - timedelta(days=spec.partition.lookback_days + 1)
    return [day for day in days if day not in committed or day >= again]


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
