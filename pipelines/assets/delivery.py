"""Delivery assets: the dashboards, and the morning report that decides whether the run may look green."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from pipelines.assets.build_plan import raw_tables_under
from pipelines.delivery.morning_data import MORNING, MorningInputs, deliver_morning
from pipelines.delivery.report import make_report, write_report
from pipelines.progress import Happening, tell
from pipelines.settings import load_settings
from pipelines.wiring import open_mirror

DASHBOARD_KEY = dg.AssetKey(["dashboards", "morning"])
REPORT_KEY = dg.AssetKey(["reports", "morning"])


def make_dashboards(manifest: Mapping[str, Any], model_keys: Mapping[str, dg.AssetKey], owner: str) -> dg.AssetsDefinition:
    """Return the dashboard asset; it depends on what its dbt exposure says it shows."""
    exposure = next(item for item in manifest["exposures"].values() if item["name"] == MORNING)
    models = [model for model in exposure["depends_on"]["nodes"] if model in model_keys]
    shown = MorningInputs(tuple(models), tuple(sorted(raw_tables_under(manifest, models))))

    @dg.asset(
        key=DASHBOARD_KEY,
        deps=[model_keys[model] for model in models],
        group_name="deliveries",
        kinds={"html", "altair"},
        owners=[owner],
        description=exposure["description"],
    )
    def morning_dashboard(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = load_settings()
        tell(Happening("dashboards/morning", "publish"))
        done = deliver_morning(settings, open_mirror(settings.state_url), shown)
        context.log.info(done.told)
        metadata: dict[str, Any] = {"outcome": done.status, "file": dg.MetadataValue.path(str(done.path))}
        if done.data_as_of:
            metadata["data_as_of"] = dg.MetadataValue.timestamp(done.data_as_of)
        if done.reasons:
            metadata["stale_because"] = "; ".join(done.reasons)
        return dg.MaterializeResult(data_version=dg.DataVersion(done.version), metadata=metadata)

    return morning_dashboard


def make_report_asset(everything: Sequence[dg.AssetKey], owner: str) -> dg.AssetsDefinition:
    """Return the last asset of the morning: it writes what happened, and fails the run if anything was kept back."""

    @dg.asset(
        key=REPORT_KEY,
        deps=list(everything),
        group_name="deliveries",
        kinds={"json"},
        owners=[owner],
        description="What this morning's run read, loaded, quarantined, tested and published; fails if anything was kept back.",
    )
    def morning_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = load_settings()
        report = make_report(settings, open_mirror(settings.state_url), context.run_id, _started_at(context))
        path = write_report(settings, report)
        metadata = {"file": dg.MetadataValue.path(str(path)), "report": dg.MetadataValue.md(report.as_markdown())}
        if report.problems:
            # Logged before the failure, so that the report of a bad morning can be opened from the lineage too.
            context.log_event(dg.AssetMaterialization(REPORT_KEY, metadata=metadata))
            raise dg.Failure("\n".join(report.problems), allow_retries=False)
        return dg.MaterializeResult(metadata=metadata)

    return morning_report


def _started_at(context: dg.AssetExecutionContext) -> datetime:
    record = context.instance.get_run_record_by_id(context.run_id)
    return datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else datetime.now(UTC)
