"""What should be in the warehouse and is not: the catalog's tables and days, less what the ledger says is there. Pure.

Everything here is derived from what stands, never from what happened: so it does not matter which events were missed.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pipelines.sync.model import DayRange
from pipelines.sync.plan import days_of
from pipelines.sync.spec import TableSpec

if TYPE_CHECKING:  # the sensor loads this with the project
    from pipelines.state.status import TableStatus

# never_loaded: nothing of the table is there. days_missing: days of the source that no load committed. days_differ, rows_differ: the
# last comparison with the source found other rows there. unfilled: columns without values in older rows. unfinished: a back-fill that
# did not come to its end. behind: the source was not read whole for too long.
GapKind = Literal["never_loaded", "days_missing", "days_differ", "rows_differ", "unfilled", "unfinished", "behind"]


MOST_COMMANDS = 3  # to fill a gap by hand; a few days more than are missing may be in their ranges


@dataclass(frozen=True)
class Gap:
    """One piece of work that is left: of a table as a whole, or of ``days``."""

    table: str  # id
    kind: GapKind
    told: str
    remedy: str
    days: tuple[date, ...] = ()
    held: str | None = None  # why the table waits for a person


@dataclass(frozen=True)
class Rest:
    """The days that a back-fill left; ``held``: why they wait for a person, if they do."""

    days: DayRange
    held: str | None = None


@dataclass(frozen=True)
class Standing:
    """What is known of one table: what the mirror has."""

    status: "TableStatus"
    days: Collection[date] = ()  # that are committed
    mended: Collection[date] = ()  # that were committed since the last comparison
    compared: Mapping[str, Any] | None = None  # ``ParityResult.numbers``
    unfinished: Sequence[Rest] = ()  # what is left of back-fills that nobody works on


def find_gaps(spec: TableSpec, standing: Standing, now: datetime, patience: timedelta) -> list[Gap]:
    """Return what is left to do of a table; ``patience`` is how old a table may be that was read whole."""
    return list(_find(spec, standing, now, patience))


def _find(spec: TableSpec, standing: Standing, now: datetime, patience: timedelta) -> Iterator[Gap]:
    status, sync = standing.status, f"daybreak sync {shlex.join([spec.source, spec.name])}"
    if status.load_id is None:
        yield Gap(spec.id, "never_loaded", "was never loaded", sync, held=status.held_reason)
        return
    missing = _missing_days(spec, standing)
    if missing:
        yield _of_days(spec, status, "days_missing", missing, "never loaded")
    start = spec.partition.start if spec.partition else date.max
    for rest in standing.unfinished:
        left = [day for day in days_of(rest.days) if day >= start and day not in missing]
        if left:
            gap = _of_days(spec, status, "unfinished", left, "left by a back-fill that did not end")
            yield replace(gap, held=rest.held or gap.held)
    yield from _differing(spec, standing)
    if status.watermark and status.watermark.unfilled:
        names = ", ".join(status.watermark.unfilled)
        yield Gap(spec.id, "unfilled", f"older rows have no values in {names} yet", sync, held=status.held_reason)
    if status.data_as_of is None or now - status.data_as_of > patience:
        since = f"{status.data_as_of:%Y-%m-%d %H:%M} UTC" if status.data_as_of else "ever"
        yield Gap(spec.id, "behind", f"its source was not read whole since {since}", sync, held=status.held_reason)


def _missing_days(spec: TableSpec, standing: Standing) -> list[date]:
    """Return the days that the source has and no load committed. Its days before ``start`` are left out by declaration."""
    if spec.partition is None:
        return []
    known = sorted(standing.days)
    span = standing.status.seen or (DayRange(known[0], known[-1] + timedelta(days=1)) if known else None)
    wanted = days_of(DayRange(max(span.start, spec.partition.start), span.end)) if span else ()
    return sorted(set(wanted) - set(known))


def _differing(spec: TableSpec, standing: Standing) -> Iterator[Gap]:
    numbers = standing.compared
    if numbers is None or numbers["outcome"] == "equal":
        return
    rows = numbers["missing"] + numbers["extra"] + numbers["different"]  # less those that the next load reads anyway
    if not rows:  # it was not compared
        return
    told = f"{rows:,} row{'s are' if rows > 1 else ' is'} not as in the source"
    held = (numbers["reason"] if numbers["outcome"] == "held" else None) or standing.status.held_reason
    differing = [date.fromisoformat(day) for day in numbers.get("differing_days", ())]
    days = [day for day in differing if day not in standing.mended]
    if differing and not days:
        return
    if days:
        yield Gap(spec.id, "days_differ", f"{told}, on {tell_days(days)}", _command(spec, days), tuple(days), held)
    else:
        yield Gap(spec.id, "rows_differ", told, f"daybreak reconcile {shlex.join([spec.source, spec.name])} --heal", held=held)


def _of_days(spec: TableSpec, status: "TableStatus", kind: GapKind, days: Sequence[date], why: str) -> Gap:
    count = f"{len(days):,} day{'s were' if len(days) > 1 else ' was'}"
    return Gap(spec.id, kind, f"{count} {why}: {tell_days(days)}", _command(spec, days), tuple(days), status.held_reason)


def _command(spec: TableSpec, days: Sequence[date]) -> str:
    spans = spans_of(days, MOST_COMMANDS)
    table = shlex.join([spec.source, spec.name])
    return "; ".join(f"daybreak backfill {table} {span.start} {span.end - timedelta(days=1)}" for span in spans)


def spans_of(days: Collection[date], most: int) -> list[DayRange]:
    """Return at most ``most`` ranges that hold all ``days``; the narrowest holes between them are closed, so a few days may be more.

    Days that are loaded again although they stand are read and found unchanged; thousands of runs would cost far more.
    """
    spans: list[DayRange] = []
    for day in sorted(days):
        if spans and spans[-1].end == day:
            spans[-1] = DayRange(spans[-1].start, day + timedelta(days=1))
        else:
            spans.append(DayRange(day, day + timedelta(days=1)))
    if len(spans) <= most:
        return spans
    holes = sorted(range(1, len(spans)), key=lambda at: (spans[at].start - spans[at - 1].end, at))
    kept = set(holes[len(spans) - most :])
    merged = [spans[0]]
    for at, span in enumerate(spans[1:], 1):
        if at in kept:
            merged.append(span)
        else:
            merged[-1] = DayRange(merged[-1].start, span.end)
    return merged


def tell_days(days: Collection[date], most: int = 3) -> str:
    """Return days as people write them: `2026-03-01 to 2026-03-04, 2026-03-09`, the first few ranges of many."""
    spans = spans_of(days, len(days) or 1)
    told = [f"{span.start}" if (span.end - span.start).days == 1 else f"{span.start} to {span.end - timedelta(days=1)}" for span in spans]
    return ", ".join(told[:most]) + (f" and {len(told) - most} more ranges" if len(told) > most else "")
