"""One build of dbt models: plan, run dbt once, and note in the mirror how every model and test ended. No Dagster in here.

Before dbt starts, what it is about to build is noted as failed. So whatever ends this process, no model counts as good that was
not tested, and nothing has to be cleaned up.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from pipelines.assets.build_plan import (
    BUILT_TYPES,
    RAW_PREFIX,
    BuildPlan,
    Known,
    ancestors_of,
    in_build_order,
    plan_build,
    raw_tables_under,
)
from pipelines.assets.dbt_process import Heard, NodeResult, run_dbt
from pipelines.errors import DaybreakError
from pipelines.settings import Settings
from pipelines.state.attempts import UNFINISHED_BUILD
from pipelines.state.builds import read_builds, record_build, record_standing
from pipelines.state.mirror import Mirror
from pipelines.state.verdicts import record_verdicts
from pipelines.sync.model import Verdict
from pipelines.sync.spec import OnFailure
from pipelines.warehouses.marts import Relation, open_marts

GOOD = ("success",)


@dataclass(frozen=True)
class Build:
    """What came of a build. ``results`` are dbt's, by unique id, of models and tests alike."""

    plan: BuildPlan
    results: Mapping[str, NodeResult] = field(default_factory=dict)
    rows: Mapping[Relation, int] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildRequest:
    """Which models (unique ids) a run asks for, and who is told while dbt works."""

    manifest: Mapping[str, Any]
    selected: Set[str]
    run_id: str
    listen: Callable[[Heard], None]


def build_models(settings: Settings, mirror: Mirror, request: BuildRequest) -> Build:
    """Build those of the request's models whose inputs changed, in one turn at the warehouse.

    Raises nothing that a model's data, a held table or a busy warehouse can cause: then models are left out, or failed.
    """
    manifest = request.manifest
    try:
        marts = open_marts(settings)
        with marts.turn("build the models") as turn:
            known = _read_known(settings, mirror, manifest, marts.list_relations(_schemas(manifest)))
            plan = plan_build(manifest, request.selected, known)
            if not plan.build:
                _note_the_rest(mirror, plan)
                return Build(plan)
            for model in plan.build:
                record_build(mirror, model, "failed", None, UNFINISHED_BUILD)
            _note_the_rest(mirror, plan)
            done = run_dbt(settings, _arguments(manifest, plan), request.listen, [turn] if turn is not None else [])
            _note_built(mirror, manifest, plan, done.results, done.error)
            _note_verdicts(mirror, manifest, plan, done.results, request.run_id)
            rows = marts.count_rows([relation_of(manifest, model) for model in plan.build])
            return Build(plan, done.results, rows)
    except DaybreakError as error:
        plan = _leave_out(request.selected, str(error), mirror)
        return Build(plan)


def _leave_out(selected: Iterable[str], why: str, mirror: Mirror) -> BuildPlan:
    """Leave everything as it is, because the warehouse cannot be had."""
    plan = BuildPlan({}, frozenset(), dict.fromkeys(selected, why), frozenset(), is_full=False)
    _note_the_rest(mirror, plan)
    return plan


def outdated_tables(settings: Settings, mirror: Mirror, manifest: Mapping[str, Any]) -> set[str]:
    """Return the raw tables (ids) that models stand on which were not built since something under them changed. Asks the mirror."""
    models = {key for key, node in manifest["nodes"].items() if node["resource_type"] in BUILT_TYPES}
    build = plan_build(manifest, models, _read_known(settings, mirror, manifest)).build
    return {table.removeprefix(RAW_PREFIX) for table in raw_tables_under(manifest, build)}


def _read_known(settings: Settings, mirror: Mirror, manifest: Mapping[str, Any], there: Container[Relation] | None = None) -> Known:
    """Ask the mirror what was done. ``there`` is what stands in the warehouse, if it was asked: a table may have been dropped by hand."""
    statuses = {f"{RAW_PREFIX}{status.table_id}": status for status in mirror.statuses()}
    builds = read_builds(mirror)
    return Known(
        loads={table: status.load_id for table, status in statuses.items()},
        held={table for table, status in statuses.items() if status.held_reason},
        done={
            model: build["inputs"]
            for model, build in builds.items()
            if model in manifest["nodes"] and (there is None or relation_of(manifest, model) in there)
        },
        settings=(settings.time_zone,),
    )


