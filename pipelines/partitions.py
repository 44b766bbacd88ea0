"""The project's one set of daily partitions. Two of them in one job would be an error, so every partitioned table shares it."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.settings import Settings
from pipelines.sync.spec import SourceSpec


def make_daily_partitions(settings: Settings, sources: Sequence[SourceSpec]) -> dg.DailyPartitionsDefinition | None:
    """Return days from the earliest ``start`` of any table, in the project's time zone; None without a partitioned table.

    Each table's own start is kept by the engine.
    """
    starts = [table.partition.start for source in sources for table in source.tables if table.partition]
    if not starts:
        return None
    return dg.DailyPartitionsDefinition(
        start_date=min(starts).isoformat(), timezone=settings.time_zone, end_offset=_days_ahead(settings.today, settings.time_zone)
    )


def _days_ahead(today: date | None, time_zone: str) -> int:
    """Return how far the project's day is ahead of the clock's: a simulated source may live in next week."""
    if today is None:
        return 0
    return max(0, (today - datetime.now(ZoneInfo(time_zone)).date()).days)
