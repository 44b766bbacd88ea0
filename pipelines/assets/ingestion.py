"""Ingestion assets: one subsettable multi-asset per source and mode, which runs the engine and yields every selected output.

A table that is held, or whose source cannot be reached, yields its result with the data version of its last committed load and
failing checks; it never keeps another table, or the models on it, from being built.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.progress import Happening, tell
from pipelines.settings import load_settings
from pipelines.state.mirror import Mirror, TableStatus
from pipelines.state.results import record_result, sum_counts
from pipelines.sync.model import LedgerEntry, Mode, SourceSpec, TableResult, TableSchema, TableSpec
from pipelines.sync.plan import DayRange
from pipelines.wiring import SyncRequest, open_mirror, sync_tables

# A table is fresh if its source was read whole within this time: a daily run, and two hours of patience.
FRESH_HOURS = 26
STAGES: Mapping[str, str] = {"incremental": "merge by key", "partitioned": "replace days", "snapshot": "replace all"}


def raw_key(spec: TableSpec) -> dg.AssetKey:
    """Return the asset key of a raw table."""
    return dg.AssetKey([f"raw_{spec.source}", spec.name])


def make_ingestion(
    sources: Sequence[SourceSpec], partitions: dg.DailyPartitionsDefinition | None, descriptions: Mapping[dg.AssetKey, str]
) -> list[dg.AssetsDefinition]:
    """Return one multi-asset for each source and each mode that its tables have."""
    made = []
    for source in sources:
        for mode in STAGES:
            tables = tuple(table for table in source.tables if table.mode == mode)
            if tables:
                made.append(_make_multi_asset(source, mode, tables, partitions if mode == "partitioned" else None, descriptions))  # type: ignore[arg-type]
    return made


def _make_multi_asset(
    source: SourceSpec,
    mode: Mode,
    tables: tuple[TableSpec, ...],
    partitions: dg.DailyPartitionsDefinition | None,
    descriptions: Mapping[dg.AssetKey, str],
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"sync_{source.name}_{mode}",
        specs=[_make_spec(table, descriptions.get(raw_key(table)), partitions) for table in tables],
        check_specs=[check for table in tables for check in _make_checks(table)],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        # One pool per source: its readers are capped over all runs, not only inside this step.
        pool=f"source_{source.name}",
    )
    def sync(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        settings = load_settings()
        chosen = tuple(table for table in tables if raw_key(table) in context.selected_asset_keys)
        request = SyncRequest(source, chosen, _asked_days(context), _tell_progress, context.run_id)
        mirror = open_mirror(settings.state_url)
        for result in sync_tables(settings, request, lambda done: _tell_result(mirror, context.run_id, done)):
            table = source.table(result.table.partition(".")[2])
            for day in _committed_days(result.loads) if partitions else ():
                context.log_event(dg.AssetMaterialization(raw_key(table), partition=day.isoformat()))
            yield _make_result(mirror, table, result)

    return sync


def _make_spec(table: TableSpec, description: str | None, partitions: dg.DailyPartitionsDefinition | None) -> dg.AssetSpec:
    key = raw_key(table)
    return dg.AssetSpec(
        key,
        description=description or f"`{table.schema}.{table.name}` of {table.source}, as it is in the source.",
        group_name=f"raw_{table.source}",
        kinds={"postgres", "table"},
        owners=[table.owner] if table.owner else [],
        partitions_def=partitions,
        metadata={
            "dagster/table_name": f"raw_{table.source}.{table.name}",
            "mode": f"{table.mode}: {STAGES[table.mode]}",
            "key": ", ".join(table.key) or "none",
            "contract": table.contract,
            **({"cursor": table.cursor} if table.cursor else {}),
        },
    )


def _make_checks(table: TableSpec) -> list[dg.AssetCheckSpec]:
    expectations = ", ".join(f"{item.label} ({item.on_failure})" for item in table.expectations)
    return [
        dg.AssetCheckSpec("gate", asset=raw_key(table), description=f"The landed rows passed before anything became visible: {expectations or 'key'}."),
        dg.AssetCheckSpec("fresh", asset=raw_key(table), description=f"The source was read whole in the last {FRESH_HOURS} hours."),
    ]


def _asked_days(context: dg.AssetExecutionContext) -> DayRange | None:
    """Return the days of the run's partitions; None where the run has none, so the engine plans from the ledger."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    keys = context.partition_key_range
    return DayRange(date.fromisoformat(keys.start), date.fromisoformat(keys.end) + timedelta(days=1))


def _committed_days(loads: Sequence[LedgerEntry]) -> Iterator[date]:
    for entry in loads:
        yield from (date.fromisoformat(day) for day in entry.window["days"])


def _make_result(mirror: Mirror, table: TableSpec, result: TableResult) -> dg.MaterializeResult:
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


def _make_gate_result(mirror: Mirror, table: TableSpec, result: TableResult) -> dg.AssetCheckResult:
    verdicts = result.verdicts or mirror.last_verdicts(table.id)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    numbers = {f"{verdict.check} ({verdict.on_failure})": dg.MetadataValue.json(dict(verdict.numbers)) for verdict in verdicts}
    return dg.AssetCheckResult(
        asset_key=raw_key(table),
        check_name="gate",
        passed=result.outcome != "held" and not failed,
        # Rows that stepped aside are a warning: the rest of the load passed. A held load is an error.
        severity=dg.AssetCheckSeverity.ERROR if result.outcome == "held" else dg.AssetCheckSeverity.WARN,
        description=result.held_reason or "; ".join(f"{verdict.check}: {verdict.on_failure}" for verdict in failed) or None,
        metadata=numbers,
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


def _tell_progress(table: TableSpec, phase: str, rows: int) -> None:
    tell(Happening(table.id, phase, rows))


def _tell_result(mirror: Mirror, run_id: str, result: TableResult) -> None:
    record_result(mirror, run_id, result)
    tell(Happening(result.table, result.outcome, sum_counts(result).read, is_over=True))

