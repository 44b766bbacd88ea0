"""The dbt project as one Dagster step: one invocation builds what changed, and every selected output is yielded, always.

Models that descend from a held table are left out and keep yesterday's content; models whose inputs did not change are left
alone. Both yield their result with the data version of their last good build, and the check ``fresh`` tells them apart.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from pipelines.assets.build_plan import BUILT_TYPES, ancestors_of, in_build_order
from pipelines.assets.manifest import load_manifest
from pipelines.runs.progress import Happening, tell
from pipelines.settings import load_settings

if TYPE_CHECKING:  # what a step works with is imported when it works
    from pipelines.assets.dbt_build import Build
    from pipelines.assets.dbt_process import Heard

UNIQUE_ID = "dagster_dbt/unique_id"
FRESH = "fresh"


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


def synced_models(manifest: Mapping[str, Any], raw_schemas: Set[str]) -> list[str]:
    """Return the unique ids of what dbt builds, less what stands on a source that the catalog does not have at all."""
    unknown = {
        key for key, source in manifest["sources"].items() if source["schema"].startswith("raw_") and source["schema"] not in raw_schemas
    }
    built = [
        key
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in BUILT_TYPES and node["config"].get("materialized") != "ephemeral"
    ]
    return [key for key in in_build_order(manifest, built) if not ancestors_of(manifest, [key]) & unknown]


def make_dbt_assets(manifest: Mapping[str, Any], models: Sequence[str]) -> dg.AssetsDefinition:
    """Return the ``models`` (unique ids) as one step.

    Not ``@dbt_assets``: it asks dbt's graph library which nodes there are (0.6 CPU seconds at every load), and knows no checks
    beside dbt's tests.
    """
    translator = make_translator()
    specs = {model: translator.get_asset_spec(manifest, model, None) for model in models}
    checks = [check for model, spec in specs.items() for check in _make_checks(translator, manifest, model, spec)]

    @dg.multi_asset(name="dbt_build", specs=list(specs.values()), check_specs=checks, can_subset=True)
    def dbt_build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from pipelines.assets.dbt_build import BuildRequest, build_models
        from pipelines.state.builds import read_builds
        from pipelines.wiring import open_mirror

        settings = load_settings()
        mirror, current = open_mirror(settings.state_url), load_manifest(settings)
        chosen = {model: spec.key for model, spec in specs.items() if spec.key in context.selected_asset_keys}

        def listen(heard: "Heard") -> None:
            context.log.info(heard.text)
            tell(Happening(heard.node, "build"))

        build = build_models(settings, mirror, BuildRequest(current, chosen.keys() & current["nodes"].keys(), context.run.run_id, listen))
        notes = read_builds(mirror)
        for model, key in chosen.items():
            note = notes.get(model, {})
            results = [*_test_results(context, current, key, build), _make_fresh_result(key, note)]
            version = dg.DataVersion(note.get("inputs") or note.get("status", "never built"))
            yield dg.MaterializeResult(
                asset_key=key, data_version=version, metadata=_make_metadata(current, model, note, build), check_results=results
            )

    return dbt_build


def _make_checks(
    translator: DagsterDbtTranslator, manifest: Mapping[str, Any], model: str, spec: dg.AssetSpec
) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(FRESH, asset=spec.key, description="It was built from the newest loads of the tables under it, and passed.")
    for test, node in manifest["nodes"].items():
        if node["resource_type"] == "test" and model in node["depends_on"]["nodes"]:
            check = translator.get_asset_check_spec(spec, manifest, test, None)
            if check and check.asset_key == spec.key:
                yield check


def _test_results(
    context: dg.AssetExecutionContext, manifest: Mapping[str, Any], key: dg.AssetKey, build: "Build"
) -> Iterator[dg.AssetCheckResult]:
    """Yield what dbt's tests said; a test that was not run says nothing, so the last word on unchanged content stands."""
    from pipelines.assets.dbt_build import on_failure

    for spec in context.assets_def.check_specs:
        test = (spec.metadata or {}).get(UNIQUE_ID, "")
        result = build.results.get(test)
        if result is None or result.status == "skipped" or spec.asset_key != key or spec.key not in context.selected_asset_check_keys:
            continue
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=spec.name,
            passed=result.status == "pass",
            severity=dg.AssetCheckSeverity.WARN if on_failure(manifest, test) == "warn" else dg.AssetCheckSeverity.ERROR,
            description=result.message,
            metadata={"failing_rows": result.failures or 0, "seconds": round(result.seconds, 3)},
        )


def _make_fresh_result(key: dg.AssetKey, note: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Say whether the model is of this morning: it is materialised every morning, whether it was built or not."""
    passed = note.get("status") == "built"
    told = f"last good build {note['built_at']}" if note.get("built_at") else "never built"
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=FRESH,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=told if passed else f"{told}; {note.get('reason') or 'nobody knows why'}",
    )


def _make_metadata(manifest: Mapping[str, Any], model: str, note: Mapping[str, Any], build: "Build") -> dict[str, Any]:
    from pipelines.assets.dbt_build import relation_of

    is_standing = note.get("status") == "built" and model not in build.plan.build
    metadata: dict[str, Any] = {"outcome": "left alone: no input changed" if is_standing else note.get("status", "unknown")}
    if model in build.plan.left_out:
        metadata["held"] = build.plan.left_out[model]
    elif note.get("reason"):
        metadata["reason"] = note["reason"]
    if note.get("built_at"):
        metadata["built_at"] = dg.MetadataValue.timestamp(datetime.fromisoformat(note["built_at"]))
    if model in build.results:
        metadata["seconds"] = round(build.results[model].seconds, 3)
    if model not in manifest["nodes"]:
        return metadata
    relation = relation_of(manifest, model)
    metadata["dagster/table_name"] = ".".join(relation)
    if relation in build.rows:
        metadata["dagster/row_count"] = build.rows[relation]
    return metadata
