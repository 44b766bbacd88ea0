"""Fills the page of proof from the mirror and publishes it beside the other dashboards. Asks neither a source nor the warehouse.

The page is made whatever is held: it is the one to look at when something is wrong.
"""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.delivery.morning_data import Delivered, dashboard_file
from pipelines.delivery.pages import COMPLETENESS
from pipelines.delivery.proof import BackfillState, Comparison, CompletenessPage, Missing, TableProof
from pipelines.delivery.publish import publish
from pipelines.delivery.restated_data import list_restated
from pipelines.gaps import list_gaps
from pipelines.settings import Settings
from pipelines.state.backfills import Backfill, ended_backfills, unfinished_backfills
from pipelines.state.builds import read_deliveries, record_delivery
from pipelines.state.mirror import Mirror
from pipelines.sync.spec import FRESH_HOURS, TableSpec

DELIVERY = f"dashboards/{COMPLETENESS}"
ENDED_FOR = timedelta(days=7)  # how long a back-fill that came to its end is told
INSTANTS = ("oldest_at", "source_as_of", "warehouse_as_of")
NUMBERS = (
    *("source_rows", "warehouse_rows", "missing", "extra", "different", "unsettled", "reread", "deleted"),
    *("in_flight", "late", "quarantined", "kept", "marked", "buckets", "hashed_buckets"),
)


def completeness_file(settings: Settings) -> Path:
    """Return where the page of proof is published."""
    return settings.home / "dashboards" / f"{COMPLETENESS}.html"


def refresh_completeness(settings: Settings) -> Delivered:
    """Publish the page as the mirror is now: whoever compared or back-filled tables calls this at the end."""
    from pipelines.wiring import open_mirror

    return deliver_completeness(settings, open_mirror(settings.state_url), has_morning=dashboard_file(settings).exists())


def deliver_completeness(settings: Settings, mirror: Mirror, *, has_morning: bool) -> Delivered:
    """Publish the page, unless it says what it said before on the same day. ``has_morning``: whether there is such a page to link to."""
    from pipelines.delivery.completeness import render_completeness
    from pipelines.delivery.completeness_rows import answer, compared_at

    page, target = make_page(settings, mirror, has_morning=has_morning), completeness_file(settings)
    # The hour is left out, but for what it makes of the answer: a comparison gets old.
    said = (replace(page, published_at=datetime.min), settings.local_today(), answer(page))
    inputs = hashlib.sha256(repr(said).encode()).hexdigest()[:24]
    before = read_deliveries(mirror).get(DELIVERY, {})
    as_of = compared_at(page)
    known = {"inputs": inputs, "version": before.get("version"), "published_at": before.get("published_at")}
    status = "unchanged" if before.get("inputs") == inputs and target.exists() else "published"
    if status == "published":
        published = publish(target, render_completeness(page), keep_versions=settings.keep_versions)
        version = published.version_path.stem if published.version_path else COMPLETENESS
        known |= {"version": version, "published_at": datetime.now(UTC).isoformat()}
    told = as_of and as_of.isoformat()
    record_delivery(mirror, DELIVERY, status=status, data_as_of=told, stale_since=None, reason=None, **known)
    return Delivered(status, target, known["version"] or COMPLETENESS, as_of)


def make_page(settings: Settings, mirror: Mirror, *, has_morning: bool = False) -> CompletenessPage:
    """Return what the page shows."""
    tables = [table for source in settings.sources() for table in source.tables]
    gaps = list_gaps(settings, mirror)
    return CompletenessPage(
        published_at=settings.now(),
        time_zone=settings.time_zone,
        stale_hours=FRESH_HOURS,
        tables=tuple(_prove(settings, mirror, table) for table in tables),
        missing=tuple(Missing(gap.table, gap.told, gap.remedy, gap.held) for gap in gaps),
        backfills=_list_backfills(settings, mirror),
        restated=list_restated(settings, mirror, tables),
        has_morning=has_morning,
    )


def _prove(settings: Settings, mirror: Mirror, table: TableSpec) -> TableProof:
    numbers = mirror.parity(table.id)
    command = f"daybreak reconcile {shlex.quote(table.source)} {shlex.quote(table.name)}"
    return TableProof(table.id, command, read_comparison(settings, numbers) if numbers else None, mirror.status(table.id).held_reason)


def read_comparison(settings: Settings, numbers: Mapping[str, Any]) -> Comparison:
    """Return ``ParityResult.numbers`` in the page's words; a number that an earlier release did not have is 0."""
    known: dict[str, Any] = {name: int(numbers.get(name) or 0) for name in NUMBERS}
    known |= {name: _instant(settings, numbers.get(name)) for name in INSTANTS}
    return Comparison(
        outcome=numbers["outcome"],
        left_out=tuple(numbers.get("left_out", ())),
        overruled_by=numbers.get("overruled_by"),
        reason=numbers.get("reason"),
        **known,
    )


def _instant(settings: Settings, text: str | None) -> datetime | None:
    return settings.in_project_time(datetime.fromisoformat(text)) if text else None


def _list_backfills(settings: Settings, mirror: Mirror) -> tuple[BackfillState, ...]:
    now = datetime.now(UTC)
    ended = ended_backfills(mirror, now - ENDED_FOR)
    return tuple(_describe(settings, one, now) for one in [*unfinished_backfills(mirror), *reversed(ended)])


def _describe(settings: Settings, one: Backfill, now: datetime) -> BackfillState:
    left = one.remaining(now) if one.is_at_work else None
    return BackfillState(
        table=one.table_id,
        first=one.days.start,
        last=one.days.end - timedelta(days=1),
        state="died" if one.state == "running" and not one.is_at_work else one.state,
        done_days=one.done_days,
        all_days=one.all_days,
        rows=one.rows,
        at=settings.in_project_time(one.heartbeat_at),
        seconds_left=left.total_seconds() if left is not None else None,
        share=one.share if one.is_at_work else None,
        reason=one.reason,
        note=one.note,
    )
