"""Runs dbt as a process of its own and returns how it ended with each node. What is to be built is decided elsewhere.

Not through dagster-dbt's resource: that process would outlive a killed run and hold DuckDB's lock when nobody knows of it. This
one dies with its parent, and inherits the descriptor that its parent's turn at the warehouse stands on, so the turn ends when the
last of both does.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.assets.manifest import dbt_environment, dbt_executable, target_folder
from pipelines.runs.lifeline import mortal
from pipelines.settings import Settings

SHOWN_EVENTS = ("LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult")
# dbt ends with 0 if all is well and 1 if something failed; in both cases it wrote down what. 2 is a crash, below 0 a signal.
WRITES_RESULTS = (0, 1)
KEPT_LINES = 5


@dataclass(frozen=True)
class NodeResult:
    """How dbt ended with one model or test."""

    status: str  # success, error, skipped, pass, fail, warn
    message: str | None
    failures: int | None
    seconds: float


@dataclass(frozen=True)
class DbtOutcome:
    """Results by unique id; ``error`` says why there are none."""

    results: Mapping[str, NodeResult] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Heard:
    """Something dbt says while it works: a node's name, and the line."""

    node: str
    text: str


def run_dbt(settings: Settings, arguments: Iterable[str], listen: Callable[[Heard], None], inherited: Iterable[int] = ()) -> DbtOutcome:
    """Run one dbt command to its end. ``inherited`` are descriptors that its process shares."""
    folder, target = str(settings.dbt_folder), target_folder(settings)
    written = target / "run_results.json"
    written.unlink(missing_ok=True)  # what an earlier run left must not be taken for this one's
    command = [dbt_executable(), "--no-use-colors", "--log-format", "json", "--log-level", "info", *arguments]
    command += ["--project-dir", folder, "--profiles-dir", folder, "--target-path", str(target)]
    last: list[str] = []
    with subprocess.Popen(
        mortal(command),
        env={**os.environ, **dbt_environment(settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        pass_fds=tuple(inherited),
    ) as process:
        for line in process.stdout or ():
            heard = _parse(line)
            last = [*last, heard.text][-KEPT_LINES:]
            if heard.node:
                listen(heard)
    if process.returncode in WRITES_RESULTS and written.exists():
        return DbtOutcome({item["unique_id"]: _read(item) for item in json.loads(written.read_bytes())["results"]})
    ended = f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"ended with exit code {process.returncode}"
    return DbtOutcome(error=f"dbt {ended}: {' '.join(text.strip() for text in last) or 'it said nothing'}")


def _parse(line: str) -> Heard:
    try:
        event = json.loads(line)
        info = event["info"]
    except (ValueError, KeyError, TypeError):
        return Heard("", line)
    node = event.get("data", {}).get("node_info", {}).get("node_name", "dbt") if info["name"] in SHOWN_EVENTS else ""
    return Heard(node, info["msg"])


def _read(item: Mapping[str, Any]) -> NodeResult:
    return NodeResult(item["status"], item["message"], item["failures"], item["execution_time"])
