"""What each run did to each table, kept in the mirror: for the morning report and for people who missed the output."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.state.mirror import Mirror
from pipelines.state.tables import results
from pipelines.sync.model import Counts, TableResult


def sum_counts(result: TableResult) -> Counts:
    """Return the counts of all loads of a result, with re-read rows that did not need a load as read and unchanged."""
    loads = [entry.counts for entry in result.loads]
    return Counts(
        read=sum(counts.read for counts in loads) + result.reread_rows,
        inserted=sum(counts.inserted for counts in loads),
        updated=sum(counts.updated for counts in loads),
        unchanged=sum(counts.unchanged for counts in loads) + result.reread_rows,
        superseded=sum(counts.superseded for counts in loads),
        quarantined=sum(counts.quarantined for counts in loads),
        deleted=sum(counts.deleted for counts in loads),
    )


def record_result(mirror: Mirror, run_id: str, result: TableResult) -> None:
    """Keep the result of one table under its run."""
    row = {
        "outcome": result.outcome,
        "numbers": {**sum_counts(result).__dict__, "loads": len(result.loads)},
        "note": result.held_reason or result.note,
        "noted_at": datetime.now(UTC).isoformat(),
    }
    mirror.write(
        sa.delete(results).where(results.c.run_id == run_id, results.c.table_id == result.table),
        sa.insert(results).values(run_id=run_id, table_id=result.table, **row),
    )


def results_of(mirror: Mirror, run_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return what runs that went on with each other, oldest first, did together, by table id."""
    found: dict[str, Mapping[str, Any]] = {}
    for run_id in run_ids:
        for row in mirror.read(sa.select(results).where(results.c.run_id == run_id)):
            found[row.table_id] = _add(found.get(row.table_id), dict(row._mapping))
    return found


def _add(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return two results of a table as one: the later run found unchanged what the earlier one had committed."""
    if before is None:
        return after
    is_committed = after["outcome"] == "unchanged" and before["outcome"] == "committed"
    numbers = {name: number + before["numbers"].get(name, 0) for name, number in after["numbers"].items()}
    return {**after, "outcome": "committed" if is_committed else after["outcome"], "numbers": numbers}