def relation_of(manifest: Mapping[str, Any], model: str) -> Relation:
    """Return the schema and name of a model's table or view, in small letters."""
    node = manifest["nodes"][model]
    return node["schema"].lower(), (node.get("alias") or node["name"]).lower()


def _schemas(manifest: Mapping[str, Any]) -> set[str]:
    return {relation_of(manifest, key)[0] for key, node in manifest["nodes"].items() if node["resource_type"] in BUILT_TYPES}


def _arguments(manifest: Mapping[str, Any], plan: BuildPlan) -> list[str]:
    names = sorted(manifest["nodes"][model]["name"] for model in plan.build)
    arguments = ["build", "--exclude-resource-type", "unit_test", "--select", " ".join(names)]
    if plan.untested:
        arguments += ["--exclude", " ".join(sorted(plan.untested))]
    return [*arguments, "--full-refresh"] if plan.is_full else arguments


def _note_the_rest(mirror: Mirror, plan: BuildPlan) -> None:
    """Note the models that are not built."""
    for model, why in plan.left_out.items():
        record_build(mirror, model, "left_out", None, why)
    for model in plan.inputs.keys() - plan.build - plan.left_out.keys():
        record_standing(mirror, model)


def _note_built(mirror: Mirror, manifest: Mapping[str, Any], plan: BuildPlan, results: Mapping[str, NodeResult], error: str | None) -> None:
    """Note the models that were built, and those that were not built but failed a test now."""
    failed_tests = _failed_tests(manifest, results)
    failed: dict[str, str] = {}
    for model in in_build_order(manifest, plan.build | failed_tests.keys()):
        why = error or _why_failed(manifest, model, results.get(model), failed_tests.get(model, []), failed)
        if model not in plan.build and not failed_tests.get(model):
            continue
        if why:
            failed[model] = why
            record_build(mirror, model, "failed", None, why)
        else:
            record_build(mirror, model, "built", plan.inputs[model])


def _why_failed(
    manifest: Mapping[str, Any], model: str, result: NodeResult | None, failed_tests: list[str], failed: Mapping[str, str]
) -> str | None:
    if failed_tests:
        return f"failed its test{'s' if len(failed_tests) > 1 else ''} {', '.join(failed_tests)}"
    bad = sorted(parent.rpartition(".")[2] for parent in ancestors_of(manifest, [model]) & failed.keys())
    if bad:
        return f"stands on {', '.join(bad)}, which failed"
    if result is None:
        return "dbt did not build it"
    return None if result.status in GOOD else (result.message or result.status)


def _note_verdicts(mirror: Mirror, manifest: Mapping[str, Any], plan: BuildPlan, results: Mapping[str, NodeResult], run_id: str) -> None:
    """Keep what the tests said of the models that were built, and of others only if it is bad news."""
    verdicts: dict[str, list[Verdict]] = {}
    for test, result in results.items():
        if test.startswith("test.") and result.status != "skipped":
            for model in _tested(manifest, test):
                if model in plan.build or result.status != "pass":
                    verdict = Verdict(
                        model,
                        manifest["nodes"][test]["name"],
                        result.status == "pass",
                        on_failure(manifest, test),
                        {"failures": result.failures or 0},
                    )
                    verdicts.setdefault(model, []).append(verdict)
    for found in verdicts.values():
        record_verdicts(mirror, found, run_id)


def _failed_tests(manifest: Mapping[str, Any], results: Mapping[str, NodeResult]) -> dict[str, list[str]]:
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
    return (
        [attached] if attached in manifest["nodes"] else [parent for parent in node["depends_on"]["nodes"] if parent in manifest["nodes"]]
    )


def on_failure(manifest: Mapping[str, Any], test: str) -> OnFailure:
    """Return what a failure of the test means: a test of severity warn stops nothing."""
    return "warn" if manifest["nodes"][test]["config"].get("severity", "error").lower() == "warn" else "hold"
