"""The check `parity`: every night each raw table is compared with its source, right after it was synced, and what differs is healed.

It runs in the job `reconcile` only, not in the morning: it reads what the morning need not wait for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipelines.assets.ingestion import raw_key
from pipelines.settings import load_settings
from pipelines.sync.spec import SourceSpec, TableSpec

if TYPE_CHECKING:  # what a step works with is imported when it works
    from pipelines.sync.sides import ParityResult

PARITY = "parity"


def parity_keys(sources: Sequence[SourceSpec]) -> list[dg.AssetCheckKey]:
    """Return the key of each table's check."""
    return [dg.AssetCheckKey(raw_key(table), PARITY) for source in sources for table in source.tables]


def make_parity_checks(sources: Sequence[SourceSpec]) -> list[dg.AssetChecksDefinition]:
    """Return one step for each source, whose tables are compared one after the other."""
    return [_make_step(source) for source in sources]


def _make_step(source: SourceSpec) -> dg.AssetChecksDefinition:
    tables = {dg.AssetCheckKey(raw_key(table), PARITY): table for table in source.tables}
    by_id = {table.id: table for table in source.tables}

    @dg.multi_asset_check(
        name=f"compare_{source.name}",
        specs=[_make_spec(table) for table in source.tables],
        can_subset=True,
        pool=f"source_{source.name}",
    )
    def compare(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from pipelines.reconcile import ReconcileRequest, reconcile_one_by_one

        settings, broken = load_settings(), list[str]()
        names = [table.name for key, table in tables.items() if key in context.selected_asset_check_keys]
        found, chosen = settings.tables(source.name, names)
        for result in reconcile_one_by_one(settings, ReconcileRequest(is_healing=True), [(found, table) for table in chosen]):
            table = by_id[result.table]
            check = make_parity_result(table, result)
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                broken.append(f"{table.id}: {check.description}")
            yield check
        if broken:  # every check is on record; and the run must not look green
            raise dg.Failure("\n".join(broken), allow_retries=False)

    return compare


def _make_spec(table: TableSpec) -> dg.AssetCheckSpec:
    told = "Count and content are those of the source: compared every night, and healed by key where they differ."
    return dg.AssetCheckSpec(PARITY, asset=raw_key(table), description=told)


def make_parity_result(table: TableSpec, result: "ParityResult") -> dg.AssetCheckResult:
    """Return the check's result: an error if rows differ that the last load must have seen, a warning if they may have changed since."""
    from pipelines.state.parity_wording import tell_parity

    is_error = result.outcome == "held" or result.missing + result.extra + result.different > result.unsettled
    return dg.AssetCheckResult(
        asset_key=raw_key(table),
        check_name=PARITY,
        passed=result.outcome == "equal",
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=tell_parity(result.numbers),
        metadata=_plain(result.numbers),
    )


def _plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in numbers.items()}
    return {name: value for name, value in shown.items() if value not in (None, "") and name not in ("table", "outcome", "mode")}
