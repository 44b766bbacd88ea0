"""True Dagster back-fills, as the UI shows them under Overview > Backfills, asked for by us. The one place for what Dagster keeps private.

A sensor's own request for a back-fill can carry neither a title nor an id, so it could not say why, and a tick that is evaluated twice
would ask twice. Here the id is made from what is asked for: the database refuses the second one.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import dagster as dg
import sqlalchemy.exc
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus, PartitionBackfill

SENSOR_NAME_TAG = "dagster/sensor_name"  # by which the UI says who asked
Outcome = Literal["running", "succeeded", "failed", "canceled"]
MAX_TITLE = 100
UNTITLED = frozenset('%*"')  # what Dagster takes in no title
_OUTCOMES: Mapping[BulkActionStatus, Outcome] = {
    BulkActionStatus.COMPLETED: "succeeded",
    BulkActionStatus.COMPLETED_SUCCESS: "succeeded",
    BulkActionStatus.CANCELED: "canceled",
    BulkActionStatus.CANCELING: "canceled",
}


@dataclass(frozen=True)
class Asked:
    """A back-fill that Dagster knows: what came of it, and when it ended, or was asked for if it has not."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True)
class DaysOrder:
    """Days of a partitioned asset to load again; ``title`` says why."""

    backfill_id: str  # at most 32 characters
    key: dg.AssetKey
    days: Collection[date]
    title: str
    tags: Mapping[str, str]


def launch_days(instance: dg.DagsterInstance, order: DaysOrder, partitions: dg.DailyPartitionsDefinition) -> bool:
    """Ask for a back-fill; False if it was asked for before. Days that are no partition are left out."""
    keys = {day.isoformat() for day in order.days} & set(partitions.get_partition_keys(dynamic_partitions_store=instance))
    chosen = partitions.subset_with_partition_keys(sorted(keys))
    subset = AssetGraphSubset({order.key: chosen}, set())  # type: ignore[call-arg]  # its decorator hides the fields
    asked = PartitionBackfill.from_asset_graph_subset(
        backfill_id=order.backfill_id,
        backfill_timestamp=time.time(),
        tags=order.tags,
        dynamic_partitions_store=instance,
        asset_graph_subset=subset,
        title=_as_title(order.title),
        description=order.title,
        run_config=None,
    )
    try:
        instance.add_backfill(asked)
    except sqlalchemy.exc.IntegrityError:
        return False
    return True


def find_asked(instance: dg.DagsterInstance, backfill_id: str) -> Asked | None:
    """Return what came of a back-fill, and when it ended (or was asked for); None if it never was."""
    found = instance.get_backfill(backfill_id)
    return _read(found) if found else None


def assets_in_backfills(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """Return the assets that back-fills which are not over are about, whoever asked for them."""
    going_on = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    found: Sequence[PartitionBackfill] = instance.get_backfills(filters=BulkActionsFilter(statuses=going_on))
    return {key for one in found for key in one.asset_selection or ()}


def _read(found: PartitionBackfill) -> Asked:
    is_over = found.status in BULK_ACTION_TERMINAL_STATUSES or found.status in _OUTCOMES
    outcome: Outcome = _OUTCOMES.get(found.status, "failed" if is_over else "running")
    return Asked(outcome, datetime.fromtimestamp(found.backfill_end_timestamp or found.backfill_timestamp, UTC))


def _as_title(text: str) -> str:
    cleaned = "".join(letter for letter in text if letter not in UNTITLED)
    return cleaned if len(cleaned) <= MAX_TITLE else f"{cleaned[: MAX_TITLE - 1]}…"
