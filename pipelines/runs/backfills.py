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
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus, PartitionBackfill

SENSOR_NAME_TAG = "dagster/sensor_name"  # by which the UI says who asked
# By which what we asked for is found again: the table, the days and how often these were asked for before.
TABLE_TAG, CONTENT_TAG, ATTEMPT_TAG = "daybreak/table", "daybreak/content", "daybreak/attempt"
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
    """A back-fill that Dagster knows: what came of it, when it ended (or was asked for), its days, and which try of them it is."""

    outcome: Outcome
    at: datetime
    days: frozenset[date]
    attempt: int


@dataclass(frozen=True)
class DaysOrder:
    """Days of a partitioned asset to load again; ``title`` says why. ``content`` stands for the table and the days."""

    table: str  # id
    key: dg.AssetKey
    days: Collection[date]
    title: str
    content: str
    attempt: int

    @property
    def backfill_id(self) -> str:
        """At most 32 characters, the same for the same order."""
        return f"{self.content[:20]}-{self.attempt}"


def launch_days(instance: dg.DagsterInstance, order: DaysOrder, partitions: dg.DailyPartitionsDefinition, tags: Mapping[str, str]) -> bool:
    """Ask for a back-fill; False if it was asked for before. Days that are no partition are left out."""
    import sqlalchemy.exc

    keys = {day.isoformat() for day in order.days} & set(partitions.get_partition_keys(dynamic_partitions_store=instance))
    chosen = partitions.subset_with_partition_keys(sorted(keys))
    subset = AssetGraphSubset({order.key: chosen}, set())  # type: ignore[call-arg]  # its decorator hides the fields
    asked = PartitionBackfill.from_asset_graph_subset(
        backfill_id=order.backfill_id,
        backfill_timestamp=time.time(),
        tags={**tags, TABLE_TAG: order.table, CONTENT_TAG: order.content, ATTEMPT_TAG: str(order.attempt)},
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


def find_newest(instance: dg.DagsterInstance, tag: str, value: str) -> Asked | None:
    """Return the newest back-fill of ours with a tag; None if there is none."""
    found: Sequence[PartitionBackfill] = instance.get_backfills(filters=BulkActionsFilter(tags={tag: value}), limit=1)
    return _read(found[0]) if found else None


def assets_in_backfills(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """Return the assets that back-fills which are not over are about, whoever asked for them."""
    going_on = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    found: Sequence[PartitionBackfill] = instance.get_backfills(filters=BulkActionsFilter(statuses=going_on))
    return {key for one in found for key in one.asset_selection or ()}


def _read(found: PartitionBackfill) -> Asked:
    is_over = found.status in BULK_ACTION_TERMINAL_STATUSES or found.status in _OUTCOMES
    outcome: Outcome = _OUTCOMES.get(found.status, "failed" if is_over else "running")
    data = found.asset_backfill_data
    subsets = data.target_subset.partitions_subsets_by_asset_key.values() if data else ()
    days = frozenset(date.fromisoformat(key) for subset in subsets for key in subset.get_partition_keys())
    at = datetime.fromtimestamp(found.backfill_end_timestamp or found.backfill_timestamp, UTC)
    return Asked(outcome, at, days, int(found.tags.get(ATTEMPT_TAG, "1")))


def _as_title(text: str) -> str:
    cleaned = "".join(letter for letter in text if letter not in UNTITLED)
    return cleaned if len(cleaned) <= MAX_TITLE else f"{cleaned[: MAX_TITLE - 1]}…"
