"""Which days were restated: committed before, and committed again with other rows, though no ordinary morning reads them anew. Pure.

Derived from the ledger's entries, as the mirror has them. Its oldest entries may be gone, so a day that is in none of them is taken for
new, unless the load found every row of it there already: a first load is never called a restatement, an old one may be missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.delivery.page import RestatedDays
from pipelines.sync.gaps import spans_of
from pipelines.sync.spec import TableSpec

if TYPE_CHECKING:
    from pipelines.state.backfills import Backfill

TOLD_FOR = timedelta(days=7)
CHANGES = ("inserted", "updated", "deleted")


def find_restated(
    spec: TableSpec, entries: Iterable[Mapping[str, Any]], backfills: Sequence[Backfill], now: datetime
) -> list[RestatedDays]:
    """Return the days of a table that loads of the last week restated, neighbours together, newest first.

    ``entries`` are the table's ledger entries as plain data, in any order; ``backfills`` may say why.
    """
    reasons: dict[str, dict[date, datetime]] = {}
    for days, at in _recommitted(spec, entries):
        for day in days if now - at <= TOLD_FOR else ():
            reasons.setdefault(_find_reason(spec, day, at, backfills), {})[day] = at
    found = [
        RestatedDays(
            spec.id, span.start, span.end - timedelta(days=1), max(at for day, at in days.items() if span.start <= day < span.end), why
        )
        for why, days in reasons.items()
        for span in spans_of(days, len(days))
    ]
    return sorted(found, key=lambda one: (one.at, one.last), reverse=True)


def _recommitted(spec: TableSpec, entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[set[date], datetime]]:
    """Yield the days that each load restated, oldest load first."""
    if spec.partition is None:
        return
    seen = set[date]()
    for entry in sorted(entries, key=lambda entry: (entry.get("token") or 0, entry["committed_at"])):
        days = {date.fromisoformat(day) for day in entry["window"].get("days", ())}
        counts = entry["counts"]
        # What an ordinary sync reads anew is counted from the newest day that was there: see ``plan.missing_days``.
        ordinary = max(seen) - timedelta(days=spec.partition.lookback_days) if seen else date.min
        stood = days if not counts["inserted"] else days & seen
        again = {day for day in stood if day < ordinary}
        if again and any(counts[name] for name in CHANGES):
            yield again, datetime.fromisoformat(entry["committed_at"])
        seen |= days


def _find_reason(spec: TableSpec, day: date, at: datetime, backfills: Sequence[Backfill]) -> str:
    """Return why the back-fill that committed a day was asked for; empty if none did."""
    for one in reversed(backfills):
        ended_at = datetime.now(UTC) if one.is_at_work else one.heartbeat_at
        if one.table_id == spec.id and one.days.start <= day < one.days.end and one.requested_at <= at <= ended_at:
            return one.reason or "a back-fill"
    return ""
