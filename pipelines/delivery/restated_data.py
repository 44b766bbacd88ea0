"""Reads from the mirror which days of tables were restated lately; what counts as such is `restated`'s."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from pipelines.delivery.page import RestatedDays
from pipelines.delivery.restated import TOLD_FOR, find_restated
from pipelines.settings import Settings
from pipelines.state.backfills import ended_backfills, unfinished_backfills
from pipelines.state.mirror import Mirror
from pipelines.sync.spec import TableSpec

KEPT_ENTRIES = 5_000  # of a table's ledger that are looked at: a year of mornings has a few hundred


def list_restated(settings: Settings, mirror: Mirror, tables: Iterable[TableSpec]) -> tuple[RestatedDays, ...]:
    """Return the restated days of the partitioned ones among ``tables``, newest first, with instants of the project's days."""
    now = datetime.now(UTC)
    backfills = [*ended_backfills(mirror, now - TOLD_FOR), *unfinished_backfills(mirror)]
    found = [
        one
        for table in tables
        if table.partition
        for one in find_restated(table, mirror.last_entries(table.id, limit=KEPT_ENTRIES), backfills, now)
    ]
    told = sorted(found, key=lambda one: one.at, reverse=True)
    return tuple(replace(one, at=settings.in_project_time(one.at)) for one in told)
