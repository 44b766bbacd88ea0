"""The jobs that people and schedules start by name. What is in them follows from the assets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:  # dagster gives the class no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

MORNING_REFRESH = "morning_refresh"
SYNC_TABLES = "sync_tables"
EVOLVE_SCHEMA = "evolve_schema"
RECONCILE = "reconcile"
BACKFILL = "backfill"


def make_jobs(sources: Sequence[str], parity: Sequence[dg.AssetCheckKey]) -> "list[UnresolvedAssetJobDefinition]":
    """Return the morning's job (everything), and those that sensors start for some tables and what is on them."""
    raw = dg.AssetSelection.groups(*[f"raw_{source}" for source in sources])
    compared = dg.AssetSelection.checks(*parity)
    return [
        dg.define_asset_job(
            MORNING_REFRESH, dg.AssetSelection.all() - compared, description="Sync every source, build what changed, publish what passed."
        ),
        dg.define_asset_job(
            SYNC_TABLES,
            (raw | raw.downstream()) - compared,
            description="Sync some tables and rebuild what is on them; started by sensors with a selection.",
        ),
        dg.define_asset_job(
            EVOLVE_SCHEMA,
            (raw | raw.downstream()) - compared,
            description="Follow a migration of the source: what is lossless is done, new columns are filled, the rest is held and told.",
        ),
        dg.define_asset_job(
            BACKFILL,
            raw.downstream() - raw - compared,
            description="Build what is on the tables whose days a back-fill loaded again, and publish what passed.",
        ),
        dg.define_asset_job(
            RECONCILE,
            raw | compared,
            description="Sync every raw table, compare it with its source row by row, and heal what differs.",
        ),
    ]
