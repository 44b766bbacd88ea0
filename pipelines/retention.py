"""Keeps nothing longer than it is wanted: run at the end of every morning, and of every `daybreak sync`.

Landed files of ended loads go when a load commits (``Landing.mark_committed``), old versions of a page when one is published.
What is done here is the rest, and it can be left undone by a crash at any point: the next run does it.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pipelines.delivery.publish import drop_versions
from pipelines.errors import DaybreakError
from pipelines.landing.cleaning import purge_orphans
from pipelines.settings import Settings
from pipelines.state import tables as t
from pipelines.state.builds import read_builds
from pipelines.state.mirror import Mirror
from pipelines.state.texts import erase_mirror
from pipelines.sync.sizes import KEPT_SIZES
from pipelines.warehouses import is_made, open_warehouse
from pipelines.wiring import open_landing

if TYPE_CHECKING:
    import dagster as dg

ORPHAN_DAYS = 7  # an unfinished load is of no use to a snapshot after a day, and to others after a week somebody has given up
FOLDERS = ("dashboards", "reports")


def enforce_retention(settings: Settings, mirror: Mirror, instance: "dg.DagsterInstance | None" = None) -> list[str]:
    """Delete what is older than the settings allow, and what was left behind. Returns what could not be erased and must be told.

    ``instance`` is Dagster's, at the end of a morning: then its old runs go too, and all models were built.
    """
    now = datetime.now(UTC)
    history = now - timedelta(days=settings.keep_history_days)
    tables = [table for source in settings.sources() for table in source.tables]
    left = []
    try:
        purge_orphans(open_landing(settings), tables, now - timedelta(days=ORPHAN_DAYS))
    except DaybreakError as error:
        left.append(f"Retention was not enforced in the landing: {error} The next run tries again.")
    _drop_history(mirror, history)
    if instance is not None:
        from pipelines.runs.history import drop_old_runs

        drop_old_runs(instance, history)
    try:
        forgotten_at = _clean_warehouse(settings, mirror, is_morning=instance is not None)
    except DaybreakError as error:
        return [*left, f"Retention was not enforced in the warehouse: {error} The next run tries again."]
    for folder in FOLDERS:
        # Reports are small and told apart by their run: as many as there are days of history.
        keep = settings.keep_versions if folder == "dashboards" else max(settings.keep_versions, settings.keep_history_days)
        drop_versions(settings.home / folder, keep=keep, before=forgotten_at)
    return left


def _clean_warehouse(settings: Settings, mirror: Mirror, *, is_morning: bool) -> datetime | None:
    """Drop old entries and erase traces; return when rows were forgotten last, if every page was made anew since."""
    if not is_made(settings.warehouse_url):
        return None
    warehouse = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds)
    if not warehouse.is_free_to_ask and mirror.is_cleaned():
        return None  # nothing is so urgent that a machine has to be woken for it
    warehouse.drop_closed(datetime.now(UTC) - timedelta(days=settings.keep_quarantine_days))
    builds = read_builds(mirror).values()
    is_settled = all(build["status"] == "built" for build in builds) if is_morning else not builds
    traces = warehouse.traces()
    if traces == "fresh" or (traces == "erased" and is_settled):
        warehouse.erase_traces(is_settled=is_settled)
        erase_mirror(mirror)  # a column's default, which is a value, stood in its schema until the column was masked
    forgotten_at = warehouse.last_forgotten_at() if is_morning else None
    mirror.record_cleaned()
    return forgotten_at


def _drop_history(mirror: Mirror, before: datetime) -> None:
    old = before.isoformat()
    newest = (
        sa.select(
            t.ledger.c.load_id, sa.func.row_number().over(partition_by=t.ledger.c.table_id, order_by=t.ledger.c.load_id.desc()).label("n")
        )
    ).subquery()
    needed = sa.select(newest.c.load_id).where(newest.c.n <= 2 * KEPT_SIZES)
    mirror.write(
        sa.delete(t.attempts).where(t.attempts.c.started_at < old),
        sa.delete(t.verdicts).where(t.verdicts.c.judged_at < old),
        sa.delete(t.results).where(t.results.c.noted_at < old),
        sa.delete(t.backfills).where(t.backfills.c.heartbeat_at < old),
        sa.delete(t.ledger).where(t.ledger.c.committed_at < old, t.ledger.c.load_id.not_in(needed)),
    )
