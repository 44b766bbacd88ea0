"""The dbt project as one Dagster step: one invocation builds what changed, and every selected output is yielded, always.

Models that descend from a held table are left out and keep yesterday's content; models whose inputs did not change are left
alone. Both yield their result with the data version of their last good build.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from pipelines.assets.build_plan import BuildPlan, in_build_order, plan_build
from pipelines.assets.manifest import dbt_environment, dbt_executable, load_manifest, target_folder
from pipelines.delivery.read_copy import publish_read_copy
from pipelines.progress import Happening, tell
from pipelines.settings import Settings, load_settings
from pipelines.state.lock import hold_lock
from pipelines.state.mirror import Mirror
from pipelines.sync.model import OnFailure, Verdict
from pipelines.warehouses import duckdb_file
from pipelines.warehouses.duckdb_tables import count_rows
from pipelines.wiring import open_mirror

UNIQUE_ID = "dagster_dbt/unique_id"
SHOWN_EVENTS = ("LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult")


class Translator(DagsterDbtTranslator):
    """dbt's words as Dagster's: tests are shown, and block nothing (the step decides what is left out)."""

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """Return the check of a test, not blocking."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(blocking=False) if spec else None


def make_translator() -> DagsterDbtTranslator:
    """Return the one translator of the project."""
    return Translator(DagsterDbtTranslatorSettings(enable_source_metadata=True))


@dataclass(frozen=True)
class NodeResult:
    """How dbt ended with one model or test."""

    status: str  # success, error, skipped, pass, fail, warn
    message: str | None
    failures: int | None
    seconds: float


