"""Loads days of a partitioned table again: window after window, gently, and from where a dead attempt stopped.

Each window is a load like any other. What is added here is the position, the hours in which the source may be read, and manners: a
live sync of the table goes first, and the source is left alone as its own answers ask for (``throttle``).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

from pipelines.state.backfills import Backfill, begin_backfill, new_backfill, save_backfill, touch_backfill
from pipelines.sync.context import Engine, Progress
from pipelines.sync.engine import summarise, sync_table
from pipelines.sync.model import DayRange, TableResult
from pipelines.sync.plan import clip_days
from pipelines.sync.spec import Hours, TableSpec
from pipelines.sync.steps import step
from pipelines.sync.throttle import Stopped

DAYS_PER_WINDOW = 7  # of one load: what a conflict with a live sync, or the end of the hours, costs at most
MOST_DAYS_PER_WINDOW = 28  # of one that reads few rows: then it is the loads that cost, not the days
HEARTBEAT_SECONDS = 20.0


@dataclass(frozen=True)
class BackfillOrder:
    """What was asked for: which days and why, when it may read, and who watches. ``is_anew``: from its first day, whatever was done."""

    days: DayRange
    reason: str
    hours: Hours | None
    local_time: Callable[[], time_of_day]
    each: Callable[[Backfill], None]
    is_anew: bool = False


def backfill_table(engine: Engine, spec: TableSpec, order: BackfillOrder) -> TableResult:
    """Load the days of the order again, and return what came of those that this attempt looked at.

    ``TableResult.unfinished`` says why some are left, if they are. Raises what ``sync_table`` raises, and ``LoadConflict`` if another
    process is at these days; the position is kept either way.
    """
    span = clip_days(spec, order.days, engine.today())
    if span.start == span.end:
        return TableResult(spec.id, "unchanged", note=f"none of these days is over and after the table's start: {_tell(order.days)}")
    wanted = new_backfill(spec.id, span, order.reason, engine.run_id)
    start = spec.partition.start if spec.partition else span.start
    at = begin_backfill(engine.mirror, wanted, is_anew=order.is_anew, start=start)
    engine = replace(engine, progress=_beating(engine, at.backfill_id))
    results: list[TableResult] = []
    held: Backfill | None = None  # as it was at the first window that a gate holds
    days = DAYS_PER_WINDOW
    try:
        while at.next_day < at.days.end:
            if order.hours and not order.hours.allow(order.local_time()):
                at = replace(at, state="paused", note=f"back-fills may read from {order.hours}")
                return _stop(engine, spec, at, results, order)
            order.each(at)
            window = DayRange(at.next_day, min(at.next_day + timedelta(days=days), at.days.end))
            result = sync_table(engine, spec, window)
            results.append(result)
            if result.outcome == "held" and not result.verdicts:  # by the schema or the guard, and so will be those behind it
                at = replace(at, state="held", note=result.held_reason or "held")
                return _stop(engine, spec, at, results, order)
            if result.outcome == "held" and held is None:
                held = replace(at, state="held", note=result.held_reason or "held")
            with step("backfill.position"):
                before, at = at, _advance(engine, at, window.end, result)
            is_small = result.outcome != "held" and 2 * (at.rows - before.rows) < engine.chunk_rows
            days = min(2 * days, MOST_DAYS_PER_WINDOW) if is_small else DAYS_PER_WINDOW
    except Stopped:
        save_backfill(engine.mirror, replace(at, state="paused", note="stopped", heartbeat_at=datetime.now(UTC)))
        raise
    except BaseException as error:
        save_backfill(engine.mirror, replace(at, state="failed", note=type(error).__name__, heartbeat_at=datetime.now(UTC)))
        raise
    at = replace(held, rows=at.rows, share=at.share) if held else replace(at, state="done")
    save_backfill(engine.mirror, at := replace(at, heartbeat_at=datetime.now(UTC)))
    order.each(at)
    return summarise(spec, results)


def _beating(engine: Engine, backfill_id: str) -> Progress:
    """Return the engine's progress that also lets others see, now and then, that the back-fill lives."""
    last = time.monotonic()

    def progress(spec: TableSpec, phase: str, rows: int) -> None:
        nonlocal last
        if time.monotonic() - last > HEARTBEAT_SECONDS:
            last = time.monotonic()
            touch_backfill(engine.mirror, backfill_id)
        engine.progress(spec, phase, rows)

    return progress


def _advance(engine: Engine, at: Backfill, next_day: date, result: TableResult) -> Backfill:
    """Note that a window was looked at; one that a gate holds too: it waits for a person, and the days behind it need not."""
    rows = at.rows + result.reread_rows + sum(entry.counts.read for entry in result.loads)
    at = replace(at, next_day=next_day, rows=rows, share=engine.throttle.used_share, heartbeat_at=datetime.now(UTC))
    save_backfill(engine.mirror, at)
    return at


def _stop(engine: Engine, spec: TableSpec, at: Backfill, results: list[TableResult], order: BackfillOrder) -> TableResult:
    save_backfill(engine.mirror, replace(at, heartbeat_at=datetime.now(UTC)))
    order.each(at)
    told = f"{at.done_days:,} of {at.all_days:,} days are done; {at.note}, and the next back-fill of these days goes on with {at.next_day}"
    return replace(summarise(spec, results), unfinished=told)


def _tell(days: DayRange) -> str:
    return f"{days.start} to {days.end - timedelta(days=1)}"
