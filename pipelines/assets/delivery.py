"""Delivery assets: the read copy, the dashboards, and the morning report that decides whether the run may look green."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from pipelines.assets.build_plan import raw_tables_under
from pipelines.runs.progress import Happening, tell
from pipelines.settings import load_settings

MORNING = "morning"
READ_COPY_KEY = dg.AssetKey(["warehouse", "read_copy"])
DASHBOARD_KEY = dg.AssetKey(["dashboards", MORNING])
COMPLETENESS_KEY = dg.AssetKey(["dashboards", "completeness"])
REPORT_KEY = dg.AssetKey(["reports", "morning"])
RESUME_TAG = "dagster/is_resume_retry"  # of a run that does what its parent left undone; one that does all again has it not


def make_read_copy(manifest: Mapping[str, Any], models: Sequence[str], upstream: Sequence[dg.AssetKey], owner: str) -> dg.AssetsDefinition:
    """Return the file that people and BI tools open; it depends on all that is in it."""
    relations = {
        model: (manifest["nodes"][model]["schema"], manifest["nodes"][model].get("alias") or manifest["nodes"][model]["name"])
        for model in models
    }

    @dg.asset(
        key=READ_COPY_KEY,
        deps=list(upstream),
        group_name="deliveries",
        kinds={"duckdb"},
        owners=[owner],
        description="The warehouse as people and BI tools see it: a file that is replaced when something changed that passed its checks.",
    )
    def read_copy(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from pipelines.delivery.read_copy import deliver_read_copy, read_copy_file
        from pipelines.wiring import open_mirror

        settings = load_settings()
        tell(Happening(READ_COPY_KEY.to_user_string(), "copy"))
        done = deliver_read_copy(settings, open_mirror(settings.state_url), relations)
        metadata: dict[str, Any] = {"outcome": done.status, "file": dg.MetadataValue.path(str(read_copy_file(settings)))}
        if done.reason:
            context.log.error(done.reason)
            metadata["stale_because"] = done.reason
        return dg.MaterializeResult(data_version=dg.DataVersion(done.version), metadata=metadata)

    return read_copy


def make_dashboards(
    manifest: Mapping[str, Any], model_keys: Mapping[str, dg.AssetKey], copies: Sequence[dg.AssetKey], owner: str
) -> list[dg.AssetsDefinition]:
    """Return the dashboard assets; each depends on what its dbt exposure says it shows, and on the copy that it is drawn from.

    None without a model to show.
    """
    exposure = next((item for item in manifest["exposures"].values() if item["name"] == MORNING), None)
    models = [model for model in exposure["depends_on"]["nodes"] if model in model_keys] if exposure else []
    if exposure is None or not models:
        return []
    raw_tables = tuple(sorted(raw_tables_under(manifest, models)))

    @dg.asset(
        key=DASHBOARD_KEY,
        deps=[*(model_keys[model] for model in models), *copies],
        group_name="deliveries",
        kinds={"html", "altair"},
        owners=[owner],
        description=exposure["description"],
    )
    def morning_dashboard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from pipelines.delivery.morning_data import MorningInputs, deliver_morning
        from pipelines.wiring import open_mirror

        settings = load_settings()
        tell(Happening(DASHBOARD_KEY.to_user_string(), "publish"))
        done = deliver_morning(settings, open_mirror(settings.state_url), MorningInputs(tuple(models), raw_tables, tuple(model_keys)))
        context.log.info(done.told)
        metadata: dict[str, Any] = {"outcome": done.status, "file": dg.MetadataValue.path(str(done.path))}
        if done.data_as_of:
            metadata["data_as_of"] = dg.MetadataValue.timestamp(done.data_as_of)
        if done.reasons:
            metadata["stale_because"] = "; ".join(done.reasons)
        return dg.MaterializeResult(data_version=dg.DataVersion(done.version), metadata=metadata)

    return [morning_dashboard]


def make_completeness(upstream: Sequence[dg.AssetKey], owner: str, *, has_morning: bool) -> dg.AssetsDefinition:
    """Return the page of proof. It comes after the raw tables and waits for nothing else: it must be there when all else is held."""

    @dg.asset(
        key=COMPLETENESS_KEY,
        deps=list(upstream),
        group_name="deliveries",
        kinds={"html"},
        owners=[owner],
        description="Whether every table equals its source and as of when, what is missing, back-fills, and days that were restated.",
    )
    def completeness_dashboard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from pipelines.delivery.completeness_data import deliver_completeness
        from pipelines.wiring import open_mirror

        settings = load_settings()
        tell(Happening(COMPLETENESS_KEY.to_user_string(), "publish"))
        done = deliver_completeness(settings, open_mirror(settings.state_url), has_morning=has_morning)
        context.log.info(done.told)
        metadata: dict[str, Any] = {"outcome": done.status, "file": dg.MetadataValue.path(str(done.path))}
        if done.data_as_of:
            metadata["data_as_of"] = dg.MetadataValue.timestamp(done.data_as_of)
        return dg.MaterializeResult(data_version=dg.DataVersion(done.version), metadata=metadata)

    return completeness_dashboard


def list_other_dashboards(
    manifest: Mapping[str, Any], model_keys: Mapping[str, dg.AssetKey], copies: Sequence[dg.AssetKey], owner: str
) -> list[dg.AssetSpec]:
    """Return what dbt's other exposures say is shown elsewhere, by a BI tool on the read copy: in the lineage, but not made here."""
    specs = []
    for exposure in manifest["exposures"].values():
        shown = [model_keys[model] for model in exposure["depends_on"]["nodes"] if model in model_keys]
        if exposure["name"] == MORNING or not shown:
            continue
        owners = [email for email in [exposure["owner"].get("email")] if isinstance(email, str)]
        specs.append(
            dg.AssetSpec(
                dg.AssetKey(["dashboards", exposure["name"]]),
                deps=[*shown, *copies],
                group_name="deliveries",
                kinds={exposure["type"]},
                owners=owners or [owner],
                description=exposure["description"] or exposure.get("label"),
                metadata={"url": dg.MetadataValue.url(exposure["url"])} if exposure.get("url") else {},
            )
        )
    return specs


