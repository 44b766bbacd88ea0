"""Dagster's own processes around a test's project: started by `daybreak ui`, asked over HTTP, and killed one by one or all at once."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from pipelines.runs.deaths import LIVES, process_of
from pipelines.runs.morning import INSTANCE_CONFIG
from tests.dagster.conftest import ROOT, Daybreak

PATIENCE_SECONDS = 300  # the services took 100 s to answer on two cores that others kept busy
LAUNCH = """
mutation Launch($parameters: ExecutionParams!) {
  launchPipelineExecution(executionParams: $parameters) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
SELECTOR = {"repositoryLocationName": "daybreak", "repositoryName": "__repository__", "jobName": "morning_refresh"}
Found = TypeVar("Found")


def await_that(question: Callable[[], Found | None], what: str, seconds: float = PATIENCE_SECONDS) -> Found:
    """Ask until there is an answer that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := question():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came: {what}")


@dataclass
class Services:
    """What `daybreak ui` started: the command itself, the daemon, the web server, the code server, and the runs' processes."""

    daybreak: Daybreak
    command: "subprocess.Popen[bytes]"
    port: int

    def launch(self) -> str:
        """Start a morning as the UI does, and return its run id."""
        answer = self.ask(LAUNCH, {"parameters": {"selector": SELECTOR, "runConfigData": {}, "mode": "default"}})
        launched = answer["data"]["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return what the web server answers to a GraphQL query."""
        data = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/graphql", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    def is_ready(self) -> bool:
        """Whether the web server answers and knows the project."""
        assert self.command.poll() is None, "the services ended by themselves"
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            nodes = self.ask("{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }", {})
            entries = nodes["data"]["workspaceOrError"]["locationEntries"]
            return any((entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries)
        return False

    def worker(self, run_id: str) -> int | None:
        """The number of a run's process."""
        return process_of(self.daybreak.home / "dagster" / LIVES, run_id)

    def named(self, *words: str) -> list[int]:
        """The numbers of our processes whose command line has one of the words."""
        return [process for process in descendants(self.command.pid) if any(word in command_line(process) for word in words)]

    def kill(self, *processes: int) -> None:
        """End processes of ours as kill -9 does."""
        ours = {self.command.pid, *descendants(self.command.pid)}
        for process in processes:
            assert process in ours, "not a process of this test"
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def kill_all(self) -> None:
        """End everything at once, as a power cut does."""
        self.kill(self.command.pid, *descendants(self.command.pid))
        self.command.wait()


def descendants(process: int) -> list[int]:
    """The processes below one, nearest first."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        for task in Path(f"/proc/{waiting.pop(0)}/task").glob("*/children"):
            with suppress(OSError):
                children = [int(child) for child in task.read_text().split()]
                found += children
                waiting += children
    return found


def command_line(process: int) -> str:
    """What a process was started as; empty for one that is gone, or waits to be reaped."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@contextmanager
def open_services(daybreak: Daybreak) -> Iterator[Services]:
    """Yield the services of a project, ready for work; whatever of them is left is killed."""
    file = daybreak.home / "dagster" / "dagster.yaml"
    file.write_text(INSTANCE_CONFIG.replace("poll_interval_seconds: 10", "poll_interval_seconds: 1"))
    port = free_port()
    variables = {**daybreak.variables(), "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1"}
    with (daybreak.home / "services.log").open("ab") as log:
        command = subprocess.Popen(
            daybreak.command("ui", "--port", str(port)), env=variables, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    services = Services(daybreak, command, port)
    ours = [command.pid]
    try:
        await_that(services.is_ready, "the web server's answer")
        ours += descendants(command.pid)
        yield services
    finally:
        for process in {*ours, *descendants(command.pid)}:
            if "dagster" in command_line(process) or process == command.pid:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        command.wait()


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives away."""
    for port in range(21000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def ended(daybreak: Daybreak, run_id: str) -> list[dg.DagsterRunStatus] | None:
    """How a run and those that went on with it ended, oldest first; None as long as one of them has not, or a retry is due."""
    runs = [run for run in daybreak.instance.get_runs() if run_id in (run.run_id, run.root_run_id)]
    newest, *_ = runs = sorted(runs, key=lambda run: int(run.tags.get("dagster/retry_number", "0")), reverse=True)
    # Dagster decides on a retry a moment after it noted the failure; until then the tag is not there.
    if not all(run.is_finished for run in runs) or (newest.is_failure and newest.tags.get("dagster/will_retry") != "false"):
        return None
    return [run.status for run in reversed(runs)]
