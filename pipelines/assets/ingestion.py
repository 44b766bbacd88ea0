"""Ingestion assets: one subsettable multi-asset per source and mode, which runs the engine and yields every selected output.

A table that is held, or whose source cannot be reached, yields its result with the data version of its last committed load and
failing checks; it never keeps another table, or the models on it, from being built.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.delivery.markdown import escape_markdown
from pipelines.gates.judge import name_checks
from pipelines.names import make_asset_name
from pipelines.settings import load_settings
from pipelines.sync.model import LedgerEntry
from pipelines.sync.spec import FRESH_HOURS, Mode, SourceSpec, TableSpec

if TYPE_CHECKING:  # what a step works with is imported when it works
    from pipelines.sync.model import DayRange

BECAUSE = "daybreak/because"  # the tag that says why a run was started
ALLOWS_DELETES = "daybreak/allow-mass-delete"  # the tag by which a person lets more rows go than `max_deletes`
STAGES: Mapping[str, str] = {"incremental": "merge by key", "partitioned": "replace days", "snapshot": "replace all"}


def raw_key(spec: TableSpec) -> dg.AssetKey:
    """Return the asset key of a raw table."""
    return dg.AssetKey([f"raw_{spec.source}", make_asset_name(spec.name)])


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
    def sync(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from pipelines.assets.table_results import make_result, tell_progress, tell_result
        from pipelines.wiring import SyncRequest, open_mirror, sync_tables

        settings = load_settings()
        chosen = tuple(table for table in tables if raw_key(table) in context.selected_asset_keys)
        because = context.run.tags.get(BECAUSE, "asked for in Dagster")
        request = SyncRequest(
            source, chosen, _asked_days(context), tell_progress, context.run.run_id, because, lambda at: context.log.info(str(at))
        )
        request = replace(request, lets_vanish=context.run.tags.get(ALLOWS_DELETES) == "true")
        mirror, left = open_mirror(settings.state_url), []
        for result in sync_tables(settings, request, lambda done: tell_result(mirror, context.run.run_id, done)):
            table = source.table(result.table.partition(".")[2])
            for day in _committed_days(result.loads) if partitions else ():
                context.log_event(dg.AssetMaterialization(raw_key(table), partition=day.isoformat()))
            if request.days and (result.unfinished or result.held_reason):  # its output would stand for all days of the run
                left.append(f"{table.id}: {result.unfinished or result.held_reason}")
            else:
                yield make_result(mirror, table, result)
        if left:
            raise dg.Failure("\n".join(left), allow_retries=False)

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
    names = zip(name_checks(table), table.expectations, strict=True)
    gates = ", ".join(f"{escape_markdown(name)} ({item.on_failure}{_write_mostly(item.mostly)})" for name, item in names)
    return [
        dg.AssetCheckSpec(
            "gate", asset=raw_key(table), description=f"The landed rows passed before anything became visible: {gates or 'key'}."
        ),
        dg.AssetCheckSpec("fresh", asset=raw_key(table), description=f"The source was read whole in the last {FRESH_HOURS} hours."),
    ]


def _write_mostly(mostly: float) -> str:
    return f", {mostly * 100:.10g}% must pass" if mostly != 1 else ""


def _asked_days(context: dg.AssetExecutionContext) -> "DayRange | None":
    """Return the days of the run's partitions; None where the run has none, so the engine plans from the ledger."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    from pipelines.sync.model import DayRange

    keys = context.partition_key_range
    return DayRange(date.fromisoformat(keys.start), date.fromisoformat(keys.end) + timedelta(days=1))


def _committed_days(loads: Sequence[LedgerEntry]) -> Iterator[date]:
    for entry in loads:
        yield from (date.fromisoformat(day) for day in entry.window["days"])