def make_dbt_assets(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Return every model of the manifest as one step."""

    @dbt_assets(manifest=manifest, dagster_dbt_translator=make_translator(), name="dbt_build")
    def dbt_build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        settings = load_settings()
        mirror = open_mirror(settings.state_url)
        current = load_manifest(settings)
        chosen = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs if spec.key in context.selected_asset_keys}
        plan = _plan(settings, mirror, current, chosen)
        results = _run_dbt(settings, current, plan, context) if plan.build else {}
        _record(mirror, current, plan, results, context.run_id)
        if results:
            _publish(settings, mirror, current)
        checks = _checks_by_model(context, current, results)
        rows = count_rows(duckdb_file(settings.warehouse_url), settings.lock_wait_seconds, [_relation(current, model) for model in plan.build])
        for model in in_build_order(current, chosen):
            key = chosen[model]
            yield _make_result(current, plan, mirror, results, (model, key, checks.get(key, []), rows.get(_relation(current, model))))

    return dbt_build


def _plan(settings: Settings, mirror: Mirror, manifest: Mapping[str, Any], chosen: Mapping[str, dg.AssetKey]) -> BuildPlan:
    statuses = {f"raw_{status.table_id}": status for status in mirror.statuses()}
    held = {table for table, status in statuses.items() if status.held_reason}
    loads = {table: status.load_id for table, status in statuses.items()}
    done = {model: build["inputs"] for model, build in mirror.builds().items()}
    return plan_build(manifest, set(chosen), loads, held, done)


def _run_dbt(settings: Settings, manifest: Mapping[str, Any], plan: BuildPlan, context: dg.AssetExecutionContext) -> Mapping[str, NodeResult]:
    """Build the planned models in one invocation, under the warehouse's lock. Returns results by unique id."""
    names = sorted(manifest["nodes"][model]["name"] for model in plan.build)
    arguments = ["build", "--exclude-resource-type", "unit_test", "--select", " ".join(names)]
    if plan.untested:
        arguments += ["--exclude", " ".join(sorted(plan.untested))]
    file, folder = duckdb_file(settings.warehouse_url), str(settings.dbt_folder)
    dbt = DbtCliResource(project_dir=folder, profiles_dir=folder, dbt_executable=dbt_executable())
    os.environ.update(dbt_environment(settings))  # dbt's process inherits it
    with hold_lock(file.with_name(f"{file.name}.lock"), "dbt build", settings.lock_wait_seconds):
        invocation = dbt.cli(arguments, raise_on_error=False, target_path=target_folder(settings))
        for event in invocation.stream_raw_events():
            info = event.raw_event["info"]
            if info["name"] in SHOWN_EVENTS:
                context.log.info(info["msg"])
                tell(Happening(event.raw_event["data"].get("node_info", {}).get("node_name", "dbt"), "build"))
        invocation.wait()
    written = invocation.get_artifact("run_results.json")["results"] if invocation.process.returncode in (0, 1) else []
    if not written:
        raise dg.Failure(f"dbt ended without a result: {invocation.get_error() or 'see its log'}", allow_retries=False)
    return {item["unique_id"]: NodeResult(item["status"], item["message"], item["failures"], item["execution_time"]) for item in written}


def _record(mirror: Mirror, manifest: Mapping[str, Any], plan: BuildPlan, results: Mapping[str, NodeResult], run_id: str) -> None:
    """Note in the mirror how every model and every test ended."""
    failed_tests = _failed_tests(manifest, results)
    for model, why in plan.left_out.items():
        mirror.record_build(model, "left_out", None, why)
    for model in plan.inputs:
        if model in plan.left_out:
            continue
        if model not in plan.build:
            mirror.record_standing(model)
            continue
        result = results.get(model)
        if result is None or result.status != "success":
            mirror.record_build(model, "failed", None, (result and result.message) or "dbt did not build it")
        elif failed_tests.get(model):
            mirror.record_build(model, "failed", None, f"failed: {', '.join(failed_tests[model])}")
        else:
            mirror.record_build(model, "built", plan.inputs[model])
    verdicts: dict[str, list[Verdict]] = {}
    for test, result in results.items():
        if test in manifest["nodes"] and manifest["nodes"][test]["resource_type"] == "test":
            for model in _tested(manifest, test):
                verdict = Verdict(model, manifest["nodes"][test]["name"], result.status == "pass", _on_failure(manifest, test), {"failures": result.failures or 0})
                verdicts.setdefault(model, []).append(verdict)
    for found in verdicts.values():
        mirror.record_verdicts(found, run_id)


def _failed_tests(manifest: Mapping[str, Any], results: Mapping[str, NodeResult]) -> Mapping[str, list[str]]:
    failed: dict[str, list[str]] = {}
    for test, result in results.items():
        if test.startswith("test.") and result.status in ("fail", "error"):
            for model in _tested(manifest, test):
                failed.setdefault(model, []).append(manifest["nodes"][test]["name"])
    return failed


def _tested(manifest: Mapping[str, Any], test: str) -> list[str]:
    """Return the models whose delivery a failure of ``test`` stops: the one it is attached to, else all that it reads."""
    node = manifest["nodes"][test]
    attached = node.get("attached_node")
    return [attached] if attached in manifest["nodes"] else [parent for parent in node["depends_on"]["nodes"] if parent in manifest["nodes"]]


def _on_failure(manifest: Mapping[str, Any], test: str) -> OnFailure:
    return "warn" if manifest["nodes"][test]["config"].get("severity", "error").lower() == "warn" else "hold"


def _publish(settings: Settings, mirror: Mirror, manifest: Mapping[str, Any]) -> None:
    """Replace the read copy; what failed its tests keeps its last good version in it."""
    if settings.read_copy:
        failed = [_relation(manifest, model) for model, build in mirror.builds().items() if build["status"] == "failed" and model in manifest["nodes"]]
        tell(Happening("warehouse.read.duckdb", "copy"))
        publish_read_copy(settings, failed)


def _relation(manifest: Mapping[str, Any], model: str) -> tuple[str, str]:
    node = manifest["nodes"][model]
    return node["schema"], node.get("alias") or node["name"]


def _checks_by_model(
    context: dg.AssetExecutionContext, manifest: Mapping[str, Any], results: Mapping[str, NodeResult]
) -> Mapping[dg.AssetKey, Sequence[dg.AssetCheckResult]]:
    checks: dict[dg.AssetKey, list[dg.AssetCheckResult]] = {}
    for spec in context.assets_def.check_specs:
        test = (spec.metadata or {}).get(UNIQUE_ID, "")
        result = results.get(test)
        if result is None or spec.key not in context.selected_asset_check_keys:
            continue
        is_warning = _on_failure(manifest, test) == "warn"
        checks.setdefault(spec.asset_key, []).append(
            dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=result.status == "pass",
                severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
                description=result.message,
                metadata={"failing_rows": result.failures or 0, "seconds": round(result.seconds, 3)},
            )
        )
    return checks


def _make_result(
    manifest: Mapping[str, Any],
    plan: BuildPlan,
    mirror: Mirror,
    results: Mapping[str, NodeResult],
    model: tuple[str, dg.AssetKey, Sequence[dg.AssetCheckResult], int | None],
) -> dg.MaterializeResult:
    unique_id, key, checks, rows = model
    build = mirror.builds().get(unique_id, {})
    metadata: dict[str, Any] = {"outcome": "left alone: no input changed" if unique_id not in plan.build else build.get("status", "unknown")}
    if unique_id in plan.left_out:
        metadata |= {"outcome": "left out", "held": plan.left_out[unique_id]}
    if build.get("built_at"):
        metadata["built_at"] = dg.MetadataValue.timestamp(datetime.fromisoformat(build["built_at"]))
    if build.get("reason"):
        metadata["reason"] = build["reason"]
    if unique_id in results:
        metadata["seconds"] = round(results[unique_id].seconds, 3)
    if rows is not None:
        metadata["dagster/row_count"] = rows
    schema, name = _relation(manifest, unique_id)
    metadata["dagster/table_name"] = f"{schema}.{name}"
    version = dg.DataVersion(build.get("inputs") or "never built")
    return dg.MaterializeResult(asset_key=key, data_version=version, metadata=metadata, check_results=checks)
