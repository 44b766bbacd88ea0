"""What a sync of one table looks like in Dagster: its output, its numbers, its column schema, and the checks `gate` and `fresh`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.assets.gate_wording import describe_verdicts, tell_failures, tell_remedy
from pipelines.assets.ingestion import raw_key
from pipelines.delivery.escalation import NO_OWNER, HeldTable, tell_escalation, tell_standing
from pipelines.runs.progress import Happening, tell
from pipelines.state.mirror import Mirror
from pipelines.state.results import record_result, sum_counts
from pipelines.state.status import TableStatus
from pipelines.state.verdicts import last_verdicts
from pipelines.sync.model import TableResult
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import FRESH_HOURS, TableSpec


def make_result(mirror: Mirror, table: TableSpec, result: TableResult) -> dg.MaterializeResult[None]:
    """Return the table's output: what this sync did, with the data version of its last committed load, and its two checks."""
    status = mirror.status(table.id)
    return dg.MaterializeResult(
        asset_key=raw_key(table),
        data_version=dg.DataVersion(status.load_id or "never loaded"),
        metadata=_make_metadata(status, result, mirror.schema(table.id)),
        check_results=[_make_gate_result(mirror, table, result), _make_fresh_result(table, status)],
    )


def _make_metadata(status: TableStatus, result: TableResult, schema: TableSchema | None) -> dict[str, Any]:
    counts = sum_counts(result)
    metadata: dict[str, Any] = {
        "outcome": result.outcome,
        "rows_read": counts.read,
        "rows_inserted": counts.inserted,
        "rows_updated": counts.updated,
        "rows_unchanged": counts.unchanged,
        "rows_superseded": counts.superseded,
        "rows_quarantined": counts.quarantined,
        "rows_deleted": counts.deleted,
        "quarantined_open": status.quarantined_open,
        "load_id": status.load_id or "none",
        "schema_version": status.schema_version,
    }
    if status.total_rows is not None:
        metadata["dagster/row_count"] = status.total_rows
    if status.data_as_of:
        metadata["data_as_of"] = dg.MetadataValue.timestamp(status.data_as_of)
    if result.held_reason:
        metadata["held"] = dg.MetadataValue.text(result.held_reason)
    elif result.note:
        metadata["note"] = result.note
    if schema:
        columns = [dg.TableColumn(column.name, column.source_type, column.comment) for column in schema.columns]
        metadata["dagster/column_schema"] = dg.TableSchema(columns)
    return metadata


def _make_held_metadata(table: TableSpec, status: TableStatus) -> dict[str, Any]:
    """Say what is held, since when and whose it is."""
    if status.held_reason is None:
        return {}
    made: dict[str, Any] = {"held_mornings": status.held_mornings, "owner": table.owner or NO_OWNER}
    made |= {"held_since": dg.MetadataValue.timestamp(status.held_since)} if status.held_since else {}
    return made | ({"held_load_id": status.held_load_id} if status.held_load_id else {})


def _tell_held(table: TableSpec, status: TableStatus, result: TableResult) -> str:
    """Return how long the table is held, by what, and what to do; a table that is held for long is its owner's, by name."""
    held = [HeldTable(table.owner, status.held_mornings, status.held_since)]
    stopping = [verdict for verdict in result.verdicts if verdict.on_failure == "hold" and not verdict.passed]
    reason = tell_failures(stopping) or result.held_reason or "for no reason that was told"
    remedy = f". {tell_remedy(table.name, status.held_load_id, stopping)}" if stopping and status.held_load_id else ""
    return f"{tell_escalation(held)}{tell_standing(held)}: {reason}{remedy}"


def _make_gate_result(mirror: Mirror, table: TableSpec, result: TableResult) -> dg.AssetCheckResult:
    verdicts = result.verdicts
    if result.outcome == "unchanged" and not verdicts:  # of the load that stands: the last one judged may be one that was held
        verdicts = tuple(last_verdicts(mirror, table.id, mirror.status(table.id).load_id))
    status, is_held = mirror.status(table.id), result.outcome == "held"
    return dg.AssetCheckResult(
        asset_key=raw_key(table),
        check_name="gate",
        passed=not is_held and all(verdict.passed for verdict in verdicts),
        # Rows that stepped aside are a warning: the rest of the load passed. A held load is an error.
        severity=dg.AssetCheckSeverity.ERROR if is_held else dg.AssetCheckSeverity.WARN,
        description=_tell_held(table, status, result) if is_held else tell_failures(verdicts),
        metadata={**(_make_held_metadata(table, status) if is_held else {}), **describe_verdicts(verdicts)},
    )


def _make_fresh_result(table: TableSpec, status: TableStatus) -> dg.AssetCheckResult:
    """Judge by the data's own time: a held table was materialised too, but its data are of its last good load."""
    age = datetime.now(UTC) - status.data_as_of if status.data_as_of else None
    passed = age is not None and age <= timedelta(hours=FRESH_HOURS) and status.held_reason is None
    told = f"data as of {status.data_as_of:%Y-%m-%d %H:%M:%S} UTC" if status.data_as_of else "never loaded"
    return dg.AssetCheckResult(
        asset_key=raw_key(table),
        check_name="fresh",
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=told if passed else f"{told}; {status.held_reason or f'older than {FRESH_HOURS} hours'}",
        metadata={"hours_old": round(age.total_seconds() / 3600, 2)} if age is not None else {},
    )


def tell_progress(table: TableSpec, phase: str, rows: int) -> None:
    """Tell whoever watches this process how far a table is."""
    tell(Happening(table.id, phase, rows))


def tell_result(mirror: Mirror, run_id: str, result: TableResult) -> None:
    """Keep a table's result under its run, and tell it."""
    record_result(mirror, run_id, result)
    tell(Happening(result.table, result.outcome, sum_counts(result).read, is_over=True))
