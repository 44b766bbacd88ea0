"""Has a row forgotten everywhere that this project writes: engine, mirror, Dagster's history, logs, models, read copy, dashboards.

Each step may be done again. What the row was is kept nowhere, so after a crash the same command has to be given again; the
warehouse remembers that there is something to erase, and every later morning goes on with that.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.delivery.publish import drop_versions
from pipelines.delivery.read_copy import READ_COPY
from pipelines.errors import DaybreakError, LoadConflict
from pipelines.retention import FOLDERS
from pipelines.runs.deaths import LIVES, end_dead_runs
from pipelines.runs.morning import RunOutcome, prepare_instance, run_morning
from pipelines.settings import Settings
from pipelines.state import texts
from pipelines.state.builds import read_builds, read_deliveries
from pipelines.sync.forget import Forgotten, forget_row
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import open_warehouse
from pipelines.wiring import SyncRequest, open_engine, open_mirror


@dataclass(frozen=True)
class ForgetRequest:
    """Which row, who asks for it, and whether what is built from its table is built anew at once."""

    source: str
    table: str
    key: tuple[str, ...]
    asked_by: str
    is_run_wanted: bool = True


@dataclass(frozen=True)
class Outcome:
    """What was deleted, how many of Dagster's runs named the row, and where it may be found still: empty if nowhere."""

    found: Forgotten
    dropped_runs: int
    left: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether the row stood anywhere."""
        deleted = self.found.entry.counts.deleted if self.found.entry else 0
        return bool(deleted or self.found.quarantine_entries)  # a run may name another row with the same number


def forget(settings: Settings, request: ForgetRequest) -> Outcome:
    """Delete a row from all that was read, built and told from it.

    Raises ``ConfigError`` for a row that cannot be named, ``PrerequisiteError`` if the row is still in the source, and
    ``LoadConflict`` if another run works on the table; then nothing was changed.
    """
    source, (spec,) = settings.tables(request.source, [request.table])
    _refuse_during_run(settings, spec)
    with open_engine(settings, SyncRequest(source, (spec,))) as engine:
        found = forget_row(engine, spec, request.key, request.asked_by)
    told = texts.forget_row(open_mirror(settings.state_url), spec, found.key)
    _drop_logs(settings)
    dropped, busy = _clean_history(settings, spec, found.key)
    busy = (*((f"unused pages of the mirror {told}",) if told else ()), *busy)
    if found.entry is None:
        return Outcome(found, dropped, busy)
    left = _what_is_left(settings, spec, run_morning(settings)) if request.is_run_wanted else _erase_now(settings)
    kept = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds).kept_tables(spec)
    older = [f"the table raw_{spec.source}.{name}, kept from before the key became one of another kind: drop it" for name in kept]
    return Outcome(found, dropped, (*left, *older, *busy))


def _refuse_during_run(settings: Settings, spec: TableSpec) -> None:
    """Raise ``LoadConflict`` while a run of Dagster's goes on: it may have built a model with the row in it, and would call it clean."""
    lives = prepare_instance(settings) / LIVES
    import dagster as dg

    status = dg.DagsterRunStatus
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance, lives)
        going = instance.get_runs(dg.RunsFilter(statuses=[status.STARTING, status.STARTED, status.CANCELING]), limit=1)
    if going:
        raise LoadConflict(
            f"the run {going[0].run_id} goes on just now, and may have built a model with the row in it.",
            safe="Nothing was changed.",
            remedy="Forget the row when that run is over.",
            table=spec.id,
        )


def _drop_logs(settings: Settings) -> None:
    """Delete what dbt and the steps of the last run printed."""
    shutil.rmtree(settings.home / "logs", ignore_errors=True)
    shutil.rmtree(settings.home / "dbt" / "logs", ignore_errors=True)
    (settings.home / "dbt" / "run_results.json").unlink(missing_ok=True)


def _clean_history(settings: Settings, spec: TableSpec, key: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """Take the runs that name the row out of Dagster's history; return how many, and files that could not be written anew."""
    prepare_instance(settings)
    import dagster as dg

    from pipelines.assets.ingestion import raw_key
    from pipelines.definitions import defs
    from pipelines.runs.history import drop_runs_that_name, erase_history

    touched = dg.AssetSelection.assets(raw_key(spec)).downstream().resolve(defs.resolve_asset_graph())
    with dg.DagsterInstance.get() as instance:
        dropped = drop_runs_that_name(instance, texts.make_finder(key), touched)
        return dropped, tuple(f"unused pages of Dagster's own file {file}" for file in erase_history(instance))


def _erase_now(settings: Settings) -> tuple[str, ...]:
    """Erase what can be erased without a build. The mark stays, so the next morning does the rest."""
    warehouse = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds)
    warehouse.erase_traces(is_settled=False)
    for folder in FOLDERS:
        drop_versions(settings.home / folder, keep=1, before=datetime.now(UTC))
    return ("models on the table, the read copy and the dashboards: the next morning run builds them anew and erases the rest",)


def _what_is_left(settings: Settings, spec: TableSpec, run: RunOutcome) -> tuple[str, ...]:
    """Return where the row may be found still, after a morning that need not have been green."""
    from pipelines.assets.manifest import load_manifest

    if run.report is None:
        return (f"models on the table, the read copy and the dashboards, because the morning run failed: {run.failure}",)
    mirror = open_mirror(settings.state_url)
    left = [*_models_left(load_manifest(settings), read_builds(mirror), f"raw_{spec.source}.{spec.name}")]
    for name, item in read_deliveries(mirror).items():
        if item["status"] == "kept":
            left.append(f"{'the read copy' if name == READ_COPY else name}, which keeps its last good version: {item['reason']}")
    try:
        traces = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds).traces()
    except DaybreakError as error:
        return (*left, f"unused blocks of the warehouse file: {error}")
    return (*left, "unused blocks of the warehouse file") if traces == "fresh" else tuple(left)


def _models_left(manifest: Mapping[str, Any], builds: Mapping[str, Mapping[str, Any]], table: str) -> list[str]:
    from pipelines.assets.build_plan import BUILT_TYPES, raw_tables_under

    left = []
    for model, node in sorted(manifest["nodes"].items()):
        if node["resource_type"] not in BUILT_TYPES or table not in raw_tables_under(manifest, [model]):
            continue
        config = node["config"]
        if model in builds and builds[model]["status"] != "built":
            left.append(f"{node['name']}: {builds[model]['reason']}")
        elif node["resource_type"] == "snapshot":
            left.append(f"{node['name']}, a snapshot, which keeps what was: delete the row there by hand")
        elif config.get("materialized") == "incremental" and config.get("incremental_strategy") != "replace_days":
            left.append(
                f"{node['name']}, an incremental model, which keeps what it built: dbt build --full-refresh --select {node['name']}"
            )
    return left
