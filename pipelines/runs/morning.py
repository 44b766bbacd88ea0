"""Runs the morning through Dagster in this process, so that `daybreak run` and the UI share one history."""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.runs.deaths import LIFE_TAG, LIVES, end_dead_runs, living
from pipelines.settings import Settings

# Dagster obeys nothing but this file about telemetry. Retries are for crashes: a run that failed on data fails again. Two runs at once may
# read a source, so that a morning does not wait behind a back-fill, of which there is one at a time.
INSTANCE_CONFIG = """\
telemetry: {enabled: false}
nux: {enabled: false}
run_launcher: {module: pipelines.runs.launcher, class: CrashSafeRunLauncher}
run_monitoring:
  enabled: true
  poll_interval_seconds: 10
  start_timeout_seconds: 180
  max_resume_run_attempts: 0
  free_slots_after_run_end_seconds: 60
run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}
concurrency:
  pools: {granularity: op, default_limit: 2}
  runs:
    tag_concurrency_limits:
      - {key: dagster/backfill, limit: 1}
"""
# SHA-256 of the texts that earlier releases wrote: a file that is one of them has no edits in it that could be lost.
EARLIER_CONFIGS = (
    "5b675dfd04314d7b12a85588e772b5b84cbec811270c2636dca4e3462a8da0d2",
    "0c7ff8e2d2835d0f3c6d3ce0bad4bc7fb3c104280ba44c154e0bb8ff1e6e0518",
    "f254adc5b29d2ee901c98c0fc82a987e7de98a2f2c6e3a09e2ffc761c07c368f",
)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended. ``report`` is the morning report if the run came as far as writing one."""

    run_id: str
    is_green: bool
    report: Mapping[str, Any] | None
    failure: str | None
    log: Path  # what dbt and the steps printed


def prepare_instance(settings: Settings) -> Path:
    """Make the Dagster home of this project and point the environment at it; return the folder."""
    folder = Path(settings.environment.get("DAGSTER_HOME") or settings.home / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "dagster.yaml"
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() in EARLIER_CONFIGS:
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(INSTANCE_CONFIG, encoding="utf-8")
        temporary.replace(file)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["DAYBREAK_HOME"] = str(settings.home)
    return folder


def prepare_daemon(settings: Settings) -> str | None:
    """Make the Dagster home ready for a daemon, with no dead run left in it. Returns what a person must mend in it, if anything."""
    folder = prepare_instance(settings)
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance, folder / LIVES)
        if instance.run_launcher.supports_check_run_worker_health:
            return None
    line = next(line for line in INSTANCE_CONFIG.splitlines() if line.startswith("run_launcher"))
    edited = f"{folder / 'dagster.yaml'} has edits of yours, so it is left as it is."
    return f"{edited} Runs that are killed show as running for ever with it. Add this line: {line}"


def run_morning(settings: Settings) -> RunOutcome:
    """Run ``morning_refresh`` to its end. Raises ``ConfigError`` before anything starts if the catalog is wrong."""
    lives = prepare_instance(settings) / LIVES
    settings.sources()
    import dagster as dg

    from pipelines.delivery.report import read_report

    log = settings.home / "logs" / "run.log"
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with _stdout_in(log), dg.DagsterInstance.get() as instance, living(lives) as life:
        end_dead_runs(instance, lives)
        tags = {"daybreak/started_by": "cli", LIFE_TAG: life}
        result = dg.execute_job(dg.reconstructable(morning_job), instance=instance, run_config=quiet, tags=tags)
        failures = [_explain(event) for event in result.all_events if event.is_step_failure]
        return RunOutcome(result.run_id, result.success, read_report(settings, result.run_id), failures[0] if failures else None, log)


@contextmanager
def _stdout_in(file: Path) -> Iterator[None]:
    """Send what dbt and the steps print to a file: the descriptor itself, as steps are captured below Python's level."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    kept = os.dup(1)
    with file.open("wb") as log:
        os.dup2(log.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _explain(event: Any) -> str:  # noqa: ANN401 - dagster's DagsterEvent
    """Return why a step failed: the innermost cause, which is the one that says something."""
    error = event.event_specific_data.error
    while error and error.cause:
        error = error.cause
    return f"step {event.step_key}: {error.message.strip() if error else event.message}"


def morning_job() -> Any:  # noqa: ANN401 - dagster's JobDefinition, which is not imported up here
    """Return the job as a module-level function, so that a multiprocess executor can find it again."""
    from pipelines.definitions import defs
    from pipelines.jobs import MORNING_REFRESH

    return defs.resolve_job_def(MORNING_REFRESH)
