"""How Dagster starts a run on this machine: as a process of its own that is known to be alive, or dead, from outside.

Dagster's default launcher cannot tell whether a run's process still lives once the process that launched it is gone. Named in
``dagster.yaml`` (see ``runs.morning``); which runs are dead is judged by ``runs.deaths``, and Dagster's own monitor asks here.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster._config.config_schema import UserConfigSchema
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from pipelines.runs.deaths import LIFE_TAG, LIVES, bury, explain_death, hold_life, is_alive, note_process, process_of

if TYPE_CHECKING:
    import dagster as dg


class CrashSafeRunLauncher(RunLauncher["dg.DagsterInstance"], ConfigurableClass):
    """Starts `dagster api execute_run`, as Dagster's container launchers do, with a lock that the process inherits."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._workers: dict[str, subprocess.Popen[bytes]] = {}  # kept so that the dead among them are reaped
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where Dagster found this class."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> "CrashSafeRunLauncher":
        """Make the launcher that ``dagster.yaml`` names."""
        return cls(inst_data)

    @property
    def _lives(self) -> Path:
        return Path(self._instance.root_directory) / LIVES

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process. Raises ``DagsterLaunchFailedError`` if it cannot be started."""
        run = context.dagster_run
        if run.job_code_origin is None:
            raise _failed(f"The run {run.run_id} does not say where its code is.")
        self._reap()
        bury(self._lives)
        command = make_command(ExecuteRunArgs(run.job_code_origin, run.run_id, self._instance.get_ref()))
        with hold_life(self._lives, run.run_id) as life:
            # Tagged before it is started: whoever finds the tag and no life knows that the process is gone.
            self._instance.add_run_tags(run.run_id, {LIFE_TAG: run.run_id})
            try:
                worker = subprocess.Popen(command, pass_fds=[life], stdin=subprocess.DEVNULL)
            except OSError as error:
                raise _failed(f"The run's process could not be started: {error}") from error
            note_process(life, worker.pid)
        self._workers[run.run_id] = worker

    def terminate(self, run_id: str) -> bool:
        """Ask the run's process to end. Returns whether there was one."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        process_id = process_of(self._lives, run.tags.get(LIFE_TAG, run_id))
        if process_id is None:
            return False
        try:
            os.kill(process_id, signal.SIGTERM)
        except ProcessLookupError:  # it ended just now
            return False
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitor may ask."""
        return True

    def check_run_worker_health(self, run: "dg.DagsterRun") -> CheckRunHealthResult:
        """Say whether the run's process lives. One that was started without a life, by something else, is taken for alive."""
        self._reap()
        life = run.tags.get(LIFE_TAG)
        if life is None or is_alive(self._lives, life):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, explain_death(run.run_id))

    def _reap(self) -> None:
        self._workers = {run_id: worker for run_id, worker in self._workers.items() if worker.poll() is None}


def make_command(work: ExecuteRunArgs) -> list[str]:
    """Return how a run's process is started: by this very Python, as `dagster` is on the PATH of an activated environment only."""
    program, *arguments = work.get_command_args()
    if program != "dagster":
        raise _failed(f"Dagster starts its runs by `{program}` now, which this launcher does not know.")
    return [sys.executable, "-m", program, *arguments]


def _failed(why: str) -> DagsterLaunchFailedError:
    return DagsterLaunchFailedError(why)  # type: ignore[no-untyped-call]
