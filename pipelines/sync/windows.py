"""What one sync of a table reads: which days, in which windows, and as of when the table is then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipelines.sync import horizon, plan
from pipelines.sync.context import Engine
from pipelines.sync.model import DayRange, Observation, Window
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec


@dataclass(frozen=True)
class Basis:
    """What the windows of one sync are made of."""

    schema: TableSchema
    observation: Observation
    days: Sequence[date]  # of a partitioned table, wanted now
    is_altered: bool  # the schema has changed
    is_reread: bool  # all rows are read again


def list_windows(engine: Engine, spec: TableSpec, basis: Basis) -> Iterator[Window]:
    """Yield the windows of one sync, each when the load of the one before is committed."""
    watermark = engine.mirror.status(spec.id).watermark
    if spec.mode == "snapshot":
        yield Window()
    elif spec.mode == "incremental":
        # Its landed chunks stand on what is committed now.
        if not basis.is_altered and not basis.is_reread and _is_filling(engine, spec):
            yield from _fill_window(engine, spec)
        yield plan.cursor_window(spec, None if basis.is_reread else watermark, basis.observation)
        yield from _fill_window(engine, spec)
    else:
        yield from _day_windows(engine, spec, basis.schema, basis.days)


def _fill_window(engine: Engine, spec: TableSpec) -> Iterator[Window]:
    """Yield the window that fills the columns which have no values yet in rows of before they came, if there are any."""
    watermark = engine.mirror.status(spec.id).watermark
    if watermark and watermark.unfilled:
        yield Window(columns=watermark.unfilled)


def _is_filling(engine: Engine, spec: TableSpec) -> bool:
    """Whether a fill was left unfinished."""
    unfinished = engine.landing.find_unfinished(spec)
    return bool(unfinished and unfinished.window.columns)


def _day_windows(engine: Engine, spec: TableSpec, schema: TableSchema, wanted: Sequence[date]) -> list[Window]:
    """Cut ``wanted`` days into windows. One that a crash left unfinished keeps its days and comes first, so that its chunks count."""
    unfinished = engine.landing.find_unfinished(spec)
    begun = unfinished.window if unfinished else Window()
    kept = list(begun.days) if set(begun.days) <= set(wanted) else []
    rest = [day for day in wanted if day not in kept]
    first, others = (plan.day_windows(spec, schema, days, engine.time_zone) for days in (kept, rest))
    # Each ends with the window of values in no day, which is wanted once.
    return sorted([*first[:-1], *others], key=lambda window: window != begun)


def choose_days(engine: Engine, spec: TableSpec, days: DayRange | None, *, is_reread: bool) -> tuple[list[date], list[date]]:
    """Return the days of a partitioned table to load now, and those that are too many for one run."""
    if not spec.partition:
        return [], []
    found = engine.source.partition_range(spec, engine.time_zone)
    source = plan.day_range(*found) if found else None
    today = engine.today()
    engine.mirror.record_seen(spec.id, source.start if source else today, min(source.end, today) if source else today)
    if days:
        stands = () if engine.lets_vanish else engine.mirror.days(spec.id)
        return plan.requested_days(spec, days, today, source, stands), []
    watermark = engine.mirror.status(spec.id).watermark
    unseen_at = horizon.unseen_since(watermark.observations) if watermark else None
    # A day earlier, as the clock on the wall that a row's day is taken from may be behind the project's.
    unseen = unseen_at.astimezone(ZoneInfo(engine.time_zone)).date() - timedelta(days=1) if unseen_at else None
    # A day without a digest was committed, and must be read again.
    committed = [day for day, digest in engine.mirror.days(spec.id).items() if day and digest.digest and not is_reread]
    return plan.cut_days(plan.missing_days(spec, committed, source, today, unseen), committed, engine.max_windows)


def stands_as_of(engine: Engine, spec: TableSpec, days: DayRange) -> datetime:
    """Return what a table is as of when days of it are loaded that somebody asked for: it is as old as it was, whatever they bring."""
    return engine.mirror.status(spec.id).data_as_of or datetime.combine(days.start, time(), ZoneInfo(engine.time_zone))


def complete_until(engine: Engine, spec: TableSpec, left: Sequence[date], observed_at: datetime) -> datetime:
    """Return what the table is as of once all but the days of ``left`` are loaded: those that stand are as old as they were."""
    known, stands = engine.mirror.days(spec.id), engine.mirror.status(spec.id).data_as_of
    zone = ZoneInfo(engine.time_zone)
    ends = [stands if day in known and stands else datetime.combine(day, time(), zone) for day in left]
    return min([observed_at, *ends])
