"""Turns gaps into back-fills: days that no load committed, that differ from the source, or that a dead back-fill left.

What to do follows from what stands (``pipelines.gaps``) and from the back-fills that Dagster has, and from nothing that a tick
remembers: a tick that is missed, doubled, late or killed half-way changes nothing. When the back-fills are over, one run builds the
models on their tables.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.assets.ingestion import BECAUSE, raw_key
from pipelines.errors import DaybreakError
from pipelines.jobs import BACKFILL
from pipelines.partitions import make_daily_partitions
from pipelines.runs.backfills import (
    CONTENT_TAG,
    SENSOR_NAME_TAG,
    TABLE_TAG,
    Asked,
    DaysOrder,
    assets_in_backfills,
    find_newest,
    launch_days,
)
from pipelines.settings import Settings, load_settings
from pipelines.sync.gaps import Gap, spans_of, tell_days
from pipelines.sync.plan import days_of
from pipelines.sync.spec import SourceSpec, TableSpec

if TYPE_CHECKING:  # what a tick works with is imported when it ticks
    from pipelines.state.backfills import Backfill
    from pipelines.state.mirror import Mirror


NAME = "backfill_gaps"
INTERVAL_SECONDS = 300
GOING_ON = "a back-fill is going on"
MOST_RUNS = 10  # of one back-fill, each of neighbouring days
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(days=1)  # after one that did not help
FILLED = ("days_missing", "days_differ", "unfinished")  # the rest is the morning's, or reconciliation's
LOOK_BACK = timedelta(days=7)  # a back-fill that ended longer ago was followed by a morning


@dataclass(frozen=True)
class Wish:
    """The days of one table that are wanted, and why."""

    table: str  # id
    days: tuple[date, ...]
    why: str

    @property
    def content(self) -> str:
        """Stand for the table and the days."""
        return hashlib.sha256(json.dumps([self.table, [str(day) for day in self.days]]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Known:
    """What Dagster knows of a wish: the newest back-fill of its table, and the newest of just these days."""

    of_table: Asked | None = None
    of_days: Asked | None = None


def list_wishes(gaps: Sequence[Gap]) -> list[Wish]:
    """Return what is wanted, one wish a table; not of a table that waits for a person. Pure."""
    days: dict[str, set[date]] = {}
    why: dict[str, list[str]] = {}
    for gap in gaps:
        if gap.kind in FILLED and gap.days and gap.held is None:
            days.setdefault(gap.table, set()).update(gap.days)
            why.setdefault(gap.table, []).append(gap.told)
    waiting = {(gap.table, day) for gap in gaps if gap.held is not None for day in gap.days}
    left = {table: {day for day in found if (table, day) not in waiting} for table, found in days.items()}
    return [Wish(table, _few_spans(found), "; ".join(why[table])) for table, found in left.items() if found]


def _few_spans(days: Set[date]) -> tuple[date, ...]:
    return tuple(day for span in spans_of(days, MOST_RUNS) for day in days_of(span))


def decide(wishes: Sequence[Wish], busy: Mapping[str, str], find: Callable[[Wish], Known], now: datetime) -> tuple[list[Wish], list[str]]:
    """Return the wishes to ask for now, and why the others wait. Pure but for ``find``.

    ``busy`` says of tables (ids) what goes on with them already.
    """
    asked, waiting = list[Wish](), list[str]()
    for wish in wishes:
        reason = busy.get(wish.table) or _why_wait(wish, find(wish), now)
        if reason is None and (asked or any(told == GOING_ON for told in busy.values())):
            reason = "one back-fill at once is enough"
        if reason is None:
            asked.append(wish)
        else:
            waiting.append(f"{wish.table}: {reason}")
    return asked, waiting


def _why_wait(wish: Wish, known: Known, now: datetime) -> str | None:
    """Return why a wish is not asked for now; None if it is."""
    last = known.of_table
    if last and last.outcome == "running":
        return GOING_ON
    if last and last.outcome == "canceled" and last.days >= set(wish.days):
        return "somebody canceled its back-fill; the command `daybreak backfill` goes on with it"
    same = known.of_days
    if same is None:
        return None
    pause = min(FIRST_PAUSE * 2 ** min(same.attempt - 1, 10), LONGEST_PAUSE)
    return f"tried {same.attempt} times, again at {same.at + pause:%Y-%m-%d %H:%M} UTC" if now < same.at + pause else None


def make_backfill_gaps(sources: Sequence[SourceSpec]) -> list[dg.SensorDefinition]:
    """Return the sensor; none without a partitioned table."""
    tables = {table.id: table for source in sources for table in source.tables if table.partition}
    if not tables:
        return []

    @dg.sensor(
        name=NAME,
        job_name=BACKFILL,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Days that are missing or differ from their source are loaded again, then the models on them are built.",
    )
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings()
        hours = settings.backfill_hours
        if hours and not hours.allow(settings.local_time()):
            return dg.SensorResult(skip_reason=f"back-fills may read from {hours}")
        try:
            return _tick(context, settings, sources, tables)
        except DaybreakError as error:
            return dg.SensorResult(skip_reason=str(error))

    return [tick]


def _tick(
    context: dg.SensorEvaluationContext, settings: Settings, sources: Sequence[SourceSpec], tables: Mapping[str, TableSpec]
) -> dg.SensorResult:
    from pipelines.assets.dbt_build import outdated_tables
    from pipelines.assets.manifest import load_manifest
    from pipelines.gaps import list_gaps
    from pipelines.state.backfills import ended_backfills
    from pipelines.wiring import open_mirror, rebuild_mirror

    if missing := rebuild_mirror(settings):
        return dg.SensorResult(skip_reason=missing)
    mirror, instance = open_mirror(settings.state_url), context.instance
    partitions = make_daily_partitions(settings, sources)
    if partitions is None:
        raise RuntimeError("a sensor of partitioned tables, and no partitions")
    wishes = [wish for wish in list_wishes(list_gaps(settings, mirror)) if wish.table in tables]
    busy = _find_busy(mirror, instance, tables)

    def find(wish: Wish) -> Known:
        return Known(find_newest(instance, TABLE_TAG, wish.table), find_newest(instance, CONTENT_TAG, wish.content))

    asked, waiting = decide(wishes, busy, find, datetime.now(UTC))
    for wish in asked:
        before = find_newest(instance, CONTENT_TAG, wish.content)
        attempt = before.attempt + 1 if before else 1
        again = f" (attempt {attempt})" if before else ""
        order = DaysOrder(wish.table, raw_key(tables[wish.table]), wish.days, f"{wish.table}: {wish.why}{again}", wish.content, attempt)
        if launch_days(instance, order, partitions, {BECAUSE: order.title, SENSOR_NAME_TAG: NAME}):
            context.log.info(f"asked for a back-fill: {order.title}")
    if asked or busy:
        told = [f"asked for {wish.table}, {tell_days(wish.days)}" for wish in asked]
        going_on = [f"{table}: {what}" for table, what in sorted(busy.items())]
        return dg.SensorResult(skip_reason="; ".join(dict.fromkeys([*told, *waiting, *going_on])))
    ended = ended_backfills(mirror, datetime.now(UTC) - LOOK_BACK)
    outdated = outdated_tables(settings, mirror, load_manifest(settings)) if ended else set()
    unfollowed = [one for one in ended if one.table_id in outdated & tables.keys()]
    return _follow(context, unfollowed, tables) if unfollowed else dg.SensorResult(skip_reason="; ".join(waiting) or "no gaps")


def _find_busy(mirror: "Mirror", instance: dg.DagsterInstance, tables: Mapping[str, TableSpec]) -> dict[str, str]:
    """Return what goes on with tables: a sync, which may be loading just what is missing, or a back-fill, whoever asked for it."""
    from pipelines.state.attempts import open_attempts
    from pipelines.state.backfills import unfinished_backfills

    in_dagster = assets_in_backfills(instance)
    synced = {attempt.table_id for attempt in open_attempts(mirror) if attempt.state == "running"}
    filled = {one.table_id for one in unfinished_backfills(mirror) if one.is_at_work}
    filled |= {table_id for table_id, table in tables.items() if raw_key(table) in in_dagster}
    return {**dict.fromkeys(synced & tables.keys(), "a sync is going on"), **dict.fromkeys(filled & tables.keys(), GOING_ON)}


def _follow(context: dg.SensorEvaluationContext, ended: "Sequence[Backfill]", tables: Mapping[str, TableSpec]) -> dg.SensorResult:
    """Return the run of the models on the tables of back-fills that ended; the same back-fills are followed once."""
    if context.repository_def is None:
        raise RuntimeError("a sensor is evaluated inside a repository")
    names = sorted({one.table_id for one in ended})
    keys = [raw_key(tables[name]) for name in names]
    downstream = dg.AssetSelection.assets(*keys).downstream() - dg.AssetSelection.assets(*keys)
    request = dg.RunRequest(
        run_key=hashlib.sha256(json.dumps(sorted(one.backfill_id for one in ended)).encode()).hexdigest()[:16],
        asset_selection=sorted(downstream.resolve(context.repository_def.asset_graph)),
        tags={BECAUSE: f"back-fill of {', '.join(names)}"},
    )
    return dg.SensorResult(run_requests=[request])
