"""Does what ``plan`` says: notes what people approve, and syncs the tables whose schema changed. Everything else of it is the engine's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import ConfigError
from pipelines.evolution.plan import TablePlan, plan_source, to_tell
from pipelines.settings import Settings
from pipelines.sync.context import Progress, ignore_progress
from pipelines.sync.model import TableResult
from pipelines.sync.spec import SourceSpec
from pipelines.warehouses import open_warehouse
from pipelines.wiring import SyncRequest, open_mirror, sync_tables


@dataclass(frozen=True)
class ApplyRequest:
    """Which sources to bring up to date, and which changes ``approved_by`` allows."""

    sources: Sequence[SourceSpec]
    approvals: Sequence[str] = ()
    approved_by: str = ""
    progress: Progress = ignore_progress


@dataclass(frozen=True)
class Applied:
    """What became of the changed tables, and the plans that still wait for a person or break a contract."""

    results: Sequence[TableResult]
    waiting: Sequence[TablePlan]


def apply_changes(settings: Settings, request: ApplyRequest, manifest: Mapping[str, Any]) -> Applied:
    """Approve what is to be approved, then sync every table whose changes are safe or approved.

    Raises ``ConfigError`` for an approval that no table waits for; then nothing is approved and nothing is synced.
    """
    plans = {source.name: to_tell(plan_source(settings, source, manifest)) for source in request.sources}
    wanted = {plan.approval: plan for told in plans.values() for plan in told if plan.approval}
    if unknown := [approval for approval in request.approvals if approval not in wanted]:
        waiting = ", ".join(f"{approval} ({plan.table})" for approval, plan in wanted.items()) or "none"
        raise ConfigError(
            [f"No change waits for the approval `{approval}`: it may have changed since." for approval in unknown],
            safe="Nothing was approved and nothing was read.",
            remedy=f"See `daybreak plan`. What waits now: {waiting}.",
        )
    results: list[TableResult] = []
    for source in request.sources:
        for plan in plans[source.name]:
            if plan.approval in request.approvals:
                _approve(settings, source, plan, request.approved_by)
        ready = [plan.table for plan in plans[source.name] if plan.state in ("safe", "approved") or plan.approval in request.approvals]
        tables = tuple(table for table in source.tables if table.id in ready)
        if tables:
            results += sync_tables(settings, SyncRequest(source, tables, progress=request.progress))
    done = {result.table for result in results}
    return Applied(results, [plan for told in plans.values() for plan in told if plan.table not in done])


def _approve(settings: Settings, source: SourceSpec, plan: TablePlan, approved_by: str) -> None:
    """Keep the approval where the truth is; the mirror has its copy at once, so that a warehouse that sleeps need not be asked."""
    spec = next(table for table in source.tables if table.id == plan.table)
    warehouse = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds)
    told = [change.told for change in plan.changes if change.judgement == "needs approval"]
    warehouse.approve(spec, plan.approval or "", told, approved_by)
    open_mirror(settings.state_url).repair(warehouse.read_state([spec.id]), [spec.id])
