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

import dagster as dg

from pipelines.assets.ingestion import BECAUSE, raw_key
from pipelines.jobs import BACKFILL
from pipelines.partitions import make_daily_partitions
from pipelines.runs.backfills import SENSOR_NAME_TAG, Asked, DaysOrder, assets_in_backfills, find_asked, launch_days
from pipelines.settings import Settings, load_settings
from pipelines.state.backfills import Backfill, ended_backfills, unfinished_backfills
from pipelines.sync.gaps import Gap, spans_of, tell_days
from pipelines.sync.plan import days_of
from pipelines.sync.spec import SourceSpec, TableSpec

NAME = "backfill_gaps"
INTERVAL_SECONDS = 300
MOST_AT_ONCE = 2  # back-fills of ours: the rest waits for a later tick
MOST_RUNS = 10  # of one back-fill, each of neighbouring days
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(days=1)  # after one that did not help
FILLED = ("days_missing", "days_differ", "unfinished")  # the rest is the morning's, or reconciliation's
LOOK_BACK = timedelta(days=7)  # a back-fill that ended longer ago was followed by a morning


@dataclass(frozen=True)
class Request:
    """A back-fill to ask for now."""

    table: str  # id
    days: tuple[date, ...]
    why: str
    backfill_id: str


@dataclass(frozen=True)
class Wish:
    """The days of one table that are wanted, and why."""

    table: str  # id
    days: tuple[date, ...]
    why: str

    def id_of(self, attempt: int) -> str:
        """Return the id of a back-fill by what it is about: the same days for the same reason, and the how manieth time."""
        content = json.dumps([self.table, [str(day) for day in self.days], attempt])
        return hashlib.sha256(content.encode()).hexdigest()[:20]


def list_wishes(gaps: Sequence[Gap]) -> list[Wish]:
    """Return what is wanted, one wish a table; not of a table that waits for a person. Pure."""
    days: dict[str, set[date]] = {}
    why: dict[str, list[str]] = {}
    for gap in gaps:
        if gap.kind in FILLED and gap.days and gap.held is None:
            days.setdefault(gap.table, set()).update(gap.days)
            why.setdefault(gap.table, []).append(gap.told)
    return [Wish(table, _few_spans(found), "; ".join(why[table])) for table, found in days.items()]


def _few_spans(days: Set[date]) -> tuple[date, ...]:
    return tuple(day for span in spans_of(days, MOST_RUNS) for day in days_of(span))


def decide(wishes: Sequence[Wish], busy: Set[str], find: Callable[[str], Asked | None], now: datetime) -> tuple[list[Request], list[str]]:
    """Return the back-fills to ask for, and why the other wishes wait. Pure but for ``find``, which tells of an id that was used.

    ``busy`` are tables (ids) that a back-fill is about already.
    """
    requests, waiting = list[Request](), list[str]()
    for wish in wishes:
        if wish.table in busy:
            waiting.append(f"{wish.table}: a back-fill is going on")
            continue
        attempt, last = 1, find(wish.id_of(1))
        while last is not None and (following := find(wish.id_of(attempt + 1))) is not None:
            attempt, last = attempt + 1, following
        reason = _why_wait(attempt, last, now)
        if reason is None and len(busy) + len(requests) >= MOST_AT_ONCE:
            reason = f"{MOST_AT_ONCE} back-fills at once are enough"
        if reason is None:
            number = attempt + 1 if last else attempt
            again = f" (attempt {number})" if last else ""
            requests.append(Request(wish.table, wish.days, f"{wish.table}: {wish.why}{again}", wish.id_of(number)))
        else:
            waiting.append(f"{wish.table}: {reason}")
    return requests, waiting


def _why_wait(attempt: int, last: Asked | None, now: datetime) -> str | None:
    """Return why what was asked for ``attempt`` times is not asked for again now; None if it is."""
    if last is None:
        return None
    if last.outcome == "running":
        return "its back-fill is going on"
    if last.outcome == "canceled":
        return "somebody canceled its back-fill; other days, or the command `daybreak backfill`, begin anew"
    pause = min(FIRST_PAUSE * 2 ** min(attempt - 1, 10), LONGEST_PAUSE)
    return f"tried {attempt} times, again at {last.at + pause:%Y-%m-%d %H:%M} UTC" if now < last.at + pause else None


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
        return _tick(context, settings, sources, tables)

    return [tick]


def _tick(
    context: dg.SensorEvaluationContext, settings: Settings, sources: Sequence[SourceSpec], tables: Mapping[str, TableSpec]
) -> dg.SensorResult:
    from pipelines.assets.dbt_build import outdated_tables
    from pipelines.assets.manifest import load_manifest
    from pipelines.gaps import list_gaps
    from pipelines.wiring import open_mirror

    mirror, instance = open_mirror(settings.state_url), context.instance
    partitions = make_daily_partitions(settings, sources)
    if partitions is None:
        raise RuntimeError("a sensor of partitioned tables, and no partitions")
    wishes = [wish for wish in list_wishes(list_gaps(settings, mirror)) if wish.table in tables]
    in_dagster = assets_in_backfills(instance)
    busy = {one.table_id for one in unfinished_backfills(mirror) if one.is_at_work}
    busy |= {table_id for table_id, table in tables.items() if raw_key(table) in in_dagster}
    requests, waiting = decide(wishes, busy, lambda backfill_id: find_asked(instance, backfill_id), datetime.now(UTC))
    for request in requests:
        order = DaysOrder(
            request.backfill_id, raw_key(tables[request.table]), request.days, request.why, {BECAUSE: request.why, SENSOR_NAME_TAG: NAME}
        )
        if launch_days(instance, order, partitions):
            context.log.info(f"asked for a back-fill: {request.why}")
    if requests or busy:
        told = [f"asked for {request.table}, {tell_days(request.days)}" for request in requests]
        return dg.SensorResult(skip_reason="; ".join([*told, *waiting]) or f"going on: {', '.join(sorted(busy))}")
    ended = ended_backfills(mirror, datetime.now(UTC) - LOOK_BACK)
    outdated = outdated_tables(settings, mirror, load_manifest(settings)) if ended else set()
    unfollowed = [one for one in ended if one.table_id in outdated & tables.keys()]
    return _follow(context, unfollowed, tables) if unfollowed else dg.SensorResult(skip_reason="; ".join(waiting) or "no gaps")


def _follow(context: dg.SensorEvaluationContext, ended: Sequence[Backfill], tables: Mapping[str, TableSpec]) -> dg.SensorResult:
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
