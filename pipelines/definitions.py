"""What Dagster loads: one explicit list of assets, checks, jobs, schedules and sensors. No secret is read in here."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.assets.delivery import (
    list_other_dashboards,
    make_completeness,
    make_dashboards,
    make_read_copy,
    make_report_asset,
)
from pipelines.assets.ingestion import make_ingestion, raw_key
from pipelines.assets.manifest import load_manifest
from pipelines.assets.parity import make_parity_checks, parity_keys
from pipelines.assets.transformation import UNIQUE_ID, make_dbt_assets, synced_models
from pipelines.jobs import make_jobs
from pipelines.partitions import make_daily_partitions
from pipelines.runs.lifeline import end_with_parent
from pipelines.schedules import make_schedules
from pipelines.settings import Settings, load_settings
from pipelines.warehouses import is_snowflake
from sensors import make_sensors


def build_defs(*, settings: Settings) -> dg.Definitions:
    """Put the project together from ``settings``; raises ``ConfigError`` with every problem of the catalog."""
    sources = settings.sources()
    manifest = load_manifest(settings)
    owner = next((source.owner for source in sources if source.owner), "data-platform@example.com")
    ingestion = make_ingestion(sources, make_daily_partitions(settings, sources), _describe_sources(manifest))
    models = synced_models(manifest, {f"raw_{source.name}" for source in sources})
    dbt = [make_dbt_assets(manifest, models)] if models else []
    model_keys = {spec.metadata[UNIQUE_ID]: spec.key for step in dbt for spec in step.specs}
    raw_keys = [raw_key(table) for source in sources for table in source.tables]
    contents = [*raw_keys, *model_keys.values()]
    # Of a file, in which only one process may read or write, people have a copy.
    copies = [] if is_snowflake(settings.warehouse_url) else [make_read_copy(manifest, models, contents, owner)]
    copy_keys = [copy.key for copy in copies]
    drawn = make_dashboards(manifest, model_keys, copy_keys, owner)
    dashboards = [*drawn, make_completeness(raw_keys, owner, has_morning=bool(drawn))]
    return dg.Definitions(
        assets=[
            *ingestion,
            *dbt,
            *copies,
            *dashboards,
            *list_other_dashboards(manifest, model_keys, copy_keys, owner),
            make_report_asset([*contents, *(delivered.key for delivered in (*copies, *dashboards))], models, owner),
        ],
        asset_checks=make_parity_checks(sources),
        jobs=make_jobs([source.name for source in sources], parity_keys(sources)),
        schedules=make_schedules(settings.time_zone),
        sensors=make_sensors(sources),
        executor=_make_executor(settings.environment),
    )


def _describe_sources(manifest: Mapping[str, Any]) -> Mapping[dg.AssetKey, str]:
    """Return what dbt's source files say of the raw tables, so that it is written once."""
    described = {}
    for source in manifest["sources"].values():
        key: Sequence[str] | None = source["config"].get("meta", {}).get("dagster", {}).get("asset_key")
        if key and source["description"]:
            described[dg.AssetKey(list(key))] = source["description"]
    return described


def _make_executor(environment: Mapping[str, str]) -> dg.ExecutorDefinition:
    """Return the executor by DAYBREAK_EXECUTOR: in one process unless asked otherwise, as a spawned step costs 5 CPU seconds."""
    match environment.get("DAYBREAK_EXECUTOR", "in_process"):
        case "multiprocess":
            end_with_parent()  # in the process of a step, which loads the project too
            return dg.multiprocess_executor
        case _:
            return dg.in_process_executor


defs = build_defs(settings=load_settings(os.environ))