def make_report_asset(upstream: Sequence[dg.AssetKey], models: Sequence[str], owner: str) -> dg.AssetsDefinition:
    """Return the last asset of the morning: it writes what happened, and fails the run if anything was kept back."""

    @dg.asset(
        key=REPORT_KEY,
        deps=list(upstream),
        group_name="deliveries",
        kinds={"json"},
        owners=[owner],
        description="What this morning's run read, loaded, quarantined, tested and published; fails if anything was kept back.",
    )
    def morning_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from pipelines.delivery.report import RunFacts, make_report, write_report
        from pipelines.retention import enforce_retention
        from pipelines.wiring import open_mirror

        settings = load_settings()
        deliveries = frozenset(key.to_user_string() for key in upstream)
        resumes = _resumed_runs(context)
        started_at = _started_at(context, resumes[0] if resumes else context.run.run_id)
        facts = RunFacts(context.run.run_id, started_at, frozenset(models), deliveries, resumes)
        mirror = open_mirror(settings.state_url)
        unkept = enforce_retention(settings, mirror, context.instance)
        report = make_report(settings, mirror, facts)
        report = replace(report, problems=[*report.problems, *unkept])
        path = write_report(settings, report)
        metadata = {"file": dg.MetadataValue.path(str(path)), "report": dg.MetadataValue.md(report.as_markdown())}
        if report.problems:
            raise dg.Failure("\n".join(report.problems), metadata=metadata, allow_retries=False)
        return dg.MaterializeResult(metadata=metadata)

    return morning_report


def _resumed_runs(context: dg.AssetExecutionContext) -> tuple[str, ...]:
    """Return the runs that this one goes on with, oldest first: together they are one morning."""
    found: list[str] = []
    run: dg.DagsterRun | None = context.run
    while run and run.parent_run_id and run.tags.get(RESUME_TAG) == "true":
        found.insert(0, run.parent_run_id)
        run = context.instance.get_run_by_id(run.parent_run_id)
    return tuple(found)


def _started_at(context: dg.AssetExecutionContext, run_id: str) -> datetime:
    record = context.instance.get_run_record_by_id(run_id)
    return datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else datetime.now(UTC)
